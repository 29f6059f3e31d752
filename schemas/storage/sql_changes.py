"""Compares a table of MySQL with its schema's, and writes the statements that add what it lacks.
Pure: `transforms.io.mysql.client.look` reads the table."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

from schemas.event import Destination
from schemas.storage.sql import dialect_of, key_sql

ONLINE: Final = "ALGORITHM=INPLACE, LOCK=NONE"
"""Others can read and write while the server changes the table, else the server refuses. MariaDB
adds a column at once."""
_WIDTH = re.compile(r"(?<=int)\(\d+\)")  # the display width of a number; MySQL 8 has none
_SAME = {"bool": "tinyint", "integer": "int"}


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


def lacks(described: sa.Table, found: TableFacts) -> Lacks:
    """Compares a table with its description. Additional columns, the order of columns, and names of
    indexes do not matter."""
    existing = {folded(each.name): each for each in found.columns}
    missing = tuple(str(c.name) for c in described.columns if folded(c.name) not in existing)
    indexes = {str(index.name): index for index in described.indexes}
    keys = [each for each in found.indexes if each.unique and each.name != "PRIMARY"]
    known = {folded(column.name) for column in described.columns}
    types = {
        str(column.name): (is_, stated)
        for column in described.columns
        if (name := folded(column.name)) in existing
        if _plain(is_ := existing[name].type)
        != _plain(stated := str(column.type.compile(dialect=dialect_of("mysql"))))
    }
    return Lacks(
        columns=missing,
        indexes=tuple(
            name for name, index in sorted(indexes.items())
            if not found.index_of(next(iter(index.columns)).name)
        ),
        unique=not any(map(_of_uuid, keys)),
        others=tuple(each for each in keys if not _of_uuid(each)),
        needed=tuple(c.name for c in found.columns if c.needed and folded(c.name) not in known),
        types=types,
    )  # fmt: skip


def additions(described: sa.Table, lack: Lacks) -> tuple[str, ...]:
    """Writes the statements that add what MySQL can add. Columns have their own statement: together
    with an index MySQL doesn't add them at once."""
    dialect = dialect_of("mysql")
    quoted = dialect.identifier_preparer
    columns = (CreateColumn(described.columns[name]).compile(dialect=dialect)
               for name in lack.columns)  # fmt: skip
    keys = [key_sql(index, quoted) for index in sorted(described.indexes, key=lambda i: str(i.name))
            if index.name in lack.indexes]  # fmt: skip
    keys += ["UNIQUE KEY (`uuid`)"] if lack.unique else []
    return tuple(
        f"ALTER TABLE {quoted.format_table(described)}{each},\n\t{ONLINE}"
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
