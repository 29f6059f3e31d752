"""Events as rows of SQL tables: the original's names, order and types (BEHAVIOUR 11), on SQLite and
MySQL. Everything here is pure: tables and statements are described, nothing is connected.

Where it differs from the original, on purpose:

- RESCUED comes last. It has, exactly, what a column can't hold or holds less of: a key without a
  column, a value too long, a date-time that is no time, a dt or timestamp with a fraction of a
  second. Only two things are as they were: MySQL's FLOAT keeps 7 digits of a number, times are
  shown in UTC.
- Date-times of an event keep their fraction: DATETIME(6) in MySQL. `dt` is DATETIME as it was.
- Lists, userAgent and other JSON are TEXT: cut at 1,024 characters they were no JSON.
- A property named `id` or of format uuid5-hex has a plain index: unique ones swallowed events.
- Names that clash, are too long or have control characters are changed: `column_name`.
- Strings are TEXT where their `maxLength` exceeds 1,024, and from the last column on where the row
  would exceed MySQL's 65,535 bytes. Columns beyond InnoDB's page go to RESCUED.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from schemas.capsule import NotATime, parse_time, uuid5_hex
from schemas.columns import (
    RESCUED,
    Column,
    Kind,
    digest,
    distinct_names,
    is_utf8,
    json_text,
    leaves,
    needs_quotes,
    nested_columns,
    path_text,
    shortened,
)
from schemas.event import Destination

Row = dict[str, Any]

DROPPED: Final = frozenset({"recvFrom", "revision", "schema", "seqId", "topic", "ip"})
"""Fields of the capsule that tables never had."""

_LONGEST_NAME = 64  # characters, MySQL
_MOST_INDEXES = 60  # MySQL has 64, the keys of id and uuid among them
_INDEXED = 191  # characters of a text that its index sees: 767 bytes of utf8mb4
_ROW = 65_535 - 200  # bytes; id, RESCUED and the null bits take some
_PAGE = 8_126 - 200  # bytes of a row that InnoDB must find room for in its page
_GREATEST_FLOAT = 3.4e38
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe-\U0010ffff]| (?= *$)")
_UUID = re.compile("[0-9a-f]{32}")
_UUID_V1_PATTERN = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"
_MYSQL = ("mysql", "mariadb")
_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "mysql": mysql.dialect(),
    "mariadb": mysql.dialect(is_mariadb=True),
}


class _Second(sa.types.TypeDecorator[datetime]):
    """The original's DATETIME. MySQL would round a fraction, away from `timestamp`: it is cut."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(microsecond=0) if value and dialect.name in _MYSQL else value


class _Type(NamedTuple):
    """A column's type and its measures in MySQL with utf8mb4, of 4 bytes a character at most."""

    sql: sa.types.TypeEngine[Any]
    row: int  # bytes of the 65,535 of a row
    page: int  # bytes of InnoDB's page
    longest: int = 0  # characters
    largest: int = 0  # bytes


_BOOL = _Type(sa.Boolean(create_constraint=False), 1, 1)
_BIGINT = _Type(sa.BigInteger(), 8, 8)
_FLOAT = _Type(sa.Float().with_variant(sqlite.REAL(), "sqlite"), 4, 4)
_DT = _Type(_Second(), 8, 8)
_DATETIME = _Type(sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL), 8, 8)
_STAMP = _Type(sa.String(14), 58, 58, 14)
_UUID5 = _Type(sa.CHAR(32), 130, 130, 32)
_UUID1 = _Type(sa.CHAR(38), 154, 154, 38)
_VARCHAR = _Type(sa.String(1024), 4 * 1024 + 2, 42, 1024)
_TEXT = _Type(sa.Text(), 10, 42, largest=2**16 - 1)
_LARGE = _Type(sa.Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL), 11, 42, largest=2**24 - 1)
_PLAIN = {Kind.BOOLEAN: _BOOL, Kind.INTEGER: _BIGINT, Kind.NUMBER: _FLOAT, Kind.DATETIME: _DATETIME}


