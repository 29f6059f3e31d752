"""Increments again and again, until asked to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State
from el_beam.running.bounded import NotReady, options_of
from el_beam.running.increments.round import Increments, IncrementsOptions, Report
from el_beam.running.signals import stop_requested
from el_beam.terminal.console import live, watching
from runners import orphans
from runners.flink_rest import FlinkError
from transforms.counts.summary import total
from transforms.io.files.base import FileAway
from transforms.io.kafka.topics import KafkaAway
from transforms.read.kafka import KafkaSource

if TYPE_CHECKING:
    from el_beam.job import Execution, Job


def work(
    job: Job, execution: Execution, options: IncrementsOptions,
    tell: Callable[[Report, float], None], drop: Callable[[], object],
) -> bool:  # fmt: skip
    """Do increments of a job that reads from Kafka, once or until asked to end. `tell` is called
    after each round, with its seconds, and `drop` where we are asked again: it ends this process,
    whatever the increment under way waits for; that is done again. Returns whether the last one had
    no problems.

    Raises JarMissing, StateError where the state can't be used, SinkError; without `every`
    KafkaAway, FileAway, FlinkError and NotReady too."""
    assert isinstance(job.source, KafkaSource)
    options_of(execution)
    orphans.mark_children()
    with Lease(State(options.state)) as lease, stop_requested(drop) as asked:
        increments = Increments(job, job.source, execution, options, lease)
        begun = False
        while True:
            started = time.monotonic()
            try:
                with _watched(job, asked):
                    if not begun:
                        increments.begin()
                        begun = True
                    report = increments.round()
            except (KafkaAway, FileAway, FlinkError, NotReady) as error:
                if options.every is None:
                    raise
                report = Report(total((), ()), problems={"": str(error)})
            tell(report, time.monotonic() - started)
            more = bool(report.topics) and report.lag > 0
            if asked.is_set() or (options.every is None and not more):
                return not report.problems
            if options.every and not more and _asked_before(asked, started + options.every):
                return True


def _watched(job: Job, asked: threading.Event) -> AbstractContextManager[None]:
    def remark() -> str:
        return "ending; Ctrl-C again: at once" if asked.is_set() else ""

    return watching(job.progress, remark) if job.progress else nullcontext()


def _asked_before(asked: threading.Event, due: float) -> bool:
    """Wait until the next round is due. Returns whether we are asked to end."""
    with live(lambda: f"next increment in {max(0, due - time.monotonic()):.0f} s", logs=False):
        return asked.wait(max(0.0, due - time.monotonic()))
