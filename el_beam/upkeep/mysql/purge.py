"""Removing old rows of tables that others read and write, or all of them but some columns.

A table is walked from its oldest row on, by its index of time, and a transaction is of few rows
that are named by their id: what it locks are these, and for a tenth of a second. Nothing is
remembered but how far the walk is: rows of which nothing is left to remove are read and passed
over, so what is killed is started again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import sqlalchemy as sa

from el_beam.upkeep.mysql.keep import check_tables, fields_of, kept
from el_beam.upkeep.mysql.tables import FAULTS, Ours, tables
from el_beam.upkeep.mysql.walk import COUNTED, Done, PurgeTarget, TimeColumn, Walk
from el_beam.upkeep.retention.keep_list import Keep
from schemas.event import Destination
from schemas.registry import Registry, SchemaError
from schemas.storage.sql_changes import TableFacts, folded
from transforms.io.mysql.client import DatabaseAway, MysqlFault, NoRight, TableLocked, fault, look
from transforms.io.retry import patiently

Result = TypeVar("Result")
_LONG: Final = 0.1  # seconds of a transaction: others may wait for so long
_FEWEST: Final = 10  # rows of one
_FIRST: Final = 200
_AWAY: Final = 600.0  # seconds that a server is waited for
_LOCKED: Final = 120.0  # seconds that a table is waited for
_TIMES: Final = ("dt", "timestamp")
"""The first is the server's. The second may be the client's, and counts where the first isn't
there, as in EventLogging's oldest tables."""


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
    problems: dict[str, str] = {}
    with engine.connect() as connection:
        ours = []
        for each in tables(connection, registry.list()):
            if isinstance(each, Ours):
                ours.append(each)
            elif selected(str(each.schema or each.name)):
                problems[each.name] = each.why
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
        more = _attempt(walk.check)
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
        more = len(ids) == COUNTED
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
