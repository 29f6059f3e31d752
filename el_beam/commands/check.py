"""`el check`: whether a continuous job, or an import, works as it should."""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
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
from schemas.bad_event import EVENT_ERROR
from transforms.io.files import filesystem
from transforms.layout import schema_in
from transforms.read.kafka import KafkaSource

_MOST_LAG = 1_000_000  # records
_EXAMPLE = """examples:
  el check 'kafka://${KAFKA}/?topics=raw&group=processor'
  el check --config processor.yaml --json

Exit code 1 if there is any problem, so that a timer can alert people.
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Looks at the brokers, at how far the job's group has read, at the job on "
        "Flink if it is a continuous one, and at who can read raw lines.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("source", nargs="?", metavar="SOURCE", help="the job's kafka: source")
    add("--config", metavar="FILE", help="the job's YAML file instead")
    add_flink(parser)
    add("--lag", type=int, default=_MOST_LAG, metavar="RECORDS",
        help=f"it is a problem if more than these are unread (default {_MOST_LAG:,})")  # fmt: skip
    add("--raw", action="append", default=[], metavar="ROOT",
        help="a raw archive: it is a problem if others than its group can read it")  # fmt: skip
    add("--json", action="store_true", help="the findings as JSON")
    parser.set_defaults(command=_command)


def _folders(given: Mapping[str, Given], *schemes: str) -> list[str]:
    """The folders of the sinks of a job, of these schemes."""
    values = [given[name].value for name in ("sinks", "errors") if name in given]
    texts = [text for each in values for text in (each if isinstance(each, list) else [each])]
    uris = (checked_uri("sink", str(text)) for text in texts)
    return [path_of(uri) for uri in uris if uri.scheme in schemes]


def access(archives: Iterable[str], tables: Iterable[str] = ()) -> Iterator[Finding]:
    """Who can enter the folders of raw lines: archives, and EventErrors beside other `tables`."""
    errors = (f"{root}/{name}" for root in tables for name in filesystem.names(root)
              if (found := schema_in(name)) and found.schema == EVENT_ERROR.schema)  # fmt: skip
    for folder in (*archives, *errors):
        is_open = filesystem.open_to_others(folder)
        if is_open is None:
            yield Finding("warning", "access", f"no folder is at {folder}, or none that we see")
        elif is_open:
            yield Finding("problem", "access", f"all users can enter {folder}, which has raw "
                          "lines: take that from them, or let them (docs/access.md)")  # fmt: skip
        else:
            yield Finding("ok", "access", f"only its group can enter {folder}")


def _command(args: argparse.Namespace) -> int:
    given = from_yaml(args.config, RunConfig) if args.config else {}
    text = args.source or str(given.get("source", Given("", "")).value)
    source = source_of(checked_uri("source", text))
    if not isinstance(source, KafkaSource):
        raise UriError(f"{source} ends by itself: give the kafka: source of a job")
    looks = probes(source, cluster_of(args.flink), args.lag)
    if "state" in given:  # an import has no job that goes on
        del looks["job"]
    archives, tables = (
        [*map(given_path, args.raw), *_folders(given, "raw")],
        _folders(given, "parquet", "jsonl"),
    )
    found = [*look(looks | {"access": partial(access, archives, tables)})]
    if args.json:
        print(json.dumps([each._asdict() for each in found]))
    else:
        for level, what, message in found:
            print(f"{level:<8} {what:<12} {printable(message)}")
    return 1 if any(each.level == "problem" for each in found) else 0