class SqlColumn(NamedTuple):
    """A column of a table, and where its value is in the event."""

    name: str
    path: tuple[str, ...]
    kind: Kind
    type: _Type
    indexed: bool


def layout(document: dict[str, Any]) -> tuple[SqlColumn, ...]:
    """The columns between `id` and RESCUED: uuid, then by number of `_`, then by name."""
    agent = Column("userAgent", "userAgent", Kind.JSON)
    kept = [agent if c.key == agent.key else c for c in nested_columns(document)]
    found = {leaf.path: leaf.column for leaf in leaves(c for c in kept if c.key not in DROPPED)}
    names = distinct_names(found, column_name, reserved=("id", RESCUED))

    def place(path: tuple[str, ...]) -> tuple[bool, int, str, str]:
        original = "_".join(path)
        return path != ("uuid",), original.count("_"), original, names[path]

    return _fitted(_column(names[path], path, found[path]) for path in sorted(found, key=place))


def column_name(path: tuple[str, ...], taken: int = 1) -> str:
    """The keys joined by `_`, as the original does, in characters that MySQL allows (others become
    `_`), shortened to 64. The `taken`-th of a name, from the second on, ends with its number."""
    ending = "" if taken == 1 else f"_{taken}"
    name = _NOT_IN_NAMES.sub("_", "_".join(path))
    return shortened(name, _LONGEST_NAME - len(ending)) + ending


def table_name(name: str, revision: int) -> str:
    """The original's name of a schema's table, shortened to 64 characters."""
    made = re.sub("[^A-Za-z0-9]+", "_", name) + f"_{revision}"
    return shortened(f"_{made}" if made.lower().startswith("sqlite_") else made, _LONGEST_NAME)


def _column(name: str, path: tuple[str, ...], column: Column) -> SqlColumn:
    leaf, kind = path[-1], column.kind
    index = leaf in ("id", "timestamp") or kind is Kind.DATETIME
    if leaf == "timestamp":
        return SqlColumn(name, path, Kind.DATETIME, _STAMP, index)
    if path == ("dt",):
        return SqlColumn(name, path, kind, _DT, index)
    if kind is Kind.STRING:
        if column.pattern == _UUID_V1_PATTERN:
            return SqlColumn(name, path, kind, _UUID1, True)
        if column.format == "uuid5-hex":
            return SqlColumn(name, path, kind, _UUID5, path != ("uuid",))
        longest = column.max_length or 0
        stated = _VARCHAR if longest <= 1024 else _TEXT if 4 * longest < 2**16 else _LARGE
        return SqlColumn(name, path, kind, stated, index)
    return SqlColumn(name, path, kind, _PLAIN.get(kind, _TEXT), index)


def _fitted(columns: Iterable[SqlColumn]) -> tuple[SqlColumn, ...]:
    """The columns that MySQL can have in one table, in their order."""
    kept: list[SqlColumn] = []
    page = indexes = 0
    for column in columns:
        page += column.type.page
        if page > _PAGE:
            break
        indexes += column.indexed
        kept.append(column._replace(indexed=column.indexed and indexes <= _MOST_INDEXES))
    excess = sum(column.type.row for column in kept) - _ROW
    for place in reversed(range(len(kept))):
        if excess > 0 and kept[place].type is _VARCHAR:
            kept[place] = kept[place]._replace(type=_TEXT)
            excess -= _VARCHAR.row - _TEXT.row
    return tuple(kept)


def table(
    document: dict[str, Any],
    destination: Destination,
    metadata: sa.MetaData | None = None,
    name: str | None = None,
) -> sa.Table:
    """The table of a schema revision, for SQLite and MySQL alike. Only `id` is not nullable.

    `name` stands for the schema's name in the table's. A metadata has a table only once."""
    called = table_name(name or destination.schema, destination.revision)
    columns = layout(document)
    options: dict[str, Any] = {"sqlite_autoincrement": True}
    for dialect in _MYSQL:
        options |= {f"{dialect}_engine": "InnoDB", f"{dialect}_charset": "utf8mb4"}
    return sa.Table(
        sa.quoted_name(called, quote=True),
        metadata if metadata is not None else sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(_sql_column(column) for column in columns),
        sa.Column(RESCUED, _LARGE.sql),
        *(_index(called, column) for column in columns if column.indexed),
        **options,
    )


