"""FakeBroker: a Kafka cluster in memory, in the place of the one that a URI names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from transforms.io.kafka.broker import KafkaRecord, Partition, Position, standing_in


class FakeBroker:
    """Topics with their records; tests change `topics`, and read `committed`."""

    def __init__(
        self, topics: Mapping[str, Sequence[Sequence[bytes]]], *, first: int = 0, time: float = 0.0
    ) -> None:
        """`topics` has the records of each partition of each topic; their offsets begin at `first`
        and all have the same time, in unix seconds."""
        self.topics = {name: [[*each] for each in parts] for name, parts in topics.items()}
        self.first, self.time = first, time
        self.epoch = -1  # of all records
        self.is_compacted: bool | None = False
        self.open: dict[Partition, int] = {}  # where a transaction is, and begins
        self.committed: dict[tuple[str, str, int], int] = {}  # group, topic, partition

    @contextmanager
    def at(self, brokers: str) -> Iterator[FakeBroker]:
        with standing_in(brokers, self):
            yield self

    def cluster_id(self) -> str:
        return "fake"

    def partitions(self) -> dict[str, int]:
        return {name: len(parts) for name, parts in self.topics.items()}

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return {name: f"id of {name}" for name in topics}

    def compacted(self, topics: Iterable[str]) -> dict[str, bool | None]:
        return dict.fromkeys(topics, self.is_compacted)

    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]:
        return {(name, number): (self.first, self.open.get(
                (name, number), self.first + len(self.topics[name][number])))
                for name, count in counts.items() for number in range(count)}  # fmt: skip

    def unstable(self, counts: Mapping[str, int]) -> dict[Partition, int]:
        return self.open

    def newest(self, counts: Mapping[str, int]) -> dict[Partition, float]:
        return {(name, number): self.time for name, count in counts.items()
                for number in range(count) if self.topics[name][number]}  # fmt: skip

    def members(self, group: str) -> int:
        return 0

    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]:
        counts = {name: len(self.topics[name]) for name in topics if name in self.topics}
        return {place: Position(self.committed.get((group, *place)), *bounds)
                for place, bounds in self.bounds(counts).items()}  # fmt: skip

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        self.committed |= {(group, *place): offset for place, offset in offsets.items()}

    def records(self, place: Partition, start: int, end: int) -> Iterator[KafkaRecord]:
        values = self.topics[place[0]][place[1]]
        for offset in range(max(start, self.first), min(end, self.first + len(values))):
            yield KafkaRecord(offset, values[offset - self.first], self.time, self.epoch)
