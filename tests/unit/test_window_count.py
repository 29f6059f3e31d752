"""Minutes and counts: the pure parts, with any time that a line may claim."""

from __future__ import annotations

from collections import Counter

import pytest
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP
from hypothesis import given
from hypothesis import strategies as st

from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.event import Destination, Event, Origin, RawLine
from transforms import count
from transforms.count import CountKey, count_key
from transforms.route import route
from transforms.window import MINUTE, in_minute, outcome_time

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
        (event(dt="0001-01-01T00:00:00+14:00"), -62_135_596_800 - 14 * 3600),
        (event(dt="9999-12-31T23:59:59-14:00"), 253_402_300_799 + 14 * 3600),
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


def sums(counting: count._CountFn, outcomes: list[Event | BadEvent]) -> Counter[CountKey]:
    counting.setup()
    counting.start_bundle()
    total: Counter[CountKey] = Counter()
    for outcome in outcomes:
        for partial in counting.process(route(outcome)) or ():
            total[partial.value[0]] += partial.value[1]
    for partial in counting.finish_bundle():
        total[partial.value[0]] += partial.value[1]
    return total


def test_partial_sums_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_MOST_KEYS", 10)
    outcomes: list[Event | BadEvent] = [event(timestamp=60 * n) for n in range(50)]
    outcomes += [bad(Reason.BAD_JSON)] * 30
    counting = count._CountFn(None)
    total = sums(counting, outcomes)
    assert len(total) == 51
    assert sum(total.values()) == 80
    assert sums(counting, []) == Counter()
