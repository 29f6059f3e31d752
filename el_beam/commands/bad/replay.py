"""`el bad replay`: bad lines that are valid now become events."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from el_beam.commands.bad.choice import add_choice
from el_beam.commands.bad.tables import WIDTH, counts_table, reasons_table

if TYPE_CHECKING:
    from el_beam.job import Execution, Rules
    from el_beam.upkeep.replay.replay import Replayed
    from transforms.write.sink import Sink

_EXAMPLE = """examples:
  el bad replay parquet:/tmp/el/events parquet:/tmp/el/events
  el bad replay parquet:/tmp/el/events parquet:/tmp/el/events \\
      --reason schema_violation --apply
  el bad replay 'kafka://broker:9092/?topics=eventlogging_EventError_14035058' \\
      sqlite:/tmp/el.db

Nothing is written without --apply. If it is killed, the same command goes on
where it was; what a sink already has is not written again.

Exit codes: 0 done; 1 it failed; 2 the call was wrong, or a store could not be
read.
"""


def register(actions: Any) -> None:
    """Add `el bad replay` to the actions of `el bad`."""
    replayer = actions.add_parser(
        "replay",
        help="run them through the graph again; those that are valid now become events",
        description="Runs the lines of the EventErrors in STORE through the graph again, and "
        "writes those that are valid now into every SINK. If STORE is also a SINK, "
        "their EventErrors are removed there.",
        epilog=_EXAMPLE,
    )
    add = replayer.add_argument
    add("store", metavar="STORE", help="where EventErrors are, as for `el bad list`")
    add("sinks", nargs="+", metavar="SINK", help="where events go, as for `el run`")
    add_choice(replayer)
    add("--format", metavar="FMT", help="the lines' format, as for `el run`")
    add("--schemas", metavar="DIR|URL", help="as for `el run`")
    add("--workers", type=int, default=1, metavar="N", help="processes that share the work")
    add("--apply", action="store_true", help="write; without it, only say what would be written")
    add("--json", action="store_true", help="print what it found and did as JSON")
    replayer.set_defaults(command=_replay, goes_on=lambda args: args.apply, needs_scratch=True)


def _replay(args: argparse.Namespace) -> int:
    from el_beam.connectors.event_errors import check_reason
    from el_beam.connectors.selection import ReadCounter, selection_of
    from el_beam.running.process import for_job, interruptible
    from el_beam.terminal.console import live
    from el_beam.upkeep.replay.replay import replay

    check_reason(args.reason)
    selection = selection_of(args.first, args.last, args.schema)
    sinks, rules, execution = _prepared(args)
    counter = ReadCounter()
    with for_job(args.scratch), interruptible(args.scratch), live(counter.__str__):
        found = replay(args.store, sinks, selection, args.reason, rules, execution,
                       apply=args.apply, heard=counter)  # fmt: skip
    if args.json:
        print(json.dumps(replayed_as_json(found)))
    else:
        _show_replayed(found)
    return 0


def _prepared(args: argparse.Namespace) -> tuple[dict[str, Sink], Rules, Execution]:
    """The sinks by their URIs, and how lines are read. Raises ConfigError with all mistakes."""
    from el_beam.config import ConfigError, GraphConfig, config_of, from_arguments, rules_and_sinks
    from el_beam.connectors.registry import uses

    config = config_of(GraphConfig, from_arguments(args, GraphConfig))
    stores = uses("store")
    if others := [uri for uri in config.sinks if uri.scheme not in stores]:
        there_are = ", ".join(f"{scheme}:" for scheme in sorted(stores))
        says = f"can't be asked what is there already; there are {there_are}"
        raise ConfigError([f"{uri} {says}" for uri in others])
    rules, sinks = rules_and_sinks(config)
    return dict(zip(args.sinks, sinks, strict=True)), rules, config.execution


def replayed_as_json(found: Replayed) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "applied": found.applied,
        "read": found.read,
        "valid": found.lines,
        "schemas": [
            {"schema": to.schema, "revision": to.revision, "hour": hour, "lines": lines}
            for to, hour, lines in found.valid
        ],
        "bad": sum(found.still.values()),
        "reasons": dict(found.still.most_common()),
        "cut": found.cut,
        "cut_from": found.cut_from,
        "other": found.other,
        "sinks": [vars(report) for report in found.sinks],
    }


def _show_replayed(found: Replayed) -> None:
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable, results

    out = results(WIDTH)
    bad = sum(found.still.values())
    print(f"{found.read:,} bad events: {found.lines:,} valid now, {bad:,} bad still")
    if found.cut:
        print(f"{found.cut:,} can't be replayed: longer than what an EventError keeps. Their lines "
              "are in the raw archive (el backfill), or where they came from, as "
              f"{printable(', '.join(found.cut_from))}")  # fmt: skip
    if found.other:
        print(f"{found.other:,} can't be replayed: what is stored isn't the line that was read")
    if found.lines:
        schemas: Counter[str] = Counter()
        hours: Counter[str] = Counter()
        for to, hour, lines in found.valid:
            schemas[str(to)] += lines
            hours[hour] += lines
        out.print(counts_table("valid now", schemas.most_common()))
        out.print(counts_table("hour", sorted(hours.items(), reverse=True)))
        done = ("written", "removed") if found.applied else ("to write", "to remove")
        table = Table("sink", box=None, pad_edge=False)
        for name in ("there", *done):
            table.add_column(name, justify="right")
        for each in found.sinks:
            numbers = (each.there, each.lacked - each.rejected, each.removed)
            table.add_row(Text(printable(each.sink)), *(f"{number:,}" for number in numbers))
        out.print(table)
        for each in found.sinks:
            if each.rejected:
                print(f"{printable(each.sink)} can't hold {each.rejected:,} of them: they stay bad")
    if found.still:
        out.print(reasons_table(found.still, "bad still"))
    if not found.applied:
        print("Nothing was written (add --apply).")
