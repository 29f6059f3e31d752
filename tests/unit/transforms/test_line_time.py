"""The time of a bad line: its own, wherever it can be read, and by the rule of then."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bad_event import BadEvent, event_error
from schemas.capsule import event_time
from schemas.event import LONGEST_EVENT, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.line_time import ByRule, LineTimes, OfHour, edge_time, event_dt, json_time
from transforms.parse import line_parser
from transforms.validate import event_validator

RECEIPT = 1_600_000_000.0  # 2020-09-13T12:26:40
EDGE = "2019-03-10T07:00:00"
OTHER = "2018-05-05T05:05:05Z"
OLD, NEW = ByRule({"s": 1}), ByRule({"another": 1})


def of(data: bytes, format_: str, times: LineTimes) -> str | None:
    """The time that its EventError has; None if it has the receipt's."""
    line = RawLine(data, Origin("file", "a.log", 7, RECEIPT, "s"))
    bad: Event | BadEvent = line_parser(format_, times)(line)
    bad = bad if isinstance(bad, BadEvent) else event_validator(open_registry(None), times)(bad)
    assert isinstance(bad, BadEvent)
    dt = str(event_error(bad).data["dt"])
    return None if dt == "2020-09-13T12:26:40Z" else dt


def beacon(capsule: object, fields: str) -> bytes:
    text = capsule if isinstance(capsule, str) else json.dumps(capsule)
    return f"?{quote(text)}; {fields}".encode()


WRONG = {"schema": "Edit", "revision": 17541122, "wiki": "w", "event": {}, "recvFrom": "x"}
IN_MS = 1552201200000


