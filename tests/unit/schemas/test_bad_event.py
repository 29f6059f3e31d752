"""EventErrors: the same whenever they are made, whatever the line, and events like others."""

import base64
import json
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bad_event import (
    EVENT_ERROR,
    BadEvent,
    Code,
    Reason,
    Stage,
    event_error,
    named_in,
    without_addresses,
)
from schemas.event import RAW_EVENT_LIMIT, Destination, Origin, RawLine
from schemas.registry import open_registry
from schemas.strict_json import dumps, loads
from schemas.validation.validator import Validator

VALIDATOR = Validator(open_registry(None).get(*EVENT_ERROR))
ORIGIN = Origin("file", "a.log", 7, 1_552_200_000.5, "a.log-0")


def bad_event(data: bytes, dt: str | None = None, reason: Reason = Reason.BAD_JSON) -> BadEvent:
    line = RawLine(data, ORIGIN)
    return BadEvent(line, Stage.PARSE, reason, "what is wrong", "event.a", "S", 3, dt)


@given(
    st.binary() | st.binary(min_size=1).map(lambda b: b * (RAW_EVENT_LIMIT // len(b) + 2)),
    st.none() | st.text(max_size=30) | st.datetimes().map(str),
    st.sampled_from(Reason),
)
def test_any_line_makes_a_valid_storable_event(data: bytes, dt: str | None, reason: Reason) -> None:
    error = event_error(bad_event(data, dt, reason))
    assert VALIDATOR.violations(error.data) == []
    assert loads(dumps(error.data)) == error.data
    assert event_error(bad_event(data, dt, reason)) == error
    event = error.data["event"]
    raw = event["rawEvent"]
    back = base64.b64decode(raw) if event["encoding"] == "base64" else raw.encode()
    assert data.startswith(back)
    assert event["truncated"] == (back != data)
    assert (event["code"], event["reason"]) == (reason.code.value, reason.value)


def test_what_it_says() -> None:
    error = event_error(bad_event(b"?x", "2019-03-10T07:00:00+02:00"))
    assert error.line.data == b"?x"
    data = dict(error.data)
    assert len(data.pop("uuid")) == 32
    version = data["event"].pop("version")
    assert version
    assert data == {
        "schema": "EventError",
        "revision": 14035058,
        "wiki": "",
        "recvFrom": "el_beam",
        "dt": "2019-03-10T07:00:00+02:00",
        "timestamp": 1_552_194_000,
        "event": {
            "rawEvent": "?x",
            "encoding": "utf-8",
            "truncated": False,
            "message": "what is wrong",
            "code": "processor",
            "stage": "parse",
            "reason": "bad_json",
            "path": "event.a",
            "schema": "S",
            "revision": 3,
            "origin": "a.log@7",
        },
    }


@pytest.mark.parametrize("dt", [None, "", "garbage", "9" * 100, "2019-02-30T00:00:00Z"])
def test_without_a_readable_time_it_is_that_of_the_receipt(dt: str | None) -> None:
    error = event_error(bad_event(b"?x", dt)).data
    assert (error["dt"], error["timestamp"]) == ("2019-03-10T06:40:00Z", 1_552_200_000)


@pytest.mark.parametrize("dt", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_at_the_ends_of_the_calendar(dt: str) -> None:
    assert event_error(bad_event(b"?x", dt)).data["dt"] == dt


def test_its_identity_is_its_place() -> None:
    one = bad_event(b"?x")
    other = one._replace(line=RawLine(b"?x", ORIGIN._replace(offset=8)))
    assert event_error(one).data["uuid"] != event_error(other).data["uuid"]
    elsewhere = one._replace(line=RawLine(b"?x", ORIGIN._replace(split="b", receipt=0.0)))
    assert event_error(one).data["uuid"] == event_error(elsewhere).data["uuid"]


def test_a_line_cut_within_a_character_is_still_text() -> None:
    event = event_error(bad_event("é".encode() * RAW_EVENT_LIMIT)).data["event"]
    assert event["truncated"]
    odd = event_error(bad_event(b"x" + "é".encode() * RAW_EVENT_LIMIT)).data["event"]
    assert (odd["encoding"], odd["rawEvent"][:3]) == ("utf-8", "xéé")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"%22schema%22%3A%22Edit%22%2C%22revision%22%3A17%7D", Destination("Edit", 17)),
        (b"%22schema%22%3A%22Edit%22", Destination("Edit", -1)),
        (b"%22revision%22%3Ax%22revision%22%3A5", Destination("unknown", 5)),
        (b"%22revision%22%3A" + b"9" * 30, Destination("unknown", int("9" * 18))),
        (b"\xff\x00", Destination("unknown", -1)),
        (b" " * RAW_EVENT_LIMIT + b"%22schema%22%3A%22Edit%22", Destination("unknown", -1)),
    ],
)
def test_what_an_unreadable_line_seems_to_name(raw: bytes, named: Destination) -> None:
    assert named_in(raw) == named


def test_every_reason_has_a_code_and_a_sentence() -> None:
    assert len({reason.value for reason in Reason}) == len(Reason)
    for reason in Reason:
        assert isinstance(reason.code, Code)
        assert reason.sentence.endswith(".") and reason.sentence[0].isupper()
        assert reason == reason.value


