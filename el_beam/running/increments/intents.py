"""What topics are to do next, by what their state and folders know, and what the brokers have."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from el_beam.advice import command, typed
from el_beam.books.imports import offsets
from el_beam.books.state.state import Commit, Intent, State, StateError
from el_beam.running.increments.folders import ImportFolders
from el_beam.running.increments.planning import (
    ImportedTopic,
    IncrementsOptions,
    TopicFacts,
    check,
    check_held,
    overwritten,
    plan,
)
from el_beam.running.increments.report import Report, lacking_problems
from el_beam.running.increments.topics import SourceTopics
from transforms.io.world import Clock
from transforms.read.kafka import KafkaSource
from transforms.read.receipt import LastRecord


class Intents:
    """The next intent of each topic of an import."""

    def __init__(
        self, state: State, folders: ImportFolders, there: SourceTopics, source: KafkaSource,
        options: IncrementsOptions, registry: str, code: str, clock: Clock,
    ) -> None:  # fmt: skip
        """`registry` is the digest of the schemas, `code` the version that will do it."""
        self._state, self._folders, self._there, self._source = state, folders, there, source
        self._options, self._registry, self._code, self._clock = options, registry, code, clock

    def known(self, topic: ImportedTopic, intent: Intent) -> list[LastRecord]:
        """The last records that state and folders know of the partitions that will be read."""
        return [each for each in self._known(topic, intent.topic_id)
                if each.partition in intent.starts]  # fmt: skip

    def _known(self, topic: ImportedTopic, topic_id: str) -> list[LastRecord]:
        logs = self._folders.logs(topic.name, topic_id).values()
        last = [topic.state.last(), *(log.log.last() for log in logs)]
        return [each for its in last if its for each in its.last]

    def _cuts(
        self, topic: ImportedTopic, there: TopicFacts, ends: Mapping[int, int]
    ) -> dict[int, int]:
        return self._there.cuts(there, self._known(topic, there.id), ends)

    def why_not(self, topic: ImportedTopic, cuts: Mapping[int, int]) -> str:
        """Why a topic waits in which other records are from some offsets on than were read."""
        return overwritten(topic.name, cuts, self.reset(topic.name), topic.state.next - 1)

    def reset(self, topic: str) -> str:
        """How the command begins that lets a topic go on from elsewhere."""
        where = {"source": self._source.brokers(), "topic": topic}
        return command("state", "reset", typed(self._state.path), **where)

    def next(self, topic: ImportedTopic, there: TopicFacts, report: Report) -> Intent | None:
        """Raises StateError where records that must be read can't be."""
        now = self._clock.time()
        reset, logs = self.reset(topic.name), self._folders.logs(topic.name, there.id)
        new = topic.state.last() is None and not any(log.held for log in logs.values())
        if new and self._source.start == "latest":
            ends = {each: high for each, (_, high) in there.bounds.items()}
            topic.state.commit(Commit(1, ends, there.id, now, why="latest"))
            return None
        if conflict := self._folders.conflicts(logs):
            raise StateError(conflict)
        cuts = partial(self._cuts, topic, there)
        check(topic.state.last(), there, reset, cuts)
        if last := topic.state.last():
            report.notes += self._folders.settle(
                last, topic.name, there.id, partial(self._there.unchanged, there)
            )
        held = {key: log.held for key, log in logs.items()}
        anew = partial(self._there.kafka.bounds, {topic.name: len(there.bounds)})
        check_held(held, there, reset, topic.state.next - 1, anew, cuts)
        known = last.last if last else ()
        planned = partial(
            plan, topic.state, there, held, skip=self._options.skip_expired,
            most=self._options.most_records, all_keep_books=self._folders.all_sinks,
        )  # fmt: skip
        while (found := planned()).skipped:
            report.notes.append(
                f"{topic.name}: {offsets(found.skipped)} are in all folders already, though "
                f"{self._state.path} doesn't know it: the import goes on after them"
            )
            if not found.ends:
                break
            topic.state.commit(
                Commit(topic.state.next, found.ends, there.id, now, why="held", last=known)
            )
        lacking = {self._folders.root(key): its for key, its in found.lacking.items()}
        report.problems += lacking_problems(there, lacking, self._state.path, reset)
        if not found.intent:
            return None
        rule = 1 if self._state.previous else found.intent.time_rule  # which has no word for it
        return replace(
            found.intent, registry=self._registry, code=self._code, created=now, time_rule=rule
        )
