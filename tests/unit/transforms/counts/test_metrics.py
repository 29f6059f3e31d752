"""Totals of a counts topic: right after any kills, restarts, resends and zombies, at any time."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bad_event import Reason
from schemas.durable import DocumentError
from traffic.truth import absolute_totals
from transforms.counts import count
from transforms.counts.count import CountKey, Counts
from transforms.counts.totals import COUNTS, CountRecord, CountsTotals

KEYS = [CountKey(60 * m, name, 1, why) for m in (1, 2) for name in "ab" for why in ("", "bad_json")]
LONGEST_BUNDLE = 7


class Attempt:
    """One life of a job: a worker that goes on from a checkpoint, bundle by bundle."""

    def __init__(self, worker: str, at: int) -> None:
        self.worker, self.at = worker, at


class Partition:
    """A split, its lines (what becomes of each, at which offset), and jobs that read it."""

    def __init__(self, name: str, what: list[CountKey], gaps: list[int]) -> None:
        self.name, self.what = name, what
        self.offsets = [number + sum(gaps[: number + 1]) for number in range(len(what))]
        self.checkpoints = [0]
        self.running = Attempt(f"{name}0", 0)
        self.killed: list[Attempt] = []
        self.attempts = 0
        self.read = 0  # lines that any attempt has come to

    def bundle(self, size: int, attempt: Attempt | None = None) -> bytes | None:
        """The record of an attempt's next bundle; None where it has come to the end."""
        attempt = attempt or self.running
        first, after = attempt.at, min(attempt.at + size, len(self.what))
        if first == after:
            return None
        attempt.at, self.read = after, max(self.read, after)
        sums = tuple(Counter(self.what[first:after]).items())
        span = (self.offsets[first], self.offsets[after - 1])
        counts = Counts(self.name, *span, after - first, sums)
        return COUNTS.dump(CountRecord(attempt.worker, counts))

    def kill(self, checkpoint: int, *, same_worker: bool) -> None:
        """Go on from a checkpoint, in a new process or in one that outlived the job."""
        self.killed.append(self.running)
        self.attempts += 1
        worker = self.running.worker if same_worker else f"{self.name}{self.attempts}"
        self.running = Attempt(worker, checkpoint)
        self.checkpoints.append(checkpoint)

    @property
    def truth(self) -> Counter[CountKey]:
        """Of all lines that were read, each once."""
        return Counter(self.what[: self.read])


def partitions(random: Random, *, gaps: bool) -> list[Partition]:
    return [
        Partition(
            name,
            random.choices(KEYS, k=lines),
            [random.choice([0, 0, 0, 1, 3]) if gaps else 0 for _ in range(lines)],
        )
        for name in "pqr"[: random.randint(1, 3)]
        for lines in [random.randint(1, 60)]
    ]


def life(random: Random, splits: list[Partition], *, same_worker: bool) -> Iterator[bytes]:
    """What may happen to the jobs that read some splits, as their counts topic sees it."""
    for _ in range(random.randint(1, 100)):
        split = random.choice(splits)
        size = random.randint(1, LONGEST_BUNDLE)
        what = random.choice("bbbbbbcckzzr")
        record = None
        if what == "b":
            record = split.bundle(size)
        elif what == "c":
            split.checkpoints.append(split.running.at)
        elif what == "z" and split.killed:
            record = split.bundle(size, random.choice(split.killed))
        elif what in "kr":  # from the last checkpoint, or from any that there ever was
            known = split.checkpoints if what == "r" else split.checkpoints[-1:]
            same = same_worker and random.random() < 0.5
            split.kill(random.choice(known), same_worker=same)
        if record:
            yield record
            if random.random() < 0.1:  # sent twice
                yield record


def truth(splits: list[Partition]) -> Counter[CountKey]:
    return sum((split.truth for split in splits), Counter[CountKey]())


RANDOMS = st.randoms(use_true_random=True)  # a whole life of one seed: there are many lives


