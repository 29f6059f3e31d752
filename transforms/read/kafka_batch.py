"""Python's half of the read in runners/java/kafka-batches: what that is asked, and what it gives.

It gives batches, each of records of one partition, in the order of their offsets. Their layout is
that of PartitionBatch.java: columns, which are opened in one call each.
"""

from collections.abc import Iterator, Mapping
from struct import Struct, error, unpack_from
from typing import Final, NamedTuple

from schemas.event import Origin, RawLine
from schemas.times import record_time

READ: Final = "el_beam:transform:kafka_batches:v1"
"""Its name. The version is that of KafkaRead and of the layout."""
_HEAD = Struct(">iii")  # partition, number of records, length of the topic's name


class KafkaRead(NamedTuple):
    """What it is asked. Beam reads these types: they must not become texts, as they do in modules
    whose annotations are evaluated later."""

    consumer: Mapping[str, str]  # the Java consumer's configuration
    topics: list[str]


def lines_of(batch: bytes) -> Iterator[RawLine]:
    """The records of a batch as lines. Their split is their partition, their offset the record's.

    Raises ValueError for other bytes."""
    try:
        number, count, length = _HEAD.unpack_from(batch)
        at = _HEAD.size + length
        partition = f"{batch[_HEAD.size : at].decode()}/{number}"
        offsets = unpack_from(f">{count}q", batch, at)
        times = unpack_from(f">{count}q", batch, at + 8 * count)
        sizes = unpack_from(f">{count}i", batch, at + 16 * count)
    except error as its:
        raise ValueError(f"{len(batch)} bytes are not a batch of records: {its}") from its
    at += 20 * count
    if at + sum(sizes) != len(batch):
        raise ValueError(f"{len(batch)} bytes are not a batch of records: {sum(sizes)} are values")
    for offset, time, size in zip(offsets, times, sizes, strict=True):
        data = batch[at : at + size].removesuffix(b"\n")
        at += size
        yield RawLine(data, Origin("kafka", partition, offset, record_time(time), partition))
