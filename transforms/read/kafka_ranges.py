"""KafkaRanges: lines from given offsets of Kafka topics, no more and no fewer.

A split is one or more ranges of a topic's partitions; its name and bounds depend on the ranges
alone. The reader ends at the end of each range, whatever has come since, and never commits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from transforms.io.kafka.broker import KafkaRecord, Partition, StandIn, broker_of, stand_in_of
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import ErrorKind, denied, kind_of
from transforms.io.world import CLOCK
from transforms.layout import kafka_split
from transforms.read.lines import Source
from transforms.read.offsets import OffsetRange, UnreadPlace
from transforms.read.receipt import LastRecord, Rest, newest

if TYPE_CHECKING:
    import apache_beam as beam

SPLIT_RECORDS: Final = 250_000  # unless the source says otherwise
LONG_TRANSACTION: Final = 60.0  # seconds that one may be open until people hear of it
_TOGETHER: Final = 2_000  # records that are asked for at once
_PATIENCE: Final = 600.0  # seconds without a record, while brokers are away
_FIRM: Final = 30.0  # the same, while a broker gives an answer that lasts
_WAIT: Final = 0.1  # seconds in which records are gathered; there may be fewer than are asked for
_ANEW: Final = "the topic was made anew, or a broker has lost what it had"


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
) -> Generator[RawLine, None, Rest]:
    """The lines of a split: every record of every range, in order. Returns how many offsets have
    none, and the last record of each partition.

    Offsets without a record are passed over; if the topic is to be `whole`, only those that never
    had one, as the marks of transactions. Raises OffsetsGone where records aren't there any more,
    UnreadableInput where the brokers stay away, or have an answer that lasts."""
    holes, last = 0, list[LastRecord]()
    if stand_in := stand_in_of(cluster):
        for wanted in split.ranges:
            rest = yield from _records(stand_in, split, wanted)
            holes, last = holes + rest.holes, [*last, *rest.last]
        return Rest(holes, newest(last))
    with _reading(cluster, split.topic) as consumer:
        for wanted in split.ranges:
            rest = yield from _range(consumer, split, wanted)
            if rest.holes and split.topic in whole:
                _check_whole(cluster, split.topic, wanted)
            holes, last = holes + rest.holes, [*last, *rest.last]
    return Rest(holes, newest(last))


@contextmanager
def _reading(cluster: KafkaCluster, topic: str, **more: Any) -> Iterator[Consumer]:
    """A consumer of ranges that were noted elsewhere. Its errors become UnreadableInput."""
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
            **more,
        }
    )
    try:
        yield consumer
    except KafkaException as error:
        raise UnreadableInput(f"cannot read {topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _records(
    broker: StandIn, split: KafkaSplit, wanted: OffsetRange
) -> Generator[RawLine, None, Rest]:
    partition, start, end = wanted
    name, lines, last = f"{split.topic}/{partition}", 0, None
    for record in broker.records((split.topic, partition), start, end):
        offset, value, time, _ = last = record
        yield RawLine(value.removesuffix(b"\n"), Origin("kafka", name, offset, time, split.id))
        lines += 1
    return Rest(wanted.records - lines, (_last_of(partition, last),) if last else ())


def _last_of(partition: int, record: KafkaRecord) -> LastRecord:
    offset, value, time, epoch = record
    return LastRecord.of(partition, offset, round(time * 1000), b"", value, epoch)


def _range(
    consumer: Consumer, split: KafkaSplit, wanted: OffsetRange
) -> Generator[RawLine, None, Rest]:
    lines, last = 0, None
    name = f"{split.topic}/{wanted.partition}"
    for message, offset in _messages(consumer, split.topic, wanted):
        if offset < wanted.end:
            yield _line(message, name, offset, split.id)
            lines, last = lines + 1, message
    return Rest(wanted.records - lines, (_last(last),) if last else ())


def _messages(consumer: Consumer, topic: str, wanted: OffsetRange) -> Iterator[tuple[Message, int]]:
    """The records of a range, each with its offset; and the first one after it, if the range ends
    with offsets that have none and the partition goes on."""
    partition, position, end = wanted
    name = f"{topic}/{partition}"
    consumer.assign([TopicPartition(topic, partition, position)])
    got, answer = CLOCK.monotonic(), None  # when there was a record, and what was said since
    while position < end:
        for message in consumer.consume(min(_TOGETHER, end - position), _WAIT):
            offset = message.offset()
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    _judge(error, topic, name, position)
                    answer = error
                    continue
                if offset is None or offset < end:
                    raise OffsetsGone(f"{name} ends at {offset}, before {end}: {_ANEW}")
                return
            assert offset is not None
            yield message, offset
            position, got, answer = offset + 1, CLOCK.monotonic(), None
            if position >= end:
                return
        lasts = answer and not kind_of(answer).transient
        patience = min(_FIRM, _PATIENCE) if lasts else _PATIENCE
        if CLOCK.monotonic() - got > patience:
            told = f"{answer.str()} ({answer.name()})" if answer else "no answer"
            raise UnreadableInput(f"no record of {name}@{position} for {patience:.0f} s: {told}")


def _check_whole(cluster: KafkaCluster, topic: str, wanted: OffsetRange) -> None:
    """Raise OffsetsGone if records are missing from a range: if it has fewer than offsets, though
    marks of transactions are counted, and what transactions had that were given up.

    Only the client's own counts tell of marks, which it takes in like records and gives to nobody.
    They are clear while it has given all that it has fetched, so it fetches slowly."""
    snapshots: list[str] = []
    options = {
        "isolation.level": "read_uncommitted",
        "queued.min.messages": 1,
        "fetch.queue.backoff.ms": 200,
        "statistics.interval.ms": 20,
        "stats_cb": snapshots.append,
    }
    partition, start, end = wanted
    with _reading(cluster, topic, **options) as consumer:
        for _ in _messages(consumer, topic, wanted):
            pass
        until = CLOCK.monotonic() + _FIRM
        while True:
            for snapshot in snapshots:
                known = json.loads(snapshot)["topics"].get(topic, {"partitions": {}})["partitions"]
                if (counts := known.get(f"{partition}")) is None:
                    continue  # the brokers have not answered yet
                given = counts["app_offset"]
                if given >= end and given == counts["next_offset"]:
                    if missing := given - start - counts["rxmsgs"]:
                        raise OffsetsGone(
                            f"{missing:,} of the records {start} to {given - 1} of "
                            f"{topic}/{partition} are not there: compacted away"
                        )
                    return
            snapshots.clear()
            if CLOCK.monotonic() > until:
                raise UnreadableInput(f"cannot see whether {topic}/{partition} is whole: try again")
            consumer.consume(_TOGETHER, 0.05)


def _judge(error: KafkaError, topic: str, name: str, position: int) -> None:
    """Raise what a record's error means; the client itself retries after transient ones."""
    kind = kind_of(error)
    if kind is ErrorKind.OFFSETS_GONE:
        raise OffsetsGone(f"records from {position} of {name} are gone: they have expired")
    if kind is ErrorKind.DENIED:
        raise UnreadableInput(f"cannot read {name}: {denied(error, f'Read on topic {topic}')}")
    if kind is ErrorKind.NO_TOPIC:
        raise UnreadableInput(f"cannot read {name}: {error.str()}")


