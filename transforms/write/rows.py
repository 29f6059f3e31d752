"""Rows of a database's tables are deleted by their uuids."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby, islice

import sqlalchemy as sa

from transforms.errors import SinkError
from transforms.io.mysql import client as mysql_client
from transforms.io.retry import patiently

_TOGETHER = 500  # rows of a transaction
_LOCKED, _AWAY = 60.0, 600.0  # seconds that a table, and a server, is waited for


def delete_rows(sink: str, engine: sa.Engine, rows: Iterable[tuple[str, str]]) -> int:
    """Delete rows (table, uuid), which come in the order of tables, and return how many were there.
    The engine is disposed of. Raises SinkError, which names the sink."""
    deleted = 0
    try:
        for name, of_table in groupby(rows, lambda each: each[0]):
            uuid: sa.ColumnClause[str] = sa.column("uuid")
            table = sa.table(sa.quoted_name(name, quote=True), uuid)
            while uuids := [each for _, each in islice(of_table, _TOGETHER)]:
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
    locked, away = (mysql_client.TableLocked, _LOCKED), (mysql_client.DatabaseAway, _AWAY)
    return patiently(call, locked=locked, away=away)
