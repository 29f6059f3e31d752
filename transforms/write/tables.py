"""Table sinks: a table for each destination, a row for each event, once by its uuid.

Rows are inserted in transactions of their own while a bundle lasts, the rest when it ends: a bundle
that is run again finds its uuids there, so its rows count as repeated and nothing is doubled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

from schemas.event import Destination, Event
from schemas.registry import Registry
from schemas.storage.sql import (
    CreateWithIndexes,
    doubtful,
    insert_ignoring_repeats,
    may_lack,
    table,
)
from schemas.storage.sql_rows import row
from schemas.storage.table_names import SQLITE_TABLES, Names, sqlite_look, table_names
from transforms.errors import SinkError
from transforms.io.mysql.client import DatabaseAway, MysqlFault, TableLocked, fault
from transforms.io.retry import patiently
from transforms.write.sink import Bundle, Receipt, Sink, Writer

_ROWS_IN_MEMORY: Final = 10_000  # of all tables, before they are inserted
_ROW_BYTES: Final = 4096  # of a line that make it count as one more row
_PATIENCE: Final = 600.0  # seconds that one worker waits for another's transaction
_DELETED: Final = 500  # rows that one transaction deletes
_LOCKED, _AWAY = (TableLocked, 60.0), (DatabaseAway, 600.0)  # errors, seconds they are waited for

_AFFINITIES: Final = {
    ("INT",): "INTEGER",
    ("CHAR", "CLOB", "TEXT"): "TEXT",
    ("BLOB",): "",
    ("REAL", "FLOA", "DOUB"): "REAL",
}  # in SQLite's order

_Rows = dict[tuple[str, Destination], list[dict[str, Any]]]  # by split, too


class _Table(NamedTuple):
    name: str
    insert: sa.Insert
    row: Callable[[dict[str, Any]], dict[str, Any]]


class _TableBundle(Bundle):
    def __init__(self, writer: _TableWriter) -> None:
        self._writer = writer
        self._rows: _Rows = {}
        self._pending = 0
        self._receipts: list[Receipt] = []

    def add(self, destination: Destination, event: Event) -> None:
        values = self._writer.table(destination).row(event.data)
        self._rows.setdefault((event.line.origin.split, destination), []).append(values)
        self._pending += 1 + len(event.line.data) // _ROW_BYTES
        if self._pending >= _ROWS_IN_MEMORY:
            self._insert()

    def _insert(self) -> None:
        rows, self._rows, self._pending = self._rows, {}, 0
        self._receipts += self._writer.insert(rows)

    def commit(self) -> Iterator[Receipt]:
        self._insert()
        return iter(self._receipts)


class _TableWriter(Writer):
    def __init__(self, sink: SqliteSink) -> None:
        self._sink = sink
        self._engine = sink.engine()
        # Without self: a writer goes when it is no longer used.
        self.table = cache(partial(_create, sink, self._engine, table_names(sink.registry)))

    def insert(self, rows: _Rows) -> list[Receipt]:
        """Insert rows of any tables in one transaction; says what was new and what was not."""
        sink, receipts = str(self._sink), []
        with _transaction(self._sink, self._engine) as connection:
            for (split, to), values in rows.items():
                made, given = self.table(to), len(values)
                new = connection.execute(made.insert, values).rowcount
                receipts.append(
                    Receipt(sink, split, *to, made.name, given, new, repeated=given - new)
                )
        return receipts

    def bundle(self) -> Bundle:
        return _TableBundle(self)

    def close(self) -> None:
        self._engine.dispose()


def _create(sink: SqliteSink, engine: sa.Engine, names: Names, destination: Destination) -> _Table:
    document = sink.registry.get(*destination)
    with _transaction(sink, engine) as connection:
        look = sqlite_look(connection.exec_driver_sql(SQLITE_TABLES).tuples())
        described = table(document, destination, names.choose(destination, look))
        if not connection.dialect.has_table(connection, described.name):
            connection.execute(CreateWithIndexes(described))
            for index in sorted(described.indexes, key=lambda index: str(index.name)):
                index.create(connection)
        missing = _missing(connection, described)
        if not may_lack(document).issuperset(missing):
            raise SinkError(
                f"{sink}: table {described.name} lacks {', '.join(missing)}. It was made for "
                "another schema; rename or drop it, and it will be made anew."
            )
        lacking = doubtful(described, missing)
        addable = [name for name in missing if name not in lacking]
        lacking |= frozenset(_not_added(connection, described, addable))
        lacking |= may_lack(document) & _other_types(connection, described)
    given = row(document, lacking=lacking)
    return _Table(str(described.name), insert_ignoring_repeats(described), given)


def _missing(connection: sa.Connection, described: sa.Table) -> list[str]:
    columns = sa.inspect(connection).get_columns(described.name)
    there = {str(each["name"]).lower() for each in columns}
    return [name for name in map(str, described.columns.keys()) if name.lower() not in there]


def _other_types(connection: sa.Connection, described: sa.Table) -> frozenset[str]:
    """Columns that would make another value of one, as their property had another type when they
    were made: SQLite stores the text "007" in a column of integers as 7."""
    there = {
        str(each["name"]).lower(): _affinity(str(each["type"]))
        for each in sa.inspect(connection).get_columns(described.name)
    }
    return frozenset(
        str(column.name)
        for column in described.columns
        if there.get(str(column.name).lower())
        not in (None, "", _affinity(column.type.compile(connection.dialect)))
    )


def _affinity(declared: str) -> str:
    """What SQLite makes of a type's name; "" stores all values as they are."""
    for parts, affinity in _AFFINITIES.items():
        if any(part in declared.upper() for part in parts):
            return affinity
    return "NUMERIC" if declared not in ("", "NULL") else ""  # SQLAlchemy calls none NULL


