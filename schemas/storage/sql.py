"""Events as rows of SQL tables: the original's names, order and types (BEHAVIOUR 11), on SQLite and
MySQL. Everything here is pure: tables and statements are described, nothing is connected.

Intended differences from the original:

- RESCUED comes last. It has, exactly, each value that no column holds whole: see sql_rows.py. Two
  losses remain as in the original: MySQL's FLOAT keeps 7 digits, times are shown in UTC.
- Date-times of an event keep their fraction: DATETIME(6) in MySQL. `dt` is DATETIME as it was.
- Lists, userAgent and other JSON are TEXT: JSON that was cut at 1,024 characters can't be read.
- `null` beside a type is ignored; a format or a pattern counts only for texts.
- A property named `id` or of format uuid5-hex has a plain index: a unique index lost events.
- Names that clash, are too long or have control characters are changed: `column_name`.
- Strings are TEXT if their `maxLength` exceeds 1,024; and, from the last column back, if the row
  would exceed MySQL's 65,535 bytes. The values of columns beyond InnoDB's page go to RESCUED.
- Booleans have no CHECK. Tables are utf8mb4 in InnoDB, compared as utf8 was by default.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable

from schemas.event import Destination
from schemas.storage.columns import (
    RESCUED,
    Column,
    Kind,
    digest,
    distinct_names,
    leaves,
    nested_columns,
    shortened,
)

DROPPED: Final = frozenset({"recvFrom", "revision", "schema", "seqId", "topic", "ip"})
"""Fields of the capsule that the original's tables did not have."""

_LONGEST_NAME = 64  # characters, MySQL
_MOST_INDEXES = 60  # MySQL has 64, the keys of id and uuid among them
_INDEXED = 191  # characters of a text that its index sees: 767 bytes of utf8mb4
_ROW = 65_535 - 200  # bytes; id, RESCUED and the null bits take some
_PAGE = 8_126 - 200  # bytes of a row that InnoDB must find room for in its page
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe-\U0010ffff]| (?= *$)")
_UUID_V1_PATTERN = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"
_MYSQL = ("mysql", "mariadb")
_OPTIONS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_general_ci"} | {
    "row_format": "DYNAMIC"
}
_OWNER = "schema {}, revision {}"
_OWNED = re.compile(r"COMMENT='schema ([./A-Za-z0-9_-]+)(?:\\n)?, revision (\d+)'")
_DIALECTS: dict[str, Dialect] = {  # qmark: in other styles a percent sign of a name is doubled
    "sqlite": sqlite.dialect(),
    "mysql": mysql.dialect(paramstyle="qmark"),
    "mariadb": mysql.dialect(paramstyle="qmark", is_mariadb=True),
}


class _Second(sa.types.TypeDecorator[datetime]):
    """The original's DATETIME, without fraction: MySQL would round it, unlike `timestamp`."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(microsecond=0) if value and dialect.name in _MYSQL else value


class SqlType(NamedTuple):
    """A column's type and its sizes in MySQL with utf8mb4, of 4 bytes a character at most."""

    sql: sa.types.TypeEngine[Any]
    row: int  # bytes of the 65,535 of a row
    page: int  # bytes of InnoDB's page
    longest: int = 0  # characters
    largest: int = 0  # bytes


_BOOL = SqlType(sa.Boolean(create_constraint=False), 1, 1)
_BIGINT = SqlType(sa.BigInteger(), 8, 8)
_FLOAT = SqlType(sa.Float().with_variant(sqlite.REAL(), "sqlite"), 4, 4)
DT = SqlType(_Second(), 8, 8)
_DATETIME = SqlType(sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL), 8, 8)
STAMP = SqlType(sa.String(14), 58, 58, 14)
UUID5 = SqlType(sa.CHAR(32), 130, 130, 32)
UUID1 = SqlType(sa.CHAR(38), 154, 154, 38)
_VARCHAR = SqlType(sa.String(1024), 4 * 1024 + 2, 42, 1024)
TEXT = SqlType(sa.Text(), 10, 42, largest=2**16 - 1)
_LARGE = SqlType(sa.Text().with_variant(mysql.MEDIUMTEXT(), *_MYSQL), 11, 42, largest=2**24 - 1)
_PLAIN = {Kind.BOOLEAN: _BOOL, Kind.INTEGER: _BIGINT, Kind.NUMBER: _FLOAT, Kind.DATETIME: _DATETIME}


