"""`el reconcile`: whether two stores hold the same events."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import WRONG_CALL, add_hours

if TYPE_CHECKING:
    from el_beam.connectors.reconcile import Comparison, Difference, HourPair
    from el_beam.connectors.store import Store

_EXAMPLE = """examples:
  el reconcile 'kafka://BROKERS/?pattern=^eventlogging_.*' \\
      parquet:hdfs://namenode:9870/el/events \\
      --from 2019-03-10T07 --to 2019-03-10T08
  el reconcile sqlite:/tmp/el/events.db parquet:/tmp/el/parquet --schema Edit_

Stores: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
        kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 they are equal, 1 they differ, 2 the comparison failed.
"""
_WIDTH = 120  # characters of a table, where they aren't a terminal's
_NAMED, _NAMED_JSON = 20, 10_000  # differences


def register(commands: Any) -> None:
    """Add `el reconcile` to the command line."""
    parser = commands.add_parser(
        "reconcile",
        help="compare what two stores hold, by schema and hour",
        description="Compares the uuids in two stores by schema and hour, and names those that "
        "only one of them has.",
        epilog=_EXAMPLE,
    )
    parser.add_argument("a", metavar="A", help="a store")
    parser.add_argument("b", metavar="B", help="the other one")
    add_hours(parser)
    parser.add_argument(
        "--schema", metavar="REGEX", help="only schemas whose name starts like this"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help=f"all of it as JSON, {_NAMED_JSON:,} differences at most",
    )
    parser.set_defaults(command=_command, fault=WRONG_CALL)


def _command(args: argparse.Namespace) -> int:
    from el_beam.connectors.reconcile import compare
    from el_beam.connectors.registry import store_of
    from el_beam.connectors.selection import ReadCounter, selection_of
    from el_beam.terminal.console import live

    selection = selection_of(args.first, args.last, args.schema)
    a, b = store_of(args.a), store_of(args.b)
    counter = ReadCounter()
    with live(counter.__str__):
        found = compare(a, b, selection, _NAMED_JSON if args.json else _NAMED, counter)
    if args.json:
        print(json.dumps(as_json(found, a, b)))
    else:
        _show(found, a, b)
    return 1 if found.differing else 0


def as_json(found: Comparison, a: Store, b: Store) -> dict[str, Any]:
    """All of it, as plain values."""
    from el_beam.connectors.reconcile import advice

    return {
        "a": str(a),
        "b": str(b),
        "equal": not found.differing,
        "hours": [
            {**pair._asdict(), "a": pair.a._asdict(), "b": pair.b._asdict()} for pair in found.hours
        ],
        "differences": [
            {**each._asdict(), "places": [place._asdict() for place in each.places]}
            for each in found.differences
        ],
        "limit": _NAMED_JSON,
        "advice": advice(found, a, b),
    }


def _show(found: Comparison, a: Store, b: Store) -> None:
    from el_beam.connectors.reconcile import advice
    from el_beam.terminal.console import printable, results

    print(f"A: {printable(str(a))}\nB: {printable(str(b))}")
    out = results(_WIDTH)
    out.print(_table(found))
    for each in found.differences:
        print(*map(printable, _lines(each)), sep="\n")
    if more := sum(pair.wrong for pair in found.hours) - len(found.differences):
        print(f"and {more:,} more: --json names {_NAMED_JSON:,}")
    for sentence in advice(found, a, b):
        print(printable(sentence), file=sys.stderr)


def _table(found: Comparison) -> Any:
    """The hours that differ, and the sums of all."""
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable

    table = Table(box=None, pad_edge=False)
    for name in ("hour", "schema", "A", "repeats", "only A", "B", "repeats", "only B"):
        left = name in ("hour", "schema")
        table.add_column(name, justify="left" if left else "right", overflow="fold")

    def add(hour: str, schema: str, pairs: list[HourPair]) -> None:
        numbers = (
            *(sum(pair.a.different for pair in pairs), sum(pair.a.repeats for pair in pairs)),
            *(sum(pair.only_a for pair in pairs), sum(pair.b.different for pair in pairs)),
            *(sum(pair.b.repeats for pair in pairs), sum(pair.only_b for pair in pairs)),
        )
        table.add_row(hour, Text(schema), *(f"{each:,}" if each else "" for each in numbers))

    for pair in found.differing:
        add(pair.hour or "no time", printable(pair.schema), [pair])
    equal = len(found.hours) - len(found.differing)
    message = f"{equal:,} of {len(found.hours):,} equal"
    add("all", message if found.hours else "nothing was found", found.hours)
    return table


def _lines(each: Difference) -> list[str]:
    """Lines about a difference: what it is, then where."""
    if each.a and each.b:
        what = f"{each.a} times in A, {each.b} in B"
    else:
        what = f"only in {'A' if each.a else 'B'}"
    places = []
    for end, schema, hour, place in each.places:
        elsewhere = "" if (schema, hour) == (each.schema, each.hour) else f", {schema} {hour}"
        places.append(f"  {end} {place}{elsewhere}")
    return [f"{what}: {each.uuid} of {each.schema} {each.hour}", *places]
