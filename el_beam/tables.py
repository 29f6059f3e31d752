"""Rows of a sink's tables that are to go."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, islice

import sqlalchemy as sa

from transforms import mysql_client
from transforms.write import Sink
from transforms.write.mysql import MysqlSink
from transforms.write.sink import SinkError
from transforms.write.tables import SqliteSink

_TOGETHER = 500  # rows of a transaction


def has_tables(sink: Sink) -> bool:
    return isinstance(sink, (SqliteSink, MysqlSink))


def delete(sink: Sink, gone: Iterable[tuple[str, str]]) -> int:
    """Delete rows (table, uuid), which come in the order of tables. Returns how many were there.
    Doing it again does no harm.

    Raises SinkError."""
    deleted = 0
    engine = _engine(sink)
    uuid: sa.ColumnClause[str] = sa.column("uuid")
    try:
        for name, rows in groupby(gone, lambda each: each[0]):
            table = sa.table(sa.quoted_name(name, quote=True), uuid)
            while uuids := [each for _, each in islice(rows, _TOGETHER)]:
                with engine.begin() as connection:
                    deleted += connection.execute(sa.delete(table).where(uuid.in_(uuids))).rowcount
    except (sa.exc.SQLAlchemyError, mysql_client.MysqlFault) as error:
        raise SinkError(f"{sink}: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()
    return deleted


def _engine(sink: Sink) -> sa.Engine:
    if isinstance(sink, MysqlSink):
        return mysql_client.engine(sink.server)
    assert isinstance(sink, SqliteSink)
    return sink.engine()
