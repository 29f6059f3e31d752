"""Removing old rows of tables that others read and write, or all of them but some columns.

A table is walked from its oldest row on, by its index of time, and a transaction is of few rows
that are named by their id: what it locks are these, and for a tenth of a second. Nothing is
remembered but how far the walk is: rows of which nothing is left to remove are read and passed
over, so what is killed is started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa

from el_beam.upkeep.mysql.keep import Kept, check_tables, kept
from el_beam.upkeep.mysql.tables import Ours, Strange, tables
from el_beam.upkeep.retention.keep_list import Keep, fields_of
from schemas.event import Destination
from schemas.registry import Registry, SchemaError
from schemas.storage.sql import MYSQL, TableFacts, folded
from transforms.io.mysql.client import DatabaseAway, MysqlFault, NoRight, TableLocked, fault, look
from transforms.io.retry import patiently
from transforms.write.mysql_table import FAULTS

Result = TypeVar("Result")
Row = Any  # of `_chosen`
_COUNTED: Final = 10_000  # rows that a statement counts
_COMPARED: Final = 100  # rows that tell when others came
_LONG: Final = 0.1  # seconds of a transaction: others may wait for so long
_FEWEST: Final = 10  # rows of one
_FIRST: Final = 200
_AWAY: Final = 600.0  # seconds that a server is waited for
_LOCKED: Final = 120.0  # seconds that a table is waited for
ISOLATION: Final = "READ COMMITTED"
"""Of an engine that purges: nothing but the rows themselves is locked, no gap between them."""
_TIMES: Final = ("dt", "timestamp")
"""The first is the server's. The second may be the client's, and counts where the first isn't
there, as in EventLogging's oldest tables."""


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


