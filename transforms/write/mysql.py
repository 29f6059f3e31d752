"""The MySQL sink: a table for each destination, a row for each event, once by its uuid.

Rows are inserted while a bundle lasts, the rest when it ends, each table's in a transaction of its
own: one that is locked or broken holds up those of its own alone. A bundle that is run again finds
its uuids there, so its rows count as repeated and nothing is doubled.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Final

from schemas.event import Destination, Event
from schemas.registry import Registry
from schemas.storage.table_names import Names, table_names
from transforms.errors import SinkError
from transforms.io.mysql.client import DatabaseAway, MysqlFault, TableLocked, engine, fault
from transforms.io.mysql.server import MysqlServer
from transforms.io.retry import patiently, retrying
from transforms.write.mysql_table import FAULTS, Inserted, MysqlTable, Row
from transforms.write.sink import Bundle, Receipt, RejectedEvent, Sink, Tally, Writer
from transforms.write.tables import delete_rows

_ROWS_IN_MEMORY: Final = 10_000  # of all tables, before they are inserted
_BYTES_IN_MEMORY: Final = 16 * 2**20  # about, of the same
_REACHABLE: Final = 10.0  # seconds in which the server must answer before a job starts
_AWAY: Final = 600.0  # seconds that a server is waited for
_LOCKED: Final = 20.0  # seconds that a table is waited for, after all others are written
_DEFERRING: Final = 2  # the same where it is tried again later, while others have gone on


class MysqlSink(Sink):
    """Tables of a database, with the names and types that EventLogging's had. Holds no connection
    and no secret."""

    has_rows = True

    def __init__(
        self, server: MysqlServer, registry: Registry, shown: str, *, drops_bots: bool = False
    ) -> None:
        """With `drops_bots` events whose userAgent is a bot's are filtered; EventErrors never."""
        self.server, self.registry, self.drops_bots = server, registry, drops_bots
        self.shown, self.defers = shown, False

    def deferring(self) -> MysqlSink:
        other = copy.copy(self)
        other.defers = True
        return other

    def prepare(self) -> None:
        try:
            retrying(self._try, DatabaseAway, patience=_REACHABLE)
        except MysqlFault as error:
            raise SinkError(f"cannot write {self}: {error}") from error

    def _try(self) -> None:
        try:
            engine(self.server).connect().close()
        except FAULTS as error:
            raise fault(error) from error

    def writer(self) -> Writer:
        return _MysqlWriter(self)

    def delete_rows(self, rows: Iterable[tuple[str, str]]) -> int:
        return delete_rows(str(self), engine(self.server), rows)


def _table(sink: MysqlSink, names: Names, destination: Destination) -> MysqlTable:
    return MysqlTable(destination, sink.registry.get(*destination), names)


class _MysqlWriter(Writer):
    def __init__(self, sink: MysqlSink) -> None:
        self.sink = sink
        self._engine = engine(sink.server, keep=True, lock=_DEFERRING if sink.defers else None)
        self._patience = float(_DEFERRING) if sink.defers else _LOCKED
        self.table = cache(  # without self: a writer goes when unused
            partial(_table, sink, table_names(sink.registry))
        )

    def insert(
        self, rows: dict[Destination, list[Row]], faults: dict[Destination, MysqlFault]
    ) -> Iterator[Receipt | RejectedEvent]:
        """Insert rows of any tables. What a table can't hold is rejected; what is locked is waited
        for when all others are written. Tables that can't be written are added to `faults`.

        Raises SinkError where none can."""
        waiting = dict(rows)
        done: list[tuple[Destination, Inserted]] = []

        def attempt() -> None:
            for destination in list(waiting):
                faults.pop(destination, None)
                try:
                    done.append((destination, self._insert(destination, waiting[destination])))
                except DatabaseAway:
                    raise
                except MysqlFault as error:
                    faults[destination] = error
                    if isinstance(error, TableLocked):
                        continue
                del waiting[destination]
            if waiting:
                raise faults[next(iter(waiting))]

        try:
            locked, away = (TableLocked, self._patience), (DatabaseAway, _AWAY)
            patiently(attempt, locked=locked, away=away)
        except TableLocked:
            pass  # `faults` has it
        except DatabaseAway as error:
            raise SinkError(f"{self.sink}: {error}") from error
        for destination, (counts, rejected) in done:
            yield from rejected
            where = self.table(destination).name
            for split, (given, new) in counts.items():
                yield Receipt(
                    str(self.sink), split, *destination, where=where,
                    given=given, written=new, repeated=given - new,
                )  # fmt: skip

    def _insert(self, destination: Destination, rows: list[Row]) -> Inserted:
        table = self.table(destination)
        try:
            with self._engine.connect() as connection:
                return table.insert(connection, rows)
        except FAULTS as error:
            table.forget()
            found = fault(error)
            origin = getattr(error, "orig", None) or error  # SQLAlchemy's own tells all the rows
            if isinstance(found, DatabaseAway):
                raise found from origin
            raise type(found)(f"table {table.name}: {found}") from origin

    def bundle(self) -> Bundle:
        return _MysqlBundle(self)

    def close(self) -> None:
        self._engine.dispose()


class _MysqlBundle(Bundle):
    def __init__(self, writer: _MysqlWriter) -> None:
        self._writer = writer
        self._rows: dict[Destination, list[Row]] = {}
        self._pending = self._bytes = 0
        self._rejected: deque[RejectedEvent] = deque()
        self._receipts: list[Receipt] = []
        self._bots = Tally(str(writer.sink))
        self._faults: dict[Destination, MysqlFault] = {}  # of tables that can't be written
        self._deferred: dict[str, Destination] = {}  # split -> a table that lacks rows of it

    def add(self, destination: Destination, event: Event) -> None:
        if destination in self._faults:  # so the bundle fails at its end: all others are written
            self._deferred[event.line.origin.split] = destination
            return
        if self._writer.sink.drops_bots and event.is_bot:
            self._bots.filtered(event.line.origin.split, destination)
            return
        row = self._writer.table(destination).row(event)
        self._rows.setdefault(destination, []).append(row)
        self._pending += 1
        self._bytes += len(row.literal) + len(event.line.data)
        if self._pending >= _ROWS_IN_MEMORY or self._bytes >= _BYTES_IN_MEMORY:
            self.settle()

    def settle(self) -> None:
        rows, self._rows, self._pending, self._bytes = self._rows, {}, 0, 0
        for outcome in self._writer.insert(rows, self._faults):
            if isinstance(outcome, RejectedEvent):
                self._rejected.append(outcome)
            else:
                self._receipts.append(outcome)
        for destination in rows.keys() & self._faults.keys():
            for row in rows[destination]:
                self._deferred[row.event.line.origin.split] = destination

    def rejected(self) -> Iterable[RejectedEvent]:
        while self._rejected:
            yield self._rejected.popleft()

    def commit(self) -> Iterator[Receipt]:
        self.settle()
        if self._faults and not self._writer.sink.defers:
            first = min(self._faults.values(), key=lambda each: isinstance(each, TableLocked))
            raise SinkError(f"{self._writer.sink}: {first}") from first
        assert not self._rejected, "rejected events must be taken back first"
        sink = str(self._writer.sink)
        for split, to in self._deferred.items():
            yield Receipt(sink, split, *to, deferred=f"{sink}: {self._faults[to]}")
        yield from self._receipts
        yield from self._bots.receipts()
