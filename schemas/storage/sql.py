"""Events as rows of SQL tables: the original's names, order and types (BEHAVIOUR 11), on SQLite and
MySQL; what a table of MySQL lacks, and the statements that add it. Everything here is pure: tables
and statements are described, nothing is connected (`transforms.io.mysql.client.look` reads tables).

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
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable

from schemas.event import Destination
from schemas.storage.columns import (
    RESCUED,
    Column,
    Kind,
    digest,
    distinct_names,
    folded_name,
    leaves,
    nested_columns,
    shortened,
)
from schemas.storage.table_names import LONGEST_NAME, table_name

DROPPED: Final = frozenset({"recvFrom", "revision", "schema", "seqId", "topic", "ip"})
"""Fields of the capsule that the original's tables did not have."""

_MOST_INDEXES = 60  # MySQL has 64, the keys of id and uuid among them
_INDEXED = 191  # characters of a text that its index sees: 767 bytes of utf8mb4
_ROW = 65_535 - 200  # bytes; id, RESCUED and the null bits take some
_PAGE = 8_126 - 200  # bytes of a row that InnoDB must find room for in its page
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe-\U0010ffff]| (?= *$)")
_UUID_V1_PATTERN = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"
_OPTIONS: Final[dict[str, Any]] = {
    "sqlite_autoincrement": True,
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_general_ci",
    "mysql_row_format": "DYNAMIC",
}
_OWNER = "schema {}, revision {}"
_WIDTH = re.compile(r"(?<=int)\(\d+\)")  # the display width of a number; MySQL 8 has none
_SAME = {"bool": "tinyint", "integer": "int"}
ONLINE: Final = "ALGORITHM=INPLACE, LOCK=NONE"
"""Others can read and write while the server changes the table, else the server refuses."""
AT_ONCE: Final = "ALGORITHM=INSTANT"
"""No row is touched, however many there are, else the server refuses."""
MYSQL: Final[Dialect] = mysql.dialect(paramstyle="qmark")
"""How statements for MySQL are written; in other styles a percent sign of a name is doubled."""


