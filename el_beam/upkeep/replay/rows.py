"""Rows of a sink's tables that are to go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby, islice

import sqlalchemy as sa

from transforms.errors import SinkError
from transforms.io.mysql import client as mysql_client
from transforms.io.retry import retrying
from transforms.write.events import Sink
from transforms.write.mysql import MysqlSink
from transforms.write.tables import SqliteSink

_TOGETHER = 500  # rows of a transaction
_LOCKED, _AWAY = 60.0, 600.0  # seconds that a table, and a server, is waited for


def has_tables(sink: Sink) -> bool:
    return isinstance(sink, (SqliteSink, MysqlSink))


def delete(sink: Sink, gone: Iterable[tuple[str, str]]) -> int:
    """Delete rows (table, uuid), which come in the order of tables. Returns how many were there.
    Doing it again does no harm.

    Raises SinkError."""
    deleted = 0
    engine = _engine(sink)
    try:
        for name, rows in groupby(gone, lambda each: each[0]):
            uuid: sa.ColumnClause[str] = sa.column("uuid")
            table = sa.table(sa.quoted_name(name, quote=True), uuid)
            while uuids := [each for _, each in islice(rows, _TOGETHER)]:
                statement = sa.delete(table).where(uuid.in_(uuids))
                deleted += _waiting(partial(_delete, engine, statement))
    except mysql_client.MysqlFault as error:
        raise SinkError(f"{sink}: {error}") from error
    finally:
        engine.dispose()
    return deleted


def _delete(engine: sa.Engine, statement: sa.Delete) -> int:
    try:
        with engine.begin() as connection:
            return connection.execute(statement).rowcount
    except (sa.exc.SQLAlchemyError, mysql_client.MysqlFault) as error:
        raise mysql_client.fault(error) from error


def _waiting(call: Callable[[], int]) -> int:
    """For locks that others hold, and a server that is away."""
    return retrying(
        lambda: retrying(call, mysql_client.TableLocked, patience=_LOCKED, longest_pause=2.0),
        mysql_client.DatabaseAway,
        patience=_AWAY,
    )


def _engine(sink: Sink) -> sa.Engine:
    if isinstance(sink, MysqlSink):
        return mysql_client.engine(sink.server)
    assert isinstance(sink, SqliteSink)
    return sink.engine()
