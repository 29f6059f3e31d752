"""What increments read: every record once, whatever comes, expires or dies in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam.books.state.state import Commit, Intent, StateError
from el_beam.running.increments.planning import TopicFacts, check, intend
from transforms.read.kafka_ranges import OffsetRange

Bounds = dict[int, tuple[int, int]]


def topic(bounds: Bounds, id_: str = "id") -> TopicFacts:
    return TopicFacts("raw", id_, bounds)


def ranges(intent: Intent | None) -> list[OffsetRange]:
    return [each for split in intent.splits for each in split.ranges] if intent else []


def test_from_the_start() -> None:
    found = intend(None, None, topic({0: (5, 9), 1: (0, 0), 2: (0, 3)}), skip=False)
    assert found is not None
    assert ranges(found) == [OffsetRange(0, 5, 9), OffsetRange(2, 0, 3)]
    assert (found.number, found.ends, found.expired) == (1, {0: 9, 2: 3}, ())


def test_nothing_new() -> None:
    last = Commit(4, {0: 9, 1: 2}, "id")
    assert intend(last, None, topic({0: (5, 9), 1: (2, 2)}), skip=False) is None


def test_a_new_partition() -> None:
    last = Commit(4, {0: 9}, "id")
    found = intend(last, None, topic({0: (5, 9), 1: (0, 2)}), skip=False)
    assert found is not None
    assert (found.number, ranges(found), found.ends) == (5, [OffsetRange(1, 0, 2)], {0: 9, 1: 2})


def test_what_was_intended_comes_first() -> None:
    before = intend(None, None, topic({0: (0, 9)}), skip=False)
    again = intend(None, before, topic({0: (0, 50), 1: (0, 7)}), skip=False)
    assert before is not None and again is not None
    assert (again.splits, again.ends) == (before.splits, {0: 9})


def test_expired() -> None:
    last = Commit(1, {0: 10, 1: 5}, "id")
    there = topic({0: (13, 20), 1: (0, 5)})
    with pytest.raises(StateError, match=r"offsets 10 to 12 of raw/0 expired .* --on-expired skip"):
        intend(last, None, there, skip=False)
    found = intend(last, None, there, skip=True)
    assert found is not None
    assert found.expired == (OffsetRange(0, 10, 13),)
    assert (ranges(found), found.ends) == ([OffsetRange(0, 13, 20)], {0: 20, 1: 5})


def test_all_of_it_expired() -> None:
    last = Commit(1, {0: 10}, "id")
    found = intend(last, None, topic({0: (20, 20)}), skip=True)
    assert found is not None
    assert (found.splits, found.expired, found.ends) == ((), (OffsetRange(0, 10, 20),), {0: 20})


def test_expired_before_it_was_done() -> None:
    before = intend(None, None, topic({0: (0, 9), 1: (0, 4)}), skip=False)
    there = topic({0: (7, 30), 1: (0, 9)})
    with pytest.raises(StateError, match="offsets 0 to 6 of raw/0 expired"):
        intend(None, before, there, skip=False)
    found = intend(None, before, there, skip=True)
    assert ranges(found) == [OffsetRange(0, 7, 9), OffsetRange(1, 0, 4)]


def test_offsets_of_another_time() -> None:
    last = Commit(1, {0: 10}, "id")
    check(None, topic({}), "")
    check(last, topic({0: (0, 10)}), "")
    check(Commit(2, {0: 0}), topic({0: (0, 0)}, "new"), "")  # after a reset
    with pytest.raises(StateError, match="not the topic that was read before, but a new one: so"):
        check(last, topic({0: (0, 99)}, "new"), "so")
    with pytest.raises(StateError, match="raw/0 ends at 9, but was read to 10: a broker has lost"):
        check(last, topic({0: (0, 9)}), "so")


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 40), min_size=3, max_size=3), st.booleans()), max_size=12
    )
)
def test_every_record_once(rounds: list[tuple[list[int], bool]]) -> None:
    """Records come to three partitions; some increments die and are done again."""
    highs = [0, 0, 0]
    last: Commit | None = None
    before: Intent | None = None
    read: list[tuple[int, int]] = []
    for new, dies in [*rounds, ([0, 0, 0], False), ([0, 0, 0], False)]:
        highs = [high + more for high, more in zip(highs, new, strict=True)]
        there = topic({partition: (0, high) for partition, high in enumerate(highs)})
        found = intend(last, before, there, skip=False)
        if dies or found is None:
            before = found or before
            continue
        before = None
        read += [(each.partition, offset) for each in ranges(found)
                 for offset in range(each.start, each.end)]  # fmt: skip
        last = Commit(found.number, found.ends, "id")
    wanted = [(partition, offset) for partition in range(3) for offset in range(highs[partition])]
    assert sorted(read) == wanted


def test_much_comes_in_parts() -> None:
    found = intend(None, None, topic({0: (0, 100), 1: (0, 3)}), skip=False, most=10)
    assert ranges(found) == [OffsetRange(0, 0, 5), OffsetRange(1, 0, 3)]