class Pace:
    """How many rows a transaction has, so that none takes long; and the pause after each, so that
    at least half of the time is others'."""

    def __init__(self, most: int, pause: float) -> None:
        self.rows = min(_FIRST, most)
        self._most, self._pause = most, pause

    def took(self, seconds: float) -> float:
        """The last one took so long. Returns how long to pause."""
        if seconds > _LONG:
            self.rows = max(self.rows // 2, min(_FEWEST, self._most))
        elif seconds < _LONG / 2:
            self.rows = min(self.rows + self.rows // 2 + 1, self._most)
        return max(seconds, self._pause)


def targets(
    engine: sa.Engine, registry: Registry, keep: Keep, selected: Callable[[str], bool]
) -> tuple[list[PurgeTarget], dict[str, str]]:
    """Our tables whose Schema_revision is selected; and which tables can't be purged, and why.

    Raises KeepError, FAULTS, RegistryError, RegistryUnavailable."""
    found: list[PurgeTarget] = []
    with engine.connect() as connection:
        every = [*tables(connection, registry.list())]
        ours = [each for each in every if isinstance(each, Ours)]
        strange = (each for each in every if isinstance(each, Strange))
        problems = {each.name: each.why for each in strange
                    if selected(str(each.schema or each.name))}  # fmt: skip
        fields = {str(each.schema): has for each in ours
                  if (has := _fields(registry, keep, each.schema)) is not None}  # fmt: skip
        check_tables(keep, fields)
        for name, schema in ours:
            if selected(str(schema)) and (table := look(connection, name)):
                try:
                    found.append(_target(name, schema, table, registry, keep))
                except (MysqlFault, SchemaError) as error:
                    problems[name] = str(error)
    return found, problems


def _fields(registry: Registry, keep: Keep, schema: Destination) -> set[str] | None:
    """What the list may name of a table; None where nobody can tell."""
    try:
        return fields_of(registry.get(*schema)) if keep.of(str(schema)) else set()
    except SchemaError:
        return None


def _target(
    name: str, schema: Destination, found: TableFacts, registry: Registry, keep: Keep
) -> PurgeTarget:
    """Raises SchemaError; MysqlFault with what a person must do first."""
    clocks = tuple(_clocks(found))
    if not clocks:
        raise MysqlFault("it has neither dt nor timestamp; `el mysql apply` adds them")
    if not any(each.name == "PRIMARY" and [*map(folded, each.columns)] == ["id"]
               for each in found.indexes):  # fmt: skip
        raise MysqlFault("its primary key is not id")
    fields = keep.of(str(schema))
    if fields is None:
        return PurgeTarget(name, schema, clocks, None)
    given = {each.name: each for each in found.columns if not each.generated}
    stays = kept(registry.get(*schema), given, fields)
    if never := [each for each in (*stays.nulls, *stays.cuts) if not given[each].null]:
        raise MysqlFault(f"{', '.join(never)} can't be null: ALTER TABLE … MODIFY lets it be")
    return PurgeTarget(name, schema, clocks, stays)


def _clocks(found: TableFacts) -> Iterator[TimeColumn]:
    """Raises MysqlFault where one has no index: by another a new row would be an old one."""
    columns = {folded(each.name) for each in found.columns}
    for column in _TIMES:
        if column in columns:
            index = found.index_of(column)
            if not index:
                raise MysqlFault(f"{column} has no index; `el mysql apply` makes it")
            if not index.whole or len(index.columns) > 1:
                raise MysqlFault(
                    f"{column} has no index of its own: ALTER TABLE … ADD KEY ({column})"
                )
            yield TimeColumn(column, index.name)


def check_rights(engine: sa.Engine, every: Iterable[PurgeTarget]) -> None:
    """Before the first row is touched. Raises NoRight where the user may not do it."""
    for of in every:
        try:
            Walk(engine, of, datetime.now(UTC), 0).remove_nothing()
        except FAULTS as error:  # others are met, and reported, when it is this table's turn
            if isinstance(meant := fault(error), NoRight):
                raise meant from error


def purge(
    engine: sa.Engine, of: PurgeTarget, before: datetime, pace: Pace, *, do: bool
) -> Iterator[Done]:
    """Remove what is older than `before` (UTC), or with `do` false only count it; a transaction at
    a time.

    Raises MysqlFault; what was done before is done."""
    for place in range(len(of.clocks)):
        walk = Walk(engine, of, before, place)
        if not _attempt(walk.check):
            continue
        yield from _walked(walk, pace, do)
        if _attempt(walk.turn_to_what_was_to_come):
            yield from _walked(walk, pace, do)


def _walked(walk: Walk, pace: Pace, do: bool) -> Iterator[Done]:
    more = True
    while more:
        begun, rows = time.monotonic(), pace.rows
        done = _attempt(partial(walk.step, rows, do))
        pause = pace.took(time.monotonic() - begun)
        more = done.looked_at == rows
        yield done
        if do and more:
            time.sleep(pause)


def without_time(engine: sa.Engine, of: PurgeTarget) -> int:
    """Rows of which nobody can say how old they are. Raises MysqlFault."""
    walk = Walk(engine, of, datetime.now(UTC), len(of.clocks) - 1)
    counted, last, more = 0, -(2**63), True
    while more:
        ids = _attempt(partial(walk.without_time, last))
        counted += sum(is_none for _, is_none in ids)
        more = len(ids) == _COUNTED
        last = ids[-1][0] if ids else last
    return counted


def _attempt(call: Callable[[], Result]) -> Result:
    """Raises MysqlFault."""

    def meant() -> Result:
        try:
            return call()
        except FAULTS as error:
            raise fault(error) from error

    locked, away = (TableLocked, _LOCKED), (DatabaseAway, _AWAY)
    return patiently(meant, locked=locked, away=away, longest_pause=5.0)


class Walk:
    """The statements of one clock, and how far they are. None reads more rows than it may:
    where the rows that are meant are few among others, those are read and passed over."""

    def __init__(self, engine: sa.Engine, of: PurgeTarget, before: datetime, place: int) -> None:
        self._engine = engine
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
        self._before = self._moment(before)
        self._is_old = self._time < self._before
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

    def _moment(self, when: datetime) -> datetime | str:
        """As the column has it."""
        utc = when.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        return utc.strftime("%Y%m%d%H%M%S") if self._clock.column == "timestamp" else utc

    def turn_to_what_was_to_come(self) -> bool:
        """From now on walk the rows whose time is still to come: somebody's clock was wrong. They
        are as old as those that came when they did: those go that came before all of the oldest
        rows that stay. Returns False where there are none of these to compare with."""
        now = self._moment(datetime.now(UTC))
        stay = sa.select(self._id).where(self._time >= self._before, self._time <= now)
        oldest = _by(self._clock, stay.order_by(self._time).limit(_COMPARED), self._table)
        with self._engine.connect() as connection:
            ids = [id_ for (id_,) in connection.execute(oldest).all()]
        self._is_old, self._last = self._time > now, None
        self._mine = sa.and_(self._mine, self._id < min(ids, default=0))
        return bool(ids)

    def remove_nothing(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(self._removal([]))

    def without_time(self, last: int) -> list[Row]:
        """The next rows whose time is null: id, whether no other clock has any."""
        chosen = sa.select(self._id, self._mine).where(self._time.is_(None), self._id > last)
        with self._engine.connect() as connection:
            some = chosen.order_by(self._id).limit(_COUNTED)
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
    name = MYSQL.identifier_preparer.quote_identifier(clock.by)
    # A percent sign is doubled for SQLAlchemy, and that again for the driver.
    return chosen.with_hint(table, f"FORCE INDEX ({name.replace('%', '%%%%')})")
