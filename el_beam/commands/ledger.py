"""`el ledger`: what was written into a folder, hour by hour, and whether all of it is there."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from el_beam.commands import add_hours, answering

if TYPE_CHECKING:
    from el_beam.ledger import Ledger

_EXAMPLE = """examples:
  el ledger hdfs://namenode:9870/el/events
  el ledger /tmp/el/parquet --from 2019-03-10T07 --to 2019-03-10T08 --content --json

Exit code 1 where anything is missing, damaged or unknown.
"""
_SHOWN = 20  # troubles


def register(commands: Any) -> None:
    """Add `el ledger` to the command line."""
    parser = commands.add_parser(
        "ledger",
        help="see what a folder holds, hour by hour, and what is missing",
        description="Compares what runs and imports have written into ROOT with what is there.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "root", metavar="ROOT", help="the folder of a parquet:, jsonl: or raw: sink"
    )
    add_hours(parser)
    parser.add_argument("--content", action="store_true", help="read every file: is it the same?")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(command=_command)


def _command(args: argparse.Namespace) -> int:
    with answering("el ledger"):
        from el_beam.ends import checked_path
        from el_beam.ledger import compare, read_ledger
        from el_beam.wanted import wanted_of

        wanted = wanted_of(args.first, args.last, None).hour
        ledger = read_ledger(checked_path(args.root), wanted=wanted)
        compare(ledger, content=args.content, wanted=wanted)
    if args.json:
        print(json.dumps(as_json(ledger)))
    else:
        _show(ledger)
    return 1 if ledger.troubles else 0


def as_json(ledger: Ledger) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "root": ledger.root,
        "hours": [vars(each) for each in ledger.hours()],
        "totals": ledger.totals,
        "troubles": [each._asdict() for each in ledger.troubles],
    }


def _show(ledger: Ledger) -> None:
    from rich.table import Table
    from rich.text import Text

    from el_beam.console import console, printable

    table = Table(box=None, pad_edge=False)
    columns = ("hour", "schema", "valid", "bad", "rows", "missing", "files")
    for name in columns:
        table.add_column(name, justify="left" if name in ("hour", "schema") else "right")
    hour = ""
    for book in ledger.hours():
        numbers = (book.valid, book.bad, book.rows, book.missing, book.files)
        table.add_row("" if book.hour == hour else book.hour, Text(printable(book.schema)),
                      *(f"{number:,}" if number else "" for number in numbers))  # fmt: skip
        hour = book.hour
    totals = ledger.totals
    table.add_section()
    table.add_row("all", "", *(f"{totals[name]:,}" for name in columns[2:]))
    out = console()
    out.file = sys.stdout
    out.print(table)
    for trouble in ledger.troubles[:_SHOWN]:
        print(f"{trouble.kind}: {printable(trouble.sentence)}", file=sys.stderr)
    if more := ledger.troubles[_SHOWN:]:
        print(f"and {len(more)} more: --json tells all", file=sys.stderr)
    if hours := sorted(trouble.hour for trouble in ledger.troubles if trouble.hour):
        print(f"from the raw archive: el backfill apply RAW parquet:{printable(ledger.root)} "
              f"--from {hours[0]} --to {hours[-1]}", file=sys.stderr)  # fmt: skip
