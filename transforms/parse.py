"""Makes an Event of a raw line or, with the reason and the place, a BadEvent.

The format string is EventLogging's (BEHAVIOUR 1): `%q %{recvFrom}s %{seqId}d %D %{ip}i %u`.
Fields that the format names come from the line, whatever the client's capsule says. Only the apps'
own userAgent takes precedence over the line's (BEHAVIOUR 3 and the deviations of DESIGN).
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from schemas import strict_json
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, named_in
from schemas.capsule import NotATime, capsule_uuid, event_uuid, uuid5_hex
from schemas.event import LONGEST_EVENT, Event, RawLine
from schemas.line_format import BadField, Format, NotAnObject, decode_qson, json_of, object_in
from schemas.user_agent import BadUserAgent, parse_user_agent
from transforms.line_time import NEWEST, LineTimes, edge_time, event_dt, json_time, times_in

Parse = Callable[[RawLine], Event | BadEvent]

CLIENT_MARKERS: Final = ("clientValidated", "isTruncated")  # the client's notes to itself
_LONG_AS_JSON: Final = f"the event has more than {LONGEST_EVENT:,} bytes as JSON: not an event"


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


def _bad(
    line: RawLine, times: LineTimes, own: str | None, reason: Reason, message: str, path: str = ""
) -> BadEvent:
    """`own` is the time that the event has, as far as it could be read."""
    named, found = named_in(line.data), edge_time(line.data)
    dt = times(line, (own or found, found))
    return BadEvent(line, Stage.PARSE, reason, message, path, named.schema, named.revision, dt)


def _identity(data: dict[str, Any], line: RawLine) -> str:
    """Returns the original's uuid; if the line lacks a part of it, one of its place and bytes."""
    recv_from, seq_id, dt = data.get("recvFrom"), data.get("seqId"), data.get("dt")
    dated = "timestamp" in data
    whole = recv_from is not None and seq_id is not None and (dated or dt is not None)
    if whole and not dated:  # nearly all events
        return event_uuid(recv_from, seq_id, dt)
    original = capsule_uuid(data)  # even if it's not used: it raises for an impossible timestamp
    return original if whole else uuid5_hex(f"origin://{line.identity}")


def line_parser(format_: str, times: LineTimes = NEWEST) -> Parse:
    """Returns a function that parses lines of this format, or of `json`: events of schema topics,
    which keep their uuid. `times` chooses the times of bad lines. Raises FormatError; the function
    never raises, for any line."""
    if format_ == "json":
        return partial(parse_json_event, times=times)
    return _beacon_parser(Format(format_), times)


def _beacon_parser(format_: Format, times: LineTimes) -> Parse:
    places = {field.key: index for index, field in enumerate(format_.fields)}
    capsule_at, agent_at = places["capsule"], places.get("userAgent")
    decode, match, longest = format_.fields[capsule_at].cast, format_.match, format_.longest
    named = [
        (index, field.key, field.cast)
        for index, field in enumerate(format_.fields)
        if field.key and index not in (capsule_at, agent_at)
    ]

    def own_time(
        texts: tuple[str, ...], data: dict[str, Any], error: ValueError | None = None
    ) -> str | None:
        """Of a line whose fields were found, and of as much of its capsule as can be read."""
        if not data:
            data = times_in(unread(texts[capsule_at], error))
        for index, key, cast in named:
            if key in ("dt", "timestamp"):
                with suppress(ValueError):
                    data = data | {key: cast(texts[index])}
        return event_dt(data)

    def unread(text: str, error: ValueError | None) -> bytes:
        """The JSON of a capsule; of what can't be read, most errors have it."""
        if isinstance(error, json.JSONDecodeError):
            return error.doc.encode()
        if isinstance(error, UnicodeDecodeError):
            return error.object
        return json_of(text) if decode is decode_qson else text.encode()

    def parse(line: RawLine) -> Event | BadEvent:
        raw = line.data
        if len(raw) > longest:
            return _too_long(line, times, longest)
        text = raw.decode("utf-8", "replace")
        found = match(text)
        if found is None:
            return _bad(line, times, None, Reason.FORMAT_MISMATCH, format_.mismatch(text))
        texts = found.groups()
        key, data = "", dict[str, Any]()
        try:
            data = decode(texts[capsule_at])
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
            return _bad(line, times, own_time(texts, data, error), *_reason(error), path=key)
        if _is_too_long(data, line):
            return _bad(line, times, own_time(texts, data), Reason.LINE_TOO_LONG, _LONG_AS_JSON)
        if data.get("schema") == EVENT_ERROR.schema:  # people who query or replay them trust them
            message = "clients can't send EventErrors"
            own = own_time(texts, data)
            return _bad(line, times, own, Reason.RESERVED_SCHEMA, message, "schema")
        return Event(data, line)

    return parse


def parse_json_event(line: RawLine, times: LineTimes = NEWEST) -> Event | BadEvent:
    """Reads an event in JSON, as an earlier run wrote it: it keeps its uuid."""
    if len(line.data) > LONGEST_EVENT:
        return _too_long(line, times, LONGEST_EVENT, json_time(line.data))
    try:
        data = object_in(strict_json.loads(line.data.strip()))
        for marker in CLIENT_MARKERS:  # topics of before 2017 have them
            data.pop(marker, None)
        uuid = data.get("uuid")
        if not uuid or not isinstance(uuid, str):
            data["uuid"] = _identity(data, line)
    except ValueError as error:
        return _bad(line, times, json_time(line.data), *_reason(error))
    if _is_too_long(data, line):
        return _bad(line, times, json_time(line.data), Reason.LINE_TOO_LONG, _LONG_AS_JSON)
    return Event(data, line)


def _is_too_long(data: dict[str, Any], line: RawLine) -> bool:
    """Whether nobody could read again what `jsonl:` writes of an event: JSON has up to six bytes
    for one, `\\u0001`."""
    return len(line.data) > LONGEST_EVENT // 6 and len(strict_json.dumps(data)) > LONGEST_EVENT


def _too_long(line: RawLine, times: LineTimes, longest: int, own: str | None = None) -> BadEvent:
    message = f"the line has more than {longest:,} bytes: not an event"
    if len(line.data) > LONGEST_EVENT:
        message += f"; `raw:` keeps the first {len(line.data):,}"
    return _bad(line, times, own, Reason.LINE_TOO_LONG, message)
