"""ParseEvents: a raw line becomes an Event or, with what is wrong and where, a BadEvent.

The format string is EventLogging's (BEHAVIOUR 1): `%q %{recvFrom}s %{seqId}d %D %{ip}i %u`.
Fields that the format names come from the line, whatever the client's capsule says; only the apps'
own userAgent wins over the line's (BEHAVIOUR 3 and the deviations of DESIGN).
"""

from __future__ import annotations

import binascii
import calendar
import json
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import apache_beam as beam

from schemas import strict_json
from schemas.bad_event import BadEvent, Reason, Stage, named_in
from schemas.capsule import (
    NotATime,
    capsule_uuid,
    iso8601_from_timestamp,
    uuid5_hex,
)
from schemas.event import Event, RawLine
from schemas.user_agent import BadUserAgent, parse_user_agent
from transforms.batches import EachFn

Parse = Callable[[RawLine], Event | BadEvent]

DEFAULT_FORMAT: Final = "%q %{recvFrom}s %{seqId}d %D %{ip}i %u"
LONGEST_LINE: Final = 1024 * 1024  # bytes: what a Kafka record may hold by default
CLIENT_MARKERS: Final = ("clientValidated", "isTruncated")  # the client's notes to itself
_TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}"
_EDGE_TIME = re.compile(rf"\s({_TIME})(?=\s|$)".encode())
_SPECIFIER = re.compile(r"%(?:\{(?P<name>[^}]+)\})?(?P<letter>[a-zA-Z])")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class FormatError(ValueError):
    """A format string that no line could be read with; says what is wrong with it."""


class NotAnObject(ValueError):
    """A capsule that is JSON, but not an object."""


class BadField(ValueError):
    """A field beside the capsule whose value can't be."""


class _Field(NamedTuple):
    key: str | None  # None: read, and dropped
    pattern: str
    cast: Callable[[str], Any]
    shown: str  # as written in the format


def unquote(text: str) -> bytes:
    """The bytes of url-quoted text; bad escapes stay as they are, as in urllib.

    Quoted-printable differs from url-quoting by its escape character alone, and the standard
    library decodes it four times as fast. Every escape shortens the text by two: if it came out
    longer, one was bad, and urllib decides."""
    if text.isascii() and "\n" not in text and "\r" not in text:  # quoted-printable joins lines
        escaped = text.replace("=", "=3D") if "=" in text else text
        raw = binascii.a2b_qp(escaped.replace("%", "="))
        if len(raw) == len(text) - 2 * text.count("%"):
            return raw
    return unquote_to_bytes(text)


def decode_qson(text: str) -> dict[str, Any]:
    """The object in a beacon's query string, `?%7B...%7D;` (BEHAVIOUR 2).

    Raises NotAnObject, or what strict_json.loads raises."""
    return _object(strict_json.loads(unquote(text.strip("?;").replace("+", " "))))


def decode_json(text: str) -> dict[str, Any]:
    """The object that a JSON text is. Raises NotAnObject, or what strict_json.loads raises."""
    return _object(strict_json.loads(text.encode()))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAnObject(f"the capsule is JSON, but {type(value).__name__}, not an object")
    return value


@lru_cache(maxsize=65536)
def _edge_dt(text: str) -> str:
    return iso8601_from_timestamp(text)


@lru_cache(maxsize=65536)
def _edge_seconds(text: str) -> int:
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError as error:
        raise NotATime(f"{text!r} is not a time") from error


def _integer(text: str) -> int:
    if len(text) > 19 or (value := int(text)) >= 2**63:
        raise BadField(f"{text[:40]}… is beyond 64 bits")
    return value


_SPECIFIERS: Final[dict[str, tuple[str, str | None, Callable[[str], Any]]]] = {
    "q": (r"\?\S+", "capsule", decode_qson),
    "j": (r"\S+", "capsule", decode_json),
    "t": (_TIME, "timestamp", _edge_seconds),
    "D": (_TIME, "dt", _edge_dt),
    "u": (r"[^\t]+", "userAgent", parse_user_agent),
    "o": (r"\S+", None, str),
    "i": (r"[^\t]+", "{name}", str),
    "s": (r"\S+", "{name}", str),
    "d": (r"\d+", "{name}", _integer),
}
"""letter -> (pattern, key in the capsule, cast): BEHAVIOUR 1."""


def _fields_of(format_: str) -> Iterator[_Field]:
    for match in _SPECIFIER.finditer(format_):
        name, letter = match["name"], match["letter"]
        if letter not in _SPECIFIERS:
            known = " ".join("%" + each for each in _SPECIFIERS)
            raise FormatError(f"unknown specifier {match[0]} in {format_!r}; there are {known}")
        pattern, key, cast = _SPECIFIERS[letter]
        named = key == "{name}"
        if named and (name is None or not _NAME.fullmatch(name)):
            raise FormatError(f"{match[0]} in {format_!r} needs a field name, as %{{ip}}{letter}")
        if name is not None and not named:
            raise FormatError(f"{match[0]} in {format_!r}: %{letter} takes no field name")
        yield _Field(name if named else key, pattern, cast, match[0])


