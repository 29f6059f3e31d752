"""Forward lines to a Kafka topic, as they are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.event import RawLine
from transforms.kafka import KafkaCluster
from transforms.write.kafka_producer import Heard, KafkaProducer, reason, settings
from transforms.write.sink import SinkError

_TIMEOUT = 10.0  # seconds
_EVERY = 0.02  # seconds between two handfuls of a steady rate


def forward(
    lines: Iterable[RawLine], cluster: KafkaCluster, topic: str, *, rate: int | None = None,
    partitions: int | None = None,
) -> int:  # fmt: skip
    """Produce each line to the topic, which is made if it isn't there. Returns how many: all of
    them are in the topic then. `rate` is lines a second; as fast as they go without it.

    Raises SinkError."""
    _make(cluster, topic, partitions)
    producer = KafkaProducer(cluster)
    faults: list[KafkaError] = []

    def told(error: KafkaError, _: Any) -> None:
        faults.append(error)

    began, sent = time.monotonic(), 0
    for line in lines:
        while rate and sent >= (time.monotonic() - began) * rate:
            producer.client.poll(_EVERY)
        _put(producer, topic, line.data, told)
        sent += 1
        if faults:
            break
    producer.flush()
    if faults:
        raise producer.trouble(topic, faults[0])
    return sent


def _put(producer: KafkaProducer, topic: str, data: bytes, told: Any) -> None:
    while True:
        try:
            producer.client.produce(topic, data, on_delivery=told)
            return
        except BufferError:
            producer.make_room()
        except KafkaException as error:
            raise producer.trouble(topic, error.args[0]) from error


def _make(cluster: KafkaCluster, topic: str, partitions: int | None) -> None:
    try:
        admin = AdminClient(settings(cluster, Heard()))
        if topic not in admin.list_topics(timeout=_TIMEOUT).topics:
            admin.create_topics([NewTopic(topic, partitions or -1)])[topic].result(_TIMEOUT)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise SinkError(f"cannot reach topic {topic} at {cluster}: {reason(error)}") from error
