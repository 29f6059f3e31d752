"""A line that is not a valid event: the value it becomes, the possible reasons, its EventError.

EventErrors are events themselves (schema EventError, revision 14035058): every sink stores them
and people query them. The rule of each field is BEHAVIOUR 9 with the deviations of DESIGN: the raw
event is the raw line, so that it can be run through the same graph again.
"""

from __future__ import annotations

import base64
import codecs
import re
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from schemas import VERSION, addresses
from schemas.capsule import NotATime, parse_time, uuid5_hex
from schemas.event import RAW_EVENT_LIMIT, Destination, Event, RawLine
from schemas.times import in_calendar

EVENT_ERROR = Destination("EventError", 14035058)
UNKNOWN = Destination("unknown", -1)  # of a line that names no schema that there is


class Code(str, Enum):
    """The two codes of the original's EventError."""

    PROCESSOR = "processor"  # the line could not be made an event of a known schema
    VALIDATION = "validation"  # the event breaks its schema


class Stage(str, Enum):
    """The step of the graph that found a line bad."""

    PARSE = "parse"
    VALIDATE = "validate"
    WRITE = "write"


class Reason(str, Enum):
    """Why a line is not a valid event: a stable word for queries, and a sentence for people."""

    code: Code
    sentence: str

    def __new__(cls, word: str, code: Code, sentence: str) -> Reason:
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.code = code
        reason.sentence = sentence
        return reason

    LINE_TOO_LONG = "line_too_long", Code.PROCESSOR, "The line is longer than allowed."
    FORMAT_MISMATCH = "format_mismatch", Code.PROCESSOR, "The line does not have the job's format."
    BAD_ENCODING = "bad_encoding", Code.PROCESSOR, "The url-encoded bytes are not UTF-8."
    BAD_JSON = "bad_json", Code.PROCESSOR, "The capsule is not JSON (often a URL cut short)."
    NOT_AN_OBJECT = "not_an_object", Code.PROCESSOR, "The capsule is JSON, but not an object."
    TOO_DEEP = "too_deep", Code.PROCESSOR, "The JSON is nested deeper than any sink can hold."
    UNSTORABLE = (
        "unstorable_value",
        Code.PROCESSOR,
        "NaN, Infinity, a lone surrogate or an integer beyond 64 bits: no sink can hold it.",
    )
    BAD_FIELD = "bad_field", Code.PROCESSOR, "A field beside the capsule has an impossible value."
    BAD_TIMESTAMP = "bad_timestamp", Code.PROCESSOR, "A time of the line can't be read."
    BAD_USER_AGENT = "bad_user_agent", Code.PROCESSOR, "The user agent is too long or not text."
    NO_SCHEMA = "no_schema", Code.VALIDATION, "The event does not name its schema and revision."
    BAD_SCHEMA_NAME = "bad_schema_name", Code.VALIDATION, "No schema can have that name."
    BAD_REVISION = "bad_revision", Code.VALIDATION, "No schema can have that revision."
    RESERVED_SCHEMA = (
        "reserved_schema",
        Code.VALIDATION,
        "Clients can't send EventErrors: only el_beam makes them.",
    )
    UNKNOWN_SCHEMA = "unknown_schema", Code.PROCESSOR, "The registry has no such schema revision."
    INVALID_SCHEMA = "invalid_schema", Code.PROCESSOR, "The registry's schema is itself invalid."
    SCHEMA_VIOLATION = "schema_violation", Code.VALIDATION, "The event breaks its schema."
    ROW_REJECTED = "row_rejected", Code.PROCESSOR, "A sink cannot hold this valid event."


def sentence_of(word: str) -> str:
    return next(reason.sentence for reason in Reason if reason.value == word)


class BadEvent(NamedTuple):
    """A line that is not a valid event. It flows on, to EventError; it is never dropped."""

    line: RawLine
    stage: Stage
    reason: Reason
    message: str  # what is wrong and where, for people
    path: str = ""  # the first wrong place, as `event.action`
    schema: str = UNKNOWN.schema
    revision: int = UNKNOWN.revision
    dt: str | None = None  # the line's own time, if it could be read


_SCHEMA, _SCHEMA_NAME = "%22schema%22%3A%22", re.compile(r"(.*?)%22")
_REVISION, _REVISION_NUMBER = "%22revision%22%3A", re.compile(r"(\d{1,18})")


def named_in(raw: bytes) -> Destination:
    """Finds the schema and revision that an unreadable line seems to name, else `unknown`, -1."""
    text = raw[:RAW_EVENT_LIMIT].decode("utf-8", "replace")
    schema = _after(_SCHEMA, _SCHEMA_NAME, text)
    revision = _after(_REVISION, _REVISION_NUMBER, text)
    return Destination(UNKNOWN.schema if schema is None else schema,
                       UNKNOWN.revision if revision is None else int(revision))  # fmt: skip


