"""Lines by format: each specifier, what each kind of bad line is told, no line that breaks it."""

import json
import random
from collections.abc import Callable
from hashlib import sha1
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import strict_json
from schemas.bad_event import BadEvent, Reason
from schemas.capsule import uuid5_hex
from schemas.event import LONGEST_EVENT, LONGEST_LINE, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT, FormatError, unquote
from transforms.parse import line_parser

CAPSULE = {"schema": "S", "revision": 1, "wiki": "w", "event": {"a": 1}}
BEACON = DEFAULT_FORMAT, "\tcp1\t5\t2019-03-10T07:00:00\t1.2.3.4\tMozilla/5.0"
LineOf = Callable[..., RawLine]


def qson(capsule: object) -> str:
    return f"?{quote(json.dumps(capsule))};"


def parse(format_: str, text: str | bytes) -> dict[str, Any] | BadEvent:
    data = text.encode() if isinstance(text, str) else text
    outcome = line_parser(format_)(RawLine(data, Origin("file", "a.log", 7, 0.0, "a")))
    return outcome if isinstance(outcome, BadEvent) else outcome.data


def beacon(capsule: object, fields: str = BEACON[1]) -> dict[str, Any] | BadEvent:
    return parse(DEFAULT_FORMAT, qson(capsule) + fields)


def bad(outcome: dict[str, Any] | BadEvent) -> BadEvent:
    assert isinstance(outcome, BadEvent), outcome
    assert outcome.message.isprintable()
    return outcome


def good(outcome: dict[str, Any] | BadEvent) -> dict[str, Any]:
    assert isinstance(outcome, dict), outcome
    return outcome


MATCHING = [
    ("%q %{x}s", "{q} é\u00a0y", "x", "é"),
    ("%q %{x}s", "{q}\ta\tb", "x", "a"),
    ("%q %{x}d", "{q} 0012", "x", 12),
    ("%q %{x}d", "{q} ٣٤", "x", 34),
    ("%q %{x}d", "{q} 9223372036854775807", "x", 2**63 - 1),
    ("%q %{x}i", "{q} a b\tc", "x", "a b"),
    ("%q %t", "{q} 2013-01-19T23:16:38", "timestamp", 1358637398),
    ("%q %t", "{q} 2013-01-19T23:16:38.999Z", "timestamp", 1358637398),
    ("%q %D", "{q} 2013-01-19T23:16:38", "dt", "2013-01-19T23:16:38Z"),
    ("%D %q", "2013-01-19T23:16:38 {q} and more", "dt", "2013-01-19T23:16:38Z"),
    ("%q %o %{x}s", "{q} - b", "x", "b"),
    ("%q   %{x}s", "{q} \t  b", "x", "b"),
    ("%q-%{x}s", "{q}-b", "x", "b"),
]
FAILING = [
    ("%q", "no question mark"),
    ("%q", " {q}"),
    ("%q %{x}d", "{q} -1"),
    ("%q %{x}d", "{q} x"),
    ("%q %t", "{q} 2013-01-19 23:16:38"),
    ("%q %D %o", "{q} 2013-01-19T23:16:38.999Z -"),
    ("%q %u", "{q} \t"),
    ("%q %{x}i", "{q}"),
    ("%j", ""),
]


@pytest.mark.parametrize(("format_", "line", "key", "value"), MATCHING)
def test_specifiers_that_match(format_: str, line: str, key: str, value: object) -> None:
    data = good(parse(format_, line.replace("{q}", qson(CAPSULE))))
    assert data[key] == value
    assert {name: data[name] for name in CAPSULE} == CAPSULE


@pytest.mark.parametrize(("format_", "line"), FAILING)
def test_specifiers_that_do_not(format_: str, line: str) -> None:
    outcome = bad(parse(format_, line.replace("{q}", qson(CAPSULE))))
    assert outcome.reason is Reason.FORMAT_MISMATCH


def test_what_is_no_specifier_is_a_pattern_as_in_the_original() -> None:
    assert good(parse("%q (?:x|y) %{a}s", f"{qson(CAPSULE)} y b"))["a"] == "b"
    assert good(parse("%q . %{a}s", f"{qson(CAPSULE)} ! b"))["a"] == "b"


