"""The Kafka sink: a record for each event, in a topic for each destination, at least once.

The records of a bundle are on their way while it lasts; it is done when the brokers have confirmed
each. A broker that is away is waited for.
"""

from __future__ import annotations

import math
import time
from functools import partial

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from schemas.event import Destination
from transforms.kafka import KafkaCluster, KafkaSettingsError
from transforms.retry import retrying
from transforms.write.kafka_producer import (
    PATIENCE,
    Heard,
    KafkaProducer,
    reason,
    settings,
    trouble,
)
from transforms.write.kafka_records import RecordBundle, Topic
from transforms.write.sink import Bundle, Rejected, Sink, SinkError, Writer
from transforms.write.topics import KeyTemplate, TopicError, TopicTemplate

_REACHABLE = 10.0  # seconds in which brokers must answer before a job starts
_LONGEST_PAUSE = 5.0  # seconds between attempts to make a topic
_AWAY = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError.NOT_CONTROLLER,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # not all brokers have heard of a new one
)


_DENIED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
_DAY = 24 * 3600 * 1000  # milliseconds


class _Away(Exception):
    """The brokers don't answer now; later they may."""


class KafkaSink(Sink):
    """Topics of a Kafka cluster. Holds no connection and no secret.

    `topic` and `key` are templates (see topics.py). A topic that isn't there is made, with so many
    partitions and replicas, or as many as the brokers' default."""

    def __init__(
        self, cluster: KafkaCluster, topic: str, shown: str, *, key: str | None = None,
        partitions: int | None = None, replication: int | None = None,
    ) -> None:  # fmt: skip
        """Raises TopicError for templates or numbers that can't be used."""
        for name, number in (("partitions", partitions), ("replication", replication)):
            if number is not None and number < 1:
                raise TopicError(f"{name} must be 1 or more, not {number}")
        self.cluster = cluster
        self.topic = TopicTemplate(topic)
        self.key = None if key is None else KeyTemplate(key)
        self.partitions, self.replication = partitions, replication
        self._shown = shown

    def prepare(self) -> None:
        heard = Heard()
        try:
            admin = AdminClient(settings(self.cluster, heard))
        except (KafkaSettingsError, KafkaException) as error:
            raise SinkError(f"{self}: {reason(error)}") from error
        brokers = self._brokers(admin, heard)
        if self.replication and self.replication > brokers:
            raise SinkError(f"{self}: replication={self.replication}, but brokers: {brokers}")

    def _brokers(self, admin: AdminClient, heard: Heard) -> int:
        """How many brokers there are, once one of them has answered. Raises SinkError."""
        deadline = time.monotonic() + _REACHABLE
        while True:
            try:
                return len(admin.list_topics(timeout=1.0).brokers)
            except KafkaException as error:
                admin.poll(0)  # fills `heard`
                if heard.denied or time.monotonic() > deadline:
                    why = str(heard) if heard.error else reason(error)
                    raise SinkError(f"cannot reach the brokers {self.cluster}: {why}") from error

    def writer(self) -> Writer:
        return _KafkaWriter(self)

    def __str__(self) -> str:
        return self._shown


class _KafkaWriter(Writer):
    """A producer, and the topics that are known to be there."""

    def __init__(self, sink: KafkaSink) -> None:
        """Raises SinkError."""
        self._sink = sink
        self._producer = KafkaProducer(sink.cluster)
        self._topics: dict[Destination, Topic] = {}

    def bundle(self) -> Bundle:
        key = self._sink.key.key if self._sink.key else None
        return RecordBundle(str(self._sink), self._producer, self._topic, key)

    def _topic(self, destination: Destination) -> Topic:
        """The topic of a destination, which is there. Raises Rejected, SinkError."""
        found = self._topics.get(destination)
        if found is None:
            try:
                name = self._sink.topic.name(destination)
            except TopicError as error:
                raise Rejected(str(error), "schema") from error
            try:
                call = partial(self._make, name)
                found = retrying(call, _Away, patience=PATIENCE, longest_pause=_LONGEST_PAUSE)
            except _Away as error:
                raise SinkError(str(error)) from error
            self._topics[destination] = found
        return found

    def _make(self, topic: str) -> Topic:
        """A topic, made unless it is there: what brokers make on their own has the wrong size."""
        try:
            admin = AdminClient(settings(self._sink.cluster, Heard()))
            if topic not in self._producer.client.list_topics(timeout=_REACHABLE).topics:
                self._create(admin, topic)
            return Topic(topic, _keeps(admin, topic))
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            if error.retriable() or error.code() in _AWAY:
                message = f"cannot make topic {topic} on {self._sink.cluster}: {error.str()}"
                raise _Away(message) from exception
            raise trouble(topic, error) from exception

    def _create(self, admin: AdminClient, topic: str) -> None:
        new = NewTopic(topic, self._sink.partitions or -1, self._sink.replication or -1)
        try:
            admin.create_topics([new], request_timeout=_REACHABLE)[topic].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another worker was first
                raise

    def close(self) -> None:
        self._producer.close()


def _keeps(admin: AdminClient, topic: str) -> float:
    """Milliseconds for which a topic keeps a record. A day, where we may not ask.

    Raises KafkaException."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    try:
        (found,) = admin.describe_configs([resource], request_timeout=_REACHABLE).values()
        kept = int(found.result()["retention.ms"].value)
    except KafkaException as error:
        if error.args[0].code() not in _DENIED:
            raise
        return _DAY
    return kept if kept >= 0 else math.inf
