"""Reads and writes JSON, and refuses values that no sink can hold.

orjson reads the usual texts. If it refuses a text, or might read it differently from the standard
library (integers beyond 64 bits become floats), the standard library reads it again and decides.
"""

import json
import math
from typing import Any, Final, NoReturn

import orjson

DEEPEST: Final = 250  # levels; orjson writes no more than 254
_JSON = json.JSONDecoder()
_TOO_DEEP = f"nested more than {DEEPEST} levels deep"
_DIGITS = bytes(ord("0") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(128)
_LONG_NUMBER = b"0" * 19  # digits of 2**63: shorter numbers fit into 64 bits
_BEFORE_NUMBERS = b" \t\n\r:,[-"


class Unstorable(ValueError):
    """A value that no sink can hold: NaN, Infinity, a lone surrogate, an integer beyond 64 bits."""


class TooDeep(ValueError):
    """JSON nested deeper than DEEPEST."""


def loads(raw: bytes) -> Any:
    """Reads a JSON text in UTF-8.

    Raises UnicodeDecodeError, json.JSONDecodeError, Unstorable or TooDeep."""
    if not _may_have_long_number(raw):
        try:
            value = orjson.loads(raw)
            shallow = len(raw) < 2 * DEEPEST or raw.count(b"[") + raw.count(b"{") <= DEEPEST
            if not shallow:
                orjson.dumps([[[[value]]]])  # it writes no more than 254 levels
            return value
        except orjson.JSONDecodeError:
            pass
        except orjson.JSONEncodeError:  # all else that can't be stored it doesn't even read
            raise TooDeep(_TOO_DEEP) from None
    return _loads_slowly(raw)


def _may_have_long_number(raw: bytes) -> bool:
    """Returns whether a number outside of texts is long: tokens and uuids may be all digits."""
    digits = raw.translate(_DIGITS)
    place = digits.find(_LONG_NUMBER)
    while place > 0:
        if raw[place - 1] in _BEFORE_NUMBERS:
            return True
        place = digits.find(_LONG_NUMBER, place + len(_LONG_NUMBER))
    return place == 0


def _loads_slowly(raw: bytes) -> Any:
    constants: list[str] = []
    try:
        decoder = _JSON  # to make one takes as long as to read a short text
        if b"NaN" in raw or b"Infinity" in raw:
            decoder = json.JSONDecoder(parse_constant=constants.append)
        value = decoder.decode(raw.decode())
    except RecursionError:
        raise TooDeep(_TOO_DEEP) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise Unstorable("an integer of thousands of digits") from None
    if constants:
        raise Unstorable(f"{constants[0]} is not a number that can be stored")
    _check(value, "", 0)
    return value


def _check(value: Any, path: str, depth: int) -> None:
    """Raises for the first value that can't be stored, and names its place."""

    def refuse(what: str) -> NoReturn:
        where = repr(path.lstrip("."))[1:-1]  # names are untrusted: control characters escaped
        raise Unstorable(f"{what} at {where or 'the top'}")

    if depth > DEEPEST:
        raise TooDeep(_TOO_DEEP)
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            refuse("a lone surrogate")
    elif isinstance(value, float):
        if not math.isfinite(value):
            refuse("a number too large for a float")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            refuse("an integer beyond 64 bits")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, f"{path} (a name)", depth)
            _check(item, f"{path}.{key}"[:200], depth + 1)


def dumps(value: Any) -> bytes:
    """Writes one line of JSON with sorted keys: the same bytes for the same value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