class _Second(sa.types.TypeDecorator[datetime]):
    """The original's DATETIME, without fraction: MySQL would round it, unlike `timestamp`."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(microsecond=0) if value and dialect.name == "mysql" else value


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
_DATETIME = SqlType(sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), 8, 8)
STAMP = SqlType(sa.String(14), 58, 58, 14)
UUID5 = SqlType(sa.CHAR(32), 130, 130, 32)
UUID1 = SqlType(sa.CHAR(38), 154, 154, 38)
_VARCHAR = SqlType(sa.String(1024), 4 * 1024 + 2, 42, 1024)
TEXT = SqlType(sa.Text(), 10, 42, largest=2**16 - 1)
_LARGE = SqlType(sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), 11, 42, largest=2**24 - 1)
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
    found = dict(leaves(c for c in kept if c.key not in DROPPED))
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
    return shortened(name, LONGEST_NAME - len(ending)) + ending


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


def may_lack(document: dict[str, Any]) -> frozenset[str]:
    """Returns the columns of the event's properties. A schema that gets a property without a new
    revision has tables without its column: the values are in RESCUED, until it is added."""
    return frozenset(column.name for column in layout(document) if column.path[0] == "event")


def _alike(columns: Iterable[SqlColumn]) -> list[set[str]]:
    """Returns the names of properties that would be the same without a number."""
    alike: dict[str, set[str]] = {}
    for column in columns:
        if column.path[0] == "event":
            alike.setdefault(folded_name(column_name(column.path)), set()).add(column.name)
    return [each for each in alike.values() if len(each) > 1]


def table(document: dict[str, Any], destination: Destination, called: str = "") -> sa.Table:
    """Describes the table of a schema revision, for SQLite and MySQL; `called` is its name if that
    is not the plain one (table_names.py). Only `id` is not nullable, so that old values can become
    null. The table has the schema in its comment (`owner_of`)."""
    called = called or table_name(*destination)
    columns = layout(document)
    return sa.Table(
        sa.quoted_name(called, quote=True),
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        *(_sql_column(column) for column in columns),
        sa.Column(RESCUED, _LARGE.sql),
        *(_index(called, column) for column in columns if column.indexed),
        comment=_OWNER.format(*destination),
        info={"alike": _alike(columns)},
        **_OPTIONS,
    )


def _sql_column(column: SqlColumn) -> sa.Column[Any]:
    unique = True if column.path == ("uuid",) else None
    return sa.Column(sa.quoted_name(column.name, quote=True), column.type.sql, unique=unique)


def _index(called: str, column: SqlColumn) -> sa.Index:
    # In SQLite index names are unique among all tables: the digest is of both names.
    name = f"ix_{digest(f'{called} {column.name}')}_{column.name}"[:LONGEST_NAME].rstrip()
    start = {column.name: _INDEXED} if column.type in (_VARCHAR, TEXT, _LARGE) else {}
    return sa.Index(
        sa.quoted_name(name, quote=True),
        sa.quoted_name(column.name, quote=True),
        mysql_length=start,
    )


def insert_ignoring_repeats(into: sa.Table) -> sa.Insert:
    """Makes SQLite's INSERT for rows of `sql_rows.row`, one or many, that leaves existing uuids as
    they are. It ignores nothing else."""
    return sqlite.insert(into).on_conflict_do_nothing(index_elements=["uuid"])


def insert_parts(into: sa.Table, lacking: Collection[str] = ()) -> tuple[str, str]:
    """Returns the parts of MySQL's INSERT before and after the rows `(…),(…)` of `sql_rows.row`;
    the table is without some columns.

    The row of an existing uuid stays as it is, and nothing else is ignored: if another unique index
    has the row's value, the statement sets a uuid that is too long, and so fails."""
    quoted = MYSQL.identifier_preparer
    given = (column.name for column in into.columns if column.name not in ("id", *lacking))
    names = ", ".join(map(quoted.quote, given))
    return (
        f"INSERT INTO {quoted.format_table(into)} ({names}) VALUES ",
        " ON DUPLICATE KEY UPDATE `uuid` = IF(`uuid` = VALUES(`uuid`), `uuid`, REPEAT('x', 4096))",
    )


class CreateWithIndexes(CreateTable):
    """CREATE TABLE that makes the indexes too, in MySQL: a process that died between two statements
    would leave a table without them. In SQLite a transaction prevents that; SQLite knows no comment
    of a table, but keeps the statement with the comments in it."""

    inherit_cache = False


@compiles(CreateWithIndexes, "sqlite")
def _create_with_comment(create: CreateWithIndexes, compiler: Any, **options: Any) -> str:
    text, _, rest = compiler.visit_create_table(create, **options).rpartition("\n)")
    return f"{text} /* {create.element.comment} */\n){rest}"


@compiles(CreateWithIndexes, "mysql")
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


def create_table_sql(of: sa.Table) -> str:
    """Writes the statement that makes a table and its indexes in MySQL."""
    return str(CreateWithIndexes(of).compile(dialect=MYSQL)).strip()


# --- what a table lacks


def folded(name: str) -> str:
    """Returns a text that two names share if they mean the same column: the server ignores case.
    (`ß` and `ss` are different for it.)"""
    return "".join(letter.lower()[0] for letter in name)


class ColumnFacts(NamedTuple):
    """A column as SHOW COLUMNS has it."""

    name: str
    type: str  # varchar(1024)
    null: bool = True  # it may be null
    needed: bool = False  # a row must have a value, and there is no default
    generated: bool = False  # the server computes it from others


class Index(NamedTuple):
    """An index as SHOW INDEX has it."""

    name: str
    unique: bool
    columns: tuple[str, ...]
    whole: bool = True  # it has whole columns, not their first characters


