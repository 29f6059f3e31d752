"""`el state show`: how far increments are."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def register(actions: Any) -> None:
    """Add `el state show` to the actions of `el state`."""
    parser = actions.add_parser("show", help="a line for each partition")
    parser.add_argument("state", metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=_show)


def _show(args: argparse.Namespace) -> int:
    from el_beam.books.state.state import State, show
    from el_beam.terminal.console import printable, results
    from el_beam.uris import checked_path

    found = show(State(checked_path(args.state)))
    if args.json:
        print(json.dumps(found))
        return 0
    if not found["topics"]:
        print(printable(f"{args.prog}: there is no state in {args.state}"), file=sys.stderr)
        return 1
    results().print(_table(found["topics"]))
    return 0


def _table(topics: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable

    table = Table(box=None, pad_edge=False)
    for title in ("topic", "partition", "next offset", "increment", "committed", "under way"):
        right = title in ("partition", "next offset", "increment")
        table.add_column(title, justify="right" if right else "left")
    for topic in topics:
        moment = topic["committed"]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""
        pending = topic["pending"]
        doing = f"{pending['records']:,} records" if pending else ""
        name = Text(printable(topic["topic"]))
        for partition, offset in sorted(topic["offsets"].items(), key=lambda each: int(each[0])):
            table.add_row(name, partition, f"{offset:,}", str(topic["number"]), when, doing)
        if not topic["offsets"]:
            table.add_row(name, "", "", "", "", doing)
    return table
