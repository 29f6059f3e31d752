"""Tables of a database as an end: rows by their indexes of time and uuid."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from el_beam.connectors.selection import Selection
from el_beam.connectors.stored_base import ROWS, Fields, Store, StoredEvent, picked
from el_beam.uris import Uri
from schemas.storage.columns import RESCUED
from schemas.storage.sql import column_name

_OF_EVENTS = ("id", "uuid", "dt")  # columns of every table of events
_UUID = re.compile("[0-9a-f]{32}")


class Tables(Store):
    tables = True

    def __init__(self, uri: Uri, engine: sa.Engine) -> None:
        super().__init__(uri)
        self._engine = engine

    def _events(self, wanted: Selection, fields: Fields) -> Iterator[StoredEvent]:
        inspector = sa.inspect(self._engine)
        with self._engine.connect().execution_options(yield_per=ROWS) as connection:
            for name in sorted(inspector.get_table_names()):
                columns = {column["name"] for column in inspector.get_columns(name)}
                if not columns.issuperset(_OF_EVENTS) or not wanted.schema(name):
                    continue
                for row in connection.execute(_select(name, columns, wanted, fields)):
                    id_, dt, rescued, *values = row
                    at = dict(zip(("uuid", *fields), values, strict=True)).get
                    uuid, *found = picked(("uuid", *fields), at, rescued)
                    hour = dt.isoformat()[:13] if isinstance(dt, datetime) else ""
                    yield StoredEvent(name, hour, name, id_, str(uuid or ""), tuple(found))


def sqlite_engine(path: str) -> sa.Engine:
    """A database in a file, to read."""
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    return sa.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=sa.NullPool
    )


def _select(name: str, columns: set[str], wanted: Selection, fields: Fields) -> sa.Select[Any]:
    """The wanted rows of a table, by its indexes of dt and uuid: id, dt, RESCUED, uuid, fields."""

    def column(path: str) -> sa.ColumnElement[Any]:
        found = column_name(tuple(path.split(".")))
        return sa.column(sa.quoted_name(found, quote=True)) if found in columns else sa.null()

    dt = sa.column("dt", sa.DateTime())
    chosen = sa.select(
        sa.column("id"), dt, column(RESCUED), *(column(path) for path in ("uuid", *fields))
    ).select_from(sa.table(sa.quoted_name(name, quote=True)))
    first, last = wanted.times()
    if first:
        chosen = chosen.where(dt >= first)
    if last:
        chosen = chosen.where(dt <= last)
    if _UUID.fullmatch(wanted.uuid):  # others are in the table under another one
        chosen = chosen.where(sa.column("uuid") == wanted.uuid)
    return chosen
