"""Kafka: topics are read without end or by increments, written, counted into, and read back.

kafka://BROKERS/; see transforms/io/kafka/cluster.py for how a cluster is reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from el_beam.connectors.contract import (
    Connector,
    Faults,
    Fields,
    Json,
    Role,
    Selection,
    Store,
    StoredError,
    StoredEvent,
    Use,
    value_at,
    values_of,
)
from el_beam.uris import Uri, UriError, parse_uri
from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.capsule import BadIdentity, check_scid, event_time, scid_of
from schemas.event import Destination, RawLine
from schemas.registry import Registry
from transforms.counts.totals import KafkaMetrics
from transforms.errors import UnreadableInput
from transforms.io.kafka.cluster import SETTINGS, KafkaCluster
from transforms.io.secrets import SettingsError
from transforms.layout import hour_name
from transforms.line_time import event_dt
from transforms.parse import parse_json_event
from transforms.read.kafka import KafkaSource
from transforms.read.lines import Source
from transforms.write.sink import Sink
from transforms.write.topics import TopicError, TopicTemplate

if TYPE_CHECKING:
    from transforms.read.kafka_ranges import KafkaSplit

_STARTS = ("earliest", "latest")
_ISOLATIONS = ("read_committed", "read_uncommitted")
_TOPICS = {
    "topics": "names of topics, with commas between; or",
    "pattern": "a regular expression of whole names",
}
_PARTITIONS = {"partitions": "of a topic that is made (by default as the brokers have it)"}
RAW_TOPIC: Final = {"kafka": frozenset({"topic", "partitions", *SETTINGS})}
"""What the URI of a topic for lines as they are may have."""


class KafkaConnector(Connector):
    uses = (
        Use("source", "kafka", "//BROKERS/?topics=A,B&group=G", "topics, without end or by "
            "increments", _TOPICS | {
                "group": "required: the consumer group whose offsets say what was read",
                "start": "where a group without offsets begins: earliest (the default) or latest",
                "isolation.level": "of a continuous job: read_committed (the default), without "
                "transactions that are open or were given up; or read_uncommitted",
            }, SETTINGS),
        Use("sink", "kafka", "//BROKERS/?topic=eventlogging_{schema}_{revision}",
            "a record for each event, at least once", {
                "topic": "required: a name, in which {schema} and {revision} are the event's",
                "key": "the records' keys, as {wiki}: fields of the capsule",
                **_PARTITIONS,
                "replication": "the same of its replicas",
            }, SETTINGS),
        Use("store", "kafka", "//BROKERS/?topics=A,B", "topics of events, as they are now", _TOPICS,
            SETTINGS),
        Use("metrics", "kafka", "//BROKERS/?topic=NAME", "counts by minute, schema and reason",
            {"topic": "required: a plain name"}, SETTINGS),
    )  # fmt: skip

    def check(self, role: Role, uri: Uri) -> None:
        if role == "sink":
            _sink(uri)
        else:
            getattr(self, role)(uri)  # which doesn't connect

    def source(self, uri: Uri) -> Source:
        topics, pattern = _topics(uri)
        given = uri.parameters
        if not given.get("group"):
            raise UriError(f"{uri} must have group=NAME: its offsets are kept under that name")
        start = given.get("start", _STARTS[0])
        if start not in _STARTS:
            raise UriError(f"{uri}: start must be {' or '.join(_STARTS)}, not {start!r}")
        isolation = given.get("isolation.level", _ISOLATIONS[0])
        if isolation not in _ISOLATIONS:
            raise UriError(f"{uri}: isolation.level must be {' or '.join(_ISOLATIONS)}")
        return KafkaSource(
            cluster_of(uri), topics, given["group"], str(uri), start, pattern, isolation
        )

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        return _sink(uri)

    def store(self, uri: Uri) -> Store:
        return _TopicStore(str(uri), cluster_of(uri), *_topics(uri))

    def written(self, uri: Uri, destinations: Iterable[Destination]) -> Store | None:
        from transforms.io.kafka.broker import broker_of
        from transforms.io.kafka.errors import KafkaAway

        template, names = TopicTemplate(uri.parameters["topic"]), set[str]()
        for each in destinations:
            with suppress(TopicError):  # the sink will reject the event
                names.add(template.name(each))
        cluster = cluster_of(uri)
        try:
            topics = sorted(names & broker_of(cluster).partitions().keys())
        except KafkaAway as error:
            raise StoredError(f"{uri}: {error}") from error
        return _TopicStore(str(uri), cluster, tuple(topics)) if topics else None

    def metrics(self, uri: Uri) -> KafkaMetrics:
        return KafkaMetrics(cluster_of(uri), _plain_topic(uri), str(uri))


def _sink(uri: Uri) -> Sink:
    from transforms.write.kafka import KafkaSink

    given = uri.parameters
    if not given.get("topic"):
        example = "eventlogging_{schema}_{revision}"
        raise UriError(f"{uri} must have topic=TEMPLATE, as topic={example}")
    counts = {name: _count(uri, name) for name in ("partitions", "replication") if name in given}
    try:
        return KafkaSink(cluster_of(uri), given["topic"], str(uri), key=given.get("key"), **counts)
    except TopicError as error:
        raise UriError(f"{uri}: {error}") from error


class _TopicStore(Store):
    """Topics of JSON events, from their oldest record to their end as it is when they are asked."""

    at_least_once = True

    def __init__(
        self, shown: str, cluster: KafkaCluster, topics: tuple[str, ...], pattern: str | None = None
    ) -> None:
        super().__init__(shown)
        self._cluster, self._topics, self._pattern = cluster, topics, pattern

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        from transforms.read.kafka_ranges import read_ranges

        for split in self._splits():
            for line in read_ranges(self._cluster, split):
                schema, data = _event_of(line)
                hour = hour_name(int(event_time(data, line.origin.receipt) // 3600))
                if selection.schema(schema) and selection.hour(hour):
                    values = tuple(values_of(fields, partial(value_at, data)))
                    where, number = line.origin.name, line.origin.offset
                    yield StoredEvent(schema, hour, where, number, str(data["uuid"]), values)

    def _splits(self) -> Iterator[KafkaSplit]:
        """A split for each topic, up to its end as it is now."""
        from transforms.io.kafka.broker import broker_of, matching
        from transforms.read.kafka_ranges import KafkaSplit
        from transforms.read.offsets import OffsetRange

        kafka = broker_of(self._cluster)
        counts = kafka.partitions()
        names = self._topics if self._pattern is None else matching(counts, self._pattern)
        missing = ", ".join(name for name in names if name not in counts)
        if missing or not names:
            raise UnreadableInput(f"there is no topic {missing or self._pattern} at the brokers")
        bounds = kafka.bounds({name: counts[name] for name in names})
        for name in names:
            ranges = tuple(OffsetRange(each, *bounds[name, each]) for each in range(counts[name]))
            yield KafkaSplit(name, name, ranges)

    def faults(self) -> Faults:
        from transforms.io.kafka.errors import KafkaAway

        return (*super().faults(), UnreadableInput, KafkaAway)


def _event_of(line: RawLine) -> tuple[str, Json]:
    """What an import makes of a record: its Schema_revision and the event. A record that is not an
    event, or names no schema, is an EventError, the same as the import's."""
    outcome = parse_json_event(line)
    if not isinstance(outcome, BadEvent):
        schema, revision = scid_of(outcome.data) or (None, None)
        try:
            check_scid(schema, revision)
        except BadIdentity as error:
            dt = event_dt(outcome.data)
            outcome = BadEvent(line, Stage.VALIDATE, Reason.NO_SCHEMA, str(error), dt=dt)
        else:
            return f"{schema}_{revision}", outcome.data
    data = event_error(outcome).data
    return f"{data['schema']}_{data['revision']}", data


