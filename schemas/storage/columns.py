"""The columns of an event: one walk of a draft-3 JSON Schema that Arrow, SQL and Hive share.

A sink stores typed columns and one more text column, `_rescued_data`: a JSON object from path
(`event.uploads.foo`) to value, with every value that no column holds. Usually it is null:

    event = columns, overlaid with _rescued_data          (a null is the same as an absent value)

So if a column can't hold a value, or only a part of it, `_rescued_data` has the exact value. A `.`
or `\\` inside a key is written `\\.` or `\\\\` in a path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar
from unicodedata import normalize

import orjson

from schemas import user_agent
from schemas.capsule import CAPSULE

Stated = TypeVar("Stated", str, int)

RESCUED: Final = "_rescued_data"
DEEPEST: Final = 20
"""Levels of structs; `event` is the first. A deeper struct is JSON text."""
LONGEST_PATH: Final = 256
"""Characters of the keys that lead to a struct; one further away is JSON text. Each value in it
that has no column is in RESCUED with all of its path."""
MOST_COLUMNS: Final = 1000
"""Leaf columns of a table, RESCUED included; the values of further properties go to RESCUED."""

_NOT_A_NAME = re.compile(r"\W")
_MAY_START_JSON = frozenset('{["-0123456789tfnNI \t\r\n')


class Kind(Enum):
    """The kind of values in a column; each sink has its own type for a kind."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    DATETIME = "date-time"  # a string that should be a time: formats are never enforced
    LIST = "list"  # of one of the kinds above
    STRUCT = "struct"
    JSON = "json"  # any value: a string as itself, all else as JSON text


class Column(NamedTuple):
    """A column, and the place of its value in the event."""

    name: str  # letters, digits and _; differs from its siblings in more than case
    key: str  # the property in the event
    kind: Kind
    children: tuple[Column, ...] = ()  # of a STRUCT, never empty there
    item: Kind | None = None  # of a LIST
    required: bool = False
    format: str | None = None
    pattern: str | None = None
    max_length: int | None = None  # characters


_SCALARS = {
    "boolean": Kind.BOOLEAN,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "string": Kind.STRING,
}


def nested_columns(document: dict[str, Any]) -> tuple[Column, ...]:
    """Returns the columns of a whole event, capsule and all, whose `event` has this schema.

    `dt` is first, the rest in the capsule's order. `event` is a STRUCT of the schema's properties
    in the schema's order (without properties, its type decides: usually JSON), `userAgent` a STRUCT
    of the ten keys of BEHAVIOUR 5. RESCUED is not among them: it comes last in every table.
    """
    capsule: dict[str, Any] = CAPSULE["properties"]
    agent = _user_agent()
    walk = _Walk(MOST_COLUMNS - 1 - (len(capsule) - 2) - len(agent.children))
    made = []
    for key in sorted(capsule, key=lambda key: key != "dt"):  # stable: dt, then as they are
        if key == "event":
            made.append(walk.column(key, key, document, ()) or Column(key, key, Kind.JSON))
        elif key == "userAgent":
            made.append(agent)
        else:
            made.append(_leaf(key, key, capsule[key]))
    return tuple(made)


def leaves(
    columns: Iterable[Column], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Column]]:
    """Yields the keys that lead to each column that holds values, also in structs, in order."""
    for column in columns:
        here = (*path, column.key)
        if column.kind is Kind.STRUCT:
            yield from leaves(column.children, here)
        else:
            yield here, column


def _user_agent() -> Column:
    texts = [Column(key, key, Kind.STRING) for key in user_agent.TEXTS]
    flags = [Column(key, key, Kind.BOOLEAN) for key in user_agent.FLAGS]
    return Column("userAgent", "userAgent", Kind.STRUCT, (*texts, *flags))


class _Walk:
    """Walks one schema; makes no more columns when there are too many."""

    def __init__(self, room: int) -> None:
        self._room = room  # leaf columns that may still be made

    def column(self, key: str, name: str, schema: Any, above: tuple[str, ...]) -> Column | None:
        """Returns the column of a property, or None if there is no room for it."""
        path = (*above, key)
        near = len(path) <= DEEPEST and sum(map(len, path)) <= LONGEST_PATH
        if near and _type_of(schema) in ("object", None) and _properties(schema):
            children = tuple(self._children(_properties(schema), path))
            required = schema.get("required") is True
            return Column(name, key, Kind.STRUCT, children, required=required) if children else None
        if self._room <= 0:
            return None
        self._room -= 1
        return _leaf(key, name, schema)

    def _children(self, properties: dict[str, Any], path: tuple[str, ...]) -> Iterator[Column]:
        names = distinct_names(properties, safe_name)
        for key, schema in properties.items():
            column = self.column(key, names[key], schema, path)
            if column:
                yield column


