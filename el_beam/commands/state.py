"""`el state`: how far increments are, and how to make them begin elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

_EXAMPLE = """example:
  el state show hdfs://namenode:9870/el/state
  el state reset hdfs://namenode:9870/el/state --topic raw --to earliest --source kafka://BROKERS/
"""


def register(commands: Any) -> None:
    """Add `el state` to the command line."""
    parser = commands.add_parser(
        "state",
        help="show or change how far increments are",
        description="What `el run --state DIR` has noted of the topics that it reads.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = parser.add_subparsers(dest="act", required=True, metavar="show|reset")
    shown = acts.add_parser("show", help="a line for each partition")
    shown.add_argument("state", metavar="DIR")
    shown.add_argument("--json", action="store_true", help="print it as JSON")
    shown.set_defaults(command=_show)
    reset = acts.add_parser("reset", help="make a topic go on from elsewhere")
    reset.add_argument("state", metavar="DIR")
    reset.add_argument("--topic", required=True, metavar="NAME")
    reset.add_argument(
        "--to", required=True, metavar="earliest|latest|0:500,1:730",
        help="where, or the next offset of each partition",
    )  # fmt: skip
    reset.add_argument("--source", metavar="URI", help="kafka://BROKERS/, to ask for offsets")
    reset.add_argument("--yes", action="store_true", help="do it; otherwise only say what it means")
    reset.set_defaults(command=_reset)


def _show(args: argparse.Namespace) -> int:
    from rich.table import Table

    from el_beam.books.state.state import State, show
    from el_beam.connectors.ends import checked_path
    from el_beam.terminal.console import console, printable

    found = show(State(checked_path(args.state)))
    if args.json:
        print(json.dumps(found))
        return 0
    if not found["topics"]:
        print(printable(f"{args.prog}: nothing is known at {args.state}"), file=sys.stderr)
        return 1
    table = Table(box=None, pad_edge=False)
    for name in ("topic", "partition", "next offset", "increment", "committed", "under way"):
        right = name in ("partition", "next offset", "increment")
        table.add_column(name, justify="right" if right else "left")
    for topic in found["topics"]:
        moment = topic["committed"]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""
        pending = topic["pending"]
        doing = f"{pending['records']:,} records" if pending else ""
        for partition, offset in sorted(topic["offsets"].items(), key=lambda each: int(each[0])):
            table.add_row(
                topic["topic"], partition, f"{offset:,}", str(topic["number"]), when, doing
            )
        if not topic["offsets"]:
            table.add_row(topic["topic"], "", "", "", "", doing)
    out = console()
    out.file = sys.stdout
    out.print(table)
    return 0


def _reset(args: argparse.Namespace) -> int:
    from el_beam.books.state.lease import Lease
    from el_beam.books.state.state import State, reset
    from el_beam.connectors.ends import checked_path
    from el_beam.terminal.console import printable
    from el_beam.uris import UriError

    state = State(checked_path(args.state))
    if args.topic not in state.topics():
        there_are = ", ".join(state.topics()) or "none"
        raise UriError(f"no topic {args.topic!r} in {args.state}; there are {there_are}")
    ends = _ends(args)
    last = state.topic(args.topic).last()
    for partition, offset in sorted(ends.items()):
        before = last.ends.get(partition, 0) if last else 0
        print(printable(f"{args.topic}/{partition}: {before:,} -> {offset:,}"))
    if not args.yes:
        print(
            "What is read a second time gets files of other names: remove the old ones, or "
            "have it twice. Nothing was changed; --yes does it.",
            file=sys.stderr,
        )
        return 0
    with Lease(state):
        reset(state, args.topic, ends)
    return 0


def _ends(args: argparse.Namespace) -> dict[int, int]:
    """Partition -> next offset. Raises UriError, KafkaAway."""
    from el_beam.connectors.ends import brokers_of
    from el_beam.uris import UriError
    from transforms.io.kafka.topics import KafkaTopics

    if args.to not in ("earliest", "latest"):
        try:
            pairs = (each.split(":") for each in args.to.split(","))
            return {int(partition): int(offset) for partition, offset in pairs}
        except ValueError as error:
            raise UriError(f"--to {args.to!r}: write earliest, latest or 0:500,1:730") from error
    if not args.source:
        raise UriError(f"--to {args.to} needs --source kafka://BROKERS/")
    kafka = KafkaTopics(brokers_of(args.source))
    counts = kafka.partitions()
    if args.topic not in counts:
        raise UriError(f"no topic {args.topic} at the brokers")
    found = kafka.bounds({args.topic: counts[args.topic]})
    return {number: bound[args.to == "latest"] for (_, number), bound in found.items()}