@settings(max_examples=1_000)
@given(RANDOMS)
def test_totals_are_the_truth_at_any_time(random: Random) -> None:
    splits = partitions(random, gaps=False)
    totals, log = CountsTotals(), []
    shown: Counter[CountKey] = Counter()  # what an exporter that is told of changes has
    for value in life(random, splits, same_worker=True):
        log.append(value)
        changed = totals.add(value)
        assert totals.totals() == truth(splits)
        assert totals.uncertain == 0
        shown.update({key: totals.totals().get(key, 0) - shown[key] for key in changed})
        assert shown == truth(splits)
    assert absolute_totals(log) == totals.totals()
    by_split = sorted(log, key=lambda value: COUNTS.load(value, "").counts.split)
    assert absolute_totals(by_split) == totals.totals()


@settings(max_examples=1_000)
@given(RANDOMS)
def test_offsets_without_lines_do_no_harm(random: Random) -> None:
    """Where a job is killed just before such a gap, lines may be uncertain for a while; none is
    ever counted twice, and none is missing that isn't said to be."""
    splits, totals = partitions(random, gaps=True), CountsTotals()
    for value in life(random, splits, same_worker=False):
        totals.add(value)
        if totals.uncertain:
            assert all(number <= truth(splits)[key] for key, number in totals.totals().items())
        else:
            assert totals.totals() == truth(splits)


@settings(max_examples=500)
@given(RANDOMS, st.integers(1, 4))
def test_what_is_forgotten_is_uncertain(random: Random, kept: int) -> None:
    """With no memory to speak of, and jobs that begin anywhere."""
    splits, totals = partitions(random, gaps=False), CountsTotals(kept)
    for value in life(random, splits, same_worker=False):
        totals.add(value)
        wanted = truth(splits)
        assert all(number <= wanted[key] for key, number in totals.totals().items())
        assert sum(totals.totals().values()) + totals.uncertain == wanted.total()
        if random.random() < 0.1:
            split = random.choice(splits)
            split.kill(random.randint(0, split.read), same_worker=False)


def record(
    worker: str, first: int, last: int, key: CountKey = KEYS[0], *, without: int = 0
) -> bytes:
    """Of a line at each offset, but for some."""
    lines = last - first + 1 - without
    return COUNTS.dump(CountRecord(worker, Counts("s", first, last, lines, ((key, lines),))))


def total(log: list[bytes]) -> tuple[int, int]:
    """(lines counted, lines uncertain)"""
    totals = CountsTotals()
    for each in log:
        totals.add(each)
    return sum(totals.totals().values()), totals.uncertain


def test_a_replay_takes_over_when_it_fits() -> None:
    log = [record("a", 0, 99), record("a", 100, 119), record("a", 120, 159)]
    assert total(log) == (160, 0)
    log += [record("b", 100, 149)]  # from the checkpoint at 100, in other bundles
    assert total(log) == (160, 0)
    log += [record("a", 160, 170)]  # a zombie
    assert total(log) == (171, 0)
    log += [record("b", 150, 180), record("a", 171, 175)]
    assert total(log) == (181, 0)


def test_everything_again_from_the_start() -> None:
    log = [record("a", n, n + 9) for n in range(0, 1_000, 10)]
    log += [record("b", n, n + 6) for n in range(0, 1_400, 7)]
    assert total(log) == (1_400, 0)


def test_the_later_verdict_is_believed() -> None:
    """A registry may learn a schema between two attempts."""
    log = [record("a", 0, 9, KEYS[1]), record("a", 10, 19), record("b", 0, 9, KEYS[0])]
    assert absolute_totals(log) == {KEYS[0]: 20}


def test_a_start_in_the_middle_of_a_record() -> None:
    """Says what it can't know, until another attempt knows it."""
    log = [record("a", 0, 9), record("a", 10, 29), record("b", 15, 24)]
    assert total(log) == (30, 0)
    log += [record("b", 25, 34)]
    assert total(log) == (30, 5)
    log += [record("b", 35, 39)]
    assert total(log) == (35, 5)
    log += [record("c", 10, 36), record("c", 37, 39)]
    assert total(log) == (40, 0)


def test_lines_that_were_left_out_can_be_added() -> None:
    log = [record("a", 0, 9), record("b", 50, 59), record("c", 20, 29)]
    assert total(log) == (30, 0)
    log += [record("c", 30, 49), record("d", 10, 54), record("d", 55, 55)]
    assert total(log) == (50, 0)  # 10..54 waits: it ends within b's record
    log += [record("d", 56, 60)]
    assert total(log) == (61, 0)


