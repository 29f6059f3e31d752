"""What increments read: every record once, whatever comes, expires or dies in between."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam.books.state.state import Attempt, Commit, Intent, State, StateError
from el_beam.running.increments.planning import TopicFacts, TopicPlan, check, intend, plan
from transforms.line_time import NEWEST_RULE
from transforms.read.offsets import OffsetRange, Ranges, united

Bounds = dict[int, tuple[int, int]]


def topic(bounds: Bounds, id_: str = "id") -> TopicFacts:
    return TopicFacts("raw", id_, bounds)


def intended(
    last: Commit | None, before: Intent | None, there: TopicFacts, *, skip: bool = False,
    most: int = 1000,
) -> Intent | None:  # fmt: skip
    """What comes after `last`, where no folder knows anything of the topic."""
    number, done = (last.number + 1, last.ends) if last else (1, {})
    return intend(number, done, before, there, skip=skip, most=most).intent


def ranges(intent: Intent | None) -> list[OffsetRange]:
    return [each for split in intent.splits for each in split.ranges] if intent else []


def test_from_the_start() -> None:
    found = intended(None, None, topic({0: (5, 9), 1: (0, 0), 2: (0, 3)}))
    assert found is not None
    assert ranges(found) == [OffsetRange(0, 5, 9), OffsetRange(2, 0, 3)]
    assert (found.number, found.ends, found.expired) == (1, {0: 9, 2: 3}, ())


def test_nothing_new() -> None:
    last = Commit(4, {0: 9, 1: 2}, "id")
    assert intended(last, None, topic({0: (5, 9), 1: (2, 2)})) is None


def test_a_new_partition() -> None:
    last = Commit(4, {0: 9}, "id")
    found = intended(last, None, topic({0: (5, 9), 1: (0, 2)}))
    assert found is not None
    assert (found.number, ranges(found), found.ends) == (5, [OffsetRange(1, 0, 2)], {0: 9, 1: 2})


def test_what_was_intended_comes_first() -> None:
    before = intended(None, None, topic({0: (0, 9)}))
    again = intended(None, before, topic({0: (0, 50), 1: (0, 7)}))
    assert before is not None and again is not None
    assert (again.splits, again.ends) == (before.splits, {0: 9})
    assert again.time_rule == before.time_rule == NEWEST_RULE
    old = intended(None, replace(before, time_rule=1), topic({0: (0, 9)}))
    assert old is not None and old.time_rule == 1, "a folder may have a part of it already"


def test_expired() -> None:
    last = Commit(1, {0: 10, 1: 5}, "id")
    there = topic({0: (13, 20), 1: (0, 5)})
    with pytest.raises(StateError, match=r"offsets 10 to 12 of raw/0 expired .* --on-expired skip"):
        intended(last, None, there)
    found = intended(last, None, there, skip=True)
    assert found is not None
    assert found.expired == (OffsetRange(0, 10, 13),)
    assert (ranges(found), found.ends) == ([OffsetRange(0, 13, 20)], {0: 20, 1: 5})


def test_all_of_it_expired() -> None:
    last = Commit(1, {0: 10}, "id")
    found = intended(last, None, topic({0: (20, 20)}), skip=True)
    assert found is not None
    assert (found.splits, found.expired, found.ends) == ((), (OffsetRange(0, 10, 20),), {0: 20})


def test_expired_before_it_was_done() -> None:
    before = intended(None, None, topic({0: (0, 9), 1: (0, 4)}))
    there = topic({0: (7, 30), 1: (0, 9)})
    with pytest.raises(StateError, match="offsets 0 to 6 of raw/0 expired"):
        intended(None, before, there)
    found = intended(None, before, there, skip=True)
    assert ranges(found) == [OffsetRange(0, 7, 9), OffsetRange(1, 0, 4)]


def test_offsets_of_another_time() -> None:
    last = Commit(1, {0: 10}, "id")
    check(None, topic({}), "")
    check(last, topic({0: (0, 10)}), "")
    check(Commit(2, {0: 0}), topic({0: (0, 0)}, "new"), "")  # after a reset
    new = r"not the topic that was read before, but a new one: `el reset --to 0:7,1:0 --yes`"
    with pytest.raises(StateError, match=new):
        check(last, topic({0: (7, 99), 1: (0, 4)}, "new"), "el reset")
    lost = "raw/0 ends at 9, but was read to 10: a broker has lost records; `el reset --to 0:9 --ag"
    with pytest.raises(StateError, match=lost):
        check(last, topic({0: (0, 9), 1: (0, 4)}), "el reset")


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
        found = intended(last, before, there)
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
    found = intended(None, None, topic({0: (0, 100), 1: (0, 3)}), most=10)
    assert ranges(found) == [OffsetRange(0, 0, 5), OffsetRange(1, 0, 3)]


def held(*ranges: tuple[int, int], partition: int = 0) -> Ranges:
    return tuple(OffsetRange(partition, start, end) for start, end in ranges)


def by_holders(intent: Intent) -> dict[frozenset[str], Ranges]:
    """Folders that have them already -> what is read for the others."""
    found: dict[frozenset[str], Ranges] = {}
    for split in intent.splits:
        folders = intent.held.get(split.id, frozenset())
        found[folders] = united((*found.get(folders, ()), *split.ranges))
    return found


def test_what_all_folders_hold_is_skipped() -> None:
    """Though the state knows nothing of it."""
    folders = {"p": held((0, 6), (10, 12)), "r": held((0, 7), (9, 12))}
    found = intend(1, {}, None, topic({0: (0, 20)}), folders, skip=False)
    assert found.skipped == held((0, 6), (10, 12))
    assert found.intent and found.ends is None
    assert by_holders(found.intent) == {
        frozenset(): held((7, 9), (12, 20)), frozenset("r"): held((6, 7), (9, 10))
    }  # fmt: skip
    assert found.intent.ends == {0: 20}


def test_where_all_hold_all_there_is_nothing_to_read() -> None:
    """The state goes on after it."""
    there = topic({0: (0, 20), 1: (0, 3)})
    all_of_it = (*held((0, 20)), *held((0, 3), partition=1))
    found = intend(4, {0: 5}, None, there, {"p": all_of_it, "r": all_of_it}, skip=False)
    assert (found.intent, found.ends) == (None, {0: 20, 1: 3})
    assert found.skipped == (*held((5, 20)), *held((0, 3), partition=1))
    assert intend(5, {0: 20, 1: 3}, None, there, {"p": all_of_it}, skip=False) == TopicPlan()


def test_a_sink_without_books_gets_what_the_folders_hold() -> None:
    there = topic({0: (0, 20)})
    found = intend(1, {}, None, there, {"p": held((0, 6))}, skip=False, all_keep_books=False)
    assert found.skipped == () and found.intent
    assert by_holders(found.intent) == {frozenset("p"): held((0, 6)), frozenset(): held((6, 20))}


def test_what_is_held_is_no_part_of_what_comes_at_once() -> None:
    """Or a state that is lost would go through all in small steps."""
    found = intend(1, {}, None, topic({0: (0, 100)}), {"p": held((0, 70))}, skip=False, most=10)
    assert found.intent and (ranges(found.intent), found.intent.ends) == (
        [*held((70, 80))],
        {0: 80},
    )


def test_what_expired_and_is_held_was_not_lost() -> None:
    found = intend(2, {0: 5}, None, topic({0: (12, 20)}), {"p": held((5, 12))}, skip=False)
    assert found.intent and found.intent.expired == ()
    with pytest.raises(StateError, match="offsets 11 to 11 of raw/0 expired"):
        intend(2, {0: 5}, None, topic({0: (12, 20)}), {"p": held((5, 11))}, skip=False)


def test_an_intent_is_made_anew_where_a_folder_has_more_by_now() -> None:
    """Whoever brought it; else it stays as it is, and its splits keep their names."""
    there, folders = topic({0: (0, 20)}), {"p": held((0, 4)), "r": held((0, 6))}
    first = intend(1, {}, None, there, folders, skip=False).intent
    assert first
    grown = topic({0: (0, 30)})
    assert intend(1, {}, first, grown, folders, skip=False).intent == first
    folders["p"] = held((0, 4), (8, 10))
    again = intend(1, {}, first, grown, folders, skip=False).intent
    assert again and again.ends == first.ends
    assert by_holders(again) == {
        frozenset("r"): held((4, 6)), frozenset("p"): held((8, 10)),
        frozenset(): held((6, 8), (10, 20)),
    }  # fmt: skip
    folders["r"] = folders["p"] = held((0, 20))
    done = intend(1, {}, first, grown, folders, skip=False)
    assert (done.intent, done.ends, done.skipped) == (None, {0: 20}, held((4, 20)))


RANGES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda at: (at[0], at[0] + at[1])),
    max_size=4,
).map(lambda found: united(held(*found)))


@given(RANGES, RANGES, st.integers(0, 30), st.integers(0, 30), st.integers(1, 40), st.booleans())
def test_each_folder_gets_what_it_lacks(
    one: Ranges, two: Ranges, done: int, more: int, most: int, all_keep_books: bool
) -> None:
    """Exactly this: no record is read that no folder wants, and none is passed over."""
    folders, high = {"one": one, "two": two}, done + more
    found = intend(1, {0: done}, None, topic({0: (0, high)}), folders,
                   skip=False, most=most, all_keep_books=all_keep_books)  # fmt: skip
    end = (found.intent.ends if found.intent else found.ends or {0: done})[0]
    assert end > done or not more
    wanted = set(range(done, end))
    had = {folder: offsets_of(ranges) for folder, ranges in folders.items()}
    everywhere = had["one"] & had["two"] if all_keep_books else set()
    read = [offset for each in ranges(found.intent) for offset in range(each.start, each.end)]
    assert sorted(read) == sorted(wanted - everywhere)
    assert len(read) <= most
    assert offsets_of(found.skipped) == wanted & everywhere
    for holders, its in by_holders(found.intent).items() if found.intent else ():
        for folder in folders:
            assert offsets_of(its) <= had[folder] or not offsets_of(its) & had[folder]
            assert (folder in holders) == (offsets_of(its) <= had[folder])


def offsets_of(ranges: Ranges) -> set[int]:
    return {offset for each in ranges for offset in range(each.start, each.end)}


def test_a_new_topic_drops_what_was_intended(tmp_path: Path) -> None:
    """Its offsets are those of other records. An intent that names no topic stays."""
    for id_, dropped in (("old", True), ("", False)):
        state = State(f"{tmp_path}/{id_}").topic("raw")
        before = intend(1, {}, None, topic({0: (0, 9)}, id_), skip=False).intent
        assert before
        state.intend(before, Attempt(1, 1))
        found = plan(state, topic({0: (3, 50)}, "new"), {}, skip=True, most=1000,
                     all_keep_books=True).intent  # fmt: skip
        assert found and found.topic_id == "new"
        assert found.ends == ({0: 50} if dropped else {0: 9})
        assert (found.expired == ()) == dropped
