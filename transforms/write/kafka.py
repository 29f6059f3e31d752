"""The Kafka sink: a record for each event, in a topic for each destination, at least once.

The records of a bundle are on their way while it lasts; it is done when the brokers have confirmed
each. A broker that is away is waited for.
"""

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.event import Destination
from transforms.errors import SinkError
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import reason
from transforms.io.kafka.producer import KafkaProducer, LastError, make_topic, settings
from transforms.io.secrets import SettingsError
from transforms.write.kafka_records import RecordBundle, TargetTopic
from transforms.write.sink import Bundle, Rejected, Sink, Writer
from transforms.write.topics import KeyTemplate, TopicError, TopicTemplate

_REACHABLE = 10.0  # seconds in which brokers must answer before a job starts


class KafkaSink(Sink):
    """Topics of a Kafka cluster. Holds no connection and no secret.

    `topic` and `key` are templates (see topics.py). A topic that isn't there is made, with so many
    partitions and replicas, or as many as the brokers' default."""

    continuous = True

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
        heard = LastError()
        try:
            admin = AdminClient(settings(self.cluster, heard))
        except (SettingsError, KafkaException) as error:
            raise SinkError(f"{self}: {reason(error)}") from error
        brokers = self._brokers(admin, heard)
        if self.replication and self.replication > brokers:
            raise SinkError(f"{self}: replication={self.replication}, but brokers: {brokers}")

    def _brokers(self, admin: AdminClient, heard: LastError) -> int:
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
        self._topics: dict[Destination, TargetTopic] = {}

    def bundle(self) -> Bundle:
        key = self._sink.key.key if self._sink.key else None
        return RecordBundle(str(self._sink), self._producer, self._topic, key)

    def _topic(self, destination: Destination) -> TargetTopic:
        """The topic of a destination, which is there. Raises Rejected, SinkError."""
        found = self._topics.get(destination)
        if found is None:
            try:
                name = self._sink.topic.name(destination)
            except TopicError as error:
                raise Rejected(str(error), "schema") from error
            sink = self._sink
            keeps = make_topic(
                sink.cluster, name, partitions=sink.partitions, replication=sink.replication
            )
            found = TargetTopic(name, keeps)
            self._topics[destination] = found
        return found

    def close(self) -> None:
        self._producer.close()
