"""Removing old rows of tables that others read and write, or all of them but some columns.

A table is walked from its oldest row on, by its index of time, and a transaction is of few rows that
are named by their id: what it locks are these, and for a tenth of a second. Nothing is remembered
but how far the walk is: rows of which nothing is left to remove are read and passed over, so what is
killed is started again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from el_beam.mysql_keep import Kept
from el_beam.mysql_tables import FAULTS, told
from schemas.sql_changes import Found
from transforms.mysql_client import DatabaseAway, MysqlFault, TableLocked, fault
from transforms.retry import retrying

_LONG: Final = 0.1  # seconds of a transaction: others may wait for so long
_FEWEST: Final = 10  # rows of one
_FIRST: Final = 200
_AWAY: Final = 600.0  # seconds that a server is waited for
_LOCKED: Final = 120.0  # seconds that a table is waited for
_TIMES: Final = ("timestamp", "dt")  # EventLogging's oldest tables have no values in dt


class Target(NamedTuple):
    """A table, and what becomes of its old rows."""

    name: str
    time: str  # the column that says how old a row is
    index: str  # of that column
    kept: Kept | None  # None: they go


class Done(NamedTuple):
    """What a transaction did, or would do."""

    rows: int
    looked_at: int


class Pace:
    """How many rows a transaction has, so that none takes long; and the pause after it."""

    def __init__(self, most: int, pause: float) -> None:
        self.rows, self.pause = min(_FIRST, most), pause
        self._most = most

    def took(self, seconds: float) -> None:
        """The last one took so long."""
        if seconds > _LONG:
            self.rows = max(self.rows // 2, min(_FEWEST, self._most))
        elif seconds < _LONG / 2:
            self.rows = min(self.rows + self.rows // 2 + 1, self._most)


def target(name: str, found: Found, kept: Kept | None) -> Target:
    """The table as one to purge. Raises MysqlFault, with what a person must do first."""
    for column in _TIMES:
        index = found.index_of(column)
        if index and index.whole:
            break
    else:
        raise MysqlFault("neither timestamp nor dt has an index; `el mysql apply` makes it")
    if not any(each.name == "PRIMARY" and each.columns == ("id",) for each in found.indexes):
        raise MysqlFault("its primary key is not id")
    if kept and (needed := [c.name for c in found.columns if c.needed and c.name in kept.nulls]):
        raise MysqlFault(f"{', '.join(needed)} can't be null: ALTER TABLE … MODIFY makes it so")
    return Target(name, column, index.name, kept)


def purge(
    engine: sa.Engine, of: Target, before: datetime, pace: Pace, *, do: bool
) -> Iterator[Done]:
    """Remove what is older than `before` (UTC), or with `do` false only count it.

    Raises MysqlFault; what was done before is done."""
    walk = _Walk(of, before)
    with engine.connect() as connection:
        _attempt(lambda: walk.check(connection))
        more = True
        while more:
            begun = time.monotonic()
            done, more = _attempt(lambda: walk.step(connection, pace.rows, do))
            pace.took(time.monotonic() - begun)
            yield done
            if do and more:
                time.sleep(pace.pause)


def without_time(engine: sa.Engine, of: Target) -> int:
    """Rows that nobody can say how old they are. Raises FAULTS."""
    walk = _Walk(of, datetime.now(UTC))
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).select_from(walk.table)
        return int(connection.execute(walk.by_index(counted).where(walk.time.is_(None))).scalar_one())


def _attempt(call: Any) -> Any:
    def meant() -> Any:
        try:
            return call()
        except FAULTS as error:
            found = fault(error)
            kind = type(found)
            raise kind(told(error)) from error

    def unlocked() -> Any:
        return retrying(meant, TableLocked, patience=_LOCKED, longest_pause=5.0)

    return retrying(unlocked, DatabaseAway, patience=_AWAY)


class _Walk:
    """The statements, and how far they are."""

    def __init__(self, of: Target, before: datetime) -> None:
        self._of = of
        kept = of.kept or Kept((), {})
        names = dict.fromkeys(["id", of.time, *kept.nulls, *kept.cuts])
        columns = (sa.column(sa.quoted_name(name, quote=True)) for name in names)
        self.table = sa.table(sa.quoted_name(of.name, quote=True), *columns)
        self.time, self._id = self.table.c[of.time], self.table.c["id"]
        self._cuts = [self.table.c[name] for name in kept.cuts]
        self._nulls = [self.table.c[name] for name in kept.nulls]
        utc = before.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        self._before = utc.strftime("%Y%m%d%H%M%S") if of.time == "timestamp" else utc
        self._last: tuple[Any, int] | None = None

    def by_index(self, chosen: sa.Select[Any]) -> sa.Select[Any]:
        quoted = sa.dialects.mysql.dialect(paramstyle="qmark").identifier_preparer
        name = quoted.quote(sa.quoted_name(self._of.index, quote=True))
        # A percent sign is doubled for SQLAlchemy, and again for the driver.
        return chosen.with_hint(self.table, f"FORCE INDEX ({name.replace('%', '%%%%')})")

    def _chosen(self, rows: int) -> sa.Select[Any]:
        left = sa.or_(sa.false(), *(column.is_not(None) for column in self._nulls))
        chosen = self.by_index(sa.select(self._id, self.time, left, *self._cuts))
        chosen = chosen.where(self.time < self._before).order_by(self.time, self._id).limit(rows)
        if self._last is None:
            return chosen
        moment, id_ = self._last
        return chosen.where(self.time >= moment, sa.or_(self.time > moment, self._id > id_))

    def check(self, connection: sa.Connection) -> None:
        """Raises MysqlFault where the server would read the whole table to find old rows."""
        text = self._chosen(1)
        compiled = text.compile(connection, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"EXPLAIN {compiled}").mappings().one()
        connection.rollback()
        if plan["key"] not in (self._of.index, None) or "filesort" in (plan["Extra"] or ""):
            raise MysqlFault(f"the server does not use the index {self._of.index}: {dict(plan)}")

    def step(self, connection: sa.Connection, rows: int, do: bool) -> tuple[Done, bool]:
        """One transaction; and whether there is more. When it fails nothing is done."""
        try:
            found = connection.execute(self._chosen(rows)).all()
            left = [each for each in found if self._is_left(each)]
            if do and left:
                self._remove(connection, left)
            connection.commit()
        except FAULTS:
            connection.rollback()
            raise
        if found:
            self._last = found[-1][1], found[-1][0]
        return Done(len(left), len(found)), len(found) == rows
