"""Names of topics and keys of records, from templates: texts in which {field} stands for a value.

A topic is named after what an event was validated as, its schema and revision, and after nothing
else in it: what a client writes in its capsule's `topic` must not choose where an event goes.
"""

import re
from collections.abc import Iterable
from string import Formatter
from typing import Any, Final

from schemas.bad_event import EVENT_ERROR
from schemas.capsule import CAPSULE
from schemas.errors import WrongCall
from schemas.event import Destination

LONGEST_TOPIC: Final = 249  # characters; Kafka's own limit
LONGEST_KEY: Final = 1024  # bytes; clients write what they like into fields
KEY_FIELDS: Final = tuple(sorted(set(CAPSULE["properties"]) - {"event", "userAgent"}))
_TOPIC_FIELDS: Final = ("schema", "revision")
_TOPIC_CHARACTERS: Final = re.compile(r"[a-zA-Z0-9._-]+")


class TopicError(WrongCall, ValueError):
    """A template that can't be used, or a name that no topic can have; the message says why."""


def _parts(what: str, text: str, known: Iterable[str]) -> list[tuple[str, str]]:
    """A template as pairs of plain text and the field after it, empty where none follows."""
    parts = []
    there_are = " ".join(f"{{{name}}}" for name in known)
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TopicError(f"{what} {text!r}: {error}; there are {there_are}") from None
    for plain, field, form, conversion in parsed:
        if field is not None and (form or conversion or field not in known):
            shown = field + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise TopicError(f"{what} {text!r} has no field {{{shown}}}; there are {there_are}")
        parts.append((plain, field or ""))
    return parts


def checked_topic(name: str) -> str:
    """The name of a topic. Raises TopicError where Kafka allows no such name."""
    if not _TOPIC_CHARACTERS.fullmatch(name):
        raise TopicError(
            f"{name!r} is not a valid topic: there may be letters, digits, `.`, `_`, `-`"
        )
    if len(name) > LONGEST_TOPIC:
        raise TopicError(
            f"{name!r} is not a valid topic: it has more than {LONGEST_TOPIC} characters"
        )
    if name in (".", "..") or name.startswith("__"):
        raise TopicError(f"{name!r} is not a topic of ours: Kafka keeps such names for itself")
    return name


class TopicTemplate:
    """Names topics, as `eventlogging_{schema}_{revision}`. Without fields all share one topic."""

    def __init__(self, text: str) -> None:
        """Raises TopicError where no topic could ever be named so, or not that of EventErrors."""
        if not text:
            raise TopicError("no topic: write topic=eventlogging_{schema}_{revision}")
        self._parts = _parts("topic", text, _TOPIC_FIELDS)
        self.name(EVENT_ERROR)  # bad lines must always have a place

    def name(self, destination: Destination) -> str:
        """The topic of a destination. Raises TopicError where Kafka allows no such name."""
        values = {"schema": destination.schema, "revision": str(destination.revision), "": ""}
        return checked_topic("".join(plain + values[field] for plain, field in self._parts))


class KeyTemplate:
    """Keys of records, as `{wiki}`: records with the same key share a partition."""

    def __init__(self, text: str) -> None:
        """Raises TopicError for a field that is not one of the capsule's plain ones."""
        self._parts = _parts("key", text, KEY_FIELDS)
        if not any(field for _, field in self._parts):
            there_are = " ".join(f"{{{name}}}" for name in KEY_FIELDS)
            raise TopicError(f"key {text!r} is the same for all: write {{field}}; {there_are}")

    def key(self, data: dict[str, Any]) -> bytes | None:
        """The key of an event, or None where a field is missing, empty or neither text nor integer.

        A key of more than LONGEST_KEY bytes counts as none: it only chooses a partition."""
        texts = []
        for plain, field in self._parts:
            texts.append(plain)
            if field:
                value = data.get(field)
                if value == "" or type(value) not in (str, int):
                    return None
                texts.append(str(value))
        key = "".join(texts).encode()
        return key if len(key) <= LONGEST_KEY else None
