"""Broker: a Kafka cluster as jobs see it. Tests and simulations put others in its place."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.topics import KafkaTopics, Position

Partition = tuple[str, int]  # topic, its partition


class Broker(Protocol):
    """What a cluster says of its topics and groups; KafkaTopics says what each method promises.

    Every method raises KafkaAway where no broker answers."""

    def cluster_id(self) -> str: ...
    def partitions(self) -> dict[str, int]: ...
    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]: ...
    def compacted(self, topics: Iterable[str]) -> frozenset[str]: ...
    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]: ...
    def newest(self, counts: Mapping[str, int]) -> float: ...
    def members(self, group: str) -> int: ...
    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]: ...
    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None: ...


class KafkaRecord(NamedTuple):
    """A record of a partition."""

    offset: int
    value: bytes
    time: float  # unix seconds


class StandIn(Broker, Protocol):
    """A broker of this process: its records are read here too."""

    def records(self, place: Partition, start: int, end: int) -> Iterable[KafkaRecord]:
        """Those that a partition has from offset `start` until before `end`, in order."""


_STAND_INS: Final[dict[str, StandIn]] = {}  # by the addresses of the brokers


def broker_of(cluster: KafkaCluster) -> Broker:
    """The brokers of a cluster, or what stands in for them. Raises KafkaSettingsError."""
    return _STAND_INS.get(cluster.brokers) or KafkaTopics(cluster)


def stand_in_of(cluster: KafkaCluster) -> StandIn | None:
    """What stands in for the brokers of a cluster, if anything does."""
    return _STAND_INS.get(cluster.brokers)


@contextmanager
def standing_in(brokers: str, broker: StandIn) -> Iterator[None]:
    """While the block runs, `broker` is the cluster at these addresses, host:port,host:port: for
    all threads of this process. Producers don't know of it."""
    before = _STAND_INS.get(brokers)
    _STAND_INS[brokers] = broker
    try:
        yield
    finally:
        if before is None:
            del _STAND_INS[brokers]
        else:
            _STAND_INS[brokers] = before