class Format:
    """A compiled format string.

    Raises FormatError where the format is wrong: unknown or repeated fields, no capsule."""

    def __init__(self, format_: str) -> None:
        self.text = format_
        self.fields = tuple(_fields_of(format_))
        keys = [field.key for field in self.fields]
        if repeated := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise FormatError(f"{format_!r} has {', '.join(repeated).replace('None', '%o')} twice")
        if "capsule" not in keys:
            raise FormatError(
                f"{format_!r} has no capsule: it needs %q (query string) or %j (JSON)"
            )
        try:
            pattern = re.compile(self._pattern(len(self.fields)))
        except re.error as error:
            raise FormatError(f"{format_!r} is no valid pattern: {error}") from error
        if pattern.groups != len(self.fields):
            raise FormatError(f"{format_!r} has groups of its own: write (?:…) for (…)")
        self.match = pattern.match  # text -> the fields in order, as groups, or None

    def _pattern(self, count: int) -> str:
        """The regular expression of the first `count` fields. A space is any white space; all else
        between the specifiers is taken as it is, as the original does."""
        ends = [match.end() for match in _SPECIFIER.finditer(self.text)]
        text = self.text if count == len(ends) else self.text[: ends[count - 1]]
        fields = iter(self.fields)

        def group(_: re.Match[str]) -> str:
            field = next(fields)
            return f"({field.pattern})"

        return _SPECIFIER.sub(group, text.replace(" ", r"\s+"))

    def mismatch(self, text: str) -> str:
        """What keeps a line from matching, for people: the first field that isn't there."""
        for count in range(1, len(self.fields) + 1):
            if not re.match(self._pattern(count), text):
                break
        field = self.fields[count - 1]
        return (
            f"the line does not have the format {self.text!r}: "
            f"no {field.shown} as field {count} of {len(self.fields)}"
        )


def _reason(error: ValueError) -> tuple[Reason, str]:
    """The reason and message of what went wrong when a line was parsed."""
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
    """The line's own time where the line as a whole can't be read: the first of its fields that is
    a time. The query string can't be mistaken for it: white space ends it."""
    for found in _EDGE_TIME.findall(raw[:LONGEST_LINE]):
        try:
            return _edge_dt(found.decode())
        except NotATime:
            continue
    return None


def _bad(line: RawLine, reason: Reason, message: str, path: str = "") -> BadEvent:
    named = named_in(line.data)
    return BadEvent(
        line, Stage.PARSE, reason, message, path, named.schema, named.revision, edge_time(line.data)
    )


def _identity(data: dict[str, Any], line: RawLine) -> str:
    """The original's uuid, or where the line lacks a part of it one of its origin's."""
    original = capsule_uuid(data)  # also where it's not used: it raises for an impossible timestamp
    if (
        data.get("recvFrom") is None
        or data.get("seqId") is None
        or (data.get("dt") is None and "timestamp" not in data)
    ):
        origin = line.origin
        return uuid5_hex(f"origin://{origin.kind}/{origin.name}@{origin.offset}")
    return original


def line_parser(format_: str) -> Parse:
    """A function that parses lines of this format, or of `json`: events as the schema topics hold
    them, which keep their uuid. Raises FormatError; what it returns raises nothing for any line."""
    return parse_json_event if format_ == "json" else _beacon_parser(Format(format_))


def _beacon_parser(format_: Format) -> Parse:
    places = {field.key: index for index, field in enumerate(format_.fields)}
    capsule_at, agent_at = places["capsule"], places.get("userAgent")
    decode, match = format_.fields[capsule_at].cast, format_.match
    named = [
        (index, field.key, field.cast)
        for index, field in enumerate(format_.fields)
        if field.key and index not in (capsule_at, agent_at)
    ]

    def parse(line: RawLine) -> Event | BadEvent:
        raw = line.data
        if len(raw) > LONGEST_LINE:
            return _too_long(line)
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
            if agent_at is not None:  # the apps send their own: it wins over the line's
                key = "userAgent"
                data[key] = parse_user_agent(data.get(key, texts[agent_at]))
            for marker in CLIENT_MARKERS:
                data.pop(marker, None)
            key = "timestamp"
            data["uuid"] = _identity(data, line)
        except ValueError as error:
            return _bad(line, *_reason(error), path=key)
        return Event(data, line)

    return parse


def parse_json_event(line: RawLine) -> Event | BadEvent:
    """An event in JSON, as it was written by an earlier run: it keeps the uuid that it carries."""
    if len(line.data) > LONGEST_LINE:
        return _too_long(line)
    try:
        data = _object(strict_json.loads(line.data.strip()))
        if not isinstance(data.get("uuid"), str):
            data["uuid"] = _identity(data, line)
    except ValueError as error:
        return _bad(line, *_reason(error))
    return Event(data, line)


def _too_long(line: RawLine) -> BadEvent:
    return _bad(
        line, Reason.LINE_TOO_LONG, f"the line has more than {LONGEST_LINE:,} bytes: not an event"
    )


class _ParseFn(EachFn):
    def __init__(self, format_: str) -> None:
        self._format = format_

    def setup(self) -> None:
        self.each = line_parser(self._format)  # type: ignore[method-assign]


class ParseEvents(beam.PTransform):  # type: ignore[misc]
    """RawLine -> Event | BadEvent, by a format string or `json`.

    Raises FormatError when the pipeline is built with a wrong format."""

    def __init__(self, format_: str = DEFAULT_FORMAT) -> None:
        super().__init__()
        line_parser(format_)  # refuses a wrong format now, not on a worker
        self._format = format_

    def expand(self, lines: beam.PCollection) -> beam.PCollection:
        return lines | "Parse" >> beam.ParDo(_ParseFn(self._format))
