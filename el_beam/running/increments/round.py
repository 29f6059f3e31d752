"""Increments: topics into sinks, some records at a time, each of them exactly once in files.

An increment is a bounded job over ranges of offsets that were noted before (see state.py). Topics
that go well are read together; one that fails is tried again by itself, later and later, and holds
up nobody else.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from el_beam.books.ledger.closing import Closing
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.untracked import put_away_lost_increment
from el_beam.books.ledger.writer import enter_state
from el_beam.books.state.intents import TopicFacts, again, check, intend
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import (
    Commit,
    Intent,
    LeaseLost,
    State,
    StateError,
    TopicState,
)
from el_beam.running.bounded import clean_up, run
from el_beam.running.failures import JobFailed, NotReady
from runners import flink
from runners.orphans import ThisMachine
from runners.worker_pool import about
from transforms.counts.summary import Summary, plain, summary_of, total
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.io.kafka.topics import KafkaAway, KafkaTopics, matching
from transforms.io.world import CLOCK, Clock, Processes
from transforms.read.kafka_ranges import KafkaRanges

if TYPE_CHECKING:
    from el_beam.job import Execution, Job
    from transforms.read.kafka import KafkaSource

Run = Callable[..., dict[str, Summary]]  # as `bounded.run`
_LONGEST_PAUSE = 600.0  # seconds until a topic that fails is tried again


class IncrementsOptions(NamedTuple):
    """How increments follow each other, and where it is noted which were done."""

    state: str  # path of a folder
    every: float | None = None  # seconds from one to the next; None: read what is there, then end
    skip_expired: bool = False  # records that are gone hold up nothing


@dataclass
class _Topic:
    """A topic on its way: what the state knows of it, and how it goes."""

    state: TopicState
    failures: int = 0
    not_before: float = 0.0  # monotonic seconds
    problem: str = ""  # why it waits until then
    decided: bool = False  # files wait for their names

    @property
    def name(self) -> str:
        return self.state.topic


@dataclass
class Report:
    """What a round did."""

    summary: Summary
    topics: list[str] = field(default_factory=list)  # that have moved on
    problems: dict[str, str] = field(default_factory=dict)  # topic -> why it has not
    lag: int = 0  # records that were there and not read
    closed: list[str] = field(default_factory=list)  # hours that are complete now
    reopened: list[str] = field(default_factory=list)  # hours that were, until late lines came
    notes: list[str] = field(default_factory=list)  # of what holds up nothing

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return self.summary.as_json() | {
            "topics": self.topics, "problems": self.problems, "lag": self.lag,
            "closed": self.closed, "reopened": self.reopened,
        }  # fmt: skip


class Increments:
    """The increments of one job. Its lease must be held while it works."""

    def __init__(
        self,
        job: Job,
        source: KafkaSource,
        execution: Execution,
        options: IncrementsOptions,
        lease: Lease,
        clock: Clock = CLOCK,
        processes: Processes | None = None,
        run: Run = run,
    ) -> None:
        """`job` is the job but for its source: that is another one each time, and `run` runs it."""
        self._clock, self._processes, self._run_job = clock, processes or ThisMachine(), run
        self._job, self._source, self._lease = job, source, lease
        self._execution, self._skip = execution, options.skip_expired
        self._state = State(options.state)
        self._id = hashlib.sha256(self._state.path.encode()).hexdigest()[:16]
        self._kafka = KafkaTopics(source.cluster)
        self._topics: dict[str, _Topic] = {}
        self._name = f"el import {source.group}"
        self._runs = 0
        self._reopened: list[str] = []
        self._closing = Closing([sink for sink, _ in job.sinks], self._state.path)
        self._code = about()["el_beam"]

    def begin(self) -> None:
        """End what a dead instance left running, finish what it had decided, sweep up the rest.

        Raises StateError, KafkaAway, SinkError."""
        self._processes.end_orphans()
        if self._execution.runner == "flink":
            flink.cancel(self._execution.beam, self._name)
        self._state.bind(self._kafka.cluster_id())
        enter_state([sink for sink, _ in self._job.sinks], self._state.path)
        for name in self._state.topics():
            with suppress(SinkError):  # it is tried again, and told, with each round
                self._finish(self._topic(name))
        self._sweep()
        for name in filesystem.names(self._state.path):
            if name.startswith("books-"):
                filesystem.remove(f"{self._state.path}/{name}")

    def round(self) -> Report:
        """One increment of each topic that has anything new.

        Raises KafkaAway, LeaseLost, NotReady. A topic's trouble is in the report."""
        report = Report(total((), [str(sink) for sink, _ in self._job.sinks]))
        asked, now = self._clock.time(), self._clock.monotonic()
        due = []
        for topic in self._matching(report):
            if topic.not_before <= now:
                due.append(topic)
            else:
                report.problems[topic.name] = topic.problem
        intents = {topic.name: intent for topic, intent in self._plan(due, report)}
        together = [topic for topic in due if topic.name in intents and not topic.failures]
        apart = [topic for topic in due if topic.name in intents and topic.failures]
        if together and not self._run(together, intents, report) and len(together) > 1:
            apart += together
        for topic in apart:
            self._run([topic], intents, report)
        self._sweep()
        report.reopened, self._reopened = sorted({*self._reopened}), []
        if not report.problems and not report.lag:  # all is read that was there when we asked
            report.closed, report.problems = self._closing.close(self._newest, asked)
        gc.collect()  # a pipeline that has run is one large cycle, and collecting is rare here
        self._tell_group(report)
        return report

    def _topic(self, name: str) -> _Topic:
        if name not in self._topics:
            self._topics[name] = _Topic(self._state.topic(name))
        return self._topics[name]

    def _matching(self, report: Report) -> Iterator[_Topic]:
        self._partitions = self._kafka.partitions()
        pattern = self._source.pattern
        names = matching(self._partitions, pattern) if pattern else self._source.topics
        for name in names:
            if name in self._partitions:
                yield self._topic(name)
            else:
                report.problems[name] = "there is no such topic at the brokers"

    def _plan(self, topics: list[_Topic], report: Report) -> Iterator[tuple[_Topic, Intent]]:
        """What each topic shall do now: what it had intended before, or what is new in it."""
        counts = {topic.name: self._partitions[topic.name] for topic in topics}
        bounds, ids = self._kafka.bounds(counts), self._kafka.topic_ids(counts)
        for topic in topics:
            there = {partition: bounds[topic.name, partition]
                     for partition in range(counts[topic.name])}  # fmt: skip
            try:
                self._finish(topic)
                intent = self._intent(topic, TopicFacts(topic.name, ids[topic.name], there))
            except (StateError, SinkError) as error:
                if isinstance(error, LeaseLost):
                    raise
                self._failed(topic, str(error), report)
                continue
            if intent:
                report.lag += sum(high - intent.ends.get(partition, high)
                                  for partition, (_, high) in there.items())  # fmt: skip
                yield topic, intent

    def _intent(self, topic: _Topic, there: TopicFacts) -> Intent | None:
        """Raises StateError where records that must be read can't be."""
        last, before = topic.state.last(), topic.state.pending()[0]
        if last is None and self._source.start == "latest":
            ends = {partition: high for partition, (_, high) in there.bounds.items()}
            topic.state.commit(Commit(1, ends, there.id, self._clock.time(), {"start": "latest"}))
            return None
        reset = f"`el state reset {self._state.path} --topic {topic.name} --to earliest`"
        check(last, there, f"{reset} reads it anew")
        gap, now = topic.state.gap(), self._clock.time()
        intent = again(gap, before, there) if gap else intend(last, before, there, skip=self._skip)
        return intent and replace(
            intent, registry=self._job.registry.digest(), code=self._code, created=now
        )

    def _run(self, topics: list[_Topic], intents: dict[str, Intent], report: Report) -> bool:
        """Do what these topics intend, as one job. Returns whether the job went well; where it has
        failed, it isn't known whose fault it was."""
        self._lease.check()
        self._runs += 1
        attempt = f"{self._lease.number:08d}-{self._runs:06d}"
        for topic in topics:
            topic.state.intend(intents[topic.name], attempt)
        splits = [split for topic in topics for split in intents[topic.name].splits]
        source = KafkaRanges(self._source.cluster, tuple(splits), str(self._source),
                             self._whole(topics))  # fmt: skip
        books_at = f"{self._state.path}/books-{attempt}.json"
        sinks = tuple((sink.attempt(f"{self._id}/{attempt}").deferring(), choice)
                      for sink, choice in self._job.sinks)  # fmt: skip
        job = replace(self._job, source=source, sinks=sinks, summary=books_at)
        beam = (f"--job_name={self._name}", *self._execution.beam)
        try:
            try:
                books = self._run_job(job, self._execution._replace(beam=beam))
            except JobFailed as error:
                if isinstance(error, NotReady):
                    raise
                self._lease.check()  # who has taken us for dead has swept up under the job
                if len(topics) == 1:
                    self._failed(topics[0], str(error), report)
                return False
            filesystem.remove(books_at)
            self._lease.check()
            for topic in topics:
                try:
                    self._done(topic, intents[topic.name], attempt, books, report)
                except (SinkError, FileAway) as error:
                    self._failed(topic, str(error), report)
        except LeaseLost:
            clean_up([sink for sink, _ in sinks])
            raise
        return True

    def _whole(self, topics: list[_Topic]) -> frozenset[str]:
        """Topics of which a missing record is an error."""
        names = (topic.name for topic in topics)
        return frozenset() if self._skip else self._kafka.compacted(names)

    def _done(
        self, topic: _Topic, intent: Intent, attempt: str, books: dict[str, Summary],
        report: Report,
    ) -> None:  # fmt: skip
        sinks = [str(sink) for sink, _ in self._job.sinks]
        mine = {split.id: books.get(split.id, Summary()) for split in intent.splits}
        summary = total(mine.values(), sinks)
        if summary.deferred:
            raise SinkError(summary.deferred)
        manifest = {
            **plain(summary),
            "splits": {name: each.read for name, each in mine.items()},
            "missing": intent.records - summary.read,
            "expired": intent.expired,
            "starts": intent.starts,
            "ends": intent.ends,
            "topic_id": intent.topic_id,
            "registry": intent.registry,
            "code": self._code,
        }
        topic.decided = True  # or, if what follows fails, perhaps
        topic.state.decide(intent.number, attempt, manifest)
        self._finish(topic)
        topic.failures = 0
        report.summary.merge(summary)
        report.topics.append(topic.name)

    def _finish(self, topic: _Topic) -> None:
        """What is decided gets its names, and is committed. Raises SinkError, LeaseLost."""
        intent, manifest = topic.state.pending()
        if intent is None or manifest is None:
            return
        topic.decided = True
        summary = summary_of(manifest)
        if gap := topic.state.gap():
            put_away_lost_increment([sink for sink, _ in self._job.sinks], topic.name, gap, summary)
        self._reopened += put(each.file for each in summary.files.values() if each.file)
        ends = {int(partition): offset for partition, offset in manifest["ends"].items()}
        now = self._clock.time()
        topic.state.commit(Commit(intent.number, ends, intent.topic_id, now, manifest))
        topic.decided = False

    def _sweep(self) -> None:
        """Remove what attempts left below the temporary folders, unless files wait there."""
        if not any(topic.decided for topic in self._topics.values()):
            clean_up([sink.attempt(self._id) for sink, _ in self._job.sinks])

    def _newest(self) -> float:
        counts = {name: self._partitions[name] for name in self._topics if name in self._partitions}
        return self._kafka.newest(counts)

    def _failed(self, topic: _Topic, problem: str, report: Report) -> None:
        topic.failures += 1
        pause = min(_LONGEST_PAUSE, 2.0 ** min(topic.failures, 12))
        topic.not_before = self._clock.monotonic() + pause
        topic.problem = report.problems[topic.name] = problem

    def _tell_group(self, report: Report) -> None:
        """The group's offsets are for those who watch its lag; the state is what counts."""
        offsets: dict[tuple[str, int], int] = {}
        for name in report.topics:
            if last := self._topic(name).state.last():
                offsets |= {(name, partition): end for partition, end in last.ends.items()}
        if offsets:
            try:
                self._kafka.commit(self._source.group, offsets)
            except KafkaAway as error:
                report.notes.append(str(error))
