"""MysqlTable: the table of one destination, and how rows get into it."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple

import pymysql
import sqlalchemy as sa
from pymysql.converters import encoders, escape_datetime, escape_str

from schemas.bad_event import EVENT_ERROR, in_ascii, shorter, without_addresses
from schemas.event import Destination, Event
from schemas.storage.columns import path_text
from schemas.storage.sql import (
    AT_ONCE,
    CreateWithIndexes,
    Lacks,
    additions,
    insert_parts,
    lacks,
    layout,
    may_lack,
    table,
)
from schemas.storage.sql_rows import DoesNotFit, row
from schemas.storage.table_names import Names
from transforms.io.mysql.client import (
    DatabaseAway,
    MysqlFault,
    TableLocked,
    ValueRefused,
    fault,
    find,
    look,
)
from transforms.write.sink import Rejected, RejectedEvent

FAULTS: Final = (sa.exc.DBAPIError, pymysql.Error, MysqlFault)
"""What a connection may raise: `mysql_client.fault` says what it means."""
_NO_SUCH_CHARACTER: Final = "(1366)"
_BRIEFLY: Final = "SET @waited=@@SESSION.lock_wait_timeout, SESSION lock_wait_timeout=1"
"""Seconds: queries that come while a change of their table waits for an older one wait as long."""
_AS_BEFORE: Final = "SET SESSION lock_wait_timeout=@waited"
_ROWS: Final = 500  # of a statement: more of them are no faster
_BYTES: Final = 2**20  # of a statement, or as many as one row has
_COLUMN = re.compile(r"column (?:`[^`]*`\.)*[`'](?P<name>.+)[`'] at row")
_escaped = lru_cache(4096)(escape_str)
_needs_escape = re.compile("[\\0\n\r\x1a\"'\\\\]").search  # what `escape_str` looks for


def _text(value: str) -> str:
    if 100 < len(value) <= 1024:  # user agents, mostly: few different ones, and full of quotes
        return _escaped(value)
    return escape_str(value) if _needs_escape(value) else f"'{value}'"


_LITERALS: Final[dict[type, Any]] = {
    **encoders,
    str: _text,
    datetime: lru_cache(65536)(escape_datetime),
}


class Row(NamedTuple):
    """A row on its way, and what it was made of."""

    literal: str  # (1,'x',…) as MySQL reads it where backslashes escape
    event: Event
    lacking: frozenset[str] = frozenset()  # columns that it leaves out

    @property
    def size(self) -> int:
        """Bytes of the literal."""
        return len(self.literal) if self.literal.isascii() else len(self.literal.encode())


class Inserted(NamedTuple):
    """What became of rows; it is durable."""

    counts: dict[str, tuple[int, int]]  # split -> rows that are there, how many of them are new
    rejected: list[RejectedEvent]


class MysqlTable:
    """The table of a schema revision. It is made when rows are first inserted."""

    def __init__(self, destination: Destination, document: dict[str, Any], names: Names) -> None:
        self._destination, self._document, self._names = destination, document, names
        self._paths = {column.name: path_text(column.path) for column in layout(document)}
        self._room = 0  # bytes of a statement; 0 until the table is known to be there
        self._describe(names.of(destination))
        self._leave_out(frozenset())

    def _describe(self, name: str) -> None:
        self.name = name
        self._described = table(self._document, self._destination, name)

    def _leave_out(self, lacking: frozenset[str]) -> None:
        self._lacking = lacking
        strict = self._destination != EVENT_ERROR
        self._row = row(self._document, strict=strict, lacking=lacking)
        self._insert = insert_parts(self._described, lacking)

    def forget(self) -> None:
        """Look at the table again before the next rows."""
        self._room = 0

    def row(self, event: Event) -> Row:
        """The event's row. An EventError's line is stored without addresses: as events are.

        Raises Rejected where a column can't hold a value."""
        if self._destination == EVENT_ERROR:
            event = without_addresses(event)
        try:
            values = self._row(event.data)
        except DoesNotFit as error:
            raise Rejected(str(error), error.path) from error
        if (dt := values["dt"]) is not None and dt.microsecond:  # it would be rounded
            values["dt"] = dt.replace(microsecond=0)
        literals = [_LITERALS[type(value)](value) for value in values.values()]
        return Row(f"({','.join(literals)})", event, self._lacking)

    def insert(self, connection: sa.Connection, rows: list[Row]) -> Inserted:
        """Insert rows in one transaction, all but those that the table can't hold.

        Raises FAULTS; nothing is inserted then."""
        try:
            self._make(connection)
        except Rejected as error:
            return Inserted(
                {}, [RejectedEvent(self._destination, row.event, error) for row in rows]
            )
        counts: dict[str, tuple[int, int]] = {}
        rows, rejected = self._fitted(rows)
        for split, of_split in groupby(rows, lambda each: each.event.line.origin.split):
            given, new = counts.get(split, (0, 0))
            for part in _parts(of_split, min(_BYTES, self._room)):
                written, more = self._insert_all(connection, part)
                given, new = given + len(part) - len(more), new + written
                rejected += more
            counts[split] = given, new
        connection.commit()
        return Inserted(counts, rejected)

    def _fitted(self, rows: list[Row]) -> tuple[list[Row], list[RejectedEvent]]:
        """The rows with the columns that the table turned out to have, and what is rejected now."""
        fitted, rejected = [], []
        for each in rows:
            try:
                fitted.append(each if each.lacking == self._lacking else self.row(each.event))
            except Rejected as error:
                rejected.append(RejectedEvent(self._destination, each.event, error))
        return fitted, rejected

    def _insert_all(
        self, connection: sa.Connection, rows: list[Row]
    ) -> tuple[int, list[RejectedEvent]]:
        """How many are new, and which are rejected: half by half, as a statement fails as a whole
        for one row in it."""
        try:
            if len(rows) == 1 and rows[0].size > self._room:
                raise ValueRefused(f"{rows[0].size:,} bytes are beyond max_allowed_packet")
            before, after = self._insert
            statement = f"{before}{','.join([row.literal for row in rows])}{after}"
            done = connection.exec_driver_sql(statement, None, {"no_parameters": True})
            if done.rowcount > len(rows):  # it updates what is there, though nothing changes
                raise MysqlFault("nobody can tell which rows are new: is it system-versioned, or "
                                 "has it a trigger for updates?")  # fmt: skip
            return done.rowcount, []
        except FAULTS as error:
            why = fault(error)
            if not isinstance(why, ValueRefused):
                raise
        if len(rows) == 1:
            return self._refuse(connection, rows[0], why)
        half = len(rows) // 2
        first, second = (self._insert_all(connection, part) for part in (rows[:half], rows[half:]))
        return first[0] + second[0], first[1] + second[1]

    def _refuse(
        self, connection: sa.Connection, row: Row, why: ValueRefused
    ) -> tuple[int, list[RejectedEvent]]:
        if self._destination != EVENT_ERROR:
            found = _COLUMN.search(str(why))
            error = Rejected(f"table {self.name}: {why}", self._paths.get(found["name"], "")
                             if found else "")  # fmt: skip
            return 0, [RejectedEvent(self._destination, row.event, error)]
        event: Event | None = in_ascii(row.event) if _NO_SUCH_CHARACTER in str(why) else row.event
        if event == row.event:
            event = shorter(row.event)
        if event is None:
            raise MysqlFault(f"it can't hold an EventError at its shortest: {why}")
        return self._insert_all(connection, [self.row(event)])

    def _make(self, connection: sa.Connection) -> None:
        """See to it that the table is there, and is ours. Raises FAULTS; Rejected where it is that
        of another schema whose name is the same in a table's."""
        if self._room:
            return
        name, found = find(connection, self._names, self._destination)
        self._describe(name)
        if found is None:
            connection.execute(CreateWithIndexes(self._described, if_not_exists=True))
            name, found = find(connection, self._names, self._destination)
        if found is None or name != self.name:  # only now: a retry finds out
            raise TableLocked("it has just been dropped, or made for another schema")
        if found.owner not in (None, self._destination):
            raise Rejected(f"the table {self.name} is that of the schema {found.owner}", "schema")
        lack = lacks(self._described, found)
        if not may_lack(self._document).issuperset(lack.columns):
            raise MysqlFault(
                f"it lacks {', '.join(lack.columns)}, as it was made by another version; "
                "`el mysql plan` says how to add them"
            )
        if lack.columns:
            self._add_columns(connection, lack)
            lack = lacks(self._described, look(connection, name) or found)
        self._leave_out(lack.doubtful.union(lack.columns))
        if lack.unique or lack.others:
            others = {each.name: [*each.columns] for each in lack.others}
            raise MysqlFault(f"only uuid may be unique in it, and must be; {others} are")
        (packet,) = connection.exec_driver_sql("SELECT @@max_allowed_packet").one()
        self._room = packet - len("".join(self._insert).encode()) - 1024

    def _add_columns(self, connection: sa.Connection, lack: Lacks) -> None:
        """Add them if the user may, and the server does it at once. Their index is for `el mysql
        apply`: it takes longer."""
        add = additions(self._described, lack, AT_ONCE)[0]
        try:
            for statement in (_BRIEFLY, add, _AS_BEFORE):
                connection.exec_driver_sql(statement, None, {"no_parameters": True})
        except FAULTS as error:
            if isinstance(fault(error), DatabaseAway):
                raise
            connection.exec_driver_sql(_AS_BEFORE)


def _parts(rows: Iterable[Row], room: int) -> Iterator[list[Row]]:
    """Rows by the statement: so many, and of so many bytes, or one."""
    part: list[Row] = []
    size = 0
    for each in rows:
        if part and (len(part) == _ROWS or size + each.size > room):
            yield part
            part, size = [], 0
        part.append(each)
        size += each.size + 1
    if part:
        yield part
