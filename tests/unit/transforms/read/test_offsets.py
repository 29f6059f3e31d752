"""Ranges of offsets say what sets of records would."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transforms.read.offsets import OffsetRange, Ranges, common, united, without

RANGES = st.lists(st.builds(OffsetRange, st.integers(0, 2), st.integers(0, 20), st.integers(0, 20)))
"""Some overlap, some touch, and some are empty or end before they start."""


def records(ranges: Iterable[OffsetRange]) -> set[tuple[int, int]]:
    """(partition, offset) of each."""
    return {(each.partition, offset) for each in ranges for offset in range(each.start, each.end)}


def is_short(ranges: Ranges) -> bool:
    """Whether they are in order, none of them is empty, and none could be one with the next."""
    pairs = pairwise(ranges)
    return all(each.records > 0 for each in ranges) and all(
        one.partition < other.partition
        or (one.partition == other.partition and one.end < other.start)
        for one, other in pairs
    )


@given(RANGES)
def test_united(ranges: list[OffsetRange]) -> None:
    found = united(ranges)
    assert records(found) == records(ranges)
    assert sum(each.records for each in found) == len(records(ranges))
    assert is_short(found)


@given(RANGES, RANGES)
def test_common(some: list[OffsetRange], others: list[OffsetRange]) -> None:
    found = common(some, others)
    assert records(found) == records(some) & records(others)
    assert is_short(found)


@given(RANGES, RANGES)
def test_without(some: list[OffsetRange], others: list[OffsetRange]) -> None:
    found = without(some, others)
    assert records(found) == records(some) - records(others)
    assert is_short(found)


@given(RANGES, RANGES)
def test_what_is_common_and_what_is_not_are_all(
    some: list[OffsetRange], others: list[OffsetRange]
) -> None:
    assert united((*common(some, others), *without(some, others))) == united(some)


def test_how_many_records() -> None:
    assert OffsetRange(3, 5, 12).records == 7
