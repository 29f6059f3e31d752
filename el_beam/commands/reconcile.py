"""`el reconcile`: whether two stores hold the same events."""

import argparse
import json
import sys
from typing import Any

from el_beam.books.ledger.audit import backfill
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import LedgerError
from el_beam.commands.common import WRONG_CALL, add_hours, counting
from el_beam.connectors.contract import Store, selection_of
from el_beam.connectors.reconcile import Comparison, Difference, HourPair, advice, compare
from el_beam.connectors.registry import store_of
from el_beam.terminal.console import ResultTable, printable, results

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


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Compares the uuids in two stores by schema and hour, and names those that "
        "only one of them has.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("a", metavar="A", help="a store")
    add("b", metavar="B", help="the other one")
    add_hours(parser)
    add("--schema", metavar="REGEX", help="only schemas whose name starts like this")
    add("--json", action="store_true",
        help=f"all of it as JSON, {_NAMED_JSON:,} differences at most")  # fmt: skip
    parser.set_defaults(command=_command, fault=WRONG_CALL)


def _command(args: argparse.Namespace) -> int:
    selection = selection_of(args.first, args.last, args.schema)
    a, b = store_of(args.a), store_of(args.b)
    with counting() as heard:
        found = compare(a, b, selection, _NAMED_JSON if args.json else _NAMED, heard)
    if args.json:
        print(json.dumps(as_json(found, a, b)))
    else:
        _show(found, a, b)
    return 1 if found.differing else 0


def as_json(found: Comparison, a: Store, b: Store) -> dict[str, Any]:
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
        "advice": advice(found, a, b, _backfill),
    }


def _show(found: Comparison, a: Store, b: Store) -> None:
    print(f"A: {printable(str(a))}\nB: {printable(str(b))}")
    out = results(_WIDTH)
    out.print(_table(found))
    for each in found.differences:
        print(*map(printable, _lines(each)), sep="\n")
    if more := sum(pair.wrong for pair in found.hours) - len(found.differences):
        print(f"and {more:,} more: --json names {_NAMED_JSON:,}")
    for sentence in advice(found, a, b, _backfill):
        print(printable(sentence), file=sys.stderr)


def _backfill(store: Store, first: str, last: str) -> str:
    try:
        return backfill(read_ledger(store.root), [str(store)], first, last)
    except (LedgerError, OSError):  # others have written the files, or took them away
        return ""


def _table(found: Comparison) -> ResultTable:
    """The hours that differ, and the sums of all."""
    of_each = ("A", "repeats", "only A", "B", "repeats", "only B")
    table = ResultTable("hour", "schema", *of_each, left=("hour", "schema"))

    def add(hour: str, schema: str, pairs: list[HourPair]) -> None:
        numbers = (
            *(sum(pair.a.different for pair in pairs), sum(pair.a.repeats for pair in pairs)),
            *(sum(pair.only_a for pair in pairs), sum(pair.b.different for pair in pairs)),
            *(sum(pair.b.repeats for pair in pairs), sum(pair.only_b for pair in pairs)),
        )
        table.row(hour, schema, *(each or "" for each in numbers))

    for pair in found.differing:
        add(pair.hour or "no time", pair.schema, [pair])
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