def test_the_first_field_that_is_missing_is_named() -> None:
    outcome = bad(parse(DEFAULT_FORMAT, qson(CAPSULE) + "\tcp1\tfive\t2019-03-10T07:00:00\tx\ty"))
    assert "no %{seqId}d as field 3 of 6" in outcome.message
    assert outcome.dt == "2019-03-10T07:00:00Z"


@pytest.mark.parametrize(
    ("format_", "says"),
    [
        ("%q %x", "unknown specifier %x .* there are %q %j %t %D %u %o %i %s %d"),
        ("%q %h", "unknown specifier %h"),
        ("%q %{a}z", "unknown specifier %{a}z"),
        ("%{x}s", "no capsule: it needs %q .* or %j"),
        ("", "no capsule"),
        ("%q %j", "capsule twice"),
        ("%q %o %o", "%o twice"),
        ("%q %{x}s %{x}d", "x twice"),
        ("%q %D %{dt}s", "dt twice"),
        ("%q %s", "needs a field name, as %{ip}s"),
        ("%q %{a b}s", "needs a field name"),
        ("%{x}q", "takes no field name"),
        ("%q (", "not a valid pattern"),
        ("%q (a)", "groups of its own"),
        ("%q *%{a}s", "not a valid pattern|multiple repeat"),
    ],
)
def test_wrong_formats_are_refused_and_told(format_: str, says: str) -> None:
    with pytest.raises(FormatError, match=says) as caught:
        line_parser(format_)
    assert "\n" not in str(caught.value)


@given(
    st.text()
    | st.text("%=aF0+é\n\r\t_ ")
    | st.lists(st.sampled_from(["%", "=", "%25", "%fF", "%é", "=41", "%zz", "\n", "\r", "a", " "]))
    .map("".join)
)  # fmt: skip
@example("%")
@example("a" * 200 + "%zz" + "=" * 80)
@example("=41%zz")
@example("%\n")
@example("%\r")
def test_unquote_is_urllibs(text: str) -> None:
    try:
        expected = unquote_to_bytes(text)
    except UnicodeEncodeError:  # a lone surrogate: no decoded line has one
        return
    assert unquote(text) == expected


@pytest.mark.parametrize(
    ("capsule", "reason", "path"),
    [
        ("?%7B%22a%22%3A%22%FF%22%7D;", Reason.BAD_ENCODING, ""),
        ("?%7B%22a%22%3A1", Reason.BAD_JSON, ""),
        ("?;", Reason.BAD_JSON, ""),
        ("?[]", Reason.NOT_AN_OBJECT, ""),
        ("?null", Reason.NOT_AN_OBJECT, ""),
        ("?" + "[" * 100_000, Reason.TOO_DEEP, ""),
        ("?%7B%22a%22%3ANaN%7D", Reason.UNSTORABLE, ""),
        ('?{"a":"\\ud800"}', Reason.UNSTORABLE, ""),
        ('?{"userAgent":5}', Reason.BAD_USER_AGENT, "userAgent"),
        ('?{"userAgent":null}', Reason.BAD_USER_AGENT, "userAgent"),
        ('?{"timestamp":null}', Reason.BAD_TIMESTAMP, "timestamp"),
        ('?{"timestamp":"x"}', Reason.BAD_TIMESTAMP, "timestamp"),
    ],
)
def test_bad_capsules(capsule: str, reason: Reason, path: str) -> None:
    outcome = bad(parse(DEFAULT_FORMAT, capsule + BEACON[1]))
    assert (outcome.reason, outcome.path) == (reason, path)
    assert outcome.dt == "2019-03-10T07:00:00Z"


