"""The time of a bad line, by which its EventError and the line in the archive have their hour.

How it is found is a rule with a number, and the books keep it: the same line is filed under the
same hour whenever it is read again.

    1   the event's dt; of a line that can't be read its first field that is a time
    2   where the event would be if it was valid: its dt, else its timestamp, as far as they can be
        read; else as 1

A line that has no time is filed under its receipt.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from schemas.bad_event import moment_of
from schemas.capsule import NotATime, iso8601_from_timestamp, parse_time
from schemas.event import LONGEST_LINE, RawLine
from schemas.line_format import TIME, edge_dt
from transforms.layout import hour_name

NEWEST_RULE: Final = 2
_EDGE_TIME = re.compile(rf":\d\d:\d\d(?<=\s({TIME}))(?=\s|$)".encode())  # `:` is found at once
_JSON_TIMES = (
    re.compile(rb'"dt"\s*:\s*"([^"\\]{1,64})"'),
    re.compile(rb'"timestamp"\s*:\s*(\d{1,19}(?:\.\d{1,9})?)(?![\d.eE])'),
)
_DECODER: Final = json.JSONDecoder()
_MEMBER, _COLON = re.compile(r"\s*[{,]\s*"), re.compile(r"\s*:\s*")  # before a name, a value
_MOST_MEMBERS: Final = 1000
_NAMES: Final = (b'dt"', b'timestamp"', b"\\u")  # to look for them is cheap; a name may be escaped


class LineTimes(Protocol):
    """Chooses the time of a bad line among what the rules say, the newest first."""

    def __call__(self, line: RawLine, by_rule: tuple[str | None, ...]) -> str | None: ...


@dataclass(frozen=True)
class ByRule:
    """The newest rule, but for the splits that have another one."""

    rules: Mapping[str, int] = field(default_factory=dict)  # split -> number

    def of(self, split: str) -> int:
        return self.rules.get(split, NEWEST_RULE)

    def __call__(self, line: RawLine, by_rule: tuple[str | None, ...]) -> str | None:
        return by_rule[NEWEST_RULE - self.of(line.origin.split)]


NEWEST: Final = ByRule()


@dataclass(frozen=True)
class OfHour:
    """The newest rule by which the line is of the hour under which it was archived."""

    hour: str  # 2019-03-10T07

    def __call__(self, line: RawLine, by_rule: tuple[str | None, ...]) -> str | None:
        hours = (hour_name(int(moment_of(each, line).timestamp()) // 3600) for each in by_rule)
        return next((its for its, hour in zip(by_rule, hours, strict=True) if hour == self.hour),
                    by_rule[0])  # fmt: skip


def edge_time(raw: bytes) -> str | None:
    """Finds the time of a line that can't be read as a whole: its first field that is a time. The
    query string has no such field, because it has no white space."""
    for found in _EDGE_TIME.findall(raw[:LONGEST_LINE]):
        try:
            return edge_dt(found.decode())
        except NotATime:
            continue
    return None


def event_dt(data: Mapping[str, Any]) -> str | None:
    """The time of an event as ISO 8601, by which a valid one has its hour: its dt, else its
    timestamp; None where it has neither, or they can't be read."""
    dt = data.get("dt")
    try:
        if isinstance(dt, str):
            parse_time(dt)
            return dt
    except NotATime:
        pass
    try:
        return iso8601_from_timestamp(data["timestamp"])
    except (KeyError, NotATime):
        return None


def by_rules(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The times of an event that could be read and isn't valid, by each rule."""
    dt = data.get("dt")
    return event_dt(data), dt if isinstance(dt, str) else None


def json_time(raw: bytes) -> str | None:
    """The time of an event in JSON that can't be stored, or was cut short."""
    found, is_whole = _read(raw)
    if is_whole or event_dt(found):
        return event_dt(found)
    for pattern in _JSON_TIMES:
        for text in pattern.findall(raw[:LONGEST_LINE]):
            try:
                value = text.decode()
                return iso8601_from_timestamp(float(value) if pattern is _JSON_TIMES[1] else value)
            except ValueError:
                continue
    return None


def times_in(raw: bytes) -> dict[str, Any]:
    """What can be read of an object in JSON that may have a time: if not all, its first members."""
    return _read(raw)[0]


def _read(raw: bytes) -> tuple[dict[str, Any], bool]:
    """(members, whether these are all); nothing where no member may be a time."""
    if not any(name in raw for name in _NAMES):
        return {}, True
    try:
        found = json.loads(raw)
        return found if isinstance(found, dict) else {}, True
    except (ValueError, RecursionError):
        return _begun(raw.decode("utf-8", "replace")), False


def _begun(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    place = _MEMBER.match(text)
    while place and len(found) < _MOST_MEMBERS:
        try:
            name, end = _DECODER.raw_decode(text, place.end())
            colon = _COLON.match(text, end)
            if not (colon and isinstance(name, str)):
                break
            found[name], end = _DECODER.raw_decode(text, colon.end())
        except (ValueError, RecursionError):
            break
        place = _MEMBER.match(text, end)
    return found
