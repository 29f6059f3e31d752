"""Increments again and again, until asked to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Commit, State
from el_beam.running.bounded import options_of, run
from el_beam.running.failures import NotReady
from el_beam.running.hooks import Hook
from el_beam.running.increments.planning import IncrementsOptions
from el_beam.running.increments.report import Problem, Report
from el_beam.running.increments.round import Increments, Run
from runners.flink_rest import FlinkError
from runners.orphans import Processes
from transforms.counts.summary import total
from transforms.io.files.base import FileAway
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import CLOCK, Clock
from transforms.read.kafka import KafkaSource

if TYPE_CHECKING:
    from el_beam.job import Execution, Job


class Watcher(Protocol):
    """Who wants to know how increments go. Its methods are called in the loop's own thread."""

    def working(self) -> AbstractContextManager[object]:
        """Entered while a round runs."""

    def waiting(self, left: Callable[[], float]) -> AbstractContextManager[object]:
        """Entered between two rounds; `left` says how many seconds are left."""

    def done(self, report: Report, seconds: float) -> None:
        """Called after each round."""


def work(
    job: Job,
    execution: Execution,
    options: IncrementsOptions,
    watcher: Watcher,
    stop: threading.Event,
    *,
    clock: Clock = CLOCK,
    processes: Processes | None = None,
    run: Run = run,
    after_commit: Sequence[Hook[Commit]] = (),
) -> bool:
    """Do increments of a job that reads from Kafka, once or until `stop` is set: then the one under
    way is finished. `run` runs each as a bounded job; the hooks `after_commit` get what is durable,
    and hold up nothing. Returns whether the last one had no problems.

    Raises JarMissing, StateError where the state can't be used, SinkError; without `every`
    KafkaAway, FileAway, FlinkError and NotReady too."""
    assert isinstance(job.source, KafkaSource)
    options_of(execution)
    with Lease(State(options.state), clock, processes) as lease:
        increments = Increments(
            job, job.source, execution, options, lease, clock, processes, run, after_commit
        )
        begun = False
        while True:
            started = clock.monotonic()
            try:
                with watcher.working():
                    if not begun:
                        increments.begin()
                        begun = True
                    report = increments.round()
            except (KafkaAway, FileAway, FlinkError, NotReady) as error:
                if options.every is None:
                    raise
                report = Report(total((), ()), problems=[Problem("round", "", str(error))])
            more = bool(report.topics) and report.lag > 0
            last = stop.is_set() or (options.every is None and not more)
            for hook in after_commit:
                if last:
                    hook.wait()
                report.notes += hook.notes()
            watcher.done(report, clock.monotonic() - started)
            if last:
                return not report.problems
            due = started + (options.every or 0.0)
            if not more and _stopped_before(due, stop, watcher, clock):
                return True


def _stopped_before(due: float, stop: threading.Event, watcher: Watcher, clock: Clock) -> bool:
    """Wait until the next round is due, at the monotonic second `due`, or `stop` is set."""

    def left() -> float:
        return max(0.0, due - clock.monotonic())

    with watcher.waiting(left):
        return clock.wait(stop, left())
