"""Tables that the actions of `el bad` share."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 120  # characters of a table, and of what is shown of a line or a message
_ROWS = 30  # of a table


def reasons_table(reasons: Counter[str], name: str = "reason") -> Table:
    """Reasons, the most frequent first, with what they mean."""
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable
    from schemas.bad_event import Reason

    sentences = {reason.value: reason.sentence for reason in Reason}
    table = Table(name, box=None, pad_edge=False)
    table.add_column("events", justify="right")
    table.add_column("")
    for reason, count in reasons.most_common():
        table.add_row(Text(printable(reason)), f"{count:,}", sentences.get(reason, ""))
    return table


def counts_table(name: str, counts: list[tuple[str, int]]) -> Table:
    """A table of counts by name: of the first names, if there are many."""
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable

    table = Table(box=None, pad_edge=False)
    table.add_column(name, overflow="fold")
    table.add_column("events", justify="right")
    for each, count in counts[:_ROWS]:
        table.add_row(Text(cut(printable(each))), f"{count:,}")
    if more := counts[_ROWS:]:
        table.add_row(f"{len(more):,} more", f"{sum(count for _, count in more):,}")
    return table


def cut(text: str) -> str:
    """Text that fits into a table; harmless on a terminal."""
    from el_beam.terminal.console import printable

    shown = printable(text[:WIDTH])
    return shown if len(text) <= WIDTH and len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"
