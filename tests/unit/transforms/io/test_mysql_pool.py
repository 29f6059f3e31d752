"""The one connection of `engine(…, keep=True)`, at a server that dies at any statement."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from el_beam.upkeep.mysql.purge import ISOLATION, PurgeTarget, TimeColumn, Walk
from schemas.event import Destination
from transforms.io.mysql.client import DatabaseAway, engine, fault
from transforms.io.mysql.server import MysqlServer
from transforms.write.mysql_table import FAULTS

SERVER = MysqlServer("el", "h", 3306, "d")
OLD = PurgeTarget("S_1", Destination("S", 1), (TimeColumn("dt", "ix_dt"),), None)


class DyingServer:
    """It answers so many statements, and then loses the connection, once."""

    def __init__(self) -> None:
        self.left = 10**9
        self.asked: list[str] = []

    def connect(self, **_: Any) -> "Connection":
        return Connection(self)

    def answer(self, statement: str) -> list[tuple[str, ...]]:
        self.asked.append(statement)
        self.left -= 1
        if self.left < 0:
            self.left = 10**9
            raise pymysql.OperationalError(2013, "Lost connection")
        if statement.startswith("SELECT id") or "FROM `S_1`" in statement:
            return []
        return [("10.11.6-MariaDB" if "VERSION" in statement else "0",)]


class Connection:
    """What SQLAlchemy asks of PyMySQL's."""

    def __init__(self, server: DyingServer) -> None:
        self.server = server

    def cursor(self, *_: object) -> "Cursor":
        return Cursor(self.server)

    def escape(self, _: str) -> str:
        return r"'\\'"

    def character_set_name(self) -> str:
        return "utf8mb4"

    def ping(self, *_: object) -> None:
        self.server.answer("PING")

    def commit(self) -> None:
        self.server.answer("COMMIT")

    def rollback(self) -> None:
        self.server.answer("ROLLBACK")

    def autocommit(self, _: bool) -> None:
        pass

    def close(self) -> None:
        pass


class Cursor:
    rowcount, lastrowid = 0, 0
    description = (("x", 253, None, None, None, None, True),)

    def __init__(self, server: DyingServer) -> None:
        self._server = server
        self._rows: list[tuple[str, ...]] = []

    def execute(self, statement: str, _: object = None) -> None:
        self._rows = self._server.answer(statement)

    def fetchone(self) -> tuple[str, ...] | None:
        return self._rows.pop() if self._rows else None

    def fetchall(self) -> list[tuple[str, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        pass


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[DyingServer]:
    server = DyingServer()
    monkeypatch.setattr(pymysql, "connect", server.connect)
    yield server


def test_whenever_the_server_dies_the_connection_is_given_back(dying: DyingServer) -> None:
    """The error is kept, as it is while people are told and the call is tried again."""
    database = engine(SERVER, keep=True, isolation=ISOLATION)
    errors = []
    for statements in range(12):
        walk = Walk(database, OLD, datetime.now(UTC), 0)
        dying.left = statements
        try:
            walk.step(100, True)
        except FAULTS as error:
            assert isinstance(fault(error), DatabaseAway)
            errors.append(error)
        dying.left = 10**9
        pool = database.pool
        assert isinstance(pool, sa.QueuePool) and pool.checkedout() == 0, dying.asked
    assert errors
    assert any(ISOLATION in each for each in dying.asked)
