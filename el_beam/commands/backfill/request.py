"""The options that say which hours are made again, and what they stand for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from el_beam.commands.common import add_hours

if TYPE_CHECKING:
    from el_beam.job import Execution, Rules
    from el_beam.upkeep.backfill.plan import Plan
    from transforms.write.sink import Sink


class BackfillRequest(NamedTuple):
    """What is to be made again, from what, and how."""

    plan: Plan
    sinks: dict[str, Sink]  # by their URIs
    rules: Rules
    execution: Execution


def add_action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    """Add an action of `el backfill`, with its options; returns its parser."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary)
    add = parser.add_argument
    add("raw", metavar="RAW", help="the folder of a raw: sink")
    add("sinks", nargs="+", metavar="SINK", help="parquet: jsonl: sqlite: mysql:")
    add_hours(parser, required=True)
    add("--schema", metavar="REGEX", help="only schemas whose name starts like this, "
        "and EventErrors")  # fmt: skip
    add("--all", action="store_true", help="replace all of these hours, whatever wrote it")
    add("--format", metavar="FMT", help="the lines' format, as for `el run`")
    add("--schemas", metavar="DIR|URL", help="as for `el run`")
    add("--runner", default="direct", metavar="NAME", help="direct, flink or spark")
    add("--workers", type=int, default=1, metavar="N", help="processes that share the work")
    add("--json", action="store_true", help="print it as JSON")
    return parser


def request_of(args: argparse.Namespace) -> BackfillRequest:
    """What the options ask for. Raises ConfigError, BackfillError, StoredError, LedgerError."""
    from el_beam.connectors.selection import selection_of
    from el_beam.upkeep.backfill.plan import BackfillError, plan
    from el_beam.uris import checked_path

    selection_of(args.first, args.last, args.schema)
    sinks, rules, execution = _prepared(args)
    made = plan(
        checked_path(args.raw),
        sinks.values(),
        args.first,
        args.last,
        everything=args.all,
        schema=args.schema or "",
    )
    if not made.hours:
        raise BackfillError(f"{args.raw} has no lines of {args.first} to {args.last}")
    return BackfillRequest(made, sinks, rules, execution)


def _prepared(args: argparse.Namespace) -> tuple[dict[str, Sink], Rules, Execution]:
    """Sinks by their URIs. Raises ConfigError with all mistakes."""
    from el_beam.config import ConfigError, GraphConfig, config_of, from_arguments, rules_and_sinks

    config = config_of(GraphConfig, from_arguments(args, GraphConfig))
    rules, sinks = rules_and_sinks(config)
    if others := [sink for sink in sinks if not (sink.root or sink.has_rows)]:
        fit = "has no hours that can be made again: give parquet:, jsonl:, sqlite: or mysql:"
        raise ConfigError([f"{each} {fit}" for each in others])
    return dict(zip(args.sinks, sinks, strict=True)), rules, config.execution
