"""Increments: topics into sinks, some records at a time, each of them exactly once in files.

An increment is a bounded job over ranges of offsets that were noted before (see state.py). Topics
that go well are read together; one that fails is tried again by itself, later and later, and holds
up nobody else.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from el_beam.books.ledger.beginning import make_ready
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import (
    Attempt,
    Commit,
    Intent,
    LeaseLost,
    Manifest,
    State,
    StateError,
)
from el_beam.job import Execution, Job
from el_beam.running.bounded import clean_up, options_of, run
from el_beam.running.failures import JobFailed, NotReady
from el_beam.running.hooks import Hook
from el_beam.running.increments.folders import Entries, ImportFolders, Logs
from el_beam.running.increments.intents import Intents
from el_beam.running.increments.jobs import ImportJobs
from el_beam.running.increments.planning import ImportedTopic, IncrementsOptions, reached
from el_beam.running.increments.report import Problem, Report, Watcher
from el_beam.running.increments.topics import Partitions, Seen, SourceTopics
from runners.flink_rest import FlinkError
from runners.orphans import Processes
from runners.worker_pool import about
from schemas.durable import DocumentError
from transforms.counts.summary import Summary, total
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import CLOCK, Clock
from transforms.line_time import ByRule
from transforms.read.kafka import KafkaSource
from transforms.read.kafka_ranges import KafkaRanges
from transforms.read.receipt import LastRecord, newest

Run = Callable[..., dict[str, Summary]]  # as `bounded.run`
Plans = Sequence[tuple[ImportedTopic, Intent]]


class Increments:
    """The increments of a job that reads from Kafka."""

    def __init__(
        self,
        job: Job,
        execution: Execution,
        options: IncrementsOptions,
        *,
        clock: Clock = CLOCK,
        processes: Processes | None = None,
        run: Run = run,
        after_commit: Sequence[Hook[Commit]] = (),
    ) -> None:
        """`job` is the job but for its source: that is another one each time, and `run` runs it as
        a bounded job. The hooks `after_commit` get what is durable, and hold up nothing.

        Raises JarMissing."""
        assert isinstance(job.source, KafkaSource)
        options_of(execution)  # its jars are there
        self._clock, self._processes, self._run_job = clock, processes or Processes(), run
        self._job, self._source = job, job.source
        self._execution, self._options, self._after_commit = execution, options, after_commit
        self._state = State(options.state, kept=options.kept, previous=options.previous)
        self._lease = Lease(self._state, clock, processes)
        self._there = SourceTopics(job.source, options)
        self._kafka = self._there.kafka
        self._topics: dict[str, ImportedTopic] = {}
        self._jobs, self._runs = ImportJobs(execution, job.source.group, self._state), 0
        self._notes: list[str] = []  # for the next report
        self._code = about()["el_beam"]

    def work(self, watcher: Watcher, stop: threading.Event) -> bool:
        """Do increments, once or until `stop` is set: then the one under way is finished. Returns
        whether the last one had no problems.

        Raises StateError where the state can't be used, SinkError; without `every`
        KafkaAway, FileAway, FlinkError and NotReady too."""
        every = self._options.every
        make_ready([sink for sink, _ in self._job.sinks], self._state.path)
        with self._lease:
            begun = False
            while True:
                started = self._clock.monotonic()
                try:
                    with watcher.working():
                        if not begun:
                            self._begin()
                            begun = True
                        report = self._round()
                except (KafkaAway, FileAway, FlinkError, NotReady) as error:
                    if every is None:
                        raise
                    report = Report(total((), ()), problems=[Problem("round", "", str(error))])
                more = bool(report.topics or report.given_up) and report.lag > 0
                last = stop.is_set() or (every is None and not more)
                for hook in self._after_commit:
                    if last:
                        hook.wait()
                    report.notes += hook.notes()
                watcher.done(report, self._clock.monotonic() - started)
                if last:
                    return not report.problems
                due = started + (every or 0.0)
                if not more and self._stopped_before(due, watcher, stop):
                    return True

    def _stopped_before(self, due: float, watcher: Watcher, stop: threading.Event) -> bool:
        """Wait until the next round is due, at the monotonic second `due`, or `stop` is set."""

        def left() -> float:
            return max(0.0, due - self._clock.monotonic())

        with watcher.waiting(left):
            return self._clock.wait(stop, left())

    def _begin(self) -> None:
        """End what a dead instance left running, finish what it had decided, sweep up the rest.

        Raises StateError, KafkaAway, SinkError."""
        self._processes.end_orphans(self._lease.dead)
        self._notes += self._jobs.end_left()
        cluster = self._kafka.cluster_id()
        self._state.bind(cluster)
        self._folders = ImportFolders(
            self._job.sinks, self._state, self._lease, cluster, self._options.kept,
            self._processes, self._job.options,
        )  # fmt: skip
        self._intents = Intents(
            self._state, self._folders, self._there, self._source, self._options,
            self._job.registry.digest(), self._code, self._clock,
        )  # fmt: skip
        for name in self._state.topics():
            with suppress(SinkError, DocumentError):  # it is tried again, and told, each round
                self._finish(self._topic(name))
        self._sweep()
        filesystem.sweep(self._state.folders())
        self._notes += self._folders.notes_of_format()
        for name in filesystem.names(self._state.path):
            if name.startswith("books-"):
                filesystem.remove(f"{self._state.path}/{name}")

    def _round(self) -> Report:
        """One increment of each topic that has anything new.

        Raises KafkaAway, LeaseLost, NotReady. A topic's trouble is in the report."""
        report = Report(total((), [str(sink) for sink, _ in self._job.sinks]))
        report.notes, self._notes = self._notes, []
        report.problems += [Problem("sink", *each) for each in self._folders.damaged.items()]
        partitions = self._kafka.partitions()
        seen = self._there.look(partitions, self._clock.time())
        self._look_for_vanished(partitions, report)
        self._work([*self._plan([*self._due(partitions, report)], partitions, report)], report)
        self._sweep()
        report.reopened = self._folders.reopened()
        self._close_hours(seen, report)
        report.notes += self._there.notes()
        gc.collect()  # a pipeline that has run is one large cycle, and collecting is rare here
        self._commit_group(report)
        return report

    def _topic(self, name: str) -> ImportedTopic:
        if name not in self._topics:
            self._topics[name] = ImportedTopic(self._state.topic(name))
        return self._topics[name]

    def _due(self, partitions: Partitions, report: Report) -> Iterator[ImportedTopic]:
        """The topics of the source whose turn it is."""
        now = self._clock.monotonic()
        for name in self._there.names(partitions):
            if name not in partitions:
                report.problems.append(Problem("topic", name, self._there.why_absent(name)))
            elif (topic := self._topic(name)).not_before > now:
                report.problems.append(Problem("topic", name, topic.problem))
            else:
                yield topic

    def _look_for_vanished(self, partitions: Partitions, report: Report) -> None:
        """Finish what was prepared of topics that the brokers don't have any more."""
        gone = {}
        for name in self._state.topics() if self._source.pattern else ():
            if name not in partitions:
                topic = self._topic(name)
                try:
                    self._finish(topic)
                    if last := topic.state.last():
                        gone[name] = last.ends
                except LeaseLost:
                    raise
                except (StateError, SinkError, DocumentError) as error:
                    self._failed(topic, str(error), report)
        self._there.vanished(gone, partitions)

    def _plan(
        self, topics: list[ImportedTopic], partitions: Partitions, report: Report
    ) -> Iterator[tuple[ImportedTopic, Intent]]:
        """What each topic shall do now, of those that have anything to do."""
        plans, known = list[tuple[ImportedTopic, Intent]](), dict[str, list[LastRecord]]()
        counts = {topic.name: partitions[topic.name] for topic in topics}
        facts = self._there.facts(counts)
        for topic in topics:
            there = facts[topic.name]
            try:
                self._finish(topic)
                intent = self._intents.next(topic, there, report)
            except LeaseLost:
                raise
            except (StateError, SinkError, DocumentError) as error:
                self._failed(topic, str(error), report)
                continue
            if intent:
                plans.append((topic, intent))
                known[topic.name] = self._intents.known(topic, intent)
        replaced = self._there.replaced(known, facts)
        for topic, intent in plans:
            if cuts := replaced.get(topic.name):
                self._failed(topic, self._intents.why_not(topic, cuts), report)
                continue
            bounds = facts[topic.name].bounds.items()
            report.lag += sum(high - intent.ends.get(each, low) for each, (low, high) in bounds)
            yield topic, intent

    def _work(self, plans: Plans, report: Report) -> None:
        """Topics that go well are one job; one that has failed, and all of a job that fails, are a
        job each."""
        together = [each for each in plans if not each[0].failures]
        apart = [each for each in plans if each[0].failures]
        if together and not self._run(together, report) and len(together) > 1:
            apart += together
        for each in apart:
            self._run([each], report)

    def _run(self, plans: Plans, report: Report) -> bool:
        """Do what these topics intend, as one job. Returns whether the job went well; where it has
        failed, it isn't known whose fault it was."""
        self._lease.check()
        report.notes += self._jobs.end_left()
        self._runs += 1
        attempt = Attempt(self._lease.number, self._runs)
        for topic, intent in plans:
            topic.state.intend(intent, attempt)
        job = self._job_of(plans, attempt)
        try:
            summaries = self._run_job(job, self._jobs.named(attempt))
            filesystem.remove(job.summary or "")
            ids = self._kafka.topic_ids(each.name for each, _ in plans)  # after all was read
            self._lease.check()
        except LeaseLost:
            clean_up([sink for sink, _ in job.sinks])  # nobody knows of them yet
            raise
        except NotReady:
            raise
        except JobFailed as error:
            self._lease.check()  # who has taken us for dead has swept up under the job
            if len(plans) == 1:
                self._failed(plans[0][0], str(error), report)
            return False
        for topic, intent in plans:
            try:
                if intent.topic_id not in ("", ids[topic.name]):
                    raise SinkError(f"{topic.name} was made anew while it was read")
                self._done(topic, intent, attempt, summaries, report)
            except (SinkError, FileAway) as error:
                self._failed(topic, str(error), report)
        return True

    def _job_of(self, plans: Plans, attempt: Attempt) -> Job:
        splits = tuple(split for _, intent in plans for split in intent.splits)
        names = [topic.name for topic, _ in plans]
        whole = frozenset() if self._options.skip_expired else self._there.whole(names)
        sinks = tuple((sink.attempt(self._folders.attempt(attempt)).deferring(), choice)
                      for sink, choice in self._job.sinks)  # fmt: skip
        return replace(
            self._job,
            source=KafkaRanges(self._source.cluster, splits, str(self._source), whole),
            sinks=sinks,
            summary=f"{self._state.path}/books-{attempt}.json",
            times=ByRule({split.id: intent.time_rule for _, intent in plans
                          for split in intent.splits}),
        )  # fmt: skip

    def _done(
        self, topic: ImportedTopic, intent: Intent, attempt: Attempt,
        summaries: dict[str, Summary], report: Report,
    ) -> None:  # fmt: skip
        mine = {split.id: summaries.get(split.id, Summary()) for split in intent.splits}
        summary = total(mine.values(), [str(sink) for sink, _ in self._job.sinks])
        if summary.deferred:
            raise SinkError(summary.deferred)
        for split in intent.splits:
            told, records = mine[split.id], sum(each.records for each in split.ranges)
            if told.read + told.holes != records:
                raise SinkError(
                    f"{split.id} has {records:,} offsets, but its reader tells of {told.read:,} "
                    f"lines and {told.holes:,} holes: nothing of it was written"
                )
        logs = self._folders.logs(topic.name, intent.topic_id)
        manifest = Manifest(
            intent.ends, {**self._folders.entries(intent, mine, logs)}, intent.topic_id,
            intent.registry, self._code,
            last=newest(each for its in mine.values() for each in its.last),
        )  # fmt: skip
        if self._state.previous:
            manifest = replace(
                manifest, summary=summary, splits={name: each.read for name, each in mine.items()},
                missing=summary.holes, expired=intent.expired, starts=intent.starts,
            )  # fmt: skip
        topic.state.prepare(intent.number, attempt, manifest)
        topic.failures = 0
        if not self._finish(topic):
            report.lag += intent.records  # the next round reads what is left of them
            report.given_up.append(topic.name)
            return
        report.summary.add(summary)
        report.topics.append(topic.name)

    def _finish(self, topic: ImportedTopic) -> bool:
        """What is prepared gets its names, and is committed; or it is given up, where that can't be
        any more: then False. Raises SinkError, LeaseLost."""
        intent, manifest = topic.state.pending()
        if intent is None or manifest is None:
            return True
        entries, logs = self._prepared(topic, intent, manifest)
        self._folders.check()  # who takes it from now on sees the manifest, and leaves its files
        if not self._folders.enter(entries, logs):
            self._lease.check()
            topic.state.give_up()
            return False
        self._lease.check()
        before = topic.state.last()
        commit = Commit(
            intent.number, manifest.ends, intent.topic_id, self._clock.time(),
            replace(manifest, entries={}) if self._state.previous else None,
            last=newest((*(before.last if before else ()), *manifest.last)),
        )  # fmt: skip
        topic.state.commit(commit)
        for hook in self._after_commit:
            hook(replace(commit, manifest=replace(manifest, entries={**entries})))
        return True

    def _sweep(self) -> None:
        with suppress(DocumentError):  # nobody knows what is awaited
            topics = [*map(self._topic, self._state.topics())]
            pending = ((topic, *topic.state.pending()) for topic in topics)
            self._folders.sweep([
                entry for topic, intent, manifest in pending if intent and manifest
                for entry in self._prepared(topic, intent, manifest)[0].values()
            ])  # fmt: skip

    def _prepared(
        self, topic: ImportedTopic, intent: Intent, manifest: Manifest
    ) -> tuple[Entries, Logs]:
        """What a manifest has for the folders, and their logs."""
        logs = self._folders.logs(topic.name, intent.topic_id)
        last = topic.state.last()
        return self._folders.prepared(intent, manifest, last.ends if last else {}, logs), logs

    def _close_hours(self, seen: Seen, report: Report) -> None:
        if report.problems or report.lag:  # not all is read that was there when we looked
            return
        reached = seen.reached(self._topics.values())
        hours = self._folders.hours
        report.closed, open_ = hours.close(reached, seen.at, seen.given_up, seen.ended)
        if not open_:
            self._there.forget(seen.ended)
        report.problems += [Problem("sink", sink, text) for sink, text in open_.items()]

    def _failed(self, topic: ImportedTopic, problem: str, report: Report) -> None:
        topic.fail(problem, self._clock.monotonic())
        report.problems.append(Problem("topic", topic.name, problem))

    def _commit_group(self, report: Report) -> None:
        """The group's offsets are for those who watch its lag; the state is what counts."""
        if offsets := reached(map(self._topic, report.topics)):
            try:
                self._kafka.commit(self._source.group, offsets)
            except KafkaAway as error:
                report.notes.append(str(error))
