"""Topics are made on first use, of the size that was asked for, never by the brokers themselves."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from transforms.errors import SinkError
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import ErrorKind, KafkaAway, kind_of, trouble
from transforms.io.kafka.producer import PATIENCE, LastError, settings
from transforms.io.retry import retrying

_REQUEST = 10.0  # seconds of one request
_LONGEST_PAUSE = 5.0  # seconds between attempts
_DAY = 24 * 3600 * 1000  # milliseconds


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
