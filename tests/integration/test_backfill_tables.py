"""Backfill into tables: rows that are missing come, EventErrors that are events now go."""

import gzip
import json
import shutil
import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from el_beam import cli
from el_beam.upkeep.backfill import apply as backfill
from traffic.database import Database

ROOT = Path(__file__).parents[2]
LINES = 2_000
DAY = ("--from", "2019-03-10", "--to", "2019-03-10")
EDIT, ERRORS = "Edit_17541122", "EventError_14035058"
POPUPS = "Popups_17807993"


class Tables:
    """A database, in which each table has a column uuid."""

    def __init__(self, path: Path) -> None:
        self.path, self.uri = path, f"sqlite:{path}"

    def ask(self, *sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return [connection.execute(each).fetchall() for each in sql][-1]

    def names(self) -> list[str]:
        return [name for (name,) in self.ask(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )]  # fmt: skip

    def uuids(self) -> dict[str, list[str]]:
        return {name: sorted(uuid for (uuid,) in self.ask(f"SELECT uuid FROM {name}"))
                for name in self.names()}  # fmt: skip


class MysqlTables(Tables):
    def __init__(self, database: Database) -> None:
        self._database, self.uri = database, f"{database.uri}?bots=drop"

    def ask(self, *sql: str) -> list[tuple[Any, ...]]:
        return self._database.ask(*sql)

    def names(self) -> list[str]:
        return [name for (name,) in self.ask("SHOW TABLES")]


@pytest.fixture(params=["sqlite", "mysql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Tables, Tables]:
    """Those that a backfill mends, and those that nothing has ever happened to."""
    if request.param == "sqlite":
        return Tables(tmp_path / "events.db"), Tables(tmp_path / "wanted.db")
    address = request.getfixturevalue("mariadb")
    return MysqlTables(Database(address, "test")), MysqlTables(Database(address, "wanted"))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A catalog in which Edit demands what no event has."""
    folder = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas" / "catalog", folder)
    path = folder / "Edit" / "17541122.json"
    document = json.loads(path.read_text())
    document["properties"]["nobodySendsIt"] = {"type": "string", "required": True}
    path.write_text(json.dumps(document))
    return folder


def el(*arguments: object) -> None:
    assert cli.main([*map(str, arguments)]) == 0


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Some lines, as a source."""
    path = tmp_path_factory.mktemp("log") / "a.log"
    with gzip.open(ROOT / "examples" / "sample.log.gz") as lines:
        path.write_bytes(b"".join(islice(lines, LINES)))
    return f"file:{path}"


class Killed(BaseException):
    pass


def test_a_day(tables: tuple[Tables, Tables], tmp_path: Path, broken: Path, sample: str) -> None:
    """Killed once the rows of an hour were there and no EventError had gone; and done twice."""
    some, wanted = tables
    el("run", sample, some.uri, f"raw:{tmp_path}/raw", "--schemas", broken)
    el("run", sample, wanted.uri)
    for each in tables:  # a line that the archive doesn't have
        each.ask(f"INSERT INTO {ERRORS} (uuid, timestamp) VALUES ('another', '20190310070000')")
    some.ask(f"DELETE FROM {POPUPS} WHERE uuid LIKE '3%'")
    assert EDIT not in some.names()
    assert some.uuids()[POPUPS] != wanted.uuids()[POPUPS]

    call = ("backfill", "apply", f"{tmp_path}/raw", some.uri, *DAY)
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise Killed

        patch.setattr(backfill, "replay", killed)
        with pytest.raises(Killed):
            el(*call)
    for _ in range(2):
        el(*call)
        assert some.uuids() == wanted.uuids()
    assert not [*(tmp_path / "raw" / "_ledger").glob("tables-*")]


def test_one_schema(tmp_path: Path, broken: Path, sample: str) -> None:
    some, wanted = Tables(tmp_path / "events.db"), Tables(tmp_path / "wanted.db")
    el("run", sample, some.uri, f"raw:{tmp_path}/raw", "--schemas", broken)
    el("run", sample, wanted.uri)
    some.ask(f"DELETE FROM {POPUPS} WHERE uuid LIKE '3%'")
    before = some.uuids()
    el("backfill", "apply", f"{tmp_path}/raw", some.uri, *DAY, "--schema", EDIT)
    assert some.uuids() == wanted.uuids() | {POPUPS: before[POPUPS]}


def test_without_bots(database: Database, tmp_path: Path, sample: str) -> None:
    """They are no difference between such a database and what has them."""
    some, files = f"{database.uri}?bots=drop", f"parquet:{tmp_path}/files"
    el("run", sample, some, files)
    popups = ("--schema", "Popups")
    el("reconcile", files, some, *popups)
    el("reconcile", some, files, *popups)
    assert cli.main(["reconcile", files, database.uri, *popups]) == 1
    database.ask(f"DELETE FROM {POPUPS} LIMIT 1")
    assert cli.main(["reconcile", files, some, *popups]) == 1