def cleared(text: str | bytes) -> str:
    """What is stored of a line without addresses."""
    data = text.encode() if isinstance(text, str) else text
    return str(without_addresses(event_error(bad_event(data))).data["event"]["rawEvent"])


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("?a;\tcp1\t7\t198.51.100.7\tUA", "?a;\tcp1\t7\t0.0.0.0\tUA"),
        ("?a; cp1 7 2001:db8::7 UA", "?a; cp1 7 0.0.0.0 UA"),
        ('{"ip": "198.51.100.7", "x": 1}', '{"ip": "0.0.0.0", "x": 1}'),
        ('{"line": "{\\"ip\\":\\"::7\\"}"}', '{"line": "{\\"ip\\":\\"0.0.0.0\\"}"}'),
        ("198.51.100.7,198.51.100.8:80", "0.0.0.0,0.0.0.0:80"),
        ("[2001:db8::7]:80 (198.51.100.7).", "[0.0.0.0]:80 (0.0.0.0)."),
        ("it is 198.51.100.7.", "it is 0.0.0.0."),
        ("?a;|198.51.100.7|<::7>{198.51.100.7}", "?a;|0.0.0.0|<0.0.0.0>{0.0.0.0}"),
        (
            r'{"rawEvent": "?a;\t198.51.100.7\tUA\n::7"}',
            r'{"rawEvent": "?a;\t0.0.0.0\tUA\n0.0.0.0"}',
        ),
        ('"Chrome/49.0.98.13"\t2019-03-10T07:00:00\t07:00:00\t1.2.3\tdead\tv1.2.3.4', None),
        ("::\t...\t:\t.", None),
        (
            '{"ip":"198.51.100.7","event":{"version":"7.2.0.1","a":[{"b":"::7"}]},"x":"::7"}',
            '{"ip":"0.0.0.0","event":{"version":"7.2.0.1","a":[{"b":"::7"}]},"x":"0.0.0.0"}',
        ),
        ('{"event":{"v":"7.2.0.1"', '{"event":{"v":"0.0.0.0"'),  # what may be anything
        (
            "?%7B%22ip%22%3A%22198.51.100.7%22%2C%22event%22%3A+%7B%22version%22%3A%227.2.0.1%22%7D"
            "%2c%22x%22%3a%222001%3Adb8%3a%3a7%22%7D;\t198.51.100.7\t%227.2.0.1",
            "?%7B%22ip%22%3A%220.0.0.0%22%2C%22event%22%3A+%7B%22version%22%3A%227.2.0.1%22%7D"
            "%2c%22x%22%3a%220.0.0.0%22%7D;\t0.0.0.0\t%220.0.0.0",
        ),
        (
            "?%7B%22event%22%3A%7B%22v%22%3A%227.2.0.1%22",
            "?%7B%22event%22%3A%7B%22v%22%3A%220.0.0.0%22",
        ),
        ("?%7B%22v%22%3A%221.2.3%22%2C%22t%22%3A%2207%3A00%3A00%22%7D", None),
        ('{"event":{"v":"7.2.0.1"},"a":' + "[" * 9000, None),
        ('{"event":' + '{"event":' * 5000 + '"7.2.0.1', '{"event":' * 5001 + '"0.0.0.0'),
    ],
)
def test_a_line_without_addresses(line: str, stored: str | None) -> None:
    """Versions and times are none; what a client says of itself is quoted, and stays."""
    assert cleared(line) == (line if stored is None else stored)


@given(st.ip_addresses(), st.booleans())
def test_no_address_is_left_of_a_capsule(address: Any, colons: bool) -> None:
    capsule = json.dumps({"event": {"ip": str(address)}, "ip": str(address), "wiki": "é"})
    line = f"?{quote(capsule, safe=':' if colons else '')};\tx"
    told = unquote(cleared(line)[1:].partition(";")[0])
    none = "0.0.0.0" if int(address) else str(address)
    assert json.loads(told) == json.loads(capsule) | {"ip": none}


@given(st.ip_addresses(), st.text('\t x;{"', max_size=3), st.booleans())
def test_no_address_is_left(address: Any, around: str, is_text: bool) -> None:
    line = f"?a;{around}\t{address}\tx".encode() + (b"" if is_text else b"\xff")
    told = cleared(line)
    raw = told.encode() if is_text else base64.b64decode(told)
    none = "0.0.0.0" if int(address) else str(address)
    assert raw == line.replace(str(address).encode(), none.encode())


def test_what_is_told_without_addresses() -> None:
    """A schema's name that isn't closed goes on beyond the event."""
    line = b"?%7B%22schema%22%3A%22Edi\t198.51.100.7\tMozilla (a%22b)"
    bad = bad_event(line)._replace(message="198.51.100.7 is no time", schema=named_in(line).schema)
    told = without_addresses(event_error(bad)).data["event"]
    assert told["message"] == "0.0.0.0 is no time"
    assert told["schema"] == "Edi\t0.0.0.0\tMozilla (a"


@pytest.mark.parametrize("told", [{"rawEvent": None}, {"rawEvent": "no base64", "message": 7}, {}])
def test_addresses_in_what_others_have_made(told: dict[str, object]) -> None:
    error = event_error(bad_event(b"x\xff"))
    other = error._replace(data=error.data | {"event": {"encoding": "base64"} | told})
    assert without_addresses(other) == other
