"""The topics of an import's source, as the brokers have them, and what people should know of it."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from el_beam.running.increments.planning import TopicFacts, places
from transforms.io.kafka.broker import broker_of, matching
from transforms.io.kafka.errors import KafkaAway, KafkaDenied
from transforms.read.kafka import KafkaSource

Partitions = Mapping[str, int]  # how many each topic has


class SourceTopics:
    """The topics of a source. Methods raise KafkaAway."""

    def __init__(self, source: KafkaSource) -> None:
        self.kafka = broker_of(source.cluster)
        self._source = source
        self._notes: list[str] = []
        self._unclear: set[str] = set()  # of which it was said that they may be compacted
        self._vanished: set[str] = set()  # of which it was said that they are gone

    def notes(self) -> list[str]:
        """What was seen since this was asked last, and holds up nothing."""
        notes, self._notes = self._notes, []
        return notes

    def names(self, partitions: Partitions) -> tuple[str, ...]:
        """What is to be read, whether it is there or not."""
        pattern = self._source.pattern
        return matching(partitions, pattern) if pattern else self._source.topics

    def why_absent(self, name: str) -> str:
        """Why a topic is not among those of the brokers."""
        with suppress(KafkaAway):
            try:
                self.kafka.topic_ids([name])
            except KafkaDenied as error:
                return str(error)
        return "the brokers have no such topic"

    def vanished(self, ends: Mapping[str, Mapping[int, int]], partitions: Partitions) -> None:
        """Note which topics were read, to `ends`, and are gone now. Nobody misses them who named
        their pattern only, so nothing waits for them."""
        gone = {*matching(ends, self._source.pattern or "")} - partitions.keys()
        self._notes += [
            f"{name} is not at the brokers any more: it was read to {places(ends[name])}, and what "
            "it had after that is lost"
            for name in sorted(gone - self._vanished)
        ]
        self._vanished = gone

    def facts(self, counts: Partitions) -> dict[str, TopicFacts]:
        """What there is of topics with these numbers of partitions."""
        bounds, ids = self.kafka.bounds(counts), self.kafka.topic_ids(counts)
        return {
            name: TopicFacts(name, ids[name], {each: bounds[name, each] for each in range(count)})
            for name, count in counts.items()
        }

    def whole(self, names: Iterable[str]) -> frozenset[str]:
        """Those of these topics in which a missing record is an error: in others none goes missing.
        One that may be compacted is taken for it: if it has all of its records, no harm is done."""
        compacted = self.kafka.compacted(names)
        unclear = {name for name, is_so in compacted.items() if is_so is None}
        if new := sorted(unclear - self._unclear):
            self._unclear |= unclear
            self._notes.append(
                f"this user lacks the right DescribeConfigs on topic {', '.join(new)}: it is taken "
                "for a compacted one, so it waits if records are missing from its midst"
            )
        return frozenset(name for name, is_so in compacted.items() if is_so is not False)