def _after(mark: str, pattern: re.Pattern[str], text: str) -> str | None:
    """Returns what the pattern finds right after the first mark where it finds anything."""
    place = text.find(mark)
    while place >= 0:
        place += len(mark)
        if found := pattern.match(text, place):
            return found[1]
        place = text.find(mark, place)
    return None


def moment_of(dt: str | None, line: RawLine) -> datetime:
    """The time of a bad line: its own, else that of its receipt."""
    try:
        return parse_time(dt)
    except NotATime:  # the line has none, or it is a client's nonsense
        return datetime.fromtimestamp(int(in_calendar(line.origin.receipt)), UTC)


def event_error(bad: BadEvent) -> Event:
    """Makes the EventError of a bad event: always the same bytes for the same line.

    rawEvent is the raw line, or base64 of it if it is not UTF-8 (`encoding` says which). A line
    beyond RAW_EVENT_LIMIT is cut, and `origin` says where the whole line is. The time is the line's
    own, or else the time at which the line was received.
    """
    origin = bad.line.origin
    raw, encoding = bad.line.data[:RAW_EVENT_LIMIT], "utf-8"
    truncated = len(bad.line.data) > RAW_EVENT_LIMIT
    try:  # a character that was cut in two is not a bad encoding
        text = raw.decode() if not truncated else codecs.utf_8_decode(raw, "strict", False)[0]
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(raw).decode(), "base64"
    moment = moment_of(bad.dt, bad.line)
    data: dict[str, Any] = {
        "schema": EVENT_ERROR.schema,
        "revision": EVENT_ERROR.revision,
        "wiki": "",
        "uuid": uuid5_hex(f"eventerror://{bad.line.identity}"),
        "recvFrom": "el_beam",
        "dt": moment.isoformat().replace("+00:00", "Z"),
        "timestamp": int(moment.timestamp()),
        "event": {
            "rawEvent": text,
            "encoding": encoding,
            "truncated": truncated,
            "message": bad.message,
            "code": bad.reason.code.value,
            "stage": bad.stage.value,
            "reason": bad.reason.value,
            "path": bad.path,
            "schema": bad.schema,
            "revision": bad.revision,
            "origin": str(origin),
            "version": VERSION,
        },
    }
    return Event(data, bad.line)


_LEAST_TEXT = 64  # characters: a shorter text says nothing


def shorter(error: Event) -> Event | None:
    """Cuts an EventError's texts to a quarter of the longest one, for a sink with little room.

    `truncated` is true if rawEvent was cut, and base64 is cut so that it can still be read. origin
    is never cut: it says where the whole line is. Returns None if there is nothing left to cut."""
    event: dict[str, Any] = error.data["event"]
    texts = {
        name: text for name, text in event.items() if isinstance(text, str) and name != "origin"
    }
    longest = max(map(len, texts.values()), default=0) // 4
    if longest < _LEAST_TEXT:
        return None
    longest -= longest % 4
    cut = {name: text[:longest] for name, text in texts.items()}
    truncated = event.get("truncated", False) or cut["rawEvent"] != texts["rawEvent"]
    return error._replace(data=error.data | {"event": event | cut | {"truncated": truncated}})


def in_ascii(error: Event) -> Event:
    """Makes an EventError fit columns that hold only ASCII: the line as base64, other texts with
    escapes."""
    event: dict[str, Any] = error.data["event"]
    changed = {
        name: text.encode("ascii", "backslashreplace").decode()
        for name, text in event.items()
        if isinstance(text, str) and name != "rawEvent"
    }
    if isinstance(raw := event.get("rawEvent"), str) and not raw.isascii():
        changed |= {"rawEvent": base64.b64encode(raw.encode()).decode(), "encoding": "base64"}
    return error._replace(data=error.data | {"event": event | changed})


def without_addresses(error: Event) -> Event:
    """Removes the IP addresses from an EventError's line and texts. Its uuid stays, because a
    line's identity is made without them too."""
    event: dict[str, Any] = error.data["event"]
    try:
        raw = line_of(event)
    except ValueError:  # not made by us
        return error
    line = addresses.without_addresses(raw)
    changed = {
        name: addresses.cleared(text)
        for name in ("message", "path", "schema")
        if isinstance(text := event.get(name), str)
    }
    if line != raw:
        is_text = event.get("encoding") != "base64"
        changed["rawEvent"] = line.decode() if is_text else base64.b64encode(line).decode()
    return error._replace(data=error.data | {"event": event | changed})


def line_of(event: dict[str, Any]) -> bytes:
    """Returns the line of an EventError's `event`, or the part of it that was kept. Raises
    ValueError if its base64 can't be read."""
    raw = str(event.get("rawEvent") or "")
    is_text = event.get("encoding") != "base64"
    return raw.encode() if is_text else base64.b64decode(raw, validate=True)
