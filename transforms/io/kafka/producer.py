"""KafkaProducer: records go out, and are waited for; what it says of trouble is for people."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.event import LONGEST_LINE
from transforms.errors import SinkError
from transforms.io.kafka.cluster import KafkaCluster, KafkaSettingsError
from transforms.io.kafka.errors import ErrorKind, kind_of, reason, trouble

PATIENCE = 600.0  # seconds that brokers may be away before a bundle fails
_REPORT_EVERY = 10.0  # seconds of waiting
_PRODUCING: Final[dict[str, Any]] = {
    "acks": "all",
    "compression.type": "lz4",
    "delivery.report.only.error": True,
    "enable.idempotence": True,
    "linger.ms": 10,
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
    """The settings of any client of the cluster. Raises KafkaSettingsError."""
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
        except (KafkaSettingsError, KafkaException) as error:
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
