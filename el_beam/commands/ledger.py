"""`el ledger`: what was written into a folder, hour by hour, and whether all of it is there."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import add_hours

if TYPE_CHECKING:
    from el_beam.books.ledger.model import Ledger

_EXAMPLE = """examples:
  el ledger hdfs://namenode:9870/el/events
  el ledger /tmp/el/parquet --from 2019-03-10T07 --to 2019-03-10T08 --content

Exit code 1 if anything is missing, damaged or unknown.
"""
_SHOWN = 20  # troubles


def register(commands: Any) -> None:
    """Add `el ledger` to the command line."""
    parser = commands.add_parser(
        "ledger",
        help="see what a folder holds, hour by hour, and what is missing",
        description="Compares what runs and imports wrote into ROOT with what is there now.",
        epilog=_EXAMPLE,
    )
    parser.add_argument(
        "root", metavar="ROOT", help="the folder of a parquet:, jsonl: or raw: sink"
    )
    add_hours(parser)
    parser.add_argument("--content", action="store_true", help="read and compare every file")
    parser.add_argument("--put-away", action="store_true", help="move unknown files to _replaced")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(command=_command)


def _command(args: argparse.Namespace) -> int:
    from el_beam.books.ledger.audit import compare
    from el_beam.books.ledger.changes import put_away_untracked
    from el_beam.books.ledger.entries import read_ledger
    from el_beam.connectors.selection import selection_of
    from el_beam.uris import checked_path

    chosen = selection_of(args.first, args.last, None).hour
    root = checked_path(args.root)
    ledger = read_ledger(root, selected=chosen)  # refuses a folder that has none, before writing
    if args.put_away:
        put_away_untracked(ledger.root, chosen)
        ledger = read_ledger(root, selected=chosen)
    compare(ledger, content=args.content, selected=chosen)
    if args.json:
        print(json.dumps(as_json(ledger)))
    else:
        _show(ledger)
    return 1 if ledger.troubles else 0


def as_json(ledger: Ledger) -> dict[str, Any]:
    """All of it, as plain values."""
    from el_beam.books.ledger.audit import repairs

    return {
        "root": ledger.root,
        "hours": [{"read": each.read, **vars(each)} for each in ledger.hours()],
        "totals": ledger.totals,
        "troubles": [each._asdict() for each in ledger.troubles],
        "mending": repairs(ledger),
    }


def _show(ledger: Ledger) -> None:
    from rich.table import Table
    from rich.text import Text

    from el_beam.books.ledger.audit import repairs
    from el_beam.terminal.console import printable, results

    table = Table(box=None, pad_edge=False)
    numbers = ("read", "bad", "rows", "repeated", "missing", "files")
    table.add_column("hour")
    table.add_column("schema", overflow="fold")
    for name in numbers:
        table.add_column("written" if name == "rows" else name, justify="right")
    table.add_column("")
    hour = ""
    for book in ledger.hours():
        counts = (getattr(book, name) for name in numbers)
        table.add_row("" if book.hour == hour else book.hour, Text(printable(book.schema)),
                      *(f"{count:,}" if count else "" for count in counts), book.mark)  # fmt: skip
        hour = book.hour
    totals = ledger.totals
    table.add_section()
    table.add_row("all", "", *(f"{totals[name]:,}" for name in numbers), "")
    results().print(table)
    for trouble in ledger.troubles[:_SHOWN]:
        print(f"{trouble.kind}: {printable(trouble.sentence)}", file=sys.stderr)
    if more := ledger.troubles[_SHOWN:]:
        print(f"and {len(more)} more: --json shows all", file=sys.stderr)
    for command in repairs(ledger):
        print(f"to repair it: {printable(command)}", file=sys.stderr)