def _sql_column(column: SqlColumn) -> sa.Column[Any]:
    unique = True if column.path == ("uuid",) else None
    return sa.Column(sa.quoted_name(column.name, quote=True), column.type.sql, unique=unique)


def _index(called: str, column: SqlColumn) -> sa.Index:
    # SQLite has the names of all tables' indexes in one place: the digest is of both names.
    name = f"ix_{digest(f'{called} {column.name}')}_{column.name}"[:_LONGEST_NAME].rstrip()
    start: Any = {column.name: _INDEXED} if column.type in (_VARCHAR, _TEXT, _LARGE) else None
    return sa.Index(
        sa.quoted_name(name, quote=True),
        sa.quoted_name(column.name, quote=True),
        **{f"{dialect}_length": start for dialect in _MYSQL if start},
    )


def insert_ignoring_repeats(into: sa.Table, dialect_name: str) -> sa.Insert:
    """An INSERT for rows of `row`, one or many, that leaves a uuid that is there as it is.

    It ignores nothing else: MySQL's INSERT IGNORE would cut values silently."""
    if dialect_name == "sqlite":
        return sqlite.insert(into).on_conflict_do_nothing(index_elements=["uuid"])
    _dialect(dialect_name)
    return mysql.insert(into).on_duplicate_key_update(uuid=into.c.uuid)


def create_table_sql(of: sa.Table, dialect_name: str) -> str:
    """CREATE TABLE and CREATE INDEX as that database gets them, for people to read."""
    dialect = _dialect(dialect_name)
    indexes = sorted(of.indexes, key=lambda index: str(index.name))
    statements: list[sa.ExecutableDDLElement] = [CreateTable(of), *map(CreateIndex, indexes)]
    return "".join(f"{str(one.compile(dialect=dialect)).strip()};\n" for one in statements)


def _dialect(name: str) -> Dialect:
    if name not in _DIALECTS:
        raise ValueError(f"no SQL tables for {name!r}; there are: {', '.join(_DIALECTS)}")
    return _DIALECTS[name]


class _Less(NamedTuple):
    """What a column shows of a value that it can't hold exactly."""

    shown: Any


_NOTHING = _Less(None)
_Convert = Callable[[Any], Any]  # from a value (not None) to what the column stores, or _Less
_Tree = dict[str, Any]  # key -> _Tree | (name, _Convert) | None: dropped


def row(document: dict[str, Any]) -> Callable[[dict[str, Any]], Row]:
    """The function from an event (whole, capsule and all) to its row.

    A row has a value for each column of the schema's table but `id`, None where the event has
    none. No event is refused. `dt` and `timestamp` are one time: where an event lacks one of
    them, it is the other's."""
    columns = layout(document)
    empty: Row = dict.fromkeys([*(column.name for column in columns), RESCUED])
    tree: _Tree = dict.fromkeys(DROPPED)
    for column in columns:
        branch = tree
        for key in column.path[:-1]:
            branch = branch.setdefault(key, {})
        branch[column.path[-1]] = (column.name, _converter(column))

    def convert(event: dict[str, Any]) -> Row:
        made = empty.copy()
        rescued: dict[str, Any] = {}
        _fill(made, rescued, tree, event, ())
        if made["timestamp"] is None and made["dt"] is not None:
            made["timestamp"] = _stamp(made["dt"])
        elif made["dt"] is None and made["timestamp"] is not None:
            made["dt"] = _utc(event["timestamp"])
        if rescued:
            made[RESCUED] = json_text(rescued)
        return made

    return convert


