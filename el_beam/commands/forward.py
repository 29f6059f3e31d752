"""`el forward`: lines of a log, or of a pipe, into a raw topic."""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

from el_beam.connectors.kafka import raw_topic_of
from el_beam.connectors.registry import checked_uri, source_of
from el_beam.intake.forwarder.forward import forward
from el_beam.terminal.console import printable
from el_beam.uris import UriError
from schemas.event import RawLine
from transforms.read.lines import Source

_EXAMPLE = """examples:
  el forward file:examples/sample.log.gz 'kafka://${KAFKA}/?topic=raw' \\
      --rate 1000 --repeat
  tail -F /var/log/beacon.log | el forward stdin: 'kafka://${KAFKA}/?topic=raw'
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Reads lines from SOURCE and puts each into the topic, which it creates if it "
        "is missing. It ends when the source has ended and all lines are in the topic.",
        epilog=_EXAMPLE,
    )
    parser.add_argument("source", metavar="SOURCE", help="file:PATH or stdin:")
    parser.add_argument("topic", metavar="KAFKA_URI", help="kafka://BROKERS/?topic=NAME")
    parser.add_argument("--rate", type=int, metavar="N", help="lines a second (default: no limit)")
    parser.add_argument("--repeat", action="store_true", help="at the end start again")
    parser.set_defaults(command=_command)


def _command(args: argparse.Namespace) -> int:
    if args.rate is not None and args.rate < 1:
        raise UriError(f"--rate must be 1 or more, not {args.rate}")
    lines = _lines(source_of(checked_uri("source", args.source)), args.repeat)
    cluster, topic, partitions = raw_topic_of(args.topic)
    began = time.monotonic()
    sent = forward(lines, cluster, topic, rate=args.rate, partitions=partitions)
    seconds = time.monotonic() - began
    print(f"{sent:,} lines to {printable(topic)} in {seconds:.1f} s", file=sys.stderr)
    return 0


def _lines(source: Source, repeat: bool) -> Iterator[RawLine]:
    if not source.bounded or (repeat and not source.repeatable):
        raise UriError(f"{source}: give file:PATH; or stdin:, without --repeat")
    rounds = itertools.repeat(source) if repeat else [source]
    return (line for each in rounds for line in each.read())
