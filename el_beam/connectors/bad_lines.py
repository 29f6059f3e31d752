"""Bad lines as they were read, from their EventErrors.

An EventError has the line's bytes and place, and its uuid is made of these: where they don't give
it, they are not the line that was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

from el_beam.connectors.selection import Selection
from el_beam.connectors.stored import Store, StoredEvent
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, line_of
from schemas.capsule import NotATime, parse_time, uuid5_hex
from schemas.event import Origin, RawLine
from transforms.counts.count import count_key

_ERRORS = re.compile(rf"{EVENT_ERROR}\Z")
_KINDS = ("kafka", "file", "stdin", "spool", "archive")  # of origins: EventErrors don't tell
_REASONS = {reason.value: reason for reason in Reason}
_FIELDS = ("dt", *(f"event.{name}" for name in (
    "reason", "schema", "revision", "origin", "encoding", "truncated", "rawEvent"
)))  # fmt: skip


class BadLine(NamedTuple):
    """An EventError, and its line."""

    error: StoredEvent
    reason: str
    counted: str  # Schema_revision that the books count it for: see counts/count.py
    origin: str  # file@byte, or topic/partition@offset
    cut: bool  # whether the EventError has no more than the line's beginning
    line: RawLine | None  # where all of it is there


def bad_lines(end: Store, wanted: Selection, reason: str | None) -> Iterator[BadLine | None]:
    """The EventErrors of wanted hours, of lines that name a wanted schema, for one reason where it
    is given; None for each other one. Raises StoredError."""
    for error in end.events(replace(wanted, schemas=_ERRORS), _FIELDS):
        dt, why, name, revision, origin, encoding, _, text = map(_text, error.values)
        names = f"{name}_{revision}" if name not in ("", "unknown") else "unknown"
        if (reason and why != reason) or not wanted.schema(names):
            yield None
            continue
        line = _line(error.uuid, text, encoding, origin, _receipt(dt))
        cut = line is None and bool(error.values[_FIELDS.index("event.truncated")])
        yield BadLine(error, why, _counted(why, name, revision), origin, cut, line)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _line(uuid: str, text: str, encoding: str, origin: str, receipt: float) -> RawLine | None:
    name, _, offset = origin.rpartition("@")
    try:
        data = line_of({"rawEvent": text, "encoding": encoding})
        place = int(offset)
    except ValueError:
        return None
    for kind in _KINDS:
        line = RawLine(data, Origin(kind, name, place, receipt, ""))
        if uuid5_hex(f"eventerror://{line.identity}") == uuid:
            return line
    return None


def _receipt(dt: str) -> float:
    """When a line was received that has no time of its own: an EventError's time is then that.
    For others it doesn't matter."""
    try:
        return parse_time(dt).timestamp()
    except NotATime:
        return 0.0


@lru_cache(maxsize=4096)
def _counted(why: str, name: str, revision: str) -> str:
    try:
        line = RawLine(b"", Origin("", "", 0, 0.0, ""))
        bad = BadEvent(line, Stage.PARSE, _REASONS[why], "", "", name, int(revision))
    except (KeyError, ValueError):  # of another version
        return "unknown_-1"
    key = count_key((EVENT_ERROR, bad))
    return f"{key.schema}_{key.revision}"
