"""Makes an Event of a raw line or, with the reason and the place, a BadEvent.

The format string is EventLogging's (BEHAVIOUR 1): `%q %{recvFrom}s %{seqId}d %D %{ip}i %u`.
Fields that the format names come from the line, whatever the client's capsule says. Only the apps'
own userAgent takes precedence over the line's (BEHAVIOUR 3 and the deviations of DESIGN).
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from schemas import strict_json
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, named_in
from schemas.capsule import NotATime, capsule_uuid, uuid5_hex
from schemas.event import LONGEST_EVENT, LONGEST_LINE, Event, RawLine
from schemas.line_format import TIME, BadField, Format, NotAnObject, edge_dt, object_in
from schemas.user_agent import BadUserAgent, parse_user_agent

Parse = Callable[[RawLine], Event | BadEvent]

CLIENT_MARKERS: Final = ("clientValidated", "isTruncated")  # the client's notes to itself
_EDGE_TIME = re.compile(rf"\s({TIME})(?=\s|$)".encode())


def _reason(error: ValueError) -> tuple[Reason, str]:
    """Returns the reason and the message for an error of parsing."""
    match error:
        case UnicodeDecodeError():
            return Reason.BAD_ENCODING, f"the url-encoded bytes are not UTF-8: {error.reason}"
        case json.JSONDecodeError():
            near = error.doc[max(0, error.pos - 20) : error.pos + 20]
            return Reason.BAD_JSON, f"{error} near {near!r}"
        case NotAnObject():
            return Reason.NOT_AN_OBJECT, str(error)
        case strict_json.TooDeep():
            return Reason.TOO_DEEP, str(error)
        case strict_json.Unstorable():
            return Reason.UNSTORABLE, str(error)
        case NotATime():
            return Reason.BAD_TIMESTAMP, str(error)
        case BadUserAgent():
            return Reason.BAD_USER_AGENT, str(error)
        case BadField():
            return Reason.BAD_FIELD, str(error)
    raise error


def edge_time(raw: bytes) -> str | None:
    """Finds the time of a line that can't be read as a whole: its first field that is a time. The
    query string has no such field, because it has no white space."""
    for found in _EDGE_TIME.findall(raw[:LONGEST_LINE]):
        try:
            return edge_dt(found.decode())
        except NotATime:
            continue
    return None


def _bad(line: RawLine, reason: Reason, message: str, path: str = "") -> BadEvent:
    named = named_in(line.data)
    return BadEvent(
        line, Stage.PARSE, reason, message, path, named.schema, named.revision, edge_time(line.data)
    )


def _identity(data: dict[str, Any], line: RawLine) -> str:
    """Returns the original's uuid; if the line lacks a part of it, one of its place and bytes."""
    original = capsule_uuid(data)  # even if it's not used: it raises for an impossible timestamp
    if (
        data.get("recvFrom") is None
        or data.get("seqId") is None
        or (data.get("dt") is None and "timestamp" not in data)
    ):
        return uuid5_hex(f"origin://{line.identity}")
    return original


def line_parser(format_: str) -> Parse:
    """Returns a function that parses lines of this format, or of `json`: events of schema topics,
    which keep their uuid. Raises FormatError; the function never raises, for any line."""
    return parse_json_event if format_ == "json" else _beacon_parser(Format(format_))


def _beacon_parser(format_: Format) -> Parse:
    places = {field.key: index for index, field in enumerate(format_.fields)}
    capsule_at, agent_at = places["capsule"], places.get("userAgent")
    decode, match, longest = format_.fields[capsule_at].cast, format_.match, format_.longest
    named = [
        (index, field.key, field.cast)
        for index, field in enumerate(format_.fields)
        if field.key and index not in (capsule_at, agent_at)
    ]

    def parse(line: RawLine) -> Event | BadEvent:
        raw = line.data
        if len(raw) > longest:
            return _too_long(line, longest)
        text = raw.decode("utf-8", "replace")
        found = match(text)
        if found is None:
            return _bad(line, Reason.FORMAT_MISMATCH, format_.mismatch(text))
        texts = found.groups()
        key = ""
        try:
            data: dict[str, Any] = decode(texts[capsule_at])
            for index, key, cast in named:
                data[key] = cast(texts[index])
            if agent_at is not None:  # the apps send their own: it takes precedence
                key = "userAgent"
                data[key] = parse_user_agent(data.get(key, texts[agent_at]))
            for marker in CLIENT_MARKERS:
                data.pop(marker, None)
            key = "timestamp"
            data["uuid"] = _identity(data, line)
        except ValueError as error:
            return _bad(line, *_reason(error), path=key)
        if data.get("schema") == EVENT_ERROR.schema:  # people who query or replay them trust them
            message = "clients can't send EventErrors"
            return _bad(line, Reason.RESERVED_SCHEMA, message, "schema")
        return Event(data, line)

    return parse


def parse_json_event(line: RawLine) -> Event | BadEvent:
    """Reads an event in JSON, as an earlier run wrote it: it keeps its uuid."""
    length = len(line.data)
    if length > LONGEST_EVENT:
        return _too_long(line, LONGEST_EVENT)
    try:
        data = object_in(strict_json.loads(line.data.strip()))
        for marker in CLIENT_MARKERS:  # topics of before 2017 have them
            data.pop(marker, None)
        if length > LONGEST_EVENT // 4 and len(strict_json.dumps(data)) > LONGEST_EVENT:
            return _too_long(line, LONGEST_EVENT)  # nobody could read again what `jsonl:` writes
        uuid = data.get("uuid")
        if not uuid or not isinstance(uuid, str):
            data["uuid"] = _identity(data, line)
    except ValueError as error:
        return _bad(line, *_reason(error))
    return Event(data, line)


def _too_long(line: RawLine, longest: int) -> BadEvent:
    message = f"the line has more than {longest:,} bytes: not an event"
    if len(line.data) > LONGEST_EVENT:
        message += f"; `raw:` keeps the first {len(line.data):,}"
    return _bad(line, Reason.LINE_TOO_LONG, message)
