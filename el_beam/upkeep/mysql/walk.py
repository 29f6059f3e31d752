"""The statements that remove old rows of a table, and how far they are.

Old rows are found by an index of time, and each transaction is of few rows that are named by their
id: what it locks are these.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from el_beam.upkeep.mysql.keep import Kept
from schemas.event import Destination
from schemas.storage.sql import dialect_of
from transforms.io.mysql.client import MysqlFault

Row = Any  # of `_chosen`
COUNTED: Final = 10_000  # rows that a statement counts


class TimeColumn(NamedTuple):
    """A column that says how old a row is, where those before it are null."""

    column: str
    by: str  # its index


class PurgeTarget(NamedTuple):
    """A table, and what becomes of its old rows."""

    name: str
    schema: Destination
    clocks: tuple[TimeColumn, ...]
    kept: Kept | None  # None: they go


class Done(NamedTuple):
    """What a transaction did, or would do."""

    rows: int
    looked_at: int


class Walk:
    """The statements of one clock, and how far they are. None reads more rows than it may:
    where the rows that are meant are few among others, those are read and passed over."""

    def __init__(self, engine: sa.Engine, of: PurgeTarget, before: datetime, place: int) -> None:
        # So that nothing but the rows themselves is locked, no gap between them.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._of, self._kept = of, of.kept or Kept((), {}, frozenset())
        self._clock, self._first = of.clocks[place], of.clocks[0]
        times = [each.column for each in of.clocks]
        names = dict.fromkeys(["id", *times, *self._kept.nulls, *self._kept.cuts])
        columns: Iterator[sa.ColumnClause[Any]] = (
            sa.column(sa.quoted_name(name, quote=True)) for name in names
        )
        self._table = sa.table(sa.quoted_name(of.name, quote=True), *columns)
        self._id, self._time = self._table.c["id"], self._table.c[self._clock.column]
        earlier = [self._table.c[each].is_(None) for each in times[:place]]
        self._mine = sa.and_(sa.true(), *earlier)  # no earlier clock says how old the row is
        utc = before.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        text = self._clock.column == "timestamp"
        self._is_old = self._time < (utc.strftime("%Y%m%d%H%M%S") if text else utc)
        self._last: tuple[Any, int] | None = None  # time and id of the row that it is at

    def check(self) -> bool:
        """Whether there may be anything to do. Raises MysqlFault where the server would read the
        whole table to find old rows."""
        with self._engine.connect() as connection:
            if self._clock != self._first:
                null = self._table.c[self._first.column].is_(None)
                some = _by(self._first, sa.select(self._id).where(null).limit(1), self._table)
                if not connection.execute(some).all():
                    return False
            chosen = self._chosen(1).compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN {chosen}").mappings().one()
        extra = plan["Extra"] or ""
        if "Impossible" not in extra and (plan["key"] != self._clock.by or "filesort" in extra):
            raise MysqlFault(f"the server would not use its index {self._clock.by}")
        return True

    def remove_nothing(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._removal([]))

    def without_time(self, last: int) -> list[Row]:
        """The next rows whose time is null: id, whether no other clock has any."""
        chosen = sa.select(self._id, self._mine).where(self._time.is_(None), self._id > last)
        with self._engine.connect() as connection:
            some = chosen.order_by(self._id).limit(COUNTED)
            return [*connection.execute(_by(self._clock, some, self._table)).all()]

    def step(self, rows: int, do: bool) -> Done:
        """One transaction. When it fails nothing is done, and the walk is where it was."""
        with self._engine.begin() as connection:
            found = connection.execute(self._chosen(rows)).all()
            left = [each for each in found if self._is_left(each)]
            if do and left:
                connection.execute(self._removal(left))
        if found:
            self._last = found[-1][1], found[-1][0]
        return Done(len(left), len(found))

    def _chosen(self, rows: int) -> sa.Select[Any]:
        """The next rows: id, time, whether they are this clock's, whether a column is to become
        null, texts that are to be cut."""
        any_left = sa.or_(sa.false(), *(self._table.c[c].is_not(None) for c in self._kept.nulls))
        cuts = (self._table.c[name] for name in self._kept.cuts)
        chosen = sa.select(self._id, self._time, self._mine, any_left, *cuts)
        chosen = chosen.where(self._is_old).order_by(self._time, self._id).limit(rows)
        if self._last is not None:
            moment, id_ = self._last
            chosen = chosen.where(self._time >= moment, (self._time > moment) | (self._id > id_))
        return _by(self._clock, chosen, self._table)

    def _is_left(self, row: Row) -> bool:
        _, _, mine, any_left, *texts = row
        if not mine:
            return False
        if self._of.kept is None or any_left:
            return True
        cuts = zip(self._kept.cuts.values(), texts, strict=True)
        return any(text is not None and cut(text) != text for cut, text in cuts)

    def _removal(self, left: list[Row]) -> sa.Delete | sa.Update:
        mine = self._id.in_([row[0] for row in left])
        if self._of.kept is None:
            return sa.delete(self._table).where(mine)
        values: dict[Any, Any] = {self._table.c[name]: sa.null() for name in self._kept.nulls}
        for place, (name, cut) in enumerate(self._kept.cuts.items(), 4):
            texts = {row[0]: cut(row[place]) for row in left if row[place] is not None}
            stays = {id_: text for id_, text in texts.items() if text is not None}
            values[self._table.c[name]] = sa.case(stays, value=self._id) if stays else sa.null()
        return sa.update(self._table).where(mine).values(values)


def _by(clock: TimeColumn, chosen: sa.Select[Any], table: sa.TableClause) -> sa.Select[Any]:
    """By this clock's index, whatever the server thinks of it."""
    quoted = dialect_of("mysql").identifier_preparer
    name = quoted.quote(sa.quoted_name(clock.by, quote=True))
    # A percent sign is doubled for SQLAlchemy, and that again for the driver.
    return chosen.with_hint(table, f"FORCE INDEX ({name.replace('%', '%%%%')})")
