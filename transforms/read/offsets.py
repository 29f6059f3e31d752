"""Ranges of offsets: pure functions on sets of records."""

from collections.abc import Iterable
from typing import NamedTuple


class OffsetRange(NamedTuple):
    """Records of a partition, from `start` until before `end`."""

    partition: int
    start: int
    end: int

    @property
    def records(self) -> int:
        return self.end - self.start


class UnreadPlace(NamedTuple):
    """From where on a partition can't be read: its first open transaction begins there."""

    topic: str
    partition: int
    offset: int
    time: float = 0.0  # unix seconds, of its first record

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


Ranges = tuple[OffsetRange, ...]


def united(ranges: Iterable[OffsetRange]) -> Ranges:
    """The same records as few ranges, in order."""
    found: list[OffsetRange] = []
    for each in sorted(ranges):
        if each.records <= 0:
            continue
        last = found[-1] if found else None
        if last and last.partition == each.partition and each.start <= last.end:
            found[-1] = last._replace(end=max(last.end, each.end))
        else:
            found.append(each)
    return tuple(found)


def common(some: Iterable[OffsetRange], others: Iterable[OffsetRange]) -> Ranges:
    """The records that are in both."""
    others = united(others)
    return tuple(
        OffsetRange(one.partition, max(one.start, other.start), min(one.end, other.end))
        for one in united(some)
        for other in others
        if one.partition == other.partition
        and max(one.start, other.start) < min(one.end, other.end)
    )


def without(some: Iterable[OffsetRange], others: Iterable[OffsetRange]) -> Ranges:
    """The records of the first that are not among the others."""
    left = []
    others = united(others)
    for partition, start, end in united(some):
        for other in others:
            if other.partition == partition and start < other.end and other.start < end:
                if start < other.start:
                    left.append(OffsetRange(partition, start, other.start))
                start = other.end
        if start < end:
            left.append(OffsetRange(partition, start, end))
    return tuple(left)


def within(ranges: Iterable[OffsetRange], partition: int, offset: int) -> bool:
    """Whether a record is in any of these ranges."""
    return any(each.partition == partition and each.start <= offset < each.end for each in ranges)
