"""`el bad`: the lines that are not valid events are counted, and run through the graph again."""

import argparse
import json
from collections import Counter
from typing import Any

from el_beam.commands.common import WRONG_CALL, add_hours, add_mode, counting
from el_beam.config.assemble import config_of, rules_and_sinks
from el_beam.config.options import ConfigError, from_arguments
from el_beam.config.run_config import GraphConfig
from el_beam.connectors.contract import selection_of
from el_beam.connectors.event_errors import BadEvents, Example, bad_events, check_reason
from el_beam.connectors.registry import store_of, uses
from el_beam.job import Execution, Rules
from el_beam.running.process import for_job, interruptible
from el_beam.terminal.console import ResultTable, printable, results
from el_beam.upkeep.replay.replay import Replayed, replay
from schemas.bad_event import Reason
from transforms.write.sink import Sink

_LIST_EXAMPLE = """examples:
  el bad list sqlite:/tmp/el/events.db
  el bad list parquet:hdfs://namenode:9870/el/events \\
      --from 2019-03-10T07 --reason bad_json

Stores: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
        kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 done, 2 the call was wrong, or a store could not be read.
"""
_REPLAY_EXAMPLE = """examples:
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
_WIDTH = 120  # characters of a table, and of what is shown of a line or a message
_ROWS = 30  # of a table


def register(add_parser: Any) -> None:
    actions = add_parser().add_subparsers(title="actions", metavar="ACTION", required=True)
    lister = actions.add_parser(
        "list",
        help="count them by reason, by schema and by hour, with examples",
        description="Counts the EventErrors in every STORE.",
        epilog=_LIST_EXAMPLE,
    )
    add = lister.add_argument
    add("stores", nargs="+", metavar="STORE", help="where EventErrors are; several are added up")
    _add_choice(lister)
    add("--json", action="store_true", help="print all of it as JSON, whole lines too")
    lister.set_defaults(command=_list, fault=WRONG_CALL)
    replayer = actions.add_parser(
        "replay",
        help="run them through the graph again; those that are valid now become events",
        description="Runs the lines of the EventErrors in STORE through the graph again, and "
        "writes those that are valid now into every SINK. If STORE is also a SINK, "
        "their EventErrors are removed there.",
        epilog=_REPLAY_EXAMPLE,
    )
    add = replayer.add_argument
    add("store", metavar="STORE", help="where EventErrors are, as for `el bad list`")
    add("sinks", nargs="+", metavar="SINK", help="where events go, as for `el run`")
    _add_choice(replayer)
    add("--format", metavar="FMT", help="the lines' format, as for `el run`")
    add("--schemas", metavar="DIR|URL", help="as for `el run`")
    add("--workers", type=int, default=1, metavar="N", help="processes that share the work")
    add("--apply", action="store_true", help="write; without it, only say what would be written")
    add("--json", action="store_true", help="print what it found and did as JSON")
    add_mode(replayer)
    replayer.set_defaults(command=_replay, goes_on=lambda args: args.apply, needs_scratch=True)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bad events."""
    add_hours(parser)
    parser.add_argument("--schema", metavar="REGEX",
                        help="only lines whose schema starts like this, as Edit_")  # fmt: skip
    parser.add_argument("--reason", metavar="REASON", help="only this one, as bad_json")


def _list(args: argparse.Namespace) -> int:
    check_reason(args.reason)
    selection = selection_of(args.first, args.last, args.schema)
    stores = [store_of(each) for each in args.stores]
    with counting() as heard:
        found = bad_events(stores, selection, args.reason, heard)
    if args.json:
        print(json.dumps(as_json(found)))
    else:
        _show(found)
    return 0


def as_json(found: BadEvents) -> dict[str, Any]:
    return {
        "total": found.total,
        "reasons": dict(found.reasons.most_common()),
        "schemas": dict(found.schemas.most_common()),
        "hours": dict(sorted(found.hours.items())),
        "examples": {
            reason: [
                {
                    "uuid": bad.error.uuid, "schema": bad.schema, "hour": bad.error.hour,
                    "end": store, "place": bad.error.place, "origin": bad.origin,
                    "message": bad.message, "encoding": bad.encoding, "line": bad.text,
                }
                for store, bad in examples
            ]
            for reason, examples in found.examples.items()
        },
    }  # fmt: skip


