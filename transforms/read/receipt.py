"""What a reader says that it has read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple


class LastRecord(NamedTuple):
    """What tells the last record that was read of a partition from others that may have its offset
    one day: brokers lose records, and give their offsets to those that come next."""

    partition: int
    offset: int
    time: int  # milliseconds, as the record has it
    digest: int  # of its key and its value
    epoch: int = -1  # of the partition's leader that took it in; -1 where brokers don't say

    @classmethod
    def of(
        cls, partition: int, offset: int, time: int, key: bytes, value: bytes, epoch: int = -1
    ) -> LastRecord:
        return cls(partition, offset, time, zlib.crc32(value, zlib.crc32(key)), epoch)


def newest(records: Iterable[LastRecord]) -> tuple[LastRecord, ...]:
    """The last ones of each partition."""
    found = {each.partition: each for each in sorted(records)}
    return tuple(sorted(found.values()))


class Rest(NamedTuple):
    """What a reader says when it has given all lines of a split."""

    holes: int = 0  # offsets without a record, which were passed over
    last: tuple[LastRecord, ...] = ()  # of each partition


class ReadReceipt(NamedTuple):
    """What was read of a split, by its reader: one side of the books."""

    split: str
    lines: int
    size: int  # bytes of the lines, without line ends
    holes: int = 0  # offsets without a record, which were passed over
    last: tuple[LastRecord, ...] = ()  # of each partition
