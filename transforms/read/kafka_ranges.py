"""KafkaRanges: lines from given offsets of Kafka topics, no more and no fewer.

A split is one or more ranges of a topic's partitions; its name and bounds depend on the ranges
alone. The reader ends at the end of each range, whatever has come since, and never commits.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.event import Origin, RawLine
from schemas.times import record_time
from transforms.errors import UnreadableInput
from transforms.io.kafka.broker import StandIn, stand_in_of
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import ErrorKind, kind_of
from transforms.layout import kafka_split
from transforms.read.lines import Source
from transforms.read.offsets import OffsetRange

if TYPE_CHECKING:
    import apache_beam as beam

SPLIT_RECORDS: Final = 250_000  # unless the source says otherwise
_TOGETHER: Final = 2_000  # records that are asked for at once
_PATIENCE: Final = 600.0  # seconds without a record, while brokers are away
_WAIT: Final = 0.1  # seconds in which records are gathered; there may be fewer than are asked for
_ANEW: Final = "the topic was made anew, or a broker has lost what it had"
_HOLE: Final = "are not there: compacted away"


class KafkaSplit(NamedTuple):
    """What one reader reads in one go."""

    id: str  # safe as a file name
    topic: str
    ranges: tuple[OffsetRange, ...]


class OffsetsGone(UnreadableInput):
    """Records that were to be read aren't there any more."""


def splits_of(
    topic: str, number: int, ranges: Iterable[OffsetRange], size: int = SPLIT_RECORDS, *,
    origin: str = "", first: int = 0,
) -> list[KafkaSplit]:  # fmt: skip
    """Ranges as splits of `size` records at most, all of them alike: workers shall end together.
    Small partitions share a split.

    `number` is the increment's: names are in the order of time. `origin` tells topics of one name
    apart; `first` is the place of the first split among those of its increment."""
    ranges = list(ranges)
    records = sum(each.records for each in ranges)
    share = math.ceil(records / math.ceil(records / size)) if records else 0
    packs: list[list[OffsetRange]] = []
    room = 0
    for partition, start, end in sorted(ranges):
        while start < end:
            if not room:
                packs.append([])
                room = share
            taken = min(room, end - start)
            packs[-1].append(OffsetRange(partition, start, start + taken))
            start, room = start + taken, room - taken
    return [
        KafkaSplit(
            kafka_split(topic, number, place, _digest(f"{origin}{topic}", pack)), topic, tuple(pack)
        )
        for place, pack in enumerate(packs, first)
    ]


def _digest(topic: str, ranges: Iterable[OffsetRange]) -> str:
    offsets = " ".join(f"{each.partition}:{each.start}-{each.end}" for each in ranges)
    return hashlib.sha256(f"{topic} {offsets}".encode()).hexdigest()[:10]


@dataclass(frozen=True)
class KafkaRanges(Source):
    """Splits of a cluster's topics, as the source of a bounded job."""

    cluster: KafkaCluster
    splits: tuple[KafkaSplit, ...]
    shown: str
    whole: frozenset[str] = frozenset()  # topics from whose midst no record may be missing

    def lines(self) -> beam.PTransform:
        from transforms.read.stages import ReadSplits

        return ReadSplits(self.splits, partial(read_ranges, self.cluster, whole=self.whole))


def read_ranges(
    cluster: KafkaCluster, split: KafkaSplit, *, whole: frozenset[str] = frozenset()
) -> Generator[RawLine, None, int]:
    """The lines of a split: every record of every range, in order. Returns how many offsets have
    none.

    Offsets without a record are passed over, as the marks of transactions are such, unless the
    topic is to be `whole`. Raises OffsetsGone where records aren't there any more, UnreadableInput
    where the brokers stay away."""
    holes = 0
    if stand_in := stand_in_of(cluster):
        for wanted in split.ranges:
            holes += yield from _records(stand_in, split, wanted)
        return holes
    consumer = Consumer(
        {
            **cluster.for_librdkafka(),
            "group.id": "el_beam",  # that librdkafka wants; nothing is committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "fetch.wait.max.ms": 10,  # all is there; a fetch that waits holds up the next range
            "queued.max.messages.kbytes": 32 * 1024,
            "log_level": 0,
        }
    )
    try:
        for wanted in split.ranges:
            holes += yield from _range(consumer, split, wanted, split.topic not in whole)
    except KafkaException as error:
        raise UnreadableInput(f"cannot read {split.topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return holes


def _records(
    broker: StandIn, split: KafkaSplit, wanted: OffsetRange
) -> Generator[RawLine, None, int]:
    partition, start, end = wanted
    name, lines = f"{split.topic}/{partition}", 0
    for offset, value, time_ in broker.records((split.topic, partition), start, end):
        yield RawLine(value.removesuffix(b"\n"), Origin("kafka", name, offset, time_, split.id))
        lines += 1
    return wanted.records - lines


def _range(
    consumer: Consumer, split: KafkaSplit, wanted: OffsetRange, holes: bool
) -> Generator[RawLine, None, int]:
    partition, position, end = wanted
    passed_over = 0
    name = f"{split.topic}/{partition}"
    consumer.assign([TopicPartition(split.topic, partition, position)])
    heard = time.monotonic()
    while position < end:
        for message in consumer.consume(min(_TOGETHER, end - position), _WAIT):
            heard = time.monotonic()
            offset = message.offset()
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    _judge(error, name, position)
                    continue
                if offset is None or offset < end:
                    raise OffsetsGone(f"{name} ends at {offset}, before {end}: {_ANEW}")
            assert offset is not None
            if offset > position and not holes:
                raise OffsetsGone(f"records {position} to {min(offset, end) - 1} of {name} {_HOLE}")
            passed_over += min(offset, end) - position
            position = offset
            if offset >= end:
                break
            yield _line(message, name, offset, split.id)
            position += 1
            if position == end:
                break
        if time.monotonic() - heard > _PATIENCE:
            raise UnreadableInput(f"no answer about {name}@{position} for {_PATIENCE:.0f} s")
    return passed_over


def _judge(error: KafkaError, name: str, position: int) -> None:
    """Raise what a record's error means; the client itself retries after transient ones."""
    kind = kind_of(error)
    if kind is ErrorKind.OFFSETS_GONE:
        raise OffsetsGone(f"records from {position} of {name} are gone: they have expired")
    if kind in (ErrorKind.NO_TOPIC, ErrorKind.DENIED):
        raise UnreadableInput(f"cannot read {name}: {error.str()}")


def _line(message: Message, name: str, offset: int, split: str) -> RawLine:
    kind, milliseconds = message.timestamp()
    received = 0.0 if kind == TIMESTAMP_NOT_AVAILABLE else record_time(milliseconds)
    value: Any = message.value() or b""
    return RawLine(value.removesuffix(b"\n"), Origin("kafka", name, offset, received, split))
