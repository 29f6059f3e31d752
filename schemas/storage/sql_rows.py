"""Events as rows of the tables of schemas/storage/sql.py.

RESCUED has, exactly, each value that no column holds whole:

- a value without a column: a key that the schema doesn't name, an event that is not an object, a
  property that came to the schema after the table was made;
- a value of which a column holds only a part: a fraction of a second of `dt` or `timestamp`, an
  incomplete time, an integer in a column of floats, a uuid of another form;
- a value that its column can't hold at all: too long, too large, a date-time that is not a time.
  With `strict` such an event has no row: the function raises DoesNotFit.

An absent optional property gets the `default` of its schema, if its columns hold that exactly; else
they are null, as for an explicit null. If an object's default lacks a property, that property gets
its own default.
"""

import json
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from schemas.capsule import NotATime, is_cacheable, parse_time, uuid5_hex
from schemas.storage.columns import RESCUED, Kind, is_utf8, json_text, needs_quotes, path_text
from schemas.storage.sql import (
    DROPPED,
    DT,
    MYSQL,
    STAMP,
    TEXT,
    UUID1,
    UUID5,
    SqlColumn,
    SqlType,
    layout,
)

Row = dict[str, Any]


class DoesNotFit(ValueError):
    """A column can't hold a value; `path` is its place in the event."""

    def __init__(self, column: SqlColumn, value: Any) -> None:
        shown = json.dumps(value)
        if len(shown) > 100:
            what = f"a text of {len(value):,} characters" if isinstance(value, str) else "JSON"
            shown = what if isinstance(value, str) else f"{len(shown):,} characters of {what}"
        super().__init__(
            f"column {column.name}, {column.type.sql.compile(dialect=MYSQL)}, can't hold {shown}"
        )
        self.path = path_text(column.path)


_LEAST_FLOAT, _GREATEST_FLOAT = 1.2e-38, 3.40282346e38
_UUID = re.compile("[0-9a-f]{32}")
_WHOLE_TIME = re.compile(
    r"\d{4}-?\d\d-?\d\d([T ]?\d\d:?\d\d(:?\d\d([.,]\d{1,6}0*)?)?)? ?(Z|UTC|[+-]\d\d(:?\d\d)?)?"
)
"""A complete time, in microseconds at most. For `10:30`, `Tuesday` or `… PST` a column has the same
value as the original's: a day of January 1970 or another hour."""


class _Less(NamedTuple):
    """The part of a value that a column can hold."""

    shown: Any


_NOTHING = _Less(None)
_Convert = Callable[[Any], Any]  # from a value (not None) to what the column stores, or _Less
_Tree = dict[str | None, Any]
"""key -> _Tree | (column's name, _Convert, SqlColumn) | None: dropped. None -> the defaults of
absent keys: [(key, column's name, stored)]."""


def row(
    document: dict[str, Any], *, strict: bool = False, lacking: Collection[str] = ()
) -> Callable[[dict[str, Any]], Row]:
    """Returns the function from an event (whole, capsule and all) to its row.

    A row has a value for each column of the schema's table but `id` and those that the table is
    `lacking`, in their order, or None. `dt` and `timestamp` are one time: if an event lacks one of
    them, it gets the other's time. With `strict` the function raises DoesNotFit."""
    columns = layout(document)
    given = [column.name for column in columns if column.name not in lacking]
    empty: Row = dict.fromkeys([*given, RESCUED])
    tree: _Tree = dict.fromkeys(DROPPED)
    for column in columns:
        branch = tree
        for key in column.path[:-1]:
            branch = branch.setdefault(key, {})
        if column.name not in lacking:
            branch[column.path[-1]] = (column.name, _converter(column), column)
    if type(tree.get("event")) is dict:
        _add_defaults(tree["event"], document)

    def convert(event: dict[str, Any]) -> Row:
        made = empty.copy()
        rescued: dict[str, Any] = {}
        _fill(made, rescued, tree, event, (), strict)
        if made["timestamp"] is None and made["dt"] is not None:
            made["timestamp"] = _stamp(made["dt"])
        elif made["dt"] is None and made["timestamp"] is not None:
            made["dt"] = _utc(event["timestamp"])
        if rescued:
            made[RESCUED] = json_text(rescued)
        return made

    return convert


def _add_defaults(tree: _Tree, schema: dict[str, Any]) -> None:
    """Adds the defaults of absent properties of an object of this schema, and of those in it."""
    absent: list[tuple[str, str, Any]] = []
    for key, cell in tree.items():
        assert key is not None  # that one is made below
        stated = schema["properties"][key]
        default = stated.get("default") if type(stated) is dict else None
        made: Row = {}
        rescued: dict[str, Any] = {}
        if type(cell) is dict:
            _add_defaults(cell, stated)
            if type(default) is dict:
                _fill(made, rescued, cell, default, (), False)
        elif default is not None:
            _fill(made, rescued, {key: cell}, {key: default}, (), False)
        if not rescued:  # else its column can't hold it exactly
            absent += ((key, name, stored) for name, stored in made.items())
    if absent:
        tree[None] = absent


