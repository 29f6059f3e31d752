"""Bad events counted: EventErrors as they are stored, by reason, by the schema named, by hour."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from el_beam.connectors.selection import Selection, StoredError
from el_beam.connectors.stored import Store
from schemas.bad_event import EVENT_ERROR, Reason

EXAMPLES: Final = 3  # of each reason
OTHERS: Final = "(others)"
_MOST_SCHEMAS = 10_000  # whose names are kept: clients write what they like
_OF_ERRORS = re.compile(rf"{EVENT_ERROR.schema}_\d+$")
_FIELDS = tuple(
    f"event.{name}"
    for name in ("reason", "schema", "revision", "origin", "message", "encoding", "rawEvent")
)


class Example(NamedTuple):
    """A bad event. All its texts may hold anything."""

    uuid: str
    schema: str  # that the line names
    hour: str
    end: str
    place: str  # there
    origin: str  # where the line was read
    message: str
    encoding: str  # of the line: utf-8 or base64
    line: str


@dataclass
class BadEvents:
    """What was found."""

    total: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    schemas: Counter[str] = field(default_factory=Counter)
    hours: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)  # by reason


def check_reason(word: str | None) -> None:
    """Raise StoredError for a word that is no reason."""
    if word is not None and word not in {reason.value for reason in Reason}:
        there_are = ", ".join(reason.value for reason in Reason)
        raise StoredError(f"--reason {word!r} is none; there are {there_are}")


def bad_events(
    ends: Iterable[Store], wanted: Selection, reason: str | None, heard: Callable[[], None]
) -> BadEvents:
    """The EventErrors of all ends, added up: those of wanted hours, of lines that name a wanted
    schema. Raises StoredError."""
    found = BadEvents()
    for end in ends:
        for error in end.events(replace(wanted, schemas=_OF_ERRORS), _FIELDS):
            heard()
            texts = [_text(value) for value in error.values]
            why, name, revision, origin, message, encoding, line = texts
            schema = f"{name}_{revision}" if name not in ("", "unknown") else "unknown"
            if (reason and why != reason) or not wanted.schema(schema):
                continue
            found.total += 1
            found.reasons[why] += 1
            found.hours[error.hour] += 1
            full = schema not in found.schemas and len(found.schemas) >= _MOST_SCHEMAS
            found.schemas[OTHERS if full else schema] += 1
            examples = found.examples.setdefault(why, [])
            if len(examples) < EXAMPLES:
                where = (error.hour, str(end), error.place, origin)
                examples.append(Example(error.uuid, schema, *where, message, encoding, line))
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def readable(example: Example) -> str:
    """The line as text, whatever its bytes; still not fit for a terminal."""
    if example.encoding != "base64":
        return example.line
    try:
        return base64.b64decode(example.line, validate=True).decode("utf-8", "backslashreplace")
    except (binascii.Error, ValueError):
        return example.line
