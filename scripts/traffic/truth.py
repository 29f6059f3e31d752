"""What must be in the schema topics, by a plain loop over the raw topic; and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.bad_event import BadEvent, event_error
from schemas.event import Destination, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from schemas.times import record_time
from transforms.counts.count import CountKey
from transforms.counts.totals import CountsTotals
from transforms.parse import line_parser
from transforms.route import route
from transforms.validate import event_validator


@dataclass
class Landed:
    """Events by uuid, and the destination of each."""

    destinations: dict[str, str] = field(default_factory=dict)  # uuid -> Schema_revision
    records: int = 0
    bad: int = 0

    def add(self, uuid: str, destination: str, bad: bool) -> None:
        """Count a record."""
        self.destinations[uuid] = destination
        self.records += 1
        self.bad += bad

    @property
    def valid(self) -> int:
        return self.records - self.bad

    @property
    def repeats(self) -> int:
        """Records beyond the first of each uuid."""
        return self.records - len(self.destinations)

    def missing_from(self, other: Landed) -> dict[str, str]:
        """Events that are here, but not there, or elsewhere there."""
        there = other.destinations
        return {uuid: name for uuid, name in self.destinations.items() if there.get(uuid) != name}


def worked(lines: Iterable[RawLine]) -> Iterator[tuple[Destination, Event, bool]]:
    """What a plain loop makes of lines: for each one where it goes, the event that is written, and
    whether it was bad."""
    parse, validate = line_parser(DEFAULT_FORMAT), event_validator(open_registry(None))

    def work(line: RawLine) -> tuple[Destination, Event, bool]:
        outcome = parse(line)
        outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
        return route(outcome)[0], event, event is not outcome

    return map(work, lines)


def truth(
    brokers: str, raw_topic: str, below: Mapping[tuple[str, int], int] | None = None
) -> Landed:
    """What a plain loop makes of the raw topic as it is now; `below` these offsets, if given."""
    found = Landed()
    messages = (each for each in records(brokers, [raw_topic])
                if below is None or (each.offset() or 0) < below.get(_place(each), 0))  # fmt: skip
    for to, event, bad in worked(map(raw_line, messages)):
        found.add(event.data["uuid"], str(to), bad)
    return found


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0


def raw_line(message: Message) -> RawLine:
    """A record as the job's source reads it."""
    partition = f"{message.topic()}/{message.partition()}"
    received = record_time(message.timestamp()[1])
    origin = Origin("kafka", partition, message.offset() or 0, received, partition)
    return RawLine(message.value() or b"", origin)


def absolute_totals(values: Iterable[bytes]) -> dict[CountKey, int]:
    """The totals of a counts topic, by the values of its records in the order of its log."""
    totals = CountsTotals()
    for value in values:
        totals.add(value)
    return dict(totals.totals())


def delivered(brokers: str, prefix: str) -> Landed:
    """What is in the topics PREFIXSchema_revision as they are now."""
    found = Landed()
    for message in records(brokers, topics(brokers, prefix)):
        event = orjson.loads(message.value() or b"null")
        name = f"{event['schema']}_{event['revision']}"
        assert message.topic() == prefix + name
        found.add(event["uuid"], name, event["schema"] == "EventError")
    return found


def topics(brokers: str, prefix: str) -> list[str]:
    """Names of the topics that begin like this."""
    with closing(_consumer(brokers)) as consumer:
        names = consumer.list_topics(timeout=30).topics
    return sorted(name for name in names if name.startswith(prefix))


def produced(brokers: str, names: list[str]) -> int:
    """Records that these topics have had, by their end offsets."""
    with closing(_consumer(brokers)) as consumer:
        return sum(high for _, high in _bounds(consumer, names).values())


def records(brokers: str, names: list[str]) -> Iterator[Message]:
    """All records that these topics have now, those of a partition in order."""
    with closing(_consumer(brokers)) as consumer:
        waiting = {place: high for place, (low, high) in _bounds(consumer, names).items()
                   if high > low}  # fmt: skip
        consumer.assign([TopicPartition(*place, 0) for place in waiting])
        while waiting:
            for message in consumer.consume(5_000, timeout=0.1):  # s that it waits for so many
                assert message.error() is None, message.error()
                place = _place(message)
                if place in waiting and (message.offset() or 0) < waiting[place]:
                    yield message
                if (message.offset() or 0) + 1 >= waiting.get(place, 1 << 62):
                    del waiting[place]


def _bounds(consumer: Consumer, names: list[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) -> its first offset, and the one after its last."""
    known = consumer.list_topics(timeout=30).topics
    return {
        (name, number): consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30)
        for name in names
        for number in known[name].partitions
    }


def _consumer(brokers: str) -> Consumer:
    return Consumer({"bootstrap.servers": brokers, "group.id": "truth", "log_level": 0,
                     "enable.auto.commit": False, "auto.offset.reset": "earliest"})  # fmt: skip
