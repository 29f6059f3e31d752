"""The lab's Kafka: topics with transactions that grow, expire, lose their ends, are made anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from transforms.errors import UnreadableInput
from transforms.io.kafka.broker import KafkaRecord, Partition, Position
from transforms.read.kafka_ranges import OffsetsGone


class Record(NamedTuple):
    """What a record says, and when it came."""

    value: bytes
    time: float
    epoch: int = 0  # of the leader that took it in


class _Topic:
    def __init__(self, id_: str, partitions: int) -> None:
        self.id = id_
        self.records: list[dict[int, Record]] = [{} for _ in range(partitions)]
        self.low = [0] * partitions
        self.high = [0] * partitions
        self.epoch = [0] * partitions
        self.open: dict[int, int] = {}  # where a transaction is, and begins


class LabBroker:
    """A cluster. Tests and operators change its topics by the methods that come first."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self.topics: dict[str, _Topic] = {}
        self._made = 0

    def make(self, topic: str, partitions: int) -> None:
        """A topic of this name, with nothing in it."""
        self._made += 1
        self.topics[topic] = _Topic(f"{topic}-{self._cluster}-{self._made}", partitions)

    def put(self, topic: str, partition: int, record: Record) -> tuple[str, int]:
        """Returns the topic's id, and the record's offset."""
        its = self.topics[topic]
        offset = its.high[partition]
        its.records[partition][offset] = record._replace(epoch=its.epoch[partition])
        its.high[partition] += 1
        return its.id, offset

    def expire(self, topic: str, partition: int, before: int) -> None:
        """Forget the records before an offset."""
        its = self.topics[topic]
        before = min(before, its.open.get(partition, its.high[partition]))
        its.low[partition] = max(its.low[partition], before)
        for offset in [each for each in its.records[partition] if each < its.low[partition]]:
            del its.records[partition][offset]

    def cut(self, topic: str, partition: int, count: int) -> None:
        """Lose the newest records; those that come next have their offsets."""
        its = self.topics[topic]
        its.epoch[partition] += 1  # another broker leads
        its.high[partition] = max(its.low[partition], its.high[partition] - count)
        for offset in [each for each in its.records[partition] if each >= its.high[partition]]:
            del its.records[partition][offset]
        if its.open.get(partition, 0) >= its.high[partition]:
            self.ended(topic, partition)

    def begun(self, topic: str, partition: int) -> None:
        """What comes next is of a transaction, or after its first record: nobody can read it."""
        its = self.topics[topic]
        its.open.setdefault(partition, its.high[partition])

    def ended(self, topic: str, partition: int) -> None:
        """A transaction is committed, if any is open."""
        self.topics[topic].open.pop(partition, None)

    def cluster_id(self) -> str:
        return self._cluster

    def partitions(self) -> dict[str, int]:
        return {name: len(its.records) for name, its in self.topics.items()}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return {name: self.topics[name].id for name in topics}

    def compacted(self, topics: Iterable[str]) -> dict[str, bool | None]:
        return dict.fromkeys(topics, False)

    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]:
        return {(name, number): (its.low[number], its.open.get(number, its.high[number]))
                for name, count in counts.items() for its in (self.topics[name],)
                for number in range(count)}  # fmt: skip

    def unstable(self, counts: Mapping[str, int]) -> dict[Partition, int]:
        return {(name, number): offset
                for name in counts for number, offset in self.topics[name].open.items()
                if offset < self.topics[name].high[number]}  # fmt: skip

    def newest(self, counts: Mapping[str, int]) -> dict[Partition, float]:
        return {(name, number): max(record.time for record in part.values())
                for name in counts for number, part in enumerate(self.topics[name].records)
                if part}  # fmt: skip

    def members(self, group: str) -> int:
        return 0

    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]:
        return {}

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        return

    def records(self, place: Partition, start: int, end: int) -> Iterator[KafkaRecord]:
        name, number = place
        its = self.topics[name]
        if number >= len(its.records):
            raise UnreadableInput(f"cannot read {name}: it has no partition {number}")
        if start < its.low[number]:
            raise OffsetsGone(f"records from {start} of {name} are gone: they have expired")
        if end > its.high[number]:
            raise OffsetsGone(f"{name}/{number} ends at {its.high[number]}, before {end}")
        for offset in range(start, end):
            yield KafkaRecord(offset, *its.records[number][offset])
