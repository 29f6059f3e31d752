"""Broker: a Kafka cluster as jobs see it, and KafkaTopics, which asks a real one. Tests and
simulations put others in its place."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import NOT_THERE, ErrorKind, KafkaAway, KafkaDenied, denied, kind_of

REQUEST_TIMEOUT = 10.0  # seconds of one request
_SILENT = logging.getLogger("el_beam.librdkafka")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
Result = TypeVar("Result")
_MUST_BE_THERE: Any = object()
Partition = tuple[str, int]  # topic, its partition


class Position(NamedTuple):
    """How far a group is in a partition. Offsets are those of the next record."""

    committed: int | None  # None where the group has never committed
    low: int  # the oldest record that is still there
    high: int

    @property
    def lag(self) -> int:
        """Records to come."""
        return self.high - max(self.low, self.committed or 0)

    @property
    def expired(self) -> int:
        """Records that were deleted before the group came to them."""
        return max(0, self.low - self.committed) if self.committed is not None else 0


class Broker(Protocol):
    """What a cluster says of its topics and groups; KafkaTopics says what each method promises.

    Every method raises KafkaAway where no broker answers."""

    def cluster_id(self) -> str: ...
    def partitions(self) -> dict[str, int]: ...
    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]: ...
    def compacted(self, topics: Iterable[str]) -> dict[str, bool | None]: ...
    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]: ...
    def newest(self, counts: Mapping[str, int]) -> dict[Partition, float]: ...
    def unstable(self, counts: Mapping[str, int]) -> dict[Partition, int]: ...
    def members(self, group: str) -> int: ...
    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]: ...
    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None: ...


class KafkaRecord(NamedTuple):
    """A record of a partition."""

    offset: int
    value: bytes
    time: float  # unix seconds
    epoch: int = -1  # of the leader that took it in


class StandIn(Broker, Protocol):
    """A broker of this process: its records are read here too."""

    def records(self, place: Partition, start: int, end: int) -> Iterable[KafkaRecord]:
        """Those that a partition has from offset `start` until before `end`, in order."""


class KafkaTopics:
    """A view of a cluster. Every method raises KafkaAway where it doesn't answer in 10 seconds."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._cluster = cluster
        self._admin = self._client()

    def _client(self) -> AdminClient:
        settings: dict[str, Any] = {**self._cluster.for_librdkafka(), "logger": _SILENT}
        return AdminClient({**settings, "socket.timeout.ms": 10_000})

    def partitions(self) -> dict[str, int]:
        """Topic -> number of its partitions. Those that this user may not describe are left out."""
        found = self._asked(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT)).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def members(self, group: str) -> int:
        """How many consumers are in the group now."""
        found = self._answers(
            self._admin.describe_consumer_groups, [group], "Describe on group", default={}
        )
        return len(found[group].members) if found else 0

    def positions(self, topics: Iterable[str], group: str) -> dict[Partition, Position]:
        """(topic, partition) -> how far the group is, for all partitions of these topics."""
        counts = self.partitions()
        wanted = _places({topic: counts[topic] for topic in sorted({*topics} & {*counts})})
        committed = self._committed(group)
        low = self._offsets(wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        high = self._offsets(wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {place: Position(committed.get(place), low[place], high[place]) for place in high}

    def bounds(self, counts: Mapping[str, int]) -> dict[Partition, tuple[int, int]]:
        """(topic, partition) -> (oldest offset there is, offset after the newest that can be read)
        for topics with these numbers of partitions."""
        wanted = _places(counts)
        low = self._offsets(wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        # Readers see no records of transactions that are still open.
        high = self._offsets(wanted, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]
        return {place: (low[place], high[place]) for place in high}

    def newest(self, counts: Mapping[str, int]) -> dict[Partition, float]:
        """(topic, partition) -> the latest time of any record (unix seconds), whatever it claims,
        for topics with these numbers of partitions: its broker's or its producer's, as the topic
        is set. Left out are partitions without records; all where the brokers can't tell (before
        Kafka 3.0)."""
        wanted = _places(counts)
        if not wanted:
            return {}
        latest: Any = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        found = self._answers(
            self._admin.list_offsets, dict.fromkeys(wanted, latest), "Describe on topic", default={}
        )
        return {(place.topic, place.partition): told.timestamp / 1000
                for place, told in found.items() if told.timestamp >= 0}  # fmt: skip

    def unstable(self, counts: Mapping[str, int]) -> dict[Partition, int]:
        """(topic, partition) -> where its first open transaction begins: readers see nothing from
        there on. Left out are partitions that can be read to their ends."""
        wanted, latest = _places(counts), OffsetSpec.latest()  # type: ignore[no-untyped-call]
        high = self._offsets(wanted, latest)  # first: what comes after it is no transaction's fault
        stable = self._offsets(wanted, latest, IsolationLevel.READ_COMMITTED)
        return {place: offset for place, offset in stable.items() if offset < high[place]}

    def cluster_id(self) -> str:
        """What no other cluster is called."""
        return str(self._asked(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT)).cluster_id)

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Topic -> its id, which a topic that is made anew under the same name doesn't have.

        Raises KafkaDenied where this user may not describe a topic, whether it is there or not."""
        names = sorted(topics)
        if not names:
            return {}
        found = self._answers(
            self._admin.describe_topics, TopicCollection(names), "Describe on topic"
        )
        return {name: str(found[name].topic_id) for name in names}

    def compacted(self, topics: Iterable[str]) -> dict[str, bool | None]:
        """Whether records vanish from the midst of each of these topics; None where this user may
        not know it."""
        wanted = [ConfigResource(ResourceType.TOPIC, topic) for topic in sorted(topics)]
        if not wanted:
            return {}
        found = self._answers(
            self._admin.describe_configs, wanted, "DescribeConfigs on topic", hidden=None
        )
        return {each.name: told and "compact" in told["cleanup.policy"].value
                for each, told in found.items()}  # fmt: skip

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Set a group's offsets, for those who watch its lag. The group must have no members."""
        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        request = [ConsumerGroupTopicPartitions(group, places)]
        self._answers(self._admin.alter_consumer_group_offsets, request, "Read on group")

    def _committed(self, group: str) -> dict[Partition, int]:
        request = [ConsumerGroupTopicPartitions(group)]
        found = self._answers(
            self._admin.list_consumer_group_offsets, request, "Describe on group", default={}
        )
        places = found[group].topic_partitions if found else ()
        return {(each.topic, each.partition): each.offset for each in places if each.offset >= 0}

    def _offsets(
        self, wanted: list[Any], which: Any, level: Any = IsolationLevel.READ_UNCOMMITTED
    ) -> Mapping[Partition, int]:
        if not wanted:
            return {}
        request = dict.fromkeys(wanted, which)
        found = self._answers(
            self._admin.list_offsets, request, "Describe on topic", isolation_level=level
        )
        return {(place.topic, place.partition): told.offset for place, told in found.items()}

    def _answers(
        self, ask: Callable[..., Any], request: Any, right: str, default: Any = _MUST_BE_THERE,
        *, hidden: Any = _MUST_BE_THERE, **options: Any,
    ) -> dict[Any, Any]:  # fmt: skip
        """What was asked for -> what the brokers answer, where the client gives futures; `hidden`
        where this user lacks the `right` to know it, as `Read on topic`, if such an answer will do.
        """

        def answer(each: Any, future: Any) -> Any:
            try:
                found = future.result()
                for place in getattr(found, "topic_partitions", ()):
                    if place.error:  # the client takes that for a result
                        raise KafkaException(place.error)
                return found
            except KafkaException as exception:
                error = exception.args[0]
                if kind_of(error) is not ErrorKind.DENIED:
                    raise
                if hidden is not _MUST_BE_THERE:
                    return hidden
                told = denied(error, f"{right} {_name(each)}")
                raise KafkaDenied(f"cannot ask the brokers {self._cluster}: {told}") from exception

        def answers() -> dict[Any, Any]:
            futures = ask(request, request_timeout=REQUEST_TIMEOUT, **options)
            return {each: answer(each, future) for each, future in futures.items()}

        return self._asked(answers, default)

    def _asked(self, call: Callable[[], Result], default: Any = _MUST_BE_THERE) -> Result:
        """What a request gives; `default` where the group isn't known, or the brokers are too old.
        Transient errors are retried, with a new request: a young cluster has no coordinator until
        somebody asks."""
        end = time.monotonic() + REQUEST_TIMEOUT
        while True:
            try:
                return call()
            except KafkaException as exception:
                error = exception.args[0]
                if default is not _MUST_BE_THERE and error.code() in NOT_THERE:
                    found: Result = default
                    return found
                if kind_of(error) is not ErrorKind.MOVING or time.monotonic() > end:
                    told = error.str() or error.name()
                    self._admin = self._client()  # after its broker's death one may stay dumb
                    message = f"cannot ask the brokers {self._cluster}: {told}"
                    raise KafkaAway(message) from exception
                time.sleep(0.2)


def _name(asked: Any) -> str:
    """Of the topic or group that a request was about."""
    return str(getattr(asked, "topic", "") or getattr(asked, "name", "") or asked)


def _places(counts: Mapping[str, int]) -> list[TopicPartition]:
    """All partitions of topics with these numbers of them."""
    return [TopicPartition(topic, number)
            for topic, count in counts.items() for number in range(count)]  # fmt: skip


def matching(topics: Iterable[str], pattern: str) -> tuple[str, ...]:
    """The topics whose whole name matches, sorted; Kafka's own topics never do."""
    wanted = re.compile(pattern)
    return tuple(sorted(each for each in topics if wanted.fullmatch(each) and each[:2] != "__"))


_STAND_INS: Final[dict[str, StandIn]] = {}  # by the addresses of the brokers


def broker_of(cluster: KafkaCluster) -> Broker:
    """The brokers of a cluster, or what stands in for them. Raises SettingsError."""
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