def _last(message: Message) -> LastRecord:
    partition: Any = message.partition()
    offset: Any = message.offset()
    key: Any = message.key() or b""
    value: Any = message.value() or b""
    epoch = message.leader_epoch()
    return LastRecord.of(
        partition, offset, message.timestamp()[1], key, value, -1 if epoch is None else epoch
    )


def records_at(
    cluster: KafkaCluster, places: Mapping[Partition, int], *, committed: bool = True
) -> dict[Partition, LastRecord]:
    """What partitions have at these offsets, or next after them; transactions that are open count
    if it needn't be `committed`. Partitions whose records are gone or can't be read are left out.

    Raises UnreadableInput where the brokers say nothing of any for half a minute."""
    found: dict[Partition, LastRecord] = {}
    if stand_in := stand_in_of(cluster):
        for place, offset in places.items():
            with suppress(UnreadableInput):
                for record in stand_in.records(place, offset, offset + 1):
                    found[place] = _last_of(place[1], record)
        return found
    silent = {*places}
    small = {
        "fetch.message.max.bytes": 64 * 1024,  # of each partition, or a batch
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    with _reading(cluster, ", ".join(sorted({topic for topic, _ in places})), **small) as consumer:
        consumer.assign([TopicPartition(*place, offset) for place, offset in places.items()])
        heard = CLOCK.monotonic()
        while silent:
            if CLOCK.monotonic() - heard > _FIRM:
                where = "{}/{}".format(*min(silent))
                raise UnreadableInput(f"no broker says in {_FIRM:.0f} s what is in {where}")
            for message in consumer.consume(len(silent), _WAIT):
                topic, number = message.topic(), message.partition()
                place = str(topic), -1 if number is None else number
                error = message.error()
                if place not in silent or (error and kind_of(error).transient):
                    continue
                if not error:
                    found[place] = _last(message)
                silent.discard(place)
                consumer.pause([TopicPartition(*place)])  # what follows would be fetched, too
                heard = CLOCK.monotonic()
    return found


def unread(cluster: KafkaCluster, counts: Mapping[str, int]) -> list[UnreadPlace]:
    """Where topics with these numbers of partitions can't be read to their ends, for a transaction
    is open. Raises KafkaAway, UnreadableInput."""
    if not (starts := broker_of(cluster).unstable(counts)):
        return []
    first = records_at(cluster, starts, committed=False)
    return [
        UnreadPlace(topic, number, offset, record_time(its.time) if its else 0.0)
        for (topic, number), offset in sorted(starts.items())
        for its in (first.get((topic, number)),)
    ]


def _line(message: Message, name: str, offset: int, split: str) -> RawLine:
    kind, milliseconds = message.timestamp()
    received = 0.0 if kind == TIMESTAMP_NOT_AVAILABLE else record_time(milliseconds)
    value: Any = message.value() or b""
    return RawLine(value.removesuffix(b"\n"), Origin("kafka", name, offset, received, split))
