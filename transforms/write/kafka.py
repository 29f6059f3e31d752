"""The Kafka sink: a record for each event, in a topic for each destination, at least once.

The records of a bundle are on their way while it lasts; it is done when the brokers have confirmed
each. A broker that is away is waited for.

A record that is too large for its topic is a matter of its event alone: what shared a batch with it
is produced again. What librdkafka hands back of a failed record is enough for that, so that nothing
is kept of those that arrive; only large ones, which may be rejected, keep their line meanwhile.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka.admin import AdminClient

from schemas import strict_json
from schemas.bad_event import EVENT_ERROR, shorter
from schemas.capsule import event_time
from schemas.event import LONGEST_LINE, Destination, Event, RawLine
from transforms.errors import SinkError
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import SMALL, ErrorKind, kind_of, reason, trouble
from transforms.io.kafka.producer import KafkaProducer, LastError, make_topic, settings
from transforms.io.secrets import SettingsError
from transforms.write.sink import Bundle, Receipt, Rejected, RejectedEvent, Sink, Writer
from transforms.write.topics import KeyTemplate, TopicError, TopicTemplate

_REACHABLE = 10.0  # seconds in which brokers must answer before a job starts
_Source = tuple[Destination, RawLine]
_SIZE, _TIME = KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP


class TargetTopic(NamedTuple):
    """A topic that is there."""

    name: str
    keeps: float  # milliseconds after a record's time, until it is removed


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
        self.shown = shown

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


class _KafkaWriter(Writer):
    """A producer, and the topics that are known to be there."""

    def __init__(self, sink: KafkaSink) -> None:
        """Raises SinkError."""
        self._sink = sink
        self._producer = KafkaProducer(sink.cluster)
        self._topic = cache(partial(_made_topic, sink))  # without self: a writer goes when unused

    def bundle(self) -> Bundle:
        key = self._sink.key.key if self._sink.key else None
        return RecordBundle(str(self._sink), self._producer, self._topic, key)

    def close(self) -> None:
        self._producer.close()


def _made_topic(sink: KafkaSink, destination: Destination) -> TargetTopic:
    """The topic of a destination, which is there. Raises Rejected, SinkError."""
    try:
        name = sink.topic.name(destination)
    except TopicError as error:
        raise Rejected(str(error), "schema") from error
    keeps = make_topic(sink.cluster, name, partitions=sink.partitions, replication=sink.replication)
    return TargetTopic(name, keeps)


class _Failed(NamedTuple):
    """A record that came back."""

    error: KafkaError
    topic: str
    key: bytes | None
    value: bytes
    source: _Source | None  # None for small ones


class RecordBundle(Bundle):
    """Records on their way. Of those that arrive nothing is kept but their number."""

    def __init__(
        self, sink: str, producer: KafkaProducer, topic: Callable[[Destination], TargetTopic],
        key: Callable[[dict[str, Any]], bytes | None] | None = None,
    ) -> None:  # fmt: skip
        """`topic` gives topics that are there, or raises Rejected; `key` the keys of events."""
        self._keeps: dict[str, float] = {}
        self._sink, self._producer, self._topic, self._key = sink, producer, topic, key
        self._produce = producer.client.produce
        self._given: Counter[tuple[str, Destination]] = Counter()
        self._failed: list[_Failed] = []  # no more than the producer's queue holds
        self._rejected: deque[_Failed] = deque()
        self._fault: SinkError | None = None
        self._now = round(time.time() * 1000)  # when last asked for

    def add(self, destination: Destination, event: Event) -> None:
        topic, keeps = self._topic(destination)
        self._keeps[topic] = keeps
        value = strict_json.dumps(event.data)
        told = self._told
        if len(value) > SMALL:
            while len(value) > LONGEST_LINE:
                event = self._shorter(destination, topic, event, len(value))
                value = strict_json.dumps(event.data)
            told = partial(told, source=(destination, event.line))
        key = self._key(event.data) if self._key else None
        when = self._time(event.data, event.line.origin.receipt, keeps)
        self._send(topic, value, key, when, told)
        self._given[event.line.origin.split, destination] += 1

    def _shorter(self, destination: Destination, topic: str, event: Event, size: int) -> Event:
        """An EventError with less in it. Raises Rejected for other events."""
        if destination != EVENT_ERROR:
            raise _too_large(topic, size)
        found = shorter(event)
        if found is None:
            told = f"{_too_large(topic, size)}, an EventError at its shortest"
            raise SinkError(f"{told}: raise its max.message.bytes")
        return found

    def _time(self, data: dict[str, Any], receipt: float, keeps: float) -> int:
        """An event's time in unix milliseconds. It is the present where the topic would remove the
        record soon, unread: it keeps each for a time after the record's own, and half of that must
        be left. The present too for times to come: brokers refuse them, or keep them for ever."""
        milliseconds = round(event_time(data, receipt) * 1000)
        if milliseconds > self._now:
            self._now = round(time.time() * 1000)
        age = self._now - milliseconds
        # Kafka has no times before 1970, and to librdkafka 0 is the present.
        return milliseconds if milliseconds > 0 and 0 <= age <= keeps / 2 else self._now

    def _send(self, topic: str, value: bytes, key: bytes | None, when: int, told: Any) -> None:
        while True:
            try:
                self._produce(topic, value, key, on_delivery=told, timestamp=when)
                return
            except BufferError:
                self._producer.make_room()
                self._check()
                if self._failed:
                    self.settle()
            except KafkaException as error:
                raise self._producer.trouble(topic, error.args[0]) from error

    def _told(self, error: KafkaError, message: Message, source: _Source | None = None) -> None:
        """Called by the client for each record that failed, never for one that arrived."""
        topic, value = message.topic() or "", message.value() or b""
        if kind_of(error) is ErrorKind.OF_A_RECORD:
            self._failed.append(_Failed(error, topic, message.key(), value, source))
        elif self._fault is None:
            self._fault = self._producer.trouble(topic, error)

    def _check(self) -> None:
        if self._fault:
            raise self._fault

    def settle(self) -> None:
        self._redo(self._outcome())

    def _outcome(self) -> list[_Failed]:
        """Wait for all records; gives those that failed for what they, or others, are."""
        self._producer.flush()
        self._check()
        failed, self._failed = self._failed, []
        return failed

    def _redo(self, failed: list[_Failed]) -> None:
        """Produce records again, half by half: a batch fails as a whole for one record in it, or
        for its own size. The one that fails alone is to blame."""
        half = len(failed) // 2
        for part in filter(None, (failed[:half], failed[half:])):
            for each in part:
                self._send_again(each)
            again = self._outcome()
            if len(part) > 1:
                self._redo(again)
            elif again:
                self._judge(again[0])

    def _send_again(self, failed: _Failed, now: bool = False) -> None:
        _, topic, key, value, source = failed
        receipt = source[1].origin.receipt if source else time.time()
        when = 0 if now else self._time(strict_json.loads(value), receipt, self._keeps[topic])
        told = partial(self._told, source=source) if source else self._told
        self._send(topic, value, key, when, told)

    def _judge(self, failed: _Failed) -> None:
        """What becomes of a record that failed alone: its time gives way, an EventError is cut."""
        now = False
        while True:
            error, topic, _, value, source = failed
            if error.code() == _TIME and not now:
                now = True
            elif error.code() != _SIZE or source is None:
                raise trouble(topic, error)
            elif source[0] != EVENT_ERROR:
                self._given[source[1].origin.split, source[0]] -= 1
                self._rejected.append(failed)
                return
            else:
                event = Event(strict_json.loads(value), source[1])
                event = self._shorter(EVENT_ERROR, topic, event, len(value))
                failed = failed._replace(value=strict_json.dumps(event.data))
            self._send_again(failed, now)
            if not (again := self._outcome()):
                return
            failed = again[0]

    def rejected(self) -> Iterator[RejectedEvent]:
        self._producer.client.poll(0)  # whatever is known by now
        self._check()
        if self._failed:
            self.settle()
        return self._taken_back()

    def _taken_back(self) -> Iterator[RejectedEvent]:
        while self._rejected:
            failed = self._rejected.popleft()
            assert failed.source
            destination, line = failed.source
            event = Event(strict_json.loads(failed.value), line)
            yield RejectedEvent(destination, event, _too_large(failed.topic, len(failed.value)))

    def commit(self) -> Iterator[Receipt]:
        self.settle()
        assert not self._rejected, "rejected events must be taken back first"
        for (split, destination), given in self._given.items():
            if given:
                where = self._topic(destination).name
                yield Receipt(
                    self._sink, split, *destination, where=where, given=given, written=given
                )


def _too_large(topic: str, size: int) -> Rejected:
    return Rejected(f"topic {topic} takes no record of {size:,} bytes")