@pytest.mark.parametrize(
    ("format_", "line", "old", "new"),
    [
        (DEFAULT_FORMAT, beacon(WRONG, f"cp1 5 {EDGE} - -"), f"{EDGE}Z", f"{EDGE}Z"),
        (DEFAULT_FORMAT, beacon('{"cut', f"cp1 5 {EDGE} - -"), f"{EDGE}Z", f"{EDGE}Z"),
        (DEFAULT_FORMAT, f"?x; {EDGE}".encode(), f"{EDGE}Z", f"{EDGE}Z"),
        (DEFAULT_FORMAT, b"?x; - -", None, None),
        ("%q %t", beacon(WRONG, EDGE), None, f"{EDGE}Z"),
        ("%q %t", beacon('{"cut', EDGE), f"{EDGE}Z", f"{EDGE}Z"),
        ("%q %t", beacon('{"cut', f"{EDGE}.5"), None, f"{EDGE}Z"),
        ("%q %{timestamp}d", beacon(WRONG, "1552201200"), None, f"{EDGE}Z"),
        ("%q %{timestamp}d", beacon('{"cut', "1552201200"), None, f"{EDGE}Z"),
        ("%q %t", beacon(WRONG | {"dt": OTHER}, EDGE), OTHER, OTHER),
        ("%q %t", beacon(WRONG | {"dt": "never"}, EDGE), None, f"{EDGE}Z"),
        ("%q", beacon(WRONG | {"timestamp": IN_MS}, ""), None, f"{EDGE}Z"),
        ("json", json.dumps(WRONG | {"dt": OTHER}).encode(), OTHER, OTHER),
        ("json", json.dumps(WRONG | {"timestamp": 1552201200}).encode(), None, f"{EDGE}Z"),
        ("json", json.dumps(WRONG | {"dt": EDGE, "x": 2**70}).encode(), None, f"{EDGE}Z"),
        ("json", b'{"event": {"a": NaN}, "timestamp": 1552201200}', None, f"{EDGE}Z"),
        ("json", b'{"dt": "2019-03-10T07:00:00", "event": {"a": "cu', None, f"{EDGE}Z"),
        ("json", b'{"timestamp":1552201200000,"event":', None, f"{EDGE}Z"),
        ("json", b'{"dt": "no", "timestamp": 1552201200, "event":', None, f"{EDGE}Z"),
        ("json", b'{"event": ' + b"[" * 5000, None, None),
        ("json", b'["2019-03-10T07:00:00"]', None, None),
        (
            "json",
            b'{"event": {"dt": "2018-01-01T00:00:00"}, "dt": "%b", "wi' % EDGE.encode(),
            None,
            f"{EDGE}Z",
        ),  # its own, not one of its event
        ("json", b'{"timestamp": 1.5522012e9, "event": {', None, f"{EDGE}Z"),
        ("json", b'{"\\u0064t": "2019-03-10T07\\u003a00:00", "event', None, f"{EDGE}Z"),
        ("json", b'{"event": {"a": x, "timestamp": 1.5522012e9}', None, None),
        ("json", b'{"dt": "%b", "x": "' % EDGE.encode() + b"x" * LONGEST_EVENT, None, f"{EDGE}Z"),
        ("json", b'{"event": {"dt": "2018-01-01T00:00:00", "a": NaN}}', None, None),
        ("%j", b'{"dt":"%b","event":{"a":NaN}}' % EDGE.encode(), None, f"{EDGE}Z"),
        ("%j", b'{"timestamp":1552201200,"event":{"a":', None, f"{EDGE}Z"),
        ("%q", beacon(f'{{"dt": "{EDGE}", "event": {{"a": NaN}}}}', ""), None, f"{EDGE}Z"),
        ("%q", beacon('{"timestamp": 1552201200, "ev', ""), None, f"{EDGE}Z"),
        ("%q %t", beacon('{"event": {"dt": "2018-01-01T00:00:00"', EDGE), f"{EDGE}Z", f"{EDGE}Z"),
        ("%q %t", beacon(f'{{"dt": "{OTHER}", "ev', EDGE), f"{EDGE}Z", OTHER),
    ],
)
def test_each_rule(format_: str, line: bytes, old: str | None, new: str | None) -> None:
    assert of(line, format_, OLD) == old
    assert of(line, format_, NEW) == new
    for time in (old, new):  # a line that was archived stays in its hour
        hour = (time or "2020-09-13T12")[:13]
        assert (of(line, format_, OfHour(hour)) or "2020-09-13T12")[:13] == hour
    assert of(line, format_, OfHour("2011-11-11T11")) == new


VALUES = st.none() | st.integers() | st.floats() | st.text() | st.sampled_from([EDGE, OTHER, "5"])


@given(st.dictionaries(st.sampled_from(["dt", "timestamp"]), VALUES))
def test_a_bad_event_is_where_it_would_be_if_it_was_valid(data: dict[str, Any]) -> None:
    line = RawLine(b"", Origin("file", "a.log", 7, RECEIPT, "s"))
    bad = event_error(BadEvent(line, *_PLACE, dt=event_dt(data)))
    assert int(event_time(bad.data, RECEIPT)) == int(event_time(data, RECEIPT))


_PLACE = next((bad.stage, bad.reason, "")
              for bad in [line_parser("json")(RawLine(b"", Origin("file", "a", 0, 0.0, "s")))]
              if isinstance(bad, BadEvent))  # fmt: skip


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    for found in (edge_time(raw), json_time(raw), json_time(b'{"dt": "' + raw)):
        assert found is None or len(found) < 100


def test_the_time_of_an_unreadable_line() -> None:
    assert edge_time(b"?2018-01-01T00:00:00; x 2019-03-10T07:00:00 2020-01-01T00:00:00") == (
        "2019-03-10T07:00:00Z"
    )
    assert edge_time(b"? 2019-13-10T07:00:00 2020-01-01T00:00:00") == "2020-01-01T00:00:00Z"
    assert edge_time(b"?x 2019-03-10T07:00:00.5") is None
    assert edge_time(b"?x,2019-03-10T07:00:00 y") is None