@pytest.mark.parametrize(
    ("fields", "reason", "path"),
    [
        ("\tcp1\t99999999999999999999\t2019-03-10T07:00:00\tx\ty", Reason.BAD_FIELD, "seqId"),
        ("\tcp1\t9223372036854775808\t2019-03-10T07:00:00\tx\ty", Reason.BAD_FIELD, "seqId"),
        (f"\tcp1\t{'0' * 30}{2**63}\t2019-03-10T07:00:00\tx\ty", Reason.BAD_FIELD, "seqId"),
        ("\tcp1\t5\t2019-02-30T07:00:00\tx\ty", Reason.BAD_TIMESTAMP, "dt"),
        ("\tcp1\t5\t0000-01-01T00:00:00\tx\ty", Reason.BAD_TIMESTAMP, "dt"),
        (f"\tcp1\t5\t2019-03-10T07:00:00\tx\t{'y' * 801}", Reason.BAD_USER_AGENT, "userAgent"),
    ],
)
def test_bad_fields(fields: str, reason: Reason, path: str) -> None:
    outcome = bad(beacon(CAPSULE, fields))
    assert (outcome.reason, outcome.path) == (reason, path)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0", 0),
        ("0" * 30, 0),
        ("0" * 22 + "5", 5),
        ("0" * 5000 + "9223372036854775807", 2**63 - 1),
        ("٠" * 30 + "٣٤", 34),
        ("٣٤", 34),
    ],
)
def test_zeros_before_a_number_change_nothing(written: str, number: int) -> None:
    data = good(beacon(CAPSULE, BEACON[1].replace("\t5\t", f"\t{written}\t")))
    assert data["seqId"] == number
    assert data["uuid"] == uuid5_hex(f"event://cp1/?seqId={number}&dt=2019-03-10T07:00:00Z")


def test_line_fields_win_over_the_capsule() -> None:
    spoofed = {"recvFrom": "x", "seqId": "y", "dt": 5, "ip": None, "uuid": "z", "topic": "t"}
    data = good(beacon(CAPSULE | spoofed))
    assert {key: data[key] for key in ("recvFrom", "seqId", "dt", "ip", "topic")} == {
        "recvFrom": "cp1", "seqId": 5, "dt": "2019-03-10T07:00:00Z", "ip": "1.2.3.4", "topic": "t",
    }  # fmt: skip
    assert data["uuid"] == good(beacon(CAPSULE))["uuid"]
    assert data["uuid"] == uuid5_hex("event://cp1/?seqId=5&dt=2019-03-10T07:00:00Z")


def test_the_apps_own_user_agent_wins_over_the_lines() -> None:
    data = good(beacon(CAPSULE | {"userAgent": "WikipediaApp/2.1 (x)"}))
    assert data["userAgent"]["wmf_app_version"] == "2.1"
    elsewhere = good(parse("%q %{recvFrom}s", qson(CAPSULE | {"userAgent": 5}) + " cp1"))
    assert elsewhere["userAgent"] == 5  # a format without %u leaves it alone


def test_the_clients_notes_to_itself_are_dropped() -> None:
    noted = CAPSULE | {"clientValidated": True, "isTruncated": False}
    assert good(beacon(noted)) == good(beacon(CAPSULE))


def test_without_an_identity_of_its_own_it_is_that_of_the_place() -> None:
    line = qson(CAPSULE) + " 2019-03-10T07:00:00"
    digest = sha1(line.encode()).hexdigest()
    assert good(parse("%q %D", line))["uuid"] == uuid5_hex(f"origin://file/a.log@7#{digest}")


def test_events_as_json_keep_their_uuid() -> None:
    assert good(parse("json", json.dumps(CAPSULE | {"uuid": "u"})))["uuid"] == "u"
    for none in (5, "", None):
        assert len(good(parse("json", json.dumps(CAPSULE | {"uuid": none})))["uuid"]) == 32
    assert bad(parse("json", "[1]")).reason is Reason.NOT_AN_OBJECT
    assert bad(parse("json", "{")).reason is Reason.BAD_JSON
    assert bad(parse("json", b'{"a": "\xff"}')).reason is Reason.BAD_ENCODING
    assert bad(parse("json", '{"timestamp": []}')).reason is Reason.BAD_TIMESTAMP


def test_old_events_as_json_lose_the_notes_of_clients() -> None:
    """As EventLogging's processor dropped them; nothing else is parsed again."""
    old = CAPSULE | {"uuid": "u", "clientValidated": True, "isTruncated": False, "seqId": "5"}
    assert good(parse("json", json.dumps(old))) == CAPSULE | {"uuid": "u", "seqId": "5"}