def _fill(
    made: Row, rescued: dict[str, Any], tree: _Tree, values: dict[str, Any], path: tuple[str, ...]
) -> bool:
    """Put the values into columns, and into `rescued` what has none; whether there was any."""
    any_value = False
    for key, value in values.items():
        cell = tree.get(key, values)  # `values` stands for: no such column
        if cell is None or (value is None and cell is not values):
            continue
        any_value = True
        if type(cell) is tuple:
            stored = cell[1](value)
            if type(stored) is _Less:
                rescued[path_text((*path, key))] = value
                stored = stored.shown
            made[cell[0]] = stored
        elif cell is values or type(value) is not dict:
            rescued[path_text((*path, key))] = value
        elif not _fill(made, rescued, cell, value, (*path, key)):
            rescued[path_text((*path, key))] = value  # an empty object is not an absent one
    return any_value


def _converter(column: SqlColumn) -> _Convert:
    if column.path == ("uuid",):
        return _uuid
    if column.path == ("userAgent",):
        return _agents()
    if column.type is _STAMP:
        return _stamp_of
    if column.type is _DT:
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
        return value if -_GREATEST_FLOAT <= value <= _GREATEST_FLOAT else _NOTHING
    if type(value) is not int or abs(value) > _GREATEST_FLOAT:
        return _NOTHING
    return float(value) if float(value) == value else _Less(float(value))


def _strings(kind: _Type) -> _Convert:
    longest, padded = kind.longest, kind in (_UUID1, _UUID5)

    def convert(value: Any) -> Any:
        if type(value) is not str or (longest and len(value) > longest):
            return _NOTHING
        if padded and value.endswith(" "):  # MySQL's CHAR drops them
            return _NOTHING
        if longest and value.isascii():
            return value
        return value if _fits(value, kind) else _NOTHING

    return convert


def _fits(text: str, kind: _Type) -> bool:
    if not text.isascii() and not is_utf8(text):
        return False
    return not kind.largest or len(text) * 4 <= kind.largest or len(text.encode()) <= kind.largest


def _json(value: Any) -> Any:
    if type(value) is not str:
        text = json.dumps(value, sort_keys=True)
        return text if _fits(text, _TEXT) else _NOTHING
    if not _fits(value, _TEXT):
        return _NOTHING
    return _Less(value) if needs_quotes(value) else value


def _list(value: Any) -> Any:
    return _json(value) if type(value) is list else _NOTHING


def _agents() -> _Convert:
    """userAgent as JSON text. The parser gives the events of one user agent one dict, which nobody
    changes: its text is made once."""
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
    """The identity, in whatever form it came: repeats must stay repeats."""
    if type(value) is str and _UUID.fullmatch(value):
        return value
    return _Less(uuid5_hex(f"uuid://{json.dumps(value, sort_keys=True)}"))


@lru_cache(maxsize=65536, typed=True)
def _utc(value: Any) -> datetime | None:
    """The time in UTC, without its offset; None where MySQL has no such time."""
    try:
        moment = parse_time(value).astimezone(UTC).replace(tzinfo=None)
    except (NotATime, OverflowError):
        return None
    return moment if moment.year >= 1000 else None


@lru_cache(maxsize=65536)
def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


def _moment(value: Any) -> Any:
    moment = _utc(value) if type(value) is str else None
    return _NOTHING if moment is None else moment


def _second(value: Any) -> Any:
    moment = _moment(value)
    return _Less(moment) if type(moment) is datetime and moment.microsecond else moment


@lru_cache(maxsize=65536, typed=True)
def _stamp_of_scalar(value: Any) -> Any:
    moment = _utc(value)
    if moment is None:
        return _NOTHING
    return _Less(_stamp(moment)) if moment.microsecond else _stamp(moment)


def _stamp_of(value: Any) -> Any:
    return _stamp_of_scalar(value) if type(value) in (str, int, float) else _NOTHING


_CONVERT: dict[Kind, _Convert] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.DATETIME: _moment,
    Kind.LIST: _list,
    Kind.JSON: _json,
}
