"""Splits of offset ranges: every record in one of them, whatever the sizes."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.errors import UnreadableInput
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.world import Clock, ticking
from transforms.read.kafka_ranges import records_at, splits_of
from transforms.read.offsets import OffsetRange

RANGES = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 5_000)), max_size=8
).map(
    lambda found: [OffsetRange(n, start, start + length) for n, (start, length) in enumerate(found)]
)  # fmt: skip


@given(RANGES, st.integers(1, 3_000))
def test_every_record_is_in_one_split(ranges: list[OffsetRange], size: int) -> None:
    splits = splits_of("raw", 3, ranges, size)
    parts = [part for split in splits for part in split.ranges]
    joined: list[OffsetRange] = []
    for part in parts:
        assert part.records > 0
        if joined and joined[-1].partition == part.partition:
            assert joined[-1].end == part.start
            joined[-1] = joined[-1]._replace(end=part.end)
        else:
            joined.append(part)
    assert joined == [each for each in ranges if each.records]
    records = [sum(part.records for part in split.ranges) for split in splits]
    fewest = math.ceil(sum(records) / size)
    assert len(records) <= fewest
    if records:
        assert {*records[:-1]} <= {max(records)}
        assert max(records) <= size
        assert 0 <= max(records) - records[-1] < fewest
    names = [split.id for split in splits]
    assert len({*names}) == len(names)
    assert names[:1_000] == sorted(names[:1_000])
    assert splits_of("raw", 3, ranges[::-1], size) == splits
    assert pickle.loads(pickle.dumps(splits)) == splits


def test_names() -> None:
    (split,) = splits_of("x" * 300 + ".Edit-1", 42, [OffsetRange(0, 0, 5)])
    assert split.id.startswith("x" * 73 + ".Edit-1-00000042-000-")
    assert len(split.id) < 120
    other = splits_of("y" * 300 + ".Edit-1", 42, [OffsetRange(0, 0, 5)])[0]
    again = splits_of("x" * 300 + ".Edit-1", 42, [OffsetRange(0, 0, 6)])[0]
    assert len({split.id[-10:], other.id[-10:], again.id[-10:]}) == 3


def test_nothing_new() -> None:
    assert splits_of("raw", 1, []) == []
    assert splits_of("raw", 1, [OffsetRange(0, 7, 7)]) == []


class _Hurried(Clock):
    """A minute of it takes a second."""

    def monotonic(self) -> float:
        return super().monotonic() * 60


def test_silence_is_no_answer() -> None:
    """Where nobody says what is there, nobody may take it for what was there."""
    cluster = KafkaCluster("127.0.0.1:9")
    with ticking(_Hurried()), pytest.raises(UnreadableInput, match="no broker says in 30 s what"):
        records_at(cluster, {("raw", 0): 5})
