"""The lab's Kafka: topics that grow, expire, lose their ends, and are made anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from transforms.io.kafka.broker import KafkaRecord, Partition, Position


class Record(NamedTuple):
    """What a record says, and when it came."""

    value: bytes
    time: float


class _Topic:
    def __init__(self, id_: str, partitions: int) -> None:
        self.id = id_
        self.records: list[dict[int, Record]] = [{} for _ in range(partitions)]
        self.low = [0] * partitions
        self.high = [0] * partitions


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

    def put(self, topic: str, partition: int, record: Record) -> None:
        its = self.topics[topic]
        its.records[partition][its.high[partition]] = record
        its.high[partition] += 1

    def expire(self, topic: str, partition: int, before: int) -> list[Record]:
        """Forget the records before an offset; returns them."""
        its = self.topics[topic]
        before = min(before, its.high[partition])
        gone = [its.records[partition].pop(offset)
                for offset in [*its.records[partition]] if offset < before]  # fmt: skip
        its.low[partition] = max(its.low[partition], before)
        return gone

    def cluster_id(self) -> str:
        return self._cluster

    def partitions(self) -> dict[str, int]:
        return {name: len(its.records) for name, its in self.topics.items()}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return {name: self.topics[name].id for name in topics}

    def compacted(self, topics: Iterable[str]) -> frozenset[str]:
        return frozenset()

    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]:
        return {(name, number): (self.topics[name].low[number], self.topics[name].high[number])
                for name, count in counts.items() for number in range(count)}  # fmt: skip

    def newest(self, counts: Mapping[str, int]) -> float:
        times = (record.time for name in counts for part in self.topics[name].records
                 for record in part.values())  # fmt: skip
        return max(times, default=0.0)

    def members(self, group: str) -> int:
        return 0

    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]:
        return {}

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        return

    def records(self, place: Partition, start: int, end: int) -> Iterator[KafkaRecord]:
        part = self.topics[place[0]].records[place[1]]
        for offset in range(start, end):
            if offset in part:
                yield KafkaRecord(offset, *part[offset])