def _show(found: BadEvents) -> None:
    out = results(_WIDTH)
    print(f"{found.total:,} bad events")
    if not found.total:
        return
    out.print(_reasons_table(found.reasons))
    out.print(_counts_table("schema", found.schemas.most_common()))
    hours = [(hour or "no time", count) for hour, count in sorted(found.hours.items())]
    out.print(_counts_table("hour", hours[::-1]))
    for reason, _ in found.reasons.most_common():
        print(f"\n{printable(reason) or '(no reason)'}, for example")
        for example in found.examples[reason]:
            print(*map(printable, _lines(example)), sep="\n")


def _lines(example: Example) -> list[str]:
    """Lines about a bad event: what and where it is, what is wrong, and the line itself."""
    store, bad = example
    return [
        f"  {bad.error.uuid} {_cut(bad.schema)} {bad.error.hour}",
        f"    in    {store} {bad.error.place}",
        f"    from  {bad.origin}",
        f"    wrong {_cut(bad.message)}",
        f"    line  {_cut(bad.readable)}",
    ]


def _replay(args: argparse.Namespace) -> int:
    check_reason(args.reason)
    selection = selection_of(args.first, args.last, args.schema)
    sinks, rules, execution = _prepared(args)
    with for_job(args.scratch), interruptible(args.scratch), counting() as heard:
        found = replay(args.store, sinks, selection, args.reason, rules, execution,
                       apply=args.apply, heard=heard)  # fmt: skip
    if args.json:
        print(json.dumps(replayed_as_json(found)))
    else:
        _show_replayed(found)
    return 0


def _prepared(args: argparse.Namespace) -> tuple[dict[str, Sink], Rules, Execution]:
    """The sinks by their URIs, and how lines are read. Raises ConfigError with all mistakes."""
    config = config_of(GraphConfig, from_arguments(args, GraphConfig))
    stores = uses("store")
    if others := [uri for uri in config.sinks if uri.scheme not in stores]:
        there_are = ", ".join(f"{scheme}:" for scheme in sorted(stores))
        says = f"can't be asked what is there already; there are {there_are}"
        raise ConfigError([f"{uri} {says}" for uri in others])
    rules, sinks = rules_and_sinks(config)
    return dict(zip(args.sinks, sinks, strict=True)), rules, config.execution


def replayed_as_json(found: Replayed) -> dict[str, Any]:
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
    out = results(_WIDTH)
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
        out.print(_counts_table("valid now", schemas.most_common()))
        out.print(_counts_table("hour", sorted(hours.items(), reverse=True)))
        done = ("written", "removed") if found.applied else ("to write", "to remove")
        table = ResultTable("sink", "there", *done, left=("sink",))
        for each in found.sinks:
            table.row(each.sink, each.there, each.lacked - each.rejected, each.removed)
        out.print(table)
        for each in found.sinks:
            if each.rejected:
                print(f"{printable(each.sink)} can't hold {each.rejected:,} of them: they stay bad")
    if found.still:
        out.print(_reasons_table(found.still, "bad still"))
    if not found.applied:
        print("Nothing was written (add --apply).")


def _reasons_table(reasons: Counter[str], name: str = "reason") -> ResultTable:
    """Reasons, the most frequent first, with what they mean."""
    sentences = {reason.value: reason.sentence for reason in Reason}
    table = ResultTable(name, "events", "", left=(name, ""))
    for reason, count in reasons.most_common():
        table.row(reason, count, sentences.get(reason, ""))
    return table


def _counts_table(name: str, counts: list[tuple[str, int]]) -> ResultTable:
    """A table of counts by name: of the first names, if there are many."""
    table = ResultTable(name, "events", left=(name,))
    for each, count in counts[:_ROWS]:
        table.row(_cut(each), count)
    if more := counts[_ROWS:]:
        table.row(f"{len(more):,} more", sum(count for _, count in more))
    return table


def _cut(text: str) -> str:
    """Text that fits into a table; harmless on a terminal."""
    shown = printable(text[:_WIDTH])
    return shown if len(text) <= _WIDTH and len(shown) <= _WIDTH else f"{shown[: _WIDTH - 1]}…"
