"""`el ledger`: what was written into a folder, hour by hour, and whether all of it is there."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from el_beam.books.imports import offsets
from el_beam.books.ledger.accepted import accept
from el_beam.books.ledger.audit import compare, repairs
from el_beam.books.ledger.changes import put_away_untracked
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import retire, unread_hours
from el_beam.books.ledger.model import Ledger
from el_beam.commands.common import add_hours
from el_beam.connectors.contract import selection_of
from el_beam.terminal.console import ResultTable, printable, results
from el_beam.uris import UriError, given_path

_EXAMPLE = """examples:
  el ledger hdfs://namenode:9870/el/events
  el ledger /tmp/el/parquet --from 2019-03-10T07 --to 2019-03-10T08 --content

Exit code 1 if anything is missing, damaged or unknown.
"""
_SHOWN = 20  # troubles


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Compares what runs and imports wrote into ROOT with what is there now.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("root", metavar="ROOT", help="the folder of a parquet:, jsonl: or raw: sink")
    add_hours(parser)
    add("--content", action="store_true", help="read and compare every file")
    add("--put-away", action="store_true", help="move unknown files to _replaced, if all that "
        "they have is elsewhere in ROOT too")  # fmt: skip
    add("--accept", metavar="WHAT", help="a file or an entry: what is wrong with it stays so")
    add("--why", metavar="TEXT", help="why that is so, for those who come later")
    add("--retire", metavar="ID", help="of a state whose import won't come back")
    add("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(command=_command)


def _command(args: argparse.Namespace) -> int:
    if bool(args.accept) != bool(args.why):
        raise UriError("--accept WHAT needs --why TEXT, and only --accept does")
    chosen = selection_of(args.first, args.last, None).hour
    root = given_path(args.root)
    ledger = read_ledger(root, selected=chosen)  # refuses a folder that has none, before writing
    if args.put_away:
        for sentence in put_away_untracked(ledger.root, chosen):
            print(printable(f"{args.prog}: {sentence}"), file=sys.stderr)
        ledger = read_ledger(root, selected=chosen)
    if args.retire:
        retire(ledger.root, args.retire)
    compare(ledger, content=args.content, selected=chosen)
    if args.accept:
        accept(ledger, args.accept, args.why)
    if args.json:
        print(json.dumps(as_json(ledger)))
    else:
        _show(ledger)
    return 1 if ledger.troubles else 0


def as_json(ledger: Ledger) -> dict[str, Any]:
    return {
        "root": ledger.root,
        "hours": [{"read": each.read, **vars(each)} for each in ledger.hours()],
        "totals": ledger.totals,
        "troubles": [each._asdict() for each in ledger.troubles],
        "accepted": [vars(each) for each in ledger.accepted],
        "expired": {topic: its for topic, its in ledger.expired.items() if its},
        "holes": {topic: number for topic, number in ledger.holes.items() if number},
        "unread": {hour: [*map(str, its)] for hour, its in unread_hours(ledger.root).items()},
        "mending": repairs(ledger),
    }


def _remarks(ledger: Ledger) -> Iterator[str]:
    """What is as it is for good."""
    for topic, ranges in sorted(ledger.expired.items()):
        if number := sum(each.records for each in ranges):
            yield f"expired: {number:,} records of {topic} before they were read: {offsets(ranges)}"
    for topic, number in sorted(ledger.holes.items()):
        if number:
            yield f"holes: {number:,} offsets of {topic} have no record"
    for hour, its in unread_hours(ledger.root).items():
        yield (
            f"unread: {hour} lacks what may have come after {', '.join(map(str, its))}, where a "
            "transaction was open"
        )
    for each in ledger.accepted:
        when = time.strftime("%Y-%m-%d", time.gmtime(each.at))
        yield f"accepted on {when}: {each.sentence} ({each.why})"


def _show(ledger: Ledger) -> None:
    numbers = ("read", "bad", "rows", "repeated", "missing", "files")
    titles = ("written" if name == "rows" else name for name in numbers)
    table = ResultTable("hour", "schema", *titles, "", left=("hour", "schema", ""))
    hour = ""
    for book in ledger.hours():
        counts = (getattr(book, name) or "" for name in numbers)
        table.row("" if book.hour == hour else book.hour, book.schema, *counts, book.mark)
        hour = book.hour
    table.add_section()
    totals = ledger.totals
    table.row("all", "", *(totals[name] for name in numbers), "")
    results().print(table)
    for line in _remarks(ledger):
        print(printable(line), file=sys.stderr)
    for trouble in ledger.troubles[:_SHOWN]:
        print(f"{trouble.kind}: {printable(trouble.sentence)}", file=sys.stderr)
    if more := ledger.troubles[_SHOWN:]:
        print(f"and {len(more)} more: --json shows all", file=sys.stderr)
    for command in repairs(ledger):
        what = "to keep it as it is" if " --accept " in command else "to repair it"
        print(f"{what}: {printable(command)}", file=sys.stderr)
