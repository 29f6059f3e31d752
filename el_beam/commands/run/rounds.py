"""A round of increments as people see it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from el_beam.terminal.console import console, hint, printable

if TYPE_CHECKING:
    from el_beam.running.increments.round import Report


def show_increment(report: Report, seconds: float) -> None:
    """A round of increments, on one line, and a line for each topic that is held up."""
    out, done = console(), report.summary
    if done.read or report.topics:
        behind = f", {report.lag:,} to come" if report.lag else ""
        told = (
            f"{time.strftime('%H:%M:%S')}  {done.read:,} lines of {len(report.topics)} topic(s) "
            f"in {seconds:.1f} s: {done.valid:,} valid, {done.bad:,} bad"
        )
        for what in ("rejected", "filtered", "repeated", "files"):
            if count := sum(getattr(book, what) for book in done.sinks.values()):
                told += f", {count:,} {what}"
        out.print(told + behind, soft_wrap=True)
        hint(done, out)
    for what, hours in (("complete", report.closed), ("late lines", report.reopened)):
        if hours:
            out.print(f"{time.strftime('%H:%M:%S')}  {what}: {', '.join(hours)}", soft_wrap=True)
    for topic, problem in report.problems.items():
        out.print(Text(printable(f"el run: {topic or 'waiting'}: {problem}")), soft_wrap=True)
