"""A line that is no valid event: the value it becomes, the reasons there are, and its EventError.

EventErrors are events themselves (schema EventError, revision 14035058): every sink stores them
and people query them. The rule of each field is BEHAVIOUR 9 with the deviations of DESIGN: the raw
event is the raw line, so that it can be run through the same graph again.
"""

from __future__ import annotations

import base64
import codecs
import re
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from schemas import VERSION, addresses
from schemas.capsule import NotATime, parse_time, uuid5_hex
from schemas.event import RAW_EVENT_LIMIT, Destination, Event, RawLine

EVENT_ERROR = Destination("EventError", 14035058)


class Code(str, Enum):
    """The two codes of the original's EventError."""

    PROCESSOR = "processor"  # the line could not be made an event of a known schema
    VALIDATION = "validation"  # the event breaks its schema


class Stage(str, Enum):
    """Where in the graph a line turned bad."""

    PARSE = "parse"
    VALIDATE = "validate"
    WRITE = "write"


class Reason(str, Enum):
    """Why a line is no valid event: a stable word for queries, and a sentence for people."""

    code: Code
    sentence: str

    def __new__(cls, word: str, code: Code, sentence: str) -> Reason:
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.code = code
        reason.sentence = sentence
        return reason

    LINE_TOO_LONG = "line_too_long", Code.PROCESSOR, "The line is longer than a line may be."
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
    BAD_TIMESTAMP = "bad_timestamp", Code.PROCESSOR, "A time that is not a time."
    BAD_USER_AGENT = "bad_user_agent", Code.PROCESSOR, "The user agent is too long or not text."
    NO_SCHEMA = "no_schema", Code.VALIDATION, "The event names no schema and revision."
    BAD_SCHEMA_NAME = "bad_schema_name", Code.VALIDATION, "No schema can have that name."
    BAD_REVISION = "bad_revision", Code.VALIDATION, "No schema can have that revision."
    RESERVED_SCHEMA = (
        "reserved_schema",
        Code.VALIDATION,
        "Clients can't send EventErrors: they are made here.",
    )
    UNKNOWN_SCHEMA = "unknown_schema", Code.PROCESSOR, "The registry has no such schema revision."
    INVALID_SCHEMA = "invalid_schema", Code.PROCESSOR, "The registry's schema is itself invalid."
    SCHEMA_VIOLATION = "schema_violation", Code.VALIDATION, "The event breaks its schema."
    ROW_REJECTED = "row_rejected", Code.PROCESSOR, "A sink cannot hold this valid event."


def sentence_of(word: str) -> str:
    """What a reason's word means, for people."""
    return next(reason.sentence for reason in Reason if reason.value == word)


class BadEvent(NamedTuple):
    """A line that is no valid event. It flows on, to EventError; it is never dropped."""

    line: RawLine
    stage: Stage
    reason: Reason
    message: str  # what is wrong and where, for people
    path: str = ""  # the first offending place, as `event.action`
    schema: str = "unknown"
    revision: int = -1
    dt: str | None = None  # the line's own time, where it could be read


_QUOTED_SCHEMA = re.compile(r"%22schema%22%3A%22(.*?)%22")
_QUOTED_REVISION = re.compile(r"%22revision%22%3A(\d{1,18})")


def named_in(raw: bytes) -> Destination:
    """The schema and revision that an unreadable line seems to name: `unknown`, -1 where none."""
    text = raw[:RAW_EVENT_LIMIT].decode("utf-8", "replace")
    schema = _QUOTED_SCHEMA.search(text)
    revision = _QUOTED_REVISION.search(text)
    return Destination(schema[1] if schema else "unknown", int(revision[1]) if revision else -1)


def _moment(bad: BadEvent) -> datetime:
    try:
        return parse_time(bad.dt)
    except NotATime:  # none at all, or what a client says it is
        return parse_time(int(bad.line.origin.receipt))


def event_error(bad: BadEvent) -> Event:
    """The EventError event of a bad event: the same bytes whenever and wherever it is made.

    rawEvent is the raw line, or base64 of it where it is not UTF-8
    (`encoding` says which); a line beyond RAW_EVENT_LIMIT is cut, and `origin` says where the whole
    of it is. The time is the line's own, or else the time at which the line was received.
    """
    origin = bad.line.origin
    raw, encoding = bad.line.data[:RAW_EVENT_LIMIT], "utf-8"
    truncated = len(bad.line.data) > RAW_EVENT_LIMIT
    try:  # a character that the cut went through is no bad encoding
        text = codecs.getincrementaldecoder("utf-8")().decode(raw, final=not truncated)
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(raw).decode(), "base64"
    moment = _moment(bad)
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


_LEAST_TEXT = 64  # characters: less of a text says nothing


def shorter(error: Event) -> Event | None:
    """The same EventError, its texts cut to a quarter of the longest, for a sink with little room.

    `truncated` is true where rawEvent was cut, and base64 is cut where it can still be read; origin
    is never cut: it says where the whole line is. None where there is no more to cut."""
    told: dict[str, Any] = error.data["event"]
    texts = {
        name: text for name, text in told.items() if isinstance(text, str) and name != "origin"
    }
    longest = max(map(len, texts.values()), default=0) // 4
    if longest < _LEAST_TEXT:
        return None
    longest -= longest % 4
    cut = {name: text[:longest] for name, text in texts.items()}
    truncated = told.get("truncated", False) or cut["rawEvent"] != texts["rawEvent"]
    return error._replace(data=error.data | {"event": told | cut | {"truncated": truncated}})


def in_ascii(error: Event) -> Event:
    """The same EventError for a column that has not all characters: its line as base64, in other
    texts escapes."""
    told: dict[str, Any] = error.data["event"]
    changed = {
        name: text.encode("ascii", "backslashreplace").decode()
        for name, text in told.items()
        if isinstance(text, str) and name != "rawEvent"
    }
    if isinstance(raw := told.get("rawEvent"), str) and not raw.isascii():
        changed |= {"rawEvent": base64.b64encode(raw.encode()).decode(), "encoding": "base64"}
    return error._replace(data=error.data | {"event": told | changed})


def without_addresses(error: Event) -> Event:
    """The same EventError, without the IP addresses in its line and in what is told of it. A line's
    identity is made without them too: it stays."""
    told: dict[str, Any] = error.data["event"]
    try:
        raw = line_of(told)
    except ValueError:  # what others have made
        return error
    line = addresses.without_addresses(raw)
    changed = {
        name: addresses.cleared(text)
        for name in ("message", "path", "schema")
        if isinstance(text := told.get(name), str)
    }
    if line != raw:
        is_text = told.get("encoding") != "base64"
        changed["rawEvent"] = line.decode() if is_text else base64.b64encode(line).decode()
    return error._replace(data=error.data | {"event": told | changed})


def line_of(told: dict[str, Any]) -> bytes:
    """The line in an EventError's event, or its beginning. Raises ValueError where it is none."""
    raw = str(told.get("rawEvent") or "")
    is_text = told.get("encoding") != "base64"
    return raw.encode() if is_text else base64.b64decode(raw, validate=True)
