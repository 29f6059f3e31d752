"""What must be in the schema topics, by a plain loop over the raw topic; and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.bad_event import BadEvent, event_error
from schemas.event import Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
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
    valid: int = 0
    bad: int = 0

    @property
    def repeats(self) -> int:
        """Records beyond the first of each uuid."""
        return self.records - len(self.destinations)

    def missing_from(self, other: Landed) -> dict[str, str]:
        """Events that are here, but not there, or elsewhere there."""
        there = other.destinations
        return {uuid: name for uuid, name in self.destinations.items() if there.get(uuid) != name}


def truth(brokers: str, raw_topic: str) -> Landed:
    """What a plain loop makes of the raw topic as it is now."""
    parse, validate = line_parser(DEFAULT_FORMAT), event_validator(open_registry(None))
    found = Landed()
    for message in records(brokers, [raw_topic]):
        outcome = parse(raw_line(message))
        outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
        found.destinations[event.data["uuid"]] = str(route(outcome)[0])
        found.records += 1
        found.bad += isinstance(outcome, BadEvent)
    found.valid = found.records - found.bad
    return found


def raw_line(message: Message) -> RawLine:
    """A record as the job's source reads it."""
    partition = f"{message.topic()}/{message.partition()}"
    received = message.timestamp()[1] / 1000
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
        found.destinations[event["uuid"]] = f"{event['schema']}_{event['revision']}"
        assert message.topic() == prefix + found.destinations[event["uuid"]]
        found.records += 1
        found.bad += event["schema"] == "EventError"
    found.valid = found.records - found.bad
    return found


def topics(brokers: str, prefix: str) -> list[str]:
    """Names of the topics that begin like this."""
    consumer = _consumer(brokers)
    try:
        return sorted(
            name for name in consumer.list_topics(timeout=30).topics if name.startswith(prefix)
        )
    finally:
        consumer.close()


def records(brokers: str, names: list[str]) -> Iterator[Message]:
    """All records that these topics have now, those of a partition in order."""
    consumer = _consumer(brokers)
    try:
        known = consumer.list_topics(timeout=30).topics
        waiting = {}
        for name in names:
            for number in known[name].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30)
                if high > low:
                    waiting[name, number] = high
        consumer.assign([TopicPartition(name, number, 0) for name, number in waiting])
        while waiting:
            for message in consumer.consume(5_000, timeout=5):
                assert message.error() is None, message.error()
                place = (message.topic() or "", message.partition() or 0)
                if place in waiting and (message.offset() or 0) < waiting[place]:
                    yield message
                if (message.offset() or 0) + 1 >= waiting.get(place, 1 << 62):
                    del waiting[place]
    finally:
        consumer.close()


def _consumer(brokers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "truth",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )


__all__ = ["Landed", "absolute_totals", "delivered", "raw_line", "records", "topics", "truth"]