@pytest.mark.parametrize("value", [b"1e15,", b'"\xff",', b'"\xe2\x82\xac",', b"-9E14,", b"[],"])
def test_what_jsonl_writes_is_read_again(value: bytes) -> None:
    """However much longer an event is as JSON than in its line."""
    begin, end = b'{"schema":"S","revision":1,"wiki":"w","event":{"l":[', b"0]}}"
    line = begin + value * ((LONGEST_LINE - len(begin + end)) // len(value)) + end
    event = good(parse("%j", line))
    written = strict_json.dumps(event)
    assert good(parse("json", written)) == event
    twice = (b"%s" % written).replace(b"1000000000000000.0", b"1e15")
    assert parse("json", twice) == event
    long = begin + value * (LONGEST_EVENT // len(value)) + end
    assert bad(parse("json", long)).reason is Reason.LINE_TOO_LONG


def test_json_that_would_be_too_long_once_it_is_written() -> None:
    line = b'{"event":[' + b"1e15," * 800_000 + b"0]}"
    assert bad(parse("json", line)).reason is Reason.LINE_TOO_LONG
    assert good(parse("json", line.replace(b"1e15", b"1.25")))
    begin, end = b'{"a":"', b'"}'  # there is no uuid yet
    exact = begin + b"x" * (LONGEST_EVENT - len(begin + end)) + end
    assert bad(parse("json", exact)).reason is Reason.LINE_TOO_LONG
    assert good(parse("json", exact[: -100 - len(end)] + end))


@pytest.mark.parametrize("character", [b"\x01", b"\xff", b"\\", "é".encode()])
def test_a_field_that_json_writes_longer(character: bytes) -> None:
    """What `jsonl:` would write can be read, or is not written."""
    for count in (700_000 // len(character), LONGEST_LINE // len(character) - 1000):
        line = (qson(CAPSULE) + " ").encode() + character * count
        outcome = parse("%q %{recvFrom}s", line)
        if isinstance(outcome, BadEvent):
            assert outcome.reason is Reason.LINE_TOO_LONG and "as JSON" in outcome.message
            assert character * count == b"\x01" * (LONGEST_LINE - 1000)
        else:
            assert good(parse("json", strict_json.dumps(outcome))) == outcome


@pytest.mark.parametrize(
    ("format_", "longest"), [(DEFAULT_FORMAT, LONGEST_LINE), ("json", LONGEST_EVENT)]
)
def test_a_line_may_be_so_long(format_: str, longest: int) -> None:
    assert bad(parse(format_, b"?" * longest)).reason is not Reason.LINE_TOO_LONG
    assert bad(parse(format_, b"?" * (longest + 1))).reason is Reason.LINE_TOO_LONG


FORMATS = [DEFAULT_FORMAT, "json", "%q %t", "%{seqId}d EventLogging %j", "%q %{x}i %u", "%j"]
PIECES = st.sampled_from(
    [qson(CAPSULE).encode(), b"?", b"{}", b'{"a":', b"1e999", b"\t", b" ", b"2019-03-10T07:00:00",
     b"\xff", b"%FF", b"%", b"cp1", b"5", "\u2028".encode(), b"\x00", b"EventLogging ", b'"dt":']
)  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS)
@given(data=st.binary(max_size=80) | st.lists(PIECES, max_size=9).map(b"".join))
def test_no_line_breaks_it(format_: str, data: bytes) -> None:
    line = RawLine(data, Origin("file", "a.log", 0, 0.0, "a"))
    outcome = line_parser(format_)(line)
    assert isinstance(outcome, (Event, BadEvent))
    assert outcome.line is line
    if isinstance(outcome, BadEvent):
        assert outcome.message.isprintable() and len(outcome.message) < 1_000
    else:
        assert len(outcome.data["uuid"]) > 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*CAPSULE, "dt", "seqId", "userAgent", "timestamp"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_no_capsule_breaks_it(capsule: object) -> None:
    for outcome in (beacon(capsule), parse("json", json.dumps(capsule))):
        if isinstance(outcome, BadEvent):
            assert outcome.message.isprintable()


def test_a_good_line_with_any_byte_changed(line_of: LineOf) -> None:
    whole = (qson(CAPSULE) + BEACON[1]).encode()
    choices = random.Random(7)
    reasons = set()
    for at in range(len(whole)):
        data = whole[:at] + bytes([choices.randrange(256)]) + whole[at + 1 :]
        outcome = line_parser(DEFAULT_FORMAT)(line_of(data))
        if isinstance(outcome, BadEvent):
            reasons.add(outcome.reason)
            assert outcome.message.isprintable()
    assert {Reason.BAD_JSON, Reason.FORMAT_MISMATCH} <= reasons
