"""EventErrors are read back: the bad lines of a store, one by one or counted.

An EventError has the line's bytes and place, and its uuid is made of these: where they don't give
it, they are not the line that was read. EventErrors of any revision are read alike.
"""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, NamedTuple

from el_beam.connectors.contract import Selection, Store, StoredError, StoredEvent
from schemas.bad_event import EVENT_ERROR, UNKNOWN, BadEvent, Reason, Stage, line_of
from schemas.capsule import NotATime, parse_time, uuid5_hex
from schemas.event import Origin, RawLine
from transforms.counts.count import count_key

EXAMPLES: Final = 3  # of each reason
OTHERS: Final = "(others)"
_MOST_SCHEMAS = 10_000  # whose names are kept: clients write what they like
_OF_ERRORS = re.compile(rf"{EVENT_ERROR.schema}_\d+\Z")
_UNKNOWN = UNKNOWN.schema  # what an EventError has as schema where the line names none
_KINDS = ("kafka", "file", "stdin", "spool", "archive")  # of origins: EventErrors don't tell
_REASONS = {reason.value: reason for reason in Reason}
_FIELDS = ("dt", *(f"event.{name}" for name in (
    "reason", "schema", "revision", "origin", "message", "encoding", "rawEvent", "truncated"
)))  # fmt: skip


class BadLine(NamedTuple):
    """An EventError, and what it says of its line. All texts may hold anything."""

    error: StoredEvent
    dt: str
    reason: str
    schema: str  # that the line names, with its revision; or `unknown`
    origin: str  # where the line was read: file@byte, or topic/partition@offset
    message: str
    encoding: str  # of the text: utf-8 or base64
    text: str  # of the line
    truncated: bool  # whether the text is no more than the line's beginning

    @property
    def line(self) -> RawLine | None:
        """The line as it was read; None where the EventError doesn't have all of it."""
        name, _, offset = self.origin.rpartition("@")
        try:
            data = line_of({"rawEvent": self.text, "encoding": self.encoding})
            place = int(offset)
        except ValueError:
            return None
        for kind in _KINDS:
            line = RawLine(data, Origin(kind, name, place, _receipt(self.dt), ""))
            if uuid5_hex(f"eventerror://{line.identity}") == self.error.uuid:
                return line
        return None

    @property
    def counted(self) -> str:
        """Schema_revision that the summaries count it for: see counts/count.py."""
        return _counted(self.reason, self.schema)

    @property
    def readable(self) -> str:
        """The line as text, whatever its bytes; still not fit for a terminal."""
        if self.encoding != "base64":
            return self.text
        try:
            return base64.b64decode(self.text, validate=True).decode("utf-8", "backslashreplace")
        except (binascii.Error, ValueError):
            return self.text


def bad_lines(
    store: Store, selection: Selection, reason: str | None, heard: Callable[[], None]
) -> Iterator[BadLine]:
    """The EventErrors of the selected hours, of lines that name a selected schema, for one reason
    where it is given; `heard` is called for each that is read. Raises StoredError."""
    for error in store.events(replace(selection, schemas=_OF_ERRORS), _FIELDS):
        heard()
        *values, truncated = error.values
        dt, why, name, revision, origin, message, encoding, text = (
            "" if each is None else str(each) for each in values
        )
        schema = f"{name}_{revision}" if name not in ("", _UNKNOWN) else _UNKNOWN
        if (not reason or why == reason) and selection.schema(schema):
            yield BadLine(
                error, dt, why, schema, origin, message, encoding, text, bool(truncated)
            )  # fmt: skip


def _receipt(dt: str) -> float:
    """When a line was received that has no time of its own: an EventError's time is then that.
    For others it doesn't matter."""
    try:
        return parse_time(dt).timestamp()
    except NotATime:
        return 0.0


@lru_cache(maxsize=4096)
def _counted(why: str, named: str) -> str:
    name, _, revision = named.rpartition("_")
    try:
        line = RawLine(b"", Origin("", "", 0, 0.0, ""))
        of_schema = (name, int(revision)) if name else ()
        bad = BadEvent(line, Stage.PARSE, _REASONS[why], "", "", *of_schema)
    except (KeyError, ValueError):  # of another version
        return "unknown_-1"
    key = count_key((EVENT_ERROR, bad))
    return f"{key.schema}_{key.revision}"


class Example(NamedTuple):
    """A bad event, and the store that has it."""

    store: str
    bad: BadLine


@dataclass
class BadEvents:
    """What was found."""

    total: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    schemas: Counter[str] = field(default_factory=Counter)
    hours: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)  # by reason


def check_reason(word: str | None) -> None:
    """Raise StoredError for a word that is not a reason."""
    if word is not None and word not in _REASONS:
        raise StoredError(f"--reason {word!r} is not a reason; there are {', '.join(_REASONS)}")


def bad_events(
    stores: Iterable[Store], selection: Selection, reason: str | None, heard: Callable[[], None]
) -> BadEvents:
    """The bad lines of all stores, counted, with some examples. Raises StoredError."""
    found = BadEvents()
    for store in stores:
        for bad in bad_lines(store, selection, reason, heard):
            found.total += 1
            found.reasons[bad.reason] += 1
            found.hours[bad.error.hour] += 1
            full = bad.schema not in found.schemas and len(found.schemas) >= _MOST_SCHEMAS
            found.schemas[OTHERS if full else bad.schema] += 1
            examples = found.examples.setdefault(bad.reason, [])
            if len(examples) < EXAMPLES:
                examples.append(Example(str(store), bad))
    return found
