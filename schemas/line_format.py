"""The lines' format, as EventLogging writes it: `%q %{recvFrom}s %{seqId}d %D %{ip}i %u`.

BEHAVIOUR 1 and 2: a regular expression with a cast for each field. If the original would fail on
every line (an unknown specifier, no capsule), the format is refused.
"""

import binascii
import calendar
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from unicodedata import decimal
from urllib.parse import unquote_to_bytes

from schemas import strict_json
from schemas.capsule import NotATime, iso8601_from_timestamp
from schemas.errors import WrongCall
from schemas.event import LONGEST_LINE
from schemas.user_agent import parse_user_agent

DEFAULT_FORMAT: Final = "%q %{recvFrom}s %{seqId}d %D %{ip}i %u"
TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}"
_SPECIFIER = re.compile(r"%(?:\{(?P<name>[^}]+)\})?(?P<letter>[a-zA-Z])")
_TO_TAB = r"[^\t]+"
_LONGEST_UNCERTAIN = 8 * 1024
"""Bytes, where a field up to a TAB is followed by one of another kind: the pattern then tries every
blank as its end, in the square of the line's length."""
_BAD_ESCAPE = re.compile(b"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class FormatError(WrongCall, ValueError):
    """A format string that can't read any line; the message says what is wrong with it."""


class NotAnObject(ValueError):
    """A capsule that is JSON, but not an object."""


class BadField(ValueError):
    """A field beside the capsule has an impossible value."""


class _Field(NamedTuple):
    key: str | None  # None: the value is dropped
    pattern: str
    cast: Callable[[str], Any]
    shown: str  # as written in the format


def unquote(text: str) -> bytes:
    """Decodes url-quoted text to bytes; bad escapes stay as they are, as in urllib.

    Quoted-printable differs from url-quoting by its escape character alone, and the standard
    library decodes it four times as fast. Every escape shortens the text by two: if the result is
    longer than that, an escape was bad."""
    if "\n" in text or "\r" in text:  # quoted-printable joins lines
        return unquote_to_bytes(text)
    if text.isascii():
        escaped = text.replace("=", "=3D") if "=" in text else text
        raw = binascii.a2b_qp(escaped.replace("%", "="))
        if len(raw) == len(text) - 2 * text.count("%"):
            return raw
    quoted, rest = text.encode(), b""
    if (end := quoted.find(b"%", -2)) >= 0:  # an escape that was cut short
        quoted, rest = quoted[:end], quoted[end:]
    quoted = _BAD_ESCAPE.sub(b"%25", quoted).replace(b"=", b"=3D").replace(b"%", b"=")
    return binascii.a2b_qp(quoted) + rest


def decode_qson(text: str) -> dict[str, Any]:
    """Reads the object in a beacon's query string, `?%7B...%7D;` (BEHAVIOUR 2).

    Raises NotAnObject, or what strict_json.loads raises."""
    return object_in(strict_json.loads(json_of(text)))


def json_of(text: str) -> bytes:
    """The JSON in a beacon's query string."""
    return unquote(text.strip("?;").replace("+", " "))


def decode_json(text: str) -> dict[str, Any]:
    """Reads an object from JSON. Raises NotAnObject, or what strict_json.loads raises."""
    return object_in(strict_json.loads(text.encode()))


def object_in(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotAnObject(f"the capsule is JSON, but {type(value).__name__}, not an object")
    return value


@lru_cache(maxsize=65536)
def edge_dt(text: str) -> str:
    return iso8601_from_timestamp(text)


@lru_cache(maxsize=65536)
def _edge_seconds(text: str) -> int:
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except ValueError as error:
        raise NotATime(f"{text!r} is not a time") from error


def _integer(text: str) -> int:
    digits = text
    if len(text) > 19:  # Python reads no integers of thousands of digits; \d is of all alphabets
        digits = "".join(str(decimal(each)) for each in text).lstrip("0") or "0"
    if len(digits) > 19 or (value := int(digits)) >= 2**63:
        raise BadField(f"{text[:40]}… is beyond 64 bits")
    return value


_SPECIFIERS: Final[dict[str, tuple[str, str | None, Callable[[str], Any]]]] = {
    "q": (r"\?\S+", "capsule", decode_qson),
    "j": (r"\S+", "capsule", decode_json),
    "t": (TIME, "timestamp", _edge_seconds),
    "D": (TIME, "dt", edge_dt),
    "u": (_TO_TAB, "userAgent", parse_user_agent),
    "o": (r"\S+", None, str),
    "i": (_TO_TAB, "{name}", str),
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
            self._starts = [
                re.compile(self._pattern(count + 1)) for count in range(len(self.fields))
            ]
        except re.error as error:
            raise FormatError(f"{format_!r} is not a valid pattern: {error}") from error
        pattern = self._starts[-1]
        if pattern.groups != len(self.fields):
            raise FormatError(f"{format_!r} has groups of its own: write (?:…) for (…)")
        wide = [field.pattern == _TO_TAB for field in self.fields]
        ends_wide = not any(wide) or all(wide[wide.index(True) :])
        self.longest = LONGEST_LINE if ends_wide else _LONGEST_UNCERTAIN  # bytes
        self.match = pattern.match  # text -> the fields in order, as groups, or None

    def _pattern(self, count: int) -> str:
        """Makes the regular expression of the first `count` fields. A space matches any white
        space; other text between the specifiers stays as it is, as in the original."""
        ends = [match.end() for match in _SPECIFIER.finditer(self.text)]
        text = self.text if count == len(ends) else self.text[: ends[count - 1]]
        fields = iter(self.fields)

        def group(match: re.Match[str]) -> str:
            field = next(fields)
            # A field without white space ends where white space begins: no shorter one is tried.
            alone = field.pattern.endswith("+") and field.pattern != _TO_TAB
            ends = alone and text.startswith(" ", match.end())
            return f"({field.pattern}{'+' if ends else ''})"

        return _SPECIFIER.sub(group, text).replace(" ", r"\s+")

    def mismatch(self, text: str) -> str:
        """Says for people why a line doesn't match: which field is the first that is missing."""
        place = next(place for place, start in enumerate(self._starts) if not start.match(text))
        return (
            f"the line does not have the format {self.text!r}: "
            f"no {self.fields[place].shown} as field {place + 1} of {len(self.fields)}"
        )