def _not_added(
    connection: sa.Connection, described: sa.Table, missing: Iterable[str]
) -> Iterator[str]:
    """Add columns, with their indexes, and yield those that SQLite doesn't add."""
    preparer, added = connection.dialect.identifier_preparer, set()
    for name in missing:
        text = CreateColumn(described.columns[name]).compile(connection)
        alter = f"ALTER TABLE {preparer.format_table(described)} ADD COLUMN {text}"
        try:
            connection.exec_driver_sql(alter)
            added.add(name)
        except sa.exc.DBAPIError:  # there are too many
            yield name
    for index in sorted(described.indexes, key=lambda index: str(index.name)):
        if not added.isdisjoint(column.name for column in index.columns):
            index.create(connection)


@contextlib.contextmanager
def _transaction(sink: SqliteSink, engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()
    except sa.exc.DBAPIError as error:
        raise SinkError(f"{sink}: {error.orig}") from error


class SqliteSink(Sink):
    """Tables in a SQLite file, with the names and types that EventLogging's MySQL tables had."""

    has_rows = True

    def __init__(self, path: str, registry: Registry, shown: str | None = None) -> None:
        self.shown = shown or f"sqlite:{path}"
        self.path = path
        self.registry = registry

    def engine(self) -> sa.Engine:
        """A new engine: readers are never in the way, and commits survive a crash."""
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=self.path),
            connect_args={"timeout": _PATIENCE, "isolation_level": None},
        )

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, __: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        return engine

    def prepare(self) -> None:
        try:
            Path(self.path).absolute().parent.mkdir(parents=True, exist_ok=True)
            with self.engine().connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.rollback()
        except (OSError, sa.exc.DBAPIError) as error:
            cause = getattr(error, "orig", error)
            raise SinkError(f"cannot write {self}: {cause}") from error

    def writer(self) -> Writer:
        return _TableWriter(self)

    def delete_rows(self, rows: Iterable[tuple[str, str]]) -> int:
        return delete_rows(str(self), self.engine(), rows)


def delete_rows(sink: str, engine: sa.Engine, rows: Iterable[tuple[str, str]]) -> int:
    """Delete rows (table, uuid), which come in the order of tables, and return how many were there.
    The engine is disposed of. Raises SinkError, which names the sink."""
    deleted = 0
    try:
        for name, of_table in groupby(rows, lambda each: each[0]):
            uuid: sa.ColumnClause[str] = sa.column("uuid")
            table = sa.table(sa.quoted_name(name, quote=True), uuid)
            while uuids := [each for _, each in islice(of_table, _DELETED)]:
                statement = sa.delete(table).where(uuid.in_(uuids))
                delete = partial(_delete, engine, statement)
                deleted += patiently(delete, locked=_LOCKED, away=_AWAY)
    except MysqlFault as error:
        raise SinkError(f"{sink}: {error}") from error
    finally:
        engine.dispose()
    return deleted


def _delete(engine: sa.Engine, statement: sa.Delete) -> int:
    try:
        with engine.begin() as connection:
            return connection.execute(statement).rowcount
    except (sa.exc.SQLAlchemyError, MysqlFault) as error:
        raise fault(error) from error
