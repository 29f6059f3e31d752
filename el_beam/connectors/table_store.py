"""TableStore: tables of any database are read back, by their indexes of time and uuid."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from el_beam.connectors.contract import (
    ROWS,
    Faults,
    Fields,
    Selection,
    Store,
    StoredEvent,
    values_of,
)
from schemas.event import Destination
from schemas.storage.columns import RESCUED
from schemas.storage.sql import column_name
from schemas.storage.table_names import SQLITE_TABLES, Taken, called, sqlite_look
from transforms.io.mysql.client import MysqlFault, look, reason

_OF_EVENTS = ("id", "uuid", "dt")  # columns of every table of events
_UUID = re.compile("[0-9a-f]{32}")


class TableStore(Store):
    """Tables with the names and columns that our table sinks give them."""

    tables = True

    def __init__(self, shown: str, engine: sa.Engine, without_bots: bool = False) -> None:
        super().__init__(shown)
        self._engine, self.without_bots = engine, without_bots

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        inspector = sa.inspect(self._engine)
        with self._engine.connect().execution_options(yield_per=ROWS) as connection:
            for name in sorted(inspector.get_table_names()):
                columns = {column["name"] for column in inspector.get_columns(name)}
                if not columns.issuperset(_OF_EVENTS) or not selection.schema(name):
                    continue
                for row in connection.execute(_select(name, columns, selection, fields)):
                    id_, dt, rescued, *values = row
                    at = dict(zip(("uuid", *fields), values, strict=True)).get
                    uuid, *found = values_of(("uuid", *fields), at, rescued)
                    hour = dt.isoformat()[:13] if isinstance(dt, datetime) else ""
                    yield StoredEvent(name, hour, name, id_, str(uuid or ""), tuple(found))

    def called(self, schema: Destination) -> str:
        return called(schema, self._taken)

    def schema_of(self, name: str) -> Destination | None:
        found = self._taken(name)
        return found.owner if found else None

    def _taken(self, name: str) -> Taken | None:
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                return sqlite_look(connection.exec_driver_sql(SQLITE_TABLES).tuples())(name)
            found = look(connection, name)
            return Taken(name, found.owner) if found else None

    def faults(self) -> Faults:
        return (*super().faults(), sa.exc.SQLAlchemyError, MysqlFault)

    def describe(self, error: Exception) -> str:
        return reason(error)


def _select(name: str, columns: set[str], selection: Selection, fields: Fields) -> sa.Select[Any]:
    """Selected rows of a table, by its indexes of dt and uuid: id, dt, RESCUED, uuid, fields."""

    def column(path: str) -> sa.ColumnElement[Any]:
        found = column_name(tuple(path.split(".")))
        return sa.column(sa.quoted_name(found, quote=True)) if found in columns else sa.null()

    dt = sa.column("dt", sa.DateTime())
    chosen = sa.select(
        sa.column("id"), dt, column(RESCUED), *(column(path) for path in ("uuid", *fields))
    ).select_from(sa.table(sa.quoted_name(name, quote=True)))
    first, last = selection.times()
    if first:
        chosen = chosen.where(dt >= first)
    if last:
        chosen = chosen.where(dt <= last)
    if _UUID.fullmatch(selection.uuid):  # others are in the table under another one
        chosen = chosen.where(sa.column("uuid") == selection.uuid)
    return chosen
