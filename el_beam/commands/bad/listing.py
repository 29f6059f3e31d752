"""`el bad list`: the lines that are not valid events, counted."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from el_beam.commands.bad.choice import add_choice
from el_beam.commands.bad.tables import WIDTH, counts_table, cut, reasons_table
from el_beam.commands.common import WRONG_CALL

if TYPE_CHECKING:
    from el_beam.connectors.event_errors import BadEvents, Example

_EXAMPLE = """examples:
  el bad list sqlite:/tmp/el/events.db
  el bad list parquet:hdfs://namenode:9870/el/events \\
      --from 2019-03-10T07 --reason bad_json

Stores: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
        kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 done, 2 the call was wrong, or a store could not be read.
"""


def register(actions: Any) -> None:
    """Add `el bad list` to the actions of `el bad`."""
    lister = actions.add_parser(
        "list",
        help="count them by reason, by schema and by hour, with examples",
        description="Counts the EventErrors in every STORE.",
        epilog=_EXAMPLE,
    )
    add = lister.add_argument
    add("stores", nargs="+", metavar="STORE", help="where EventErrors are; several are added up")
    add_choice(lister)
    add("--json", action="store_true", help="print all of it as JSON, whole lines too")
    lister.set_defaults(command=_list, fault=WRONG_CALL)


def _list(args: argparse.Namespace) -> int:
    from el_beam.connectors.event_errors import bad_events, check_reason
    from el_beam.connectors.registry import store_of
    from el_beam.connectors.selection import ReadCounter, selection_of
    from el_beam.terminal.console import live

    check_reason(args.reason)
    selection = selection_of(args.first, args.last, args.schema)
    stores = [store_of(each) for each in args.stores]
    counter = ReadCounter()
    with live(counter.__str__):
        found = bad_events(stores, selection, args.reason, counter)
    if args.json:
        print(json.dumps(as_json(found)))
    else:
        _show(found)
    return 0


def as_json(found: BadEvents) -> dict[str, Any]:
    """All of it, as plain values."""
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
    from el_beam.terminal.console import printable, results

    out = results(WIDTH)
    print(f"{found.total:,} bad events")
    if not found.total:
        return
    out.print(reasons_table(found.reasons))
    out.print(counts_table("schema", found.schemas.most_common()))
    hours = [(hour or "no time", count) for hour, count in sorted(found.hours.items())]
    out.print(counts_table("hour", hours[::-1]))
    for reason, _ in found.reasons.most_common():
        print(f"\n{printable(reason) or '(no reason)'}, for example")
        for example in found.examples[reason]:
            print(*map(printable, _lines(example)), sep="\n")


def _lines(example: Example) -> list[str]:
    """Lines about a bad event: what and where it is, what is wrong, and the line itself."""
    store, bad = example
    return [
        f"  {bad.error.uuid} {cut(bad.schema)} {bad.error.hour}",
        f"    in    {store} {bad.error.place}",
        f"    from  {bad.origin}",
        f"    wrong {cut(bad.message)}",
        f"    line  {cut(bad.readable)}",
    ]
