"""The EventCapsule, which wraps every event: who sent it, and when.

Rules and golden values: BEHAVIOUR 3 (timestamps), 4 (uuid), 6 (capsule) and 7 (schema identity).
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL

from dateutil import parser as dateutil_parser

from schemas.times import in_calendar

Json = dict[str, Any]

CAPSULE: Final[Json] = {
    "type": "object",
    "properties": {
        "event": {"type": "object", "required": True},
        "wiki": {"type": "string", "required": True},
        "webHost": {"type": "string"},
        "schema": {"type": "string", "required": True},
        "revision": {"type": "integer", "required": True},
        "topic": {"type": "string"},
        "recvFrom": {"type": "string", "required": True},
        "timestamp": {"type": "number"},
        "dt": {"type": "string", "format": "date-time"},
        "seqId": {"type": "integer"},
        "uuid": {"type": "string", "required": True, "format": "uuid5-hex"},
        "userAgent": {"type": "any"},
        "ip": {"type": "string"},
    },
    "additionalProperties": False,
}
"""Draft 3. Its formats are never enforced; `event` is replaced by the event's own schema."""

_SCHEMA_NAME = re.compile(r"^[./a-zA-Z0-9_-]{1,63}$")
_SCHEMA_URI = re.compile(
    r"^/?(?P<name>[\w.-]+(?:/[\w.-]+)*?)(?:/(?P<revision>\d{1,18})(?:\.\w+)?)?$"
)
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?", re.ASCII)
_LONGEST_TIME = 64  # characters; dateutil's parser is not for longer hostile strings
_MISSING_PARTS = datetime(1970, 1, 1)  # a time of day alone must not depend on today
_IN_NAMESPACE = sha1(NAMESPACE_URL.bytes, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class NotATime(ValueError):
    """A value that cannot be read as a point in time."""


@lru_cache(maxsize=65536)
def _parse_time(text: str) -> datetime:
    try:
        if _USUAL_TIME.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        moment = dateutil_parser.parse(text, default=_MISSING_PARTS)
        moment.utcoffset()
    except (ValueError, ArithmeticError, TypeError) as error:
        raise NotATime(f"{text!r} is not a time ({type(error).__name__})") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_time(value: object) -> datetime:
    """Reads a time as the original does: text in any common form (naive is UTC, an offset is kept),
    or a number of seconds, or of milliseconds if as seconds it is beyond the calendar.

    Raises NotATime for anything else."""
    if isinstance(value, str):
        if not is_cacheable(value):
            raise NotATime(f"a time of {len(value)} characters is too long")
        return _parse_time(value)
    if isinstance(value, (int, float)):
        for unit in (1, 1000):
            try:
                return datetime.fromtimestamp(value / unit, UTC)
            except (ValueError, OverflowError, OSError):
                continue
    raise NotATime(f"{value!r:.80} is not a time")


def iso8601_from_timestamp(value: object) -> str:
    """Writes a time as ISO 8601: `Z` for UTC, another offset kept, a fraction as six digits."""
    return parse_time(value).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=65536)
def _unix_seconds(text: str) -> float | None:
    try:
        return in_calendar(_parse_time(text).timestamp())
    except NotATime:
        return None


def is_cacheable(value: object) -> bool:
    """Returns whether a value may be the key of a cache: long texts of clients may not."""
    return not isinstance(value, str) or len(value) <= _LONGEST_TIME


def event_time(data: Json, receipt: float) -> float:
    """Returns the unix seconds of an event: of its dt, else of its timestamp, else the receipt.

    They have a date: an offset may move a dt out of the years 1 to 9999, then the nearest is taken.
    """
    dt = data.get("dt")
    if isinstance(dt, str) and is_cacheable(dt) and (seconds := _unix_seconds(dt)) is not None:
        return seconds
    try:
        return in_calendar(parse_time(data["timestamp"]).timestamp())
    except (KeyError, NotATime):
        return in_calendar(receipt)


def uuid5_hex(name: str) -> str:
    """Returns `uuid.uuid5(NAMESPACE_URL, name).hex`, in a third of the time."""
    hasher = _IN_NAMESPACE.copy()
    hasher.update(name.encode())
    digest = hasher.hexdigest()
    return f"{digest[:12]}5{digest[13:16]}{_VARIANT[digest[16]]}{digest[17:32]}"


def capsule_uuid(data: Json) -> str:
    """Returns the original's identity of an event: 32 hex digits of recvFrom, seqId and dt.

    If dt is missing, it is made from timestamp; a part that is still missing prints as `None`."""
    dt = data.get("dt")
    if "timestamp" in data:  # read even beside dt: an unreadable timestamp is an error
        default = iso8601_from_timestamp(data["timestamp"])
        dt = default if dt is None else dt
    return event_uuid(data.get("recvFrom"), data.get("seqId"), dt)


def event_uuid(recv_from: object, seq_id: object, dt: object) -> str:
    """Returns the original's identity of an event that has these."""
    return uuid5_hex(f"event://{recv_from}/?seqId={seq_id}&dt={dt}")


class BadIdentity(ValueError):
    """A (schema, revision) that no schema can have; `part` is `schema` or `revision`."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


def scid_from_uri(uri: object, root: str = "") -> tuple[str, int | None] | None:
    """Reads (name, revision) from a schema URI such as `Edit/13457736` or `file:///srv/a/b/1.yaml`.

    Names start below the folder `root`. The revision is None if the URI lacks one. Returns None if
    the URI does not name a schema."""
    if not isinstance(uri, str):
        return None
    try:
        path = urlsplit(uri).path
    except ValueError:  # a client may send anything: `http://[x/Edit/1`
        return None
    match = _SCHEMA_URI.match(path.removeprefix(root))
    if not match:
        return None
    return match["name"], int(match["revision"]) if match["revision"] else None


def scid_of(data: Json) -> tuple[Any, Any] | None:
    """Returns the schema and revision that an event names (of any type), or None if it doesn't.

    An event with a `meta` object names its schema there, by URI."""
    meta = data.get("meta")
    if isinstance(meta, dict):
        return scid_from_uri(meta.get("schema_uri"))
    if "schema" in data and "revision" in data:
        return data["schema"], data["revision"]
    return None


def check_scid(schema: object, revision: object) -> None:
    """Raises BadIdentity unless a schema could have this name and revision (BEHAVIOUR 7)."""
    if not isinstance(schema, str) or not _SCHEMA_NAME.match(schema):
        raise BadIdentity("schema", f"Invalid schema name: {schema!r:.200}")
    if not isinstance(revision, int):
        raise BadIdentity("revision", f"Invalid revision, not an integer: {revision!r:.200}")
    if revision < 1:
        raise BadIdentity("revision", f"Invalid revision, must be 1 or more: {revision}")
