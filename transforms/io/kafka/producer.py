"""Records go out, and are waited for; the topics that they go to are made on first use, of the size
that was asked for, never by the brokers themselves. What is said of trouble is for people."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from schemas.event import LONGEST_LINE
from transforms.errors import SinkError
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import ErrorKind, KafkaAway, kind_of, reason, trouble
from transforms.io.retry import retrying
from transforms.io.secrets import SettingsError

PATIENCE = 600.0  # seconds that brokers may be away before a bundle fails
_REPORT_EVERY = 10.0  # seconds of waiting
_REQUEST = 10.0  # seconds of one request
_LONGEST_PAUSE = 5.0  # seconds between attempts
_DAY = 24 * 3600 * 1000  # milliseconds
_PRODUCING: Final[dict[str, Any]] = {
    "acks": "all",
    "compression.type": "lz4",
    "delivery.report.only.error": True,
    "enable.idempotence": True,
    "linger.ms": 10,
    # One batch after the other. If more are on their way, the first batch of a producer in a
    # partition may be refused for now (a new topic has no leader yet), and the next one be taken:
    # the broker has no sequence to compare it with. librdkafka takes both for delivered then.
    "max.in.flight": 1,
    "message.max.bytes": LONGEST_LINE + 64 * 1024,  # the brokers decide, each topic for itself
    "partitioner": "murmur2_random",  # a key's partition is that of Java clients
    "queue.buffering.max.kbytes": 32 * 1024,
    "queue.buffering.max.messages": 20_000,
    "reconnect.backoff.max.ms": 2_000,
}
_log = logging.getLogger("el_beam")
_librdkafka = logging.getLogger("librdkafka")  # SinkErrors say what matters of it
_librdkafka.addHandler(logging.NullHandler())


class LastError:
    """What a client has last heard of its connections: why nothing moves."""

    def __init__(self) -> None:
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if self.error is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.error = error

    @property
    def denied(self) -> bool:
        """Whether it is of no use to wait."""
        return self.error is not None and kind_of(self.error) is ErrorKind.DENIED

    def __str__(self) -> str:
        return self.error.str() if self.error else "no answer"


def settings(cluster: KafkaCluster, heard: LastError) -> dict[str, Any]:
    """The settings of any client of the cluster. Raises SettingsError."""
    return {**cluster.for_librdkafka(), "logger": _librdkafka, "error_cb": heard}


class KafkaProducer:
    """A client that produces, with a bounded queue, and with patience."""

    def __init__(self, cluster: KafkaCluster) -> None:
        """Raises SinkError."""
        self._cluster = cluster
        self._heard = LastError()
        patience = {"message.timeout.ms": int(PATIENCE * 1000)}
        try:
            self.client = Producer(settings(cluster, self._heard) | _PRODUCING | patience)
        except (SettingsError, KafkaException) as error:
            raise SinkError(f"{cluster}: {reason(error)}") from error

    def send(
        self, topic: str, value: bytes, key: bytes | None = None,
        on_delivery: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:  # fmt: skip
        """Put a record on its way, as soon as there is room; `on_delivery` is called if it fails.

        Raises SinkError."""
        while True:
            try:
                self.client.produce(topic, value, key, on_delivery=on_delivery)
                return
            except BufferError:
                self.make_room()
            except KafkaException as error:
                raise self.trouble(topic, error.args[0]) from error

    def make_room(self) -> None:
        """Wait until some of the records on their way have arrived, or failed."""
        full, reported = len(self.client), time.monotonic()
        while len(self.client) >= full:
            self.client.poll(1.0)
            if time.monotonic() > reported + _REPORT_EVERY:
                self._tell()
                reported = time.monotonic()

    def flush(self) -> None:
        """Wait until all records have arrived, or failed."""
        while self.client.flush(_REPORT_EVERY):
            self._tell()

    def _tell(self) -> None:
        left, heard = len(self.client), self._heard
        _log.warning("waiting for %s with %d records: %s", self._cluster, left, heard)

    def trouble(self, topic: str, error: KafkaError) -> SinkError:
        """Why a record didn't get into a topic, and what to do."""
        if error.code() == KafkaError._MSG_TIMED_OUT:
            return SinkError(f"{self._cluster} took no records for {PATIENCE:.0f} s: {self._heard}")
        return trouble(topic, error)

    def close(self) -> None:
        """Let go of what is left: only a bundle that failed leaves any, and it comes again."""
        self.client.purge()
        self.client.flush(1.0)


def make_topic(
    cluster: KafkaCluster,
    topic: str,
    *,
    partitions: int | None = None,
    replication: int | None = None,
    config: Mapping[str, str] | None = None,
    patience: float | None = None,
) -> float:
    """Make a topic unless it is there; numbers that aren't given are the brokers' default.

    Returns for how many milliseconds it keeps a record. Brokers that are away are waited for, for
    `patience` seconds, ten minutes by default. Raises SinkError."""
    new = NewTopic(topic, partitions or -1, replication or -1, config=dict(config or {}))
    call = partial(_make, cluster, topic, new)
    try:
        return retrying(
            call, KafkaAway, patience=PATIENCE if patience is None else patience,
            longest_pause=_LONGEST_PAUSE,
        )  # fmt: skip
    except KafkaAway as error:
        raise SinkError(str(error)) from error


def _make(cluster: KafkaCluster, topic: str, new: NewTopic) -> float:
    try:
        admin = AdminClient(settings(cluster, LastError()))
        if topic not in admin.list_topics(timeout=_REQUEST).topics:
            _create(admin, topic, new)
        return _keeps(admin, topic)
    except KafkaException as exception:
        error: Any = exception.args[0]
        kind = kind_of(error)
        if kind.transient or kind is ErrorKind.NO_TOPIC:  # not all brokers have heard of a new one
            message = f"cannot make topic {topic} on {cluster}: {error.str()}"
            raise KafkaAway(message) from exception
        raise trouble(topic, error) from exception


def _create(admin: AdminClient, topic: str, new: NewTopic) -> None:
    try:
        admin.create_topics([new], request_timeout=_REQUEST)[topic].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another worker was first
            raise


def _keeps(admin: AdminClient, topic: str) -> float:
    """Milliseconds for which a topic keeps a record. A day, where we may not ask.

    Raises KafkaException."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        (found,) = admin.describe_configs([resource], request_timeout=_REQUEST).values()
        kept = int(found.result()["retention.ms"].value)
    except KafkaException as error:
        if kind_of(error.args[0]) is not ErrorKind.DENIED:
            raise
        return _DAY
    return kept if kept >= 0 else math.inf