def _leaf(key: str, name: str, schema: Any) -> Column:
    if not isinstance(schema, dict):
        return Column(name, key, Kind.JSON)
    kind, item = _kind_of(schema), None
    if _type_of(schema) == "array":
        item = _kind_of(schema.get("items"))
        kind = Kind.JSON if item is Kind.JSON else Kind.LIST
    return Column(
        name,
        key,
        kind,
        item=item if kind is Kind.LIST else None,
        required=schema.get("required") is True,
        format=_stated(schema, "format", str),
        pattern=_stated(schema, "pattern", str),
        max_length=_stated(schema, "maxLength", int),
    )


def _kind_of(schema: Any) -> Kind:
    """Returns the kind of a scalar; JSON for all else."""
    kind = _SCALARS.get(_type_of(schema) or "any", Kind.JSON)
    if kind is Kind.STRING and schema.get("format") == "date-time":
        return Kind.DATETIME
    return kind


def _type_of(schema: Any) -> str | None:
    """Returns the one type of a schema (`null` beside it is ignored); None if it names none, `any`
    if it has several or one that is itself a schema."""
    if not isinstance(schema, dict):
        return "any"
    stated = schema.get("type")
    if isinstance(stated, list):
        others = [one for one in stated if one != "null"]
        stated = others[0] if len(others) == 1 else "any"
    return stated if stated is None or isinstance(stated, str) else "any"


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {key: value for key, value in properties.items() if isinstance(key, str)}  # YAML has 1:


def _stated(schema: dict[str, Any], keyword: str, kind: type[Stated]) -> Stated | None:
    value = schema.get(keyword)
    return value if type(value) is kind else None


def safe_name(key: str, taken: int = 1) -> str:
    """Makes a name of letters, digits and `_`: other characters, and an empty name, become `_`.
    The second and further columns of a name end with their number, `taken`."""
    name = _NOT_A_NAME.sub("_", key) or "_"
    return name if taken == 1 else f"{name}_{taken}"


def distinct_names(
    keys: Iterable[Any], name_of: Any, reserved: Iterable[str] = ()
) -> dict[Any, str]:
    """Makes a name for each key; no two names differ only in case.

    `name_of(key, n)` names the keys in sorted order: n is 1, or if that name is taken 2, 3...
    """
    used = {folded_name(name) for name in reserved}
    names = {}
    for key in sorted(keys):
        count = 1
        while folded_name(name := name_of(key, count)) in used:
            count += 1
        used.add(folded_name(name))
        names[key] = name
    return names


def folded_name(name: str) -> str:
    """Returns a text that clashing names share. MySQL ignores case, and among many columns accents
    too (é is è, ß is ſ): letters that are equal for MySQL are equal here."""
    return "".join(normalize("NFKD", letter.upper())[0].casefold()[0] for letter in name)


def shortened(name: str, most: int) -> str:
    """Shortens a name to `most` characters: its start, `_`, and 8 hex digits of its SHA-256."""
    if len(name) <= most:
        return name
    return f"{name[: most - 9]}_{digest(name)}"


def digest(text: str) -> str:
    """Returns the first 8 hex digits of the SHA-256 of a text."""
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]


def path_text(path: Iterable[str]) -> str:
    """Writes a path as in RESCUED: keys joined by `.`, which inside a key is `\\.`."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in path)


def json_text(value: object) -> str:
    """Writes JSON with sorted keys; with ASCII escapes if UTF-8 or 64 bits can't hold the value.

    There is no NaN: parsing refuses it (DESIGN, deviations)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # a lone surrogate, a larger integer
        return json.dumps(value, sort_keys=True)


def needs_quotes(text: str) -> bool:
    """Returns whether a string, stored as itself in a JSON column, is read back as another
    value."""
    if text[:1] not in _MAY_START_JSON:
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def is_utf8(text: str) -> bool:
    """Returns whether UTF-8 can hold the string: it can't hold a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