def _fill(
    made: Row, rescued: dict[str, Any], tree: _Tree, values: dict[str, Any], path: tuple[str, ...],
    strict: bool,
) -> bool:  # fmt: skip
    """Puts values into columns, or into `rescued`; returns whether there was any value."""
    any_value = False
    for absent, name, stored in tree.get(None, ()):
        if absent not in values:
            made[name] = stored
    for key, value in values.items():
        cell = tree.get(key, values)  # `values` means: no such column
        if cell is None or (value is None and cell is not values):
            continue
        any_value = True
        if type(cell) is tuple:
            name, convert, column = cell
            stored = convert(value)
            if type(stored) is _Less:
                if strict and stored is _NOTHING:
                    raise DoesNotFit(column, value)
                rescued[path_text((*path, key))] = value
                stored = stored.shown
            made[name] = stored
        elif cell is values or type(value) is not dict:
            rescued[path_text((*path, key))] = value
        elif not _fill(made, rescued, cell, value, (*path, key), strict):
            rescued[path_text((*path, key))] = value  # an empty object differs from an absent one
    return any_value


def _converter(column: SqlColumn) -> _Convert:
    if column.path == ("uuid",):
        return _uuid
    if column.path == ("userAgent",):
        return _agents()
    if column.type is STAMP:
        return _stamp_of
    if column.type is DT:
        return _second
    if column.kind is Kind.STRING:
        return _strings(column.type)
    return _CONVERT[column.kind]


def _boolean(value: Any) -> Any:
    return value if type(value) is bool else _NOTHING


def _integer(value: Any) -> Any:
    return value if type(value) is int and -(2**63) <= value < 2**63 else _NOTHING


def _number(value: Any) -> Any:
    if type(value) is float:
        if value and abs(value) < _LEAST_FLOAT:
            return _Less(value)
        return value if -_GREATEST_FLOAT <= value <= _GREATEST_FLOAT else _NOTHING
    if type(value) is not int or abs(value) > _GREATEST_FLOAT:
        return _NOTHING
    return float(value) if float(value) == value else _Less(float(value))


def _strings(kind: SqlType) -> _Convert:
    longest, padded = kind.longest, kind in (UUID1, UUID5)

    def convert(value: Any) -> Any:
        if type(value) is not str or (longest and len(value) > longest):
            return _NOTHING
        if padded and value.endswith(" "):  # MySQL's CHAR drops them
            return _NOTHING
        if longest and value.isascii():
            return value
        return value if _fits(value, kind) else _NOTHING

    return convert


def _fits(text: str, kind: SqlType) -> bool:
    if not text.isascii() and not is_utf8(text):
        return False
    return not kind.largest or len(text) * 4 <= kind.largest or len(text.encode()) <= kind.largest


def _json(value: Any) -> Any:
    if type(value) is not str:
        text = json.dumps(value, sort_keys=True)
        return text if _fits(text, TEXT) else _NOTHING
    if not _fits(value, TEXT):
        return _NOTHING
    return _Less(value) if needs_quotes(value) else value


def _list(value: Any) -> Any:
    return _json(value) if type(value) is list else _NOTHING


def _agents() -> _Convert:
    """Returns the function from userAgent to JSON text. The parser gives all events of a user agent
    one dict, which nobody changes: its text is made once."""
    texts: dict[int, tuple[Any, Any]] = {}  # by id; the dict is kept, so its id stays its own

    def convert(value: Any) -> Any:
        known = texts.get(id(value))
        if known is None:
            if len(texts) >= 10_000:
                texts.clear()
            known = texts[id(value)] = (value, _json(value))
        return known[1]

    return convert


def _uuid(value: Any) -> Any:
    """Returns the identity for a uuid of any form: repeats must stay repeats."""
    if type(value) is str and _UUID.fullmatch(value):
        return value
    return _Less(uuid5_hex(f"uuid://{json.dumps(value, sort_keys=True)}"))


@lru_cache(maxsize=65536, typed=True)
def _utc(value: Any) -> datetime | None:
    """Returns the time in UTC, without its offset; None if MySQL can't hold it."""
    try:
        moment = parse_time(value).astimezone(UTC).replace(tzinfo=None)
    except (NotATime, OverflowError):
        return None
    return moment if moment.year >= 1000 else None


@lru_cache(maxsize=65536)
def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


def _moment(value: Any) -> Any:
    moment = _utc(value) if type(value) is str and is_cacheable(value) else None
    if moment is None:
        return _NOTHING
    return moment if _WHOLE_TIME.fullmatch(value) else _Less(moment)


def _second(value: Any) -> Any:
    moment = _moment(value)
    return _Less(moment) if type(moment) is datetime and moment.microsecond else moment


@lru_cache(maxsize=65536, typed=True)
def _stamp_of_scalar(value: Any) -> Any:
    moment = _utc(value)
    if moment is None:
        return _NOTHING
    less = moment.microsecond or (type(value) is str and not _WHOLE_TIME.fullmatch(value))
    return _Less(_stamp(moment)) if less else _stamp(moment)


def _stamp_of(value: Any) -> Any:
    known = type(value) in (str, int, float) and is_cacheable(value)
    return _stamp_of_scalar(value) if known else _NOTHING


_CONVERT: dict[Kind, _Convert] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.DATETIME: _moment,
    Kind.LIST: _list,
    Kind.JSON: _json,
}