def test_a_worker_goes_over_offsets_without_lines() -> None:
    """There are no lines at 10..14, and whoever reads it ends a bundle just there."""
    log = [record("a", 0, 29, without=5)]
    log += [record("b", 0, 9), record("b", 15, 19), record("b", 20, 34)]
    assert total(log) == (30, 0)
    assert total([*log, record("c", 5, 17, without=5)]) == (30, 0)  # from anywhere: nothing new


def test_an_attempt_may_begin_after_offsets_without_lines() -> None:
    log = [record("a", 0, 29, without=5), record("b", 0, 9), record("b", 15, 19)]
    log += [record("c", 15, 24), record("c", 25, 39)]  # from where b ended a bundle
    assert total(log) == (35, 0)


def test_what_another_worker_has_read_is_no_gap() -> None:
    """b reads on from where c came to. It is not on from where b itself had come to."""
    log = [record("a", 0, 99), record("a", 100, 300), record("b", 100, 149)]
    log += [record("c", 150, 199), record("b", 205, 310)]  # there may be lines at 200..204
    assert total(log) == (301, 10)


def test_memory_is_bounded_with_gaps() -> None:
    totals = CountsTotals(kept=5)
    for n in range(0, 1_000, 10):
        totals.add(record("a", n, n + 8))
    assert len(totals._splits["s"].counted) <= 11
    assert totals.totals() == {KEYS[0]: 900}


def test_memory_is_bounded() -> None:
    totals = CountsTotals(kept=10)
    for n in range(0, 10_000, 10):
        totals.add(record("a", n, n + 9))
    for n in range(0, 9_000, 6):
        totals.add(record("b", n, n + 5))
    split = totals._splits["s"]
    assert len(split.counted) <= 21
    assert sum(len(chain) for _, chain in split._waiting) <= 21
    for n in range(9_000, 10_002, 6):  # b ends beyond a
        totals.add(record("b", n, n + 5))
    assert totals.totals() == {KEYS[0]: 10_002}
    assert totals.uncertain == 0


def test_dead_attempts_are_forgotten() -> None:
    totals = CountsTotals(kept=10)
    totals.add(record("a", 0, 99))
    for attempt in range(5):
        totals.add(record(f"b{attempt}", 0, 20 + attempt))
    assert len(totals._splits["s"]._waiting) == 5
    for n in range(100, 1_000, 10):
        totals.add(record("a", n, n + 9))
    assert not totals._splits["s"]._waiting


def test_forgotten_minutes_stay_forgotten() -> None:
    early, late = KEYS[0], KEYS[-1]
    assert early.minute < late.minute
    totals = CountsTotals()
    totals.add(record("a", 0, 9, early))
    totals.add(record("a", 10, 19, late))
    totals.forget(late.minute)
    assert totals.totals() == {late: 10}
    assert totals.add(record("a", 20, 29, early)) == set()
    assert totals.add(record("b", 0, 29, late)) == {late}
    assert totals.totals() == {late: 30}


def test_a_record_can_be_read_by_others() -> None:
    counts = Counts("raw/0", 7, 9, 3, ((CountKey(60, "Edit", 1, ""), 2), (KEYS[1], 1)))
    value = COUNTS.dump(CountRecord("w", counts))
    assert value == (
        b'{"format":2,"split":"raw/0","first":7,"last":9,"lines":3,"worker":"w",'
        b'"columns":["minute","schema","revision","reason","lines"],'
        b'"counts":[[60,"Edit",1,"",2],[60,"a",1,"bad_json",1]]}'
    )
    assert COUNTS.load(value, "") == CountRecord("w", counts)


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"counts":[],"worker":"w"}', b"\xff", b"1"])
def test_what_is_no_record(value: bytes) -> None:
    with pytest.raises(DocumentError):
        CountsTotals().add(value)


def test_the_largest_record_fits() -> None:
    """Kafka takes a million bytes. Schemas are those of the registry: names of 63 characters."""
    reason = max((each.value for each in Reason), key=len)
    most: Any = count.MOST_KEYS + count.SLICE
    keys = [CountKey(-62_135_596_800 - n, "S" * 63, 2**63 - 1, reason) for n in range(most)]
    counts = Counts(
        "t" * 249 + "/99999", 2**62, 2**62 + 10**9, 10**9, tuple((k, 10**6) for k in keys)
    )
    assert len(COUNTS.dump(CountRecord("0" * 32, counts))) < 900_000
