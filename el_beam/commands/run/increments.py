"""`el run --state`: increments, and each round of them as people see it."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from rich.text import Text

from el_beam.commands.common import DONE, FAILED
from el_beam.job import Execution, Job
from el_beam.running.increments.loop import work
from el_beam.running.increments.planning import IncrementsOptions
from el_beam.running.increments.report import Report
from el_beam.running.process import leave, stop_requested
from el_beam.terminal.console import console, hint, live, printable, watching


def run_increments(
    job: Job, execution: Execution, options: IncrementsOptions, scratch: str, as_json: bool
) -> int:
    """Do increments and print each round; returns the exit code. Raises what `work` raises."""
    with stop_requested(lambda: leave(scratch)) as stop:
        rounds = Rounds(job.progress or "", stop, as_json=as_json)
        return DONE if work(job, execution, options, rounds, stop) else FAILED


class Rounds:
    """Shows rounds on a terminal, and as JSON on standard output."""

    def __init__(self, progress: str, stop: threading.Event, *, as_json: bool) -> None:
        self._progress, self._stop, self._as_json = progress, stop, as_json

    def working(self) -> AbstractContextManager[None]:
        """A live line, of how far the round is."""
        return watching(self._progress, self._remark)

    def _remark(self) -> str:
        return "ending; Ctrl-C again: at once" if self._stop.is_set() else ""

    def waiting(self, left: Callable[[], float]) -> AbstractContextManager[None]:
        """A live line, of when the next one is."""
        return live(lambda: f"next increment in {left():.0f} s", logs=False)

    def done(self, report: Report, seconds: float) -> None:
        """Lines on what a round did."""
        if self._as_json:
            summary = report.as_json() | {"seconds": round(seconds, 3)}
            print(json.dumps(summary), flush=True)
        show_round(report, seconds)


def show_round(report: Report, seconds: float) -> None:
    """Print a round of increments on one line, and a line for each topic that is held up."""
    out, done = console(), report.summary
    if done.read or report.topics:
        behind = f", {report.lag:,} to come" if report.lag else ""
        message = (
            f"{time.strftime('%H:%M:%S')}  {done.read:,} lines of {len(report.topics)} topic(s) "
            f"in {seconds:.1f} s: {done.valid:,} valid, {done.bad:,} bad"
        )
        for what in ("rejected", "filtered", "repeated", "files"):
            if count := sum(getattr(book, what) for book in done.sinks.values()):
                message += f", {count:,} {what}"
        out.print(message + behind, soft_wrap=True)
        hint(done, out)
    for what, hours in (("complete", report.closed), ("late lines", report.reopened)):
        if hours:
            out.print(f"{time.strftime('%H:%M:%S')}  {what}: {', '.join(hours)}", soft_wrap=True)
    for note in report.notes:
        out.print(Text(printable(f"el run: note: {note}")), soft_wrap=True)
    for problem in report.problems:
        subject = problem.subject or "waiting"
        out.print(Text(printable(f"el run: {subject}: {problem.text}")), soft_wrap=True)