class SqlColumn(NamedTuple):
    """A column of a table, and the place of its value in the event."""

    name: str
    path: tuple[str, ...]
    kind: Kind
    type: SqlType
    indexed: bool


def layout(document: dict[str, Any]) -> tuple[SqlColumn, ...]:
    """Returns the columns between `id` and RESCUED: uuid, then by number of `_`, then by name."""
    agent = Column("userAgent", "userAgent", Kind.JSON)
    kept = [agent if c.key == agent.key else c for c in nested_columns(document)]
    found = {leaf.path: leaf.column for leaf in leaves(c for c in kept if c.key not in DROPPED)}
    names = distinct_names(found, column_name, reserved=("id", RESCUED))

    def place(path: tuple[str, ...]) -> tuple[bool, int, str, str]:
        original = "_".join(path)
        return path != ("uuid",), original.count("_"), original, names[path]

    return _fitted(_column(names[path], path, found[path]) for path in sorted(found, key=place))


def column_name(path: tuple[str, ...], taken: int = 1) -> str:
    """Joins the keys by `_`, as the original does, in characters that MySQL allows (others become
    `_`), shortened to 64. The second and further columns of a name end with their number."""
    ending = "" if taken == 1 else f"_{taken}"
    name = _NOT_IN_NAMES.sub("_", "_".join(path))
    return shortened(name, _LONGEST_NAME - len(ending)) + ending


def table_name(name: str, revision: int) -> str:
    """Returns the original's name of a schema's table, shortened to 64 characters."""
    made = re.sub("[^A-Za-z0-9]+", "_", name) + f"_{revision}"
    return shortened(f"_{made}" if made.lower().startswith("sqlite_") else made, _LONGEST_NAME)


def _column(name: str, path: tuple[str, ...], column: Column) -> SqlColumn:
    leaf, kind = path[-1], column.kind
    index = leaf in ("id", "timestamp") or kind is Kind.DATETIME
    if leaf == "timestamp":
        return SqlColumn(name, path, Kind.DATETIME, STAMP, index)
    if path == ("dt",):
        return SqlColumn(name, path, kind, DT, index)
    if kind is Kind.STRING:
        if column.pattern == _UUID_V1_PATTERN:
            return SqlColumn(name, path, kind, UUID1, True)
        if column.format == "uuid5-hex":
            return SqlColumn(name, path, kind, UUID5, path != ("uuid",))
        longest = column.max_length or 0
        stated = _VARCHAR if longest <= 1024 else TEXT if 4 * longest < 2**16 else _LARGE
        return SqlColumn(name, path, kind, stated, index)
    return SqlColumn(name, path, kind, _PLAIN.get(kind, TEXT), index)


def _fitted(columns: Iterable[SqlColumn]) -> tuple[SqlColumn, ...]:
    """Returns the columns that MySQL can have in one table, in their order."""
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
            kept[place] = kept[place]._replace(type=TEXT)
            excess -= _VARCHAR.row - TEXT.row
    return tuple(kept)


def type_name(column: SqlColumn) -> str:
    """Returns the column's type in MySQL, as VARCHAR(1024)."""
    return str(column.type.sql.compile(dialect=dialect_of("mysql")))


def table(
    document: dict[str, Any],
    destination: Destination,
    metadata: sa.MetaData | None = None,
    name: str | None = None,
) -> sa.Table:
    """Describes the table of a schema revision, for SQLite and MySQL. Only `id` is not nullable, so
    that old values can become null. MySQL's table has the schema in its comment (`owner_of`).

    `name` replaces the schema's name in the table's. A metadata has a table only once."""
    called = table_name(name or destination.schema, destination.revision)
    columns = layout(document)
    options: dict[str, Any] = {"sqlite_autoincrement": True}
    for dialect in _MYSQL:
        options |= {f"{dialect}_{name}": value for name, value in _OPTIONS.items()}
    return sa.Table(
        sa.quoted_name(called, quote=True),
        metadata if metadata is not None else sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(_sql_column(column) for column in columns),
        sa.Column(RESCUED, _LARGE.sql),
        *(_index(called, column) for column in columns if column.indexed),
        comment=_OWNER.format(*destination),
        **options,
    )


