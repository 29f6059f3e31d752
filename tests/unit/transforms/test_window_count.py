"""Minutes and counts: the pure parts, with any time that a line may claim."""

from __future__ import annotations

from collections import Counter

import apache_beam as beam
import pytest
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from hypothesis import given
from hypothesis import strategies as st

from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.event import Destination, Event, Origin, RawLine
from transforms.batches import Batch
from transforms.counts import stages
from transforms.counts.count import Counts, count_key
from transforms.counts.stages import CountEvents, _CountFn
from transforms.route import MINUTE, outcome_time, route
from transforms.window import in_minute

LINE = RawLine(b"", Origin("file", "a.log", 0, 1_552_200_030.5, "a"))
SCID = {"schema": "S", "revision": 1}


def event(**data: object) -> Event:
    return Event({**SCID, **data}, LINE)


def bad(reason: Reason, dt: str | None = None) -> BadEvent:
    return BadEvent(LINE, Stage.PARSE, reason, "m", "", "S", 1, dt)


@given(st.integers(-(10**17), 10**17).map(lambda milliseconds: milliseconds / 1000))
def test_any_time_is_in_its_minute(seconds: float) -> None:
    placed = in_minute("value", seconds)
    (window,) = placed.windows
    assert placed.value == "value"
    assert window.start <= placed.timestamp < window.end
    assert window.end - window.start == MINUTE
    assert window.start > MIN_TIMESTAMP and window.end < MAX_TIMESTAMP


@pytest.mark.parametrize(
    ("outcome", "seconds"),
    [
        (event(dt="2019-03-10T07:00:30Z"), 1_552_201_230),
        (event(dt="2019-03-10T09:00:30+02:00"), 1_552_201_230),
        (event(dt="0001-01-01T00:00:00+14:00"), -62_135_596_800),  # files are named after dates
        (event(dt="9999-12-31T23:59:59-14:00"), 253_402_300_799),
        (event(dt="garbage"), 1_552_200_030.5),
        (event(), 1_552_200_030.5),
        (event(timestamp=59), 59),
        (bad(Reason.BAD_JSON, "2019-03-10T07:00:30Z"), 1_552_201_230),
        (bad(Reason.BAD_JSON, "garbage"), 1_552_200_030.5),
        (bad(Reason.BAD_JSON), 1_552_200_030.5),
    ],
)
def test_the_time_of_an_outcome(outcome: Event | BadEvent, seconds: float) -> None:
    assert outcome_time(outcome) == seconds
    in_minute(outcome, outcome_time(outcome))
    assert count_key(route(outcome)).minute == seconds // 60 * 60


def test_routes() -> None:
    assert route(event(topic="elsewhere"))[0] == Destination("S", 1)
    assert route(bad(Reason.BAD_JSON))[0] == EVENT_ERROR


@pytest.mark.parametrize(
    ("outcome", "key"),
    [
        (event(dt="2019-03-10T07:00:30Z"), ("S", 1, "")),
        (bad(Reason.SCHEMA_VIOLATION), ("S", 1, "schema_violation")),
        (bad(Reason.ROW_REJECTED), ("S", 1, "row_rejected")),
        (bad(Reason.UNKNOWN_SCHEMA), ("unknown", -1, "unknown_schema")),
        (bad(Reason.BAD_JSON), ("unknown", -1, "bad_json")),
    ],
)
def test_names_from_clients_are_no_keys(outcome: Event | BadEvent, key: tuple[object, ...]) -> None:
    assert count_key(route(outcome))[1:] == key


def at(offset: int, split: str = "a", **data: object) -> Event:
    line = RawLine(b"", Origin("kafka", split, offset, 1_552_200_030.5, split))
    return Event({**SCID, **data}, line)


def counted(outcomes: list[Event | BadEvent], *, batches: int = 0) -> list[Counts]:
    """What leaves a bundle of these, one by one or in batches of so many."""
    counting = _CountFn(None)
    counting.setup()
    counting.start_bundle()
    routed = [route(outcome) for outcome in outcomes]
    leaving = []
    if batches:
        for start in range(0, len(routed), batches):
            leaving += list(counting.process_batch(Batch(routed[start : start + batches])))
    else:
        for each in routed:
            leaving += list(counting.process(each))
    leaving += list(counting.finish_bundle())
    for placed in leaving:
        assert placed.timestamp == MIN_TIMESTAMP and list(placed.windows) == [GlobalWindow()]
    return [placed.value for placed in leaving]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2_000), st.integers(0, 5))),
    st.integers(0, 7),
)
def test_each_split_leaves_its_own_counts(lines: list[tuple[str, int, int]], batches: int) -> None:
    """In any order, and however they come."""
    outcomes = [at(offset, split, timestamp=60 * minute) for split, offset, minute in lines]
    found = {each.split: each for each in counted(list(outcomes), batches=batches)}
    assert set(found) == {split for split, _, _ in lines}
    for split, counts in found.items():
        offsets = [offset for name, offset, _ in lines if name == split]
        assert (counts.first, counts.last) == (min(offsets), max(offsets))
        assert counts.lines == len(offsets)
        minutes = Counter(60 * minute for name, _, minute in lines if name == split)
        assert {key.minute: n for key, n in counts.sums} == minutes


def test_many_keys_leave_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record must be able to hold them; what is counted where stays clear."""
    monkeypatch.setattr(stages, "MOST_KEYS", 10)
    monkeypatch.setattr(stages, "SLICE", 5)
    lines = [at(n, timestamp=60 * n) for n in range(50)] + [at(50 + n) for n in range(30)]
    leaving = counted(list(lines))
    assert [(each.first, each.last) for each in leaving] == [(0, 14), (15, 29), (30, 44), (45, 79)]
    assert sum(each.lines for each in leaving) == 80
    assert max(len(each.sums) for each in leaving) <= 15


def test_runners_are_told_what_is_valid() -> None:
    lines: list[Event | BadEvent] = [at(n) for n in range(5)] + [bad(Reason.BAD_JSON)] * 2
    pipeline = beam.Pipeline("apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    counts = pipeline | beam.Create([route(line) for line in lines]) | CountEvents()
    assert isinstance(counts.windowing.windowfn, GlobalWindows)
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query()["counters"]
    assert {each.key.metric.name: each.committed for each in found} == {"valid": 5, "bad": 2}


def test_no_lines_leave_no_counts() -> None:
    assert counted([]) == []
