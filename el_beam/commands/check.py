"""`el check`: whether a continuous job works as it should."""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from el_beam.commands.common import add_flink
from el_beam.config.options import Given, from_yaml
from el_beam.config.run_config import RunConfig
from el_beam.connectors.registry import checked_uri, source_of
from el_beam.running.hooks import Finding, look
from el_beam.running.streaming.health import probes
from el_beam.terminal.console import printable
from el_beam.uris import UriError, given_path, path_of
from runners.flink_rest import cluster_of
from transforms.io.files import filesystem
from transforms.read.kafka import KafkaSource

_MOST_LAG = 1_000_000  # records
_EXAMPLE = """examples:
  el check 'kafka://${KAFKA}/?topics=raw&group=processor'
  el check --config processor.yaml --json

Exit code 1 if there is any problem, so that a timer can alert people.
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Looks at the brokers, at how far the job's group has read, and at the job on "
        "Flink.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("source", nargs="?", metavar="SOURCE", help="the job's kafka: source")
    add("--config", metavar="FILE", help="the job's YAML file instead")
    add_flink(parser)
    add("--lag", type=int, default=_MOST_LAG, metavar="RECORDS",
        help=f"it is a problem if more than these are unread (default {_MOST_LAG:,})")  # fmt: skip
    add("--raw", action="append", default=[], type=given_path, metavar="ROOT",
        help="a raw archive: it is a problem if others than its group can read it")  # fmt: skip
    add("--json", action="store_true", help="the findings as JSON")
    parser.set_defaults(command=_command)


def _archives(sinks: object) -> Iterator[str]:
    """The folders of the raw archives of a job."""
    for text in [sinks] if isinstance(sinks, str) else sinks if isinstance(sinks, list) else ():
        uri = checked_uri("sink", str(text))
        if uri.scheme == "raw":
            yield path_of(uri)


def access(roots: list[str]) -> Iterator[Finding]:
    for root in roots:
        if filesystem.open_to_others(root):
            yield Finding("problem", "access", f"all users can enter {root}, which has raw lines: "
                          "take that from it, or let them (docs/access.md)")  # fmt: skip
        else:
            yield Finding("ok", "access", f"only its group can enter {root}")


def _command(args: argparse.Namespace) -> int:
    given = from_yaml(args.config, RunConfig) if args.config else {}
    text = args.source or str(given.get("source", Given("", "")).value)
    source = source_of(checked_uri("source", text))
    if not isinstance(source, KafkaSource):
        raise UriError(f"{source} ends by itself: give the kafka: source of a job")
    archives = [*args.raw, *_archives(given.get("sinks", Given("", ())).value)]
    looks = {"access": partial(access, archives)} if archives else {}
    found = [*look(probes(source, cluster_of(args.flink), args.lag) | looks)]
    if args.json:
        print(json.dumps([each._asdict() for each in found]))
    else:
        for level, what, message in found:
            print(f"{level:<8} {what:<12} {printable(message)}")
    return 1 if any(each.level == "problem" for each in found) else 0