class TableFacts(NamedTuple):
    """A table as it is in the database."""

    owner: Destination | None
    columns: tuple[ColumnFacts, ...]
    indexes: tuple[Index, ...]  # PRIMARY among them

    def index_of(self, column: str) -> Index | None:
        """Returns an index that begins with the column, or None."""
        begin = (each for each in self.indexes if folded(each.columns[0]) == folded(column))
        return min(begin, key=lambda each: (not each.whole, len(each.columns)), default=None)


class Lacks(NamedTuple):
    """How a table differs from its description. Only the first three can be added."""

    columns: tuple[str, ...]
    indexes: tuple[str, ...]  # names of described ones
    unique: bool  # uuid has no unique index
    others: tuple[Index, ...]  # unique indexes that must not exist: they lose events
    needed: tuple[str, ...]  # columns that need a value and get none
    types: dict[str, tuple[str, str]]  # of columns: as it is, as described
    doubtful: frozenset[str] = frozenset()  # columns that nobody can add, nor use


def doubtful(described: sa.Table, missing: Collection[str]) -> frozenset[str]:
    """Returns the columns whose names are alike, if the table lacks one of them: it was made when
    the schema had fewer such properties, and nobody can tell which one its column is of."""
    groups = (each for each in described.info["alike"] if not each.isdisjoint(missing))
    return frozenset().union(*(each for each in groups if not each.issubset(missing)))


def lacks(described: sa.Table, found: TableFacts) -> Lacks:
    """Compares a table with its description. Additional columns, the order of columns, and names of
    indexes do not matter."""
    existing = {folded(each.name): each for each in found.columns}
    missing = tuple(str(c.name) for c in described.columns if folded(c.name) not in existing)
    doubt = doubtful(described, missing)
    indexes = {str(index.name): index for index in described.indexes}
    keys = [each for each in found.indexes if each.unique and each.name != "PRIMARY"]
    known = {folded(column.name) for column in described.columns}
    types = {
        str(column.name): (is_, stated)
        for column in described.columns
        if (name := folded(column.name)) in existing
        if _plain(is_ := existing[name].type)
        != _plain(stated := str(column.type.compile(dialect=MYSQL)))
    }
    return Lacks(
        columns=tuple(name for name in missing if name not in doubt),
        indexes=tuple(
            name for name, index in sorted(indexes.items())
            if not found.index_of(column := str(next(iter(index.columns)).name))
            if column not in doubt
        ),
        unique=not any(map(_of_uuid, keys)),
        others=tuple(each for each in keys if not _of_uuid(each)),
        needed=tuple(c.name for c in found.columns if c.needed and folded(c.name) not in known),
        types=types,
        doubtful=doubt,
    )  # fmt: skip


def additions(described: sa.Table, lack: Lacks, how: str = ONLINE) -> tuple[str, ...]:
    """Writes the statements that add what MySQL can add. Columns have their own statement, the
    first: together with an index MySQL doesn't add them at once."""
    quoted = MYSQL.identifier_preparer
    columns = (CreateColumn(described.columns[name]).compile(dialect=MYSQL)
               for name in lack.columns)  # fmt: skip
    keys = [key_sql(index, quoted) for index in sorted(described.indexes, key=lambda i: str(i.name))
            if index.name in lack.indexes]  # fmt: skip
    keys += ["UNIQUE KEY (`uuid`)"] if lack.unique else []
    return tuple(
        f"ALTER TABLE {quoted.format_table(described)}{each},\n\t{how}"
        for each in (_adding("COLUMN ", map(str, columns)), _adding("", keys))
        if each
    )


def _adding(what: str, parts: Iterable[str]) -> str:
    return ",".join(f"\n\tADD {what}{part.strip()}" for part in parts)


def _of_uuid(index: Index) -> bool:
    return index.unique and index.whole and [folded(each) for each in index.columns] == ["uuid"]


def _plain(stated: str) -> str:
    """Returns the type without its display width: bigint(20) -> bigint."""
    name = _WIDTH.sub("", stated.lower())
    return _SAME.get(name, name)