def cluster_of(uri: Uri) -> KafkaCluster:
    """The cluster of a URI. Raises UriError."""
    try:
        return KafkaCluster.of(uri.rest, uri.parameters)
    except SettingsError as error:
        raise UriError(f"{uri}: {error}") from error


def brokers_of(text: str) -> KafkaCluster:
    """The cluster of a source's URI, whatever else is in it. Raises UriError."""
    known = next(use.names for use in KafkaConnector.uses if use.role == "source")
    return cluster_of(parse_uri(text, {"kafka": known}, "source"))


def raw_topic_of(text: str) -> tuple[KafkaCluster, str, int | None]:
    """Cluster, topic and partitions of a URI for lines as they are. Raises UriError."""
    uri = parse_uri(text, RAW_TOPIC, "topic")
    partitions = _count(uri, "partitions") if "partitions" in uri.parameters else None
    return cluster_of(uri), _plain_topic(uri), partitions


def _topics(uri: Uri) -> tuple[tuple[str, ...], str | None]:
    """The topics that a URI names, and the pattern that stands for others. Raises UriError."""
    given = uri.parameters
    if ("topics" in given) == ("pattern" in given):
        raise UriError(f"{uri} must have topics=a,b or pattern=^REGEX, one of them")
    topics = tuple(name for name in given.get("topics", "").split(",") if name)
    pattern = given.get("pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UriError(f"{uri}: pattern is not a regular expression: {error}") from error
    elif not topics:
        raise UriError(f"{uri}: topics is empty")
    return topics, pattern


def _plain_topic(uri: Uri) -> str:
    topic = uri.parameters.get("topic", "")
    try:
        TopicTemplate(topic)
    except TopicError as error:
        raise UriError(f"{uri}: {error}") from error
    if "{" in topic:
        raise UriError(f"{uri}: one topic is meant here, with a plain name")
    return topic


def _count(uri: Uri, name: str) -> int:
    text = uri.parameters[name]
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise UriError(f"{uri}: {name} must be a number from 1, not {text!r}")
    return int(text)
