"""Forward lines to a Kafka topic, as they are."""

import time
from collections.abc import Iterable

from confluent_kafka import KafkaError, Message

from schemas.event import RawLine
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.producer import KafkaProducer, make_topic

_PATIENCE = 10.0  # seconds that brokers may be away at the start
_EVERY = 0.02  # seconds between two handfuls of a steady rate


def forward(
    lines: Iterable[RawLine], cluster: KafkaCluster, topic: str, *, rate: int | None = None,
    partitions: int | None = None,
) -> int:  # fmt: skip
    """Produce each line to the topic, which is made if it isn't there. Returns how many: all of
    them are in the topic then. `rate` is lines a second; as fast as they go without it.

    Raises SinkError."""
    make_topic(cluster, topic, partitions=partitions, patience=_PATIENCE)
    producer = KafkaProducer(cluster)
    faults: list[KafkaError] = []

    def failed(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            faults.append(error)

    began, sent = time.monotonic(), 0
    for line in lines:
        while rate and sent >= (time.monotonic() - began) * rate:
            producer.client.poll(_EVERY)
        producer.send(topic, line.data, on_delivery=failed)
        sent += 1
        if faults:
            break
    producer.flush()
    if faults:
        raise producer.trouble(topic, faults[0])
    return sent