def owner_of(create_table: str) -> Destination | None:
    """Reads from SHOW CREATE TABLE to which schema the table belongs; None if it doesn't say."""
    match = _OWNED.search(create_table.rpartition("\n)")[2])
    return Destination(match[1], int(match[2])) if match else None


def _sql_column(column: SqlColumn) -> sa.Column[Any]:
    unique = True if column.path == ("uuid",) else None
    return sa.Column(sa.quoted_name(column.name, quote=True), column.type.sql, unique=unique)


def _index(called: str, column: SqlColumn) -> sa.Index:
    # In SQLite index names are unique among all tables: the digest is of both names.
    name = f"ix_{digest(f'{called} {column.name}')}_{column.name}"[:_LONGEST_NAME].rstrip()
    start: Any = {column.name: _INDEXED} if column.type in (_VARCHAR, TEXT, _LARGE) else None
    return sa.Index(
        sa.quoted_name(name, quote=True),
        sa.quoted_name(column.name, quote=True),
        **{f"{dialect}_length": start for dialect in _MYSQL if start},
    )


def insert_ignoring_repeats(into: sa.Table, dialect_name: str) -> sa.Insert:
    """Makes an INSERT for rows of `sql_rows.row`, one or many, that leaves existing uuids as they
    are. It ignores nothing else: MySQL's INSERT IGNORE would cut values silently."""
    if dialect_name == "sqlite":
        return sqlite.insert(into).on_conflict_do_nothing(index_elements=["uuid"])
    dialect_of(dialect_name)
    return mysql.insert(into).on_duplicate_key_update(uuid=into.c.uuid)


def insert_parts(into: sa.Table) -> tuple[str, str]:
    """Returns the parts of MySQL's INSERT before and after the rows `(…),(…)` of `sql_rows.row`.

    The row of an existing uuid stays as it is, and nothing else is ignored: if another unique index
    has the row's value, the statement sets a uuid that is too long, and so fails."""
    quoted = dialect_of("mysql").identifier_preparer
    names = ", ".join(quoted.quote(column.name) for column in into.columns if column.name != "id")
    return (
        f"INSERT INTO {quoted.format_table(into)} ({names}) VALUES ",
        " ON DUPLICATE KEY UPDATE `uuid` = IF(`uuid` = VALUES(`uuid`), `uuid`, REPEAT('x', 4096))",
    )


class CreateWithIndexes(CreateTable):
    """CREATE TABLE that makes the indexes too, in MySQL: a process that died between two statements
    would leave a table without them. In SQLite a transaction prevents that."""

    inherit_cache = False


@compiles(CreateWithIndexes, *_MYSQL)
def _create_with_indexes(create: CreateWithIndexes, compiler: Any, **options: Any) -> str:
    text, _, rest = compiler.visit_create_table(create, **options).rpartition("\n)")
    indexes = sorted(create.element.indexes, key=lambda index: str(index.name))
    keys = "".join(f",\n\t{key_sql(index, compiler.preparer)}" for index in indexes)
    return f"{text}{keys}\n){rest}"


def key_sql(index: sa.Index, quoted: Any) -> str:
    """Writes an index of `table` for MySQL's CREATE TABLE and ALTER TABLE ADD; `quoted` is a
    dialect's preparer."""
    (column,) = index.columns
    start = f"({_INDEXED})" if index.dialect_options["mysql"]["length"] else ""
    return f"KEY {quoted.format_index(index)} ({quoted.quote(column.name)}{start})"


def create_table_sql(of: sa.Table, dialect_name: str) -> str:
    """Writes the statements that make a table and its indexes in a database, for people to
    read."""
    dialect = dialect_of(dialect_name)
    statements: list[sa.ExecutableDDLElement] = [CreateWithIndexes(of)]
    if dialect.name == "sqlite":
        statements += map(CreateIndex, sorted(of.indexes, key=lambda index: str(index.name)))
    return "".join(f"{str(one.compile(dialect=dialect)).strip()};\n" for one in statements)


def dialect_of(name: str) -> Dialect:
    """Returns SQLAlchemy's dialect, which doesn't double percent signs. Raises ValueError."""
    if name not in _DIALECTS:
        raise ValueError(f"no SQL tables for {name!r}; there are: {', '.join(_DIALECTS)}")
    return _DIALECTS[name]
