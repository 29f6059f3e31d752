"""`el mysql plan|apply|purge` on MariaDB, and users with no more rights than they need."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from el_beam import cli, mysql_plan, mysql_purge
from el_beam.keep import Keep
from el_beam.tables import delete
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.columns import RESCUED
from schemas.event import Destination, Event
from schemas.registry import open_registry
from schemas.sql import layout
from stack import Stack, mariadb
from traffic import Database
from traffic.database import event, write
from transforms.mysql_client import engine
from transforms.write.mysql import MysqlSink

DOCS = Path(__file__).parents[2] / "docs" / "mysql.md"
S, T = Destination("S", 1), Destination("T", 1)
HOSTILE = ["`", "``", "a;DROP TABLE S_1;--", "%", "%s", "%(x)s", "%%", ":x", "?", "a.b", "'", '"',
           "é", "\\", "(a)", "key", "` DROP",
           "\u2028DROP TABLE T_1;", "\u202e"]  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "properties": {
        "action": {"type": "string"},
        "n": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "ids": {"properties": {"id": {"type": "integer"}, "token": {"type": "string"}}},
    }
}
ODD: dict[str, Any] = {"properties": {key: {"type": "string"} for key in HOSTILE}}
ODD["properties"]["id"] = {"properties": {key + "/": {"type": "any"} for key in HOSTILE}}
AGENT = {"browser_family": "Chrome", "is_bot": False, "os_family": "Linux"}
OLD, NEW = timedelta(days=100), timedelta(days=80)


class Admin:
    """`el mysql` on a database, with a registry of two schemas."""

    def __init__(
        self, database: Database, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.database, self.folder, self._capsys = database, folder, capsys
        self.uri = database.uri
        for schema, document in ((S, DOCUMENT), (T, DOCUMENT)):
            self.define(schema, document)

    def define(self, schema: Destination, document: dict[str, Any]) -> None:
        path = self.folder / "schemas" / schema.schema / f"{schema.revision}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))

    def el(self, action: str, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        where = ("--schemas", f"{self.folder}/schemas")
        code = cli.main(["mysql", action, self.uri, *where, *options])
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    def told(self, action: str, *options: str) -> dict[str, dict[str, Any]]:
        """By table, what it says for machines."""
        _, out, _ = self.el(action, "--json", *options)
        return {each["table"]: each for each in map(json.loads, out.splitlines())}

    def purge(self, *options: str) -> tuple[int, str, str]:
        return self.el("purge", "--older-than", "90d", *options)

    def keep(self, **fields: list[str]) -> tuple[str, str]:
        path = self.folder / "keep.yaml"
        path.write_text(json.dumps(fields))
        return "--keep", str(path)

    def write(self, *routed: tuple[Destination, Any]) -> None:
        registry = open_registry(f"{self.folder}/schemas")
        books = write(self.database.sink(registry), routed)
        assert books["written"] == len(routed)


@pytest.fixture
def admin(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(database, tmp_path, capsys)


def aged(number: int, age: timedelta, **more: Any) -> Event:
    moment = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = {"action": "init", "n": number, "ids": {"id": number, "token": "secret"}}
    return event(number, dt=moment, wiki="enwiki", webHost="w", userAgent=AGENT, event=values,
                 **more)  # fmt: skip


def error(number: int, age: timedelta) -> BadEvent:
    moment = (datetime.now(UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return BadEvent(event(number).line, Stage.PARSE, Reason.BAD_JSON, "m", dt=moment)


def structure(database: Database, table: str) -> tuple[Any, ...]:
    """Columns and indexes, whatever their order and names."""
    columns = {tuple(each) for each in database.ask(f"SHOW COLUMNS FROM `{table}`")}
    indexes = {(many, place, column, length) for _, many, _, place, column, _, _, length, *_ in
               database.ask(f"SHOW INDEX FROM `{table}`")}  # fmt: skip
    return columns, indexes


# --- plan, apply


def test_missing_tables_are_made_once(admin: Admin) -> None:
    code, out, err = admin.el("plan")
    assert code == 1 and out.count("CREATE TABLE") == 3 and "3 of 3 tables lack" in err
    assert not admin.database.ask("SHOW TABLES")
    code, out, err = admin.el("apply")
    assert code == 0 and "S_1: missing: done" in out
    assert err == "0 of 3 tables still lack something\n"
    tables = {name for (name,) in admin.database.ask("SHOW TABLES")}
    assert tables == {"S_1", "T_1", str(EVENT_ERROR)}
    before = [admin.database.ask(f"SHOW CREATE TABLE `{name}`") for name in tables]
    for action in ("plan", "apply", "apply"):
        assert admin.el(action)[:2] == (0, "")
    assert [admin.database.ask(f"SHOW CREATE TABLE `{name}`") for name in tables] == before
    assert all(each["state"] == "there" for each in admin.told("plan").values())
    admin.write((S, aged(1, OLD)))


def test_the_plan_is_the_sql_that_does_it(admin: Admin) -> None:
    admin.define(Destination("Odd", 1), ODD)
    _, sql, _ = admin.el("plan")
    with closing(
        admin.database.connect(client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
    ) as c:
        cursor = c.cursor()
        cursor.execute(sql)
        while cursor.nextset():
            pass
    assert admin.el("plan")[0] == 0


def test_what_a_table_lacks_is_added_and_nothing_else_changes(admin: Admin) -> None:
    admin.write(*((S, aged(number, OLD)) for number in range(50)), (T, aged(1, OLD)))
    index = next(name for _, _, name, _, column, *_ in admin.database.ask("SHOW INDEX FROM S_1")
                 if column == "event_at")  # fmt: skip
    admin.database.ask(
        f"ALTER TABLE S_1 DROP event_n, DROP event_ids_token, DROP INDEX `{index}`, "
        "DROP INDEX uuid, ADD own INT, ADD KEY mine (own)"
    )
    plan = admin.told("plan")
    assert plan["S_1"]["state"].startswith("lacks event_n, event_ids_token, an index ix_")
    assert "a unique index of uuid" in plan["S_1"]["state"]
    assert plan["T_1"]["state"] == "there" and not plan["T_1"]["statements"]
    assert [s.count("\n\tADD") for s in plan["S_1"]["statements"]] == [2, 2]
    before = status(admin.database, "Innodb_instant_alter_column")
    assert admin.el("apply")[0] == 0
    assert admin.el("plan")[0] == 0
    assert status(admin.database, "Innodb_instant_alter_column") == before + 1
    columns, indexes = structure(admin.database, "S_1")
    theirs = structure(admin.database, "T_1")
    assert columns - theirs[0] == {("own", "int(11)", "YES", "MUL", None, "")}
    assert indexes - theirs[1] == {(1, 1, "own", None)} and theirs[1] <= indexes
    assert admin.database.ask("SELECT COUNT(*), SUM(event_ids_id) FROM S_1") == [(50, 1225)]
    admin.write((S, aged(99, OLD)))


def test_what_only_a_person_may_do_is_said(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)))
    admin.database.ask(
        "ALTER TABLE S_1 ADD UNIQUE `a``b` (event_n), ADD `needed\nDROP TABLE T_1` INT NOT NULL,"
        " MODIFY event_action VARCHAR(5), MODIFY event_n TINYINT"
    )
    for action in ("plan", "apply"):
        code, out, _ = admin.el(action, "--schema", "S")
        assert code == 1
        assert "ALTER TABLE `S_1` DROP INDEX `a``b`" in out
        assert "-- " in out and r"needed\nDROP TABLE T_1 has no value in any event" in out
        assert "event_action is varchar(5), not VARCHAR(1024)" in out
        assert "event_n is tinyint(4), not BIGINT" in out
    types = {name: kind for name, kind, *_ in admin.database.ask("SHOW COLUMNS FROM S_1")}
    assert types["event_action"] == "varchar(5)" and types["event_n"] == "tinyint(4)"
    admin.database.ask(
        "ALTER TABLE S_1 DROP INDEX `a``b`, ALTER `needed\nDROP TABLE T_1` SET DEFAULT 0"
    )
    assert admin.el("plan", "--schema", "S")[0] == 0  # a narrower column may stay
    admin.write((S, aged(2, OLD)))


def test_repeated_uuids_are_a_persons_to_sort_out(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)))
    admin.database.ask("ALTER TABLE S_1 DROP INDEX uuid",
                       "INSERT INTO S_1 (uuid) SELECT uuid FROM S_1")  # fmt: skip
    code, out, _ = admin.el("apply", "--schema", "S")
    assert code == 1 and "by hand: Duplicate entry" in out and "(1062)" in out
    assert admin.database.count("S_1") == 2


THEIRS = """CREATE TABLE S_1 (
    id INTEGER AUTO_INCREMENT, uuid CHAR(32), timestamp VARCHAR(14), userAgent VARCHAR(1024),
    event_n BIGINT, event_at DATETIME, PRIMARY KEY (id), UNIQUE KEY ix_S_1_uuid (uuid),
    KEY ix_S_1_timestamp (timestamp)
) CHARSET=utf8"""


def test_a_table_of_the_originals_own(admin: Admin) -> None:
    """It has no comment. What it lacks is added, it is purged, its types stay."""
    admin.database.ask(THEIRS, "INSERT INTO S_1 (uuid, timestamp) VALUES ('a', '20140102030405')")
    code, out, _ = admin.el("apply", "--schema", "S_1")
    assert code == 0 and "userAgent is varchar(1024), not TEXT" in out
    admin.write((S, aged(2, OLD)), (S, aged(3, NEW)))
    assert admin.el("plan", "--schema", "S_1")[0] == 0
    code, out, _ = admin.purge("--yes")
    assert code == 0 and out == "S_1: 2 rows gone\n"
    assert [row["event_n"] for row in admin.database.rows("S_1")] == [3]


def test_names_that_clash(admin: Admin) -> None:
    admin.define(Destination("a/b", 1), DOCUMENT)
    admin.define(Destination("a_b", 1), DOCUMENT)
    for action in ("plan", "apply", "plan"):
        code, out, _ = admin.el(action, "--schema", "a")
        assert code == 1 and "by hand: it is that of the schema a/b_1" in out
    admin.write((Destination("a/b", 1), aged(1, OLD)))


def test_a_view_is_no_table(admin: Admin) -> None:
    admin.database.ask("CREATE TABLE x (id INT)", "CREATE VIEW S_1 AS SELECT * FROM x")
    code, out, _ = admin.el("apply", "--schema", "S")
    assert code == 1 and "by hand: it is a view" in out
    assert admin.purge("--yes")[:2] == (0, "")


def test_a_table_in_use_is_asked_for_until_it_is_free(admin: Admin) -> None:
    """Who waits for the table holds up those who come after it: for a second at a time."""
    admin.write((S, aged(1, OLD)))
    admin.database.ask("ALTER TABLE S_1 DROP event_n")
    waited = []
    with closing(admin.database.connect(autocommit=False)) as reader:
        reader.cursor().execute("SELECT * FROM S_1")  # and its transaction stays open

        def insert() -> None:
            for number in range(100, 120):
                begun = time.monotonic()
                uuid = f"{number:032x}"
                admin.database.ask(f"INSERT INTO S_1 (uuid) VALUES ('{uuid}')")
                waited.append(time.monotonic() - begun)
                time.sleep(0.1)

        with ThreadPoolExecutor() as pool:
            inserting = pool.submit(insert)
            applying = pool.submit(admin.el, "apply", "--schema", "S")
            inserting.result()
            assert not applying.done()
            reader.rollback()
            assert applying.result()[0] == 0
    assert max(waited) < 2.5
    assert admin.el("plan", "--schema", "S")[0] == 0


def test_many_apply_at_once(admin: Admin) -> None:
    registry = open_registry(f"{admin.folder}/schemas")
    admin.write((T, aged(1, OLD)))
    sink = admin.database.sink(registry)
    assert isinstance(sink, MysqlSink)
    for _ in range(3):
        admin.database.ask("DROP TABLE IF EXISTS S_1", "ALTER TABLE T_1 DROP wiki, DROP event_n")
        barrier = threading.Barrier(4)

        def applied(barrier: threading.Barrier = barrier) -> bool:
            mine = engine(sink.server)
            found = list(mysql_plan.plans(mine, registry, registry.list()))
            barrier.wait()
            return all(mysql_plan.apply(mine, registry, plan).is_done for plan in found)

        with ThreadPoolExecutor() as pool:
            assert all(each.result() for each in [pool.submit(applied) for _ in range(4)])
        assert admin.el("plan")[:2] == (0, "")


# --- purge


def test_old_rows_go_and_all_else_stays(admin: Admin) -> None:
    database = admin.database
    admin.write(*((S, aged(number, OLD)) for number in range(30)),
                *((S, aged(number, NEW)) for number in range(30, 50)),
                (T, aged(1, OLD)), (EVENT_ERROR, error(1, OLD)),
                (EVENT_ERROR, error(2, NEW)))  # fmt: skip
    database.ask(
        "CREATE TABLE revision (id INT PRIMARY KEY, uuid CHAR(32), timestamp VARCHAR(14),"
        " KEY (timestamp)) COMMENT='schema'",
        "INSERT INTO revision VALUES (1, 'x', '20010101000000')",
        "CREATE TABLE copied LIKE S_1", "INSERT INTO copied SELECT * FROM S_1",
        "CREATE TABLE Edit_1 LIKE revision", "INSERT INTO Edit_1 SELECT * FROM revision",
        "ALTER TABLE Edit_1 COMMENT=''",  # the registry has no such schema
    )  # fmt: skip
    before = {name: database.rows(name) for (name,) in database.ask("SHOW TABLES")}
    code, out, err = admin.purge()
    assert code == 1 and "copied: its comment is that of the table of S_1: a copy?" in err
    assert out.splitlines() == [f"{EVENT_ERROR}: 1 rows would go", "S_1: 30 rows would go",
                                "T_1: 1 rows would go"]  # fmt: skip
    assert "32 rows would go, 0 would keep some fields; --yes does it" in err
    assert {name: database.rows(name) for name in before} == before
    _, out, err = admin.purge("--yes", "--batch", "7")
    assert "S_1: 30 rows gone\n" in out and "32 rows go" in err
    assert [row["event_n"] for row in database.rows("S_1")] == [*range(30, 50)]
    assert (database.count("T_1"), database.count(str(EVENT_ERROR))) == (0, 1)
    for name in ("revision", "copied", "Edit_1"):
        assert database.rows(name) == before[name]
    assert "32" not in admin.purge("--yes")[1]


def test_a_list_says_which_fields_stay(admin: Admin) -> None:
    fields = ["wiki", "event.action", "event.ids.id", "userAgent.os_family"]
    rescued = {"unknown": 1, "ids": {"id": 1, "token": "t", "more": 2}, "action": "init"}
    admin.write((S, aged(1, OLD)), (S, aged(2, NEW)), (T, aged(3, OLD)),
                (S, event(4, dt="2019-03-10T07:00:00Z", event=rescued, userAgent="text")),
                (S, event(5, dt="2019-03-10T07:00:00Z", event={"n": 2})),
                (EVENT_ERROR, error(1, OLD)))  # fmt: skip
    admin.database.ask(f"UPDATE S_1 SET {RESCUED} = '{{\"event.ids\": 5, \"event.ids.id\": \"x\"}}'"
                       " WHERE uuid LIKE '%5'")  # fmt: skip
    new = admin.database.rows("S_1")[1]
    keep = admin.keep(S=fields, T_1=[], EventError=["event.reason"])
    told = admin.told("purge", "--older-than", "90d", *keep)
    assert {name: each["rows"] for name, each in told.items()} == {
        "S_1": 3, "T_1": 1, str(EVENT_ERROR): 1,
    }  # fmt: skip
    assert "userAgent.os_family" in told["S_1"]["keep"]
    code, out, _ = admin.purge(*keep, "--yes", "--batch", "2")
    assert code == 0 and "S_1: 3 rows cut, dt, event_action, event_ids_id, id, timestamp, " in out
    first, second, fourth, fifth = admin.database.rows("S_1")
    assert second == new
    assert {name for name, value in first.items() if value is not None} == {
        "id", "uuid", "dt", "timestamp", "wiki", "event_action", "event_ids_id", "userAgent",
    }  # fmt: skip
    assert (first["wiki"], first["event_action"], first["event_ids_id"]) == ("enwiki", "init", 1)
    assert json.loads(first["userAgent"]) == {"os_family": "Linux"}
    assert fourth["userAgent"] is fourth[RESCUED] is None and fourth["event_action"] == "init"
    assert json.loads(fifth[RESCUED]) == {"event.ids.id": "x"} and fifth["event_n"] is None
    (third,) = admin.database.rows("T_1")
    assert {name for name, value in third.items() if value is not None} == {
        "id", "uuid", "dt", "timestamp",
    }  # fmt: skip
    (bad,) = admin.database.rows(str(EVENT_ERROR))
    assert bad["event_reason"] == "bad_json" and bad["event_rawEvent"] is None
    again = admin.told("purge", "--older-than", "90d", *keep)
    assert sum(each["rows"] for each in again.values()) == 0
    shorter = admin.keep(S=fields[:1], T_1=[], EventError=["event.reason"])
    assert admin.told("purge", "--older-than", "90d", *shorter)["S_1"]["rows"] == 3


def test_a_list_that_names_what_is_not_there(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)), (T, aged(1, OLD)))
    code, _, err = admin.purge(*admin.keep(S=["event.actoin", "event.ids"], X=["wiki"]), "--yes")
    assert code == 2 and "S has no event.actoin, it has event.action, " in err
    assert "there is no table of X, there are S_1, T_1" in err and err.count("\n") == 1
    assert admin.database.count("S_1") == 1


def test_hostile_names(admin: Admin) -> None:
    """Columns, indexes and tables are quoted, whatever they are called."""
    odd, document = Destination("Odd", 1), ODD
    admin.define(odd, document)
    assert admin.el("apply")[0] == 0
    full = dict.fromkeys(HOSTILE, "x") | {"id": {f"{key}/": "x" for key in HOSTILE}}
    moment = (datetime.now(UTC) - OLD).strftime("%Y-%m-%dT%H:%M:%SZ")
    admin.write((odd, event(1, dt=moment, event=full)))
    columns = {each.path: each.name for each in layout(document)}
    table = admin.database.ask("SHOW INDEX FROM Odd_1")
    by_time = next(name for _, _, name, _, column, *_ in table if column == "timestamp")
    admin.database.ask(
        f"ALTER TABLE Odd_1 DROP INDEX `{by_time}`, ADD KEY `a``%s%%(x);` (timestamp),"
        " DROP `event_%(x)s`, DROP `event_```"
    )
    assert admin.el("apply")[0] == 0
    kept = [f"event.{key}" for key in HOSTILE[:4]]
    assert admin.purge(*admin.keep(Odd=kept), "--yes")[0] == 0
    (row,) = admin.database.rows("Odd_1")
    left = {name for name, value in row.items() if value is not None}
    stay = {columns["event", key] for key in HOSTILE[:4]} - {"event_`"}
    assert left == {"id", "uuid", "dt", "timestamp", *stay}
    assert admin.purge("--yes")[0] == 0 and admin.database.count("Odd_1") == 0
    tables = {name for (name,) in admin.database.ask("SHOW TABLES")}
    assert tables == {"S_1", "T_1", "Odd_1", str(EVENT_ERROR)}


def test_a_schema_that_nothing_is_called_after(admin: Admin) -> None:
    """A slip of the pen in a timer would purge nothing for years."""
    for action in (["plan"], ["apply"], ["purge", "--older-than", "90d"]):
        code, out, err = admin.el(*action, "--schema", "Nope")
        assert (code, out) == (2, "") and "--schema 'Nope': no schema that is here" in err


def test_copies_are_told(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)))
    admin.database.ask("CREATE TABLE one LIKE S_1", "CREATE TABLE two AS SELECT * FROM S_1",
                       "CREATE TABLE page (page_id INT, timestamp VARCHAR(14))")  # fmt: skip
    code, _, err = admin.purge("--yes")
    assert code == 1 and "left as it is: one: its comment is that of the table of S_1" in err
    assert "left as it is: two: it has uuid, timestamp and userAgent: a copy?" in err
    assert "page" not in err and admin.database.count("two") == 1
    told = admin.told("purge", "--older-than", "90d")
    assert told["S_1"]["problem"] is None
    assert {name for name, each in told.items() if each["problem"]} == {"one", "two"}


def test_nobody_reads_what_is_told(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)), (T, aged(1, OLD)))
    command = [sys.executable, "-m", "el_beam.cli", "mysql", "purge", admin.uri, "--yes"]
    options = ["--older-than", "90d", "--schemas", f"{admin.folder}/schemas"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], stdout=pipe, stderr=pipe, text=True) as run:
        assert run.stdout and run.stderr
        run.stdout.close()
        told = run.stderr.read()
    assert run.returncode == 1
    assert told == (
        "el mysql purge: nobody reads its output any more, so it stopped; the same command goes on"
        " where it was\n"
    )
    assert admin.purge("--yes")[0] == 0
    assert admin.database.count("S_1") == admin.database.count("T_1") == 0


def test_rows_without_a_time_are_told(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)), (S, event(2, dt=None)))
    code, out, _ = admin.purge("--yes")
    assert (code, out) == (0, "S_1: 1 rows gone; 1 have no time and stay\n")
    assert [row["event_n"] for row in admin.database.rows("S_1")] == [2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP INDEX `{timestamp}`", "timestamp has no index; `el mysql apply` makes it"),
        ("DROP INDEX `{dt}`", "dt has no index; `el mysql apply` makes it"),
        ("DROP INDEX `{dt}`, ADD KEY (dt, uuid)", "dt has no index of its own"),
        ("DROP INDEX `{timestamp}`, ADD KEY (timestamp(8))", "timestamp has no index of its own"),
        ("DROP timestamp, DROP dt", "it has neither dt nor timestamp; `el mysql apply` adds"),
        ("MODIFY id INT, DROP PRIMARY KEY", "its primary key is not id"),
        ("MODIFY wiki VARCHAR(9) NOT NULL", "wiki can't be null"),
        ("MODIFY wiki VARCHAR(9) NOT NULL DEFAULT ''", "wiki can't be null"),
        ("ADD SYSTEM VERSIONING", "it is system-versioned: its history keeps what is removed"),
    ],
)
def test_tables_that_are_not_as_they_must_be(change: str, told: str, admin: Admin) -> None:
    admin.write((S, aged(1, OLD)), (T, aged(1, OLD)))
    by = {column: name for _, _, name, _, column, *_ in admin.database.ask("SHOW INDEX FROM S_1")}
    admin.database.ask(f"ALTER TABLE S_1 {change.format(**by)}")
    keep = admin.keep(S=[]) if "wiki" in change else ()
    for more in ((), ("--yes",)):  # what can't be done isn't promised either
        found, _, err = admin.purge(*more, *keep)
        assert found == 1 and f"left as it is: S_1: {told}" in err
    assert admin.database.count("S_1") == 1 and admin.database.count("T_1") == 0
    if "apply" in told:
        admin.el("apply", "--schema", "S")
        assert admin.purge("--yes")[0] == 0


@pytest.mark.parametrize("keep", [True, False], ids=["cut", "gone"])
def test_a_row_is_as_old_as_the_server_says(keep: bool, admin: Admin) -> None:
    """The client's own time counts where there is no other."""
    admin.write(*((S, aged(number, OLD)) for number in range(50)))
    admin.database.ask(
        "UPDATE S_1 SET timestamp = '21000101000000' WHERE event_n < 10",
        "UPDATE S_1 SET dt = UTC_TIMESTAMP(), timestamp = '19700101000000' WHERE event_n >= 40",
        "UPDATE S_1 SET dt = NULL WHERE event_n BETWEEN 10 AND 30",
        "UPDATE S_1 SET timestamp = '21000101000000' WHERE event_n BETWEEN 10 AND 14",
    )
    options = ["--batch", "3", *(admin.keep(S=["event.n"]) if keep else ())]
    assert "S_1: 35 rows would" in admin.purge(*options)[1]
    assert admin.purge("--yes", *options)[0] == 0
    left = admin.database.ask("SELECT event_n FROM S_1 WHERE wiki IS NOT NULL ORDER BY 1")
    assert left == [(number,) for number in (*range(10, 15), *range(40, 50))]
    assert "S_1: 0 rows would" in admin.purge(*options)[1]


def test_names_in_another_case(admin: Admin) -> None:
    """To the server they are the same columns."""
    admin.write((S, aged(1, OLD)))
    admin.database.ask(
        "ALTER TABLE S_1 CHANGE event_action Event_Action VARCHAR(1024), CHANGE dt DT DATETIME,"
        " CHANGE id ID INT NOT NULL AUTO_INCREMENT, CHANGE userAgent useragent TEXT"
    )
    before = admin.database.rows("S_1")[0]
    keep = admin.keep(S=["event.action", "userAgent.os_family"])
    code, out, _ = admin.purge("--yes", *keep)
    assert code == 0 and "1 rows cut, DT, Event_Action, ID, timestamp, userAgent.os_family" in out
    assert {name: value for name, value in admin.database.rows("S_1")[0].items() if value} == {
        name: before[name] for name in ("ID", "uuid", "DT", "timestamp", "Event_Action")
    } | {"useragent": '{"os_family": "Linux"}'}
    assert "S_1: 0 rows would be cut" in admin.purge(*keep)[1]


def test_columns_that_the_server_makes(admin: Admin) -> None:
    """They follow those that they are made of."""
    admin.write((S, aged(1, OLD)))
    admin.database.ask(
        "ALTER TABLE S_1 ADD day CHAR(8) AS (LEFT(timestamp, 8)) VIRTUAL,"
        " ADD loud VARCHAR(1024) AS (UPPER(wiki)) STORED"
    )
    keep = admin.keep(S=["event.action"])
    assert "S_1: 1 rows cut" in admin.purge("--yes", *keep)[1]
    (row,) = admin.database.rows("S_1")
    assert row["day"] == row["timestamp"][:8] and row["loud"] is row["wiki"] is None
    assert "S_1: 0 rows cut" in admin.purge("--yes", *keep)[1]


def test_a_date_that_is_none(admin: Admin) -> None:
    """As servers that weren't strict let it be."""
    admin.write((S, aged(1, OLD)))
    admin.database.ask("SET sql_mode = ''", "UPDATE S_1 SET dt = '0000-00-00'")
    assert cli.main(["find", f"{1:032x}", admin.uri]) == 0
    assert cli.main(["reconcile", admin.uri, admin.uri]) == 0
    assert admin.purge("--yes")[0] == 0
    assert admin.database.count("S_1") == 0


def fill(database: Database, rows: int, table: str = "S_1") -> None:
    """Old rows, many of them at the same second."""
    database.ask(
        f"INSERT INTO {table} (uuid, dt, timestamp, wiki, event_n)"
        " SELECT LPAD(HEX(seq), 32, 'z'), '2019-03-10', '20190310000000', 'enwiki', seq"
        f" FROM seq_1_to_{rows}"
    )


@pytest.mark.parametrize("keep", [True, False], ids=["cut", "gone"])
def test_killed_and_started_again(keep: bool, admin: Admin) -> None:
    """kill -9 between two transactions of many, again and again; a writer beside it."""
    admin.write((S, aged(1, NEW)))
    fill(admin.database, 20_000)
    more = admin.keep(S=["event.n"]) if keep else ()
    call = [sys.executable, "-m", "el_beam.cli", "mysql", "purge", admin.uri, "--schemas",
            f"{admin.folder}/schemas", "--older-than", "90d", "--yes", "--batch", "300", "--pause",
            "0.01", *more]  # fmt: skip
    left = "SELECT COUNT(*) FROM S_1 WHERE wiki IS NOT NULL"
    counts = [int(admin.database.ask(left)[0][0])]
    for _ in range(3):
        run = subprocess.Popen(call, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while admin.database.ask(left)[0][0] > counts[-1] - 1_000:
            assert time.monotonic() < end and run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
        counts.append(int(admin.database.ask(left)[0][0]))
    assert counts == sorted(counts, reverse=True) and counts[-1] > 1
    assert admin.purge("--yes", *more)[0] == 0
    assert admin.database.ask(left) == [(1,)]
    if keep:
        assert admin.database.ask("SELECT COUNT(*), SUM(event_n) FROM S_1") == [
            (20_001, 20_000 * 20_001 // 2 + 1)
        ]
        before = status(admin.database, "Handler_update")
        assert admin.purge("--yes", *more)[0] == 0
        assert status(admin.database, "Handler_update") == before > 20_000


@pytest.mark.parametrize("dies", ["server", "connection"])
def test_the_server_dies_under_it(dies: str, admin: Admin, stack: Stack) -> None:
    admin.write((S, aged(1, NEW)))
    fill(admin.database, 20_000)
    with ThreadPoolExecutor() as pool:
        purging = pool.submit(admin.purge, "--yes", "--batch", "200")
        while admin.database.count("S_1") > 19_000:
            time.sleep(0.01)
        if dies == "server":
            process = stack.mariadb.process("mariadb")
            process.kill()
            process.start()
            process.wait()
        else:
            for (number,) in admin.database.ask(
                "SELECT id FROM information_schema.processlist WHERE db = DATABASE()"
                " AND id != CONNECTION_ID()"
            ):
                admin.database.ask(f"KILL {number}")
        code, _, _ = purging.result(60)
    assert code == 0 and admin.database.count("S_1") == 1


def test_the_server_stays_away(admin: Admin, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.write((S, aged(1, NEW)))
    fill(admin.database, 2_000)
    monkeypatch.setattr(mysql_purge, "_AWAY", 0.5)
    server = stack.mariadb.process("mariadb")
    with ThreadPoolExecutor() as pool:
        purging = pool.submit(admin.purge, "--yes", "--batch", "10")
        while admin.database.count("S_1") > 1_900:
            time.sleep(0.01)
        server.kill()
        code, _, told = purging.result(60)
    server.start()
    server.wait()
    assert code == 1
    assert told.endswith("; the same command goes on where it was\n")
    assert admin.purge("--yes")[0] == 0
    assert admin.database.count("S_1") == 1


def test_a_locked_row_is_waited_for(admin: Admin) -> None:
    admin.write((S, aged(1, OLD)), (S, aged(2, OLD)))
    with closing(admin.database.connect(autocommit=False)) as other, ThreadPoolExecutor() as pool:
        other.cursor().execute("SELECT * FROM S_1 WHERE id = 2 FOR UPDATE")
        purging = pool.submit(admin.purge, "--yes")
        time.sleep(7)  # beyond what a statement waits for
        assert not purging.done()
        other.rollback()
        assert purging.result()[0] == 0
    assert admin.database.count("S_1") == 0


def test_a_writer_beside_it(admin: Admin) -> None:
    """Late events of old hours, repeats of rows that go, new ones: nothing new is lost, nobody
    waits for long."""
    registry = open_registry(f"{admin.folder}/schemas")
    admin.write((S, aged(0, NEW)))
    fill(admin.database, 50_000)
    stop, waits = threading.Event(), []
    sink = admin.database.sink(registry)

    def insert() -> int:
        number = 1
        while not stop.is_set():
            begun = time.monotonic()
            write(sink, [(S, aged(number, NEW)), (S, aged(number + 1, OLD)),
                         (S, aged(number - 1, NEW))])  # fmt: skip
            waits.append(time.monotonic() - begun)
            number += 2
        return number

    with ThreadPoolExecutor() as pool:
        inserting = pool.submit(insert)
        assert admin.purge("--yes", "--pause", "0")[0] == 0
        stop.set()
        last = inserting.result()
    assert admin.purge("--yes")[0] == 0
    found = {row["event_n"] for row in admin.database.rows("S_1")}
    assert found >= {0, *range(1, last, 2)} and len(waits) > 10
    assert max(waits) < 1.0


def status(database: Database, name: str) -> int:
    return int(database.ask(f"SHOW GLOBAL STATUS LIKE '{name}'")[0][1])


def test_an_index_is_used(admin: Admin) -> None:
    """Old rows are found without reading the others."""
    admin.write((S, aged(1, OLD)))
    fill(admin.database, 5_000)
    admin.database.ask("UPDATE S_1 SET dt = '2099-01-01' WHERE id > 1")
    before = status(admin.database, "Rows_read")
    assert admin.purge()[1] == "S_1: 1 rows would go\n"
    assert status(admin.database, "Rows_read") - before < 1_000
    admin.database.ask("UPDATE S_1 SET dt = '2001-01-01'")
    before = status(admin.database, "Rows_read")
    assert admin.purge()[1] == "S_1: 5,001 rows would go\n"
    assert status(admin.database, "Rows_read") - before > 5_000  # it counts


def test_statements_are_short_whatever_is_null(admin: Admin) -> None:
    """As in EventLogging's own tables, to which a `dt` was added later: none of their rows has one.
    New rows aren't read, and no statement reads more rows than it is told to."""
    admin.write((S, aged(1, OLD)))
    fill(admin.database, 5_000)
    admin.database.ask("UPDATE S_1 SET dt = NULL, timestamp = '20990101000000' WHERE id > 1")
    before = status(admin.database, "Rows_read")
    assert admin.purge()[1] == "S_1: 1 rows would go\n"
    assert status(admin.database, "Rows_read") - before < 1_000
    admin.database.ask(
        "UPDATE S_1 SET dt = '2099-01-01', timestamp = '20010101000000' WHERE id > 1"
    )
    admin.database.ask("UPDATE S_1 SET dt = NULL WHERE id = 3000")
    sink = admin.database.sink(open_registry(f"{admin.folder}/schemas"))
    assert isinstance(sink, MysqlSink)
    mine = engine(sink.server, keep=True)
    (target,), _ = mysql_purge.targets(mine, open_registry(f"{admin.folder}/schemas"), Keep({}),
                                       "S_1".__eq__)  # fmt: skip
    read = [status(admin.database, "Rows_read")]
    rows = 0
    pace = mysql_purge.Pace(100, 0)
    for done in mysql_purge.purge(mine, target, datetime.now(UTC) - NEW, pace, do=True):
        rows += done.rows
        read.append(status(admin.database, "Rows_read"))
    assert rows == 2 and len(read) > 50
    assert max(after - before for before, after in itertools.pairwise(read)) < 300


def test_a_server_that_takes_all_names_for_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `Edit` and `edit` are one table: it is of the schema that came first. EventLogging's
    own are found by their names all the same."""
    small = mariadb._SETTINGS.replace("table-names=0", "table-names=1")
    monkeypatch.setattr(mariadb, "_SETTINGS", small)
    stack = Stack(tmp_path / "stack")
    with closing(Up(stack)):
        admin = Admin(Database(stack.mariadb.endpoint(), "small"), tmp_path, capsys)
        upper, lower = Destination("Edit", 1), Destination("edit", 1)
        for schema in (upper, lower):
            admin.define(schema, DOCUMENT)
        sink = admin.database.sink(open_registry(f"{tmp_path}/schemas"))
        books = write(sink, [(upper, aged(1, OLD)), (lower, aged(2, OLD)), (S, aged(3, OLD))])
        assert books == {"given": 4, "written": 3, "rejected": 1}
        assert admin.database.ask("SELECT event_message FROM EventError_14035058") == [
            ("the table edit_1 is that of the schema Edit_1",)
        ]
        admin.database.ask("ALTER TABLE S_1 COMMENT = ''")
        assert admin.purge("--yes", "--schema", "Edit|S")[:2] == (
            0, "edit_1: 1 rows gone\ns_1: 1 rows gone\n",
        )  # fmt: skip


class Up:
    """A stack with a running database server."""

    def __init__(self, stack: Stack) -> None:
        self.close = stack.down
        for _ in stack.up(["mariadb"]):
            pass


# --- rights


def statements() -> list[str]:
    """Those of the page."""
    text = DOCS.read_text().partition("## Rights")[2].partition("\n## ")[0]
    block = "".join(re.findall(r"^ {4}(.*\n)", text, re.MULTILINE))
    return [each.strip() for each in block.split(";") if each.strip()]


RIGHTS = {
    match["user"]: match["rights"].split(", ")
    for each in statements()
    if (match := re.fullmatch(r"GRANT (?P<rights>.*) ON log\.\* TO (?P<user>\w+)@'%'", each))
}


@pytest.fixture
def granted(
    mariadb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Admin:  # fmt: skip
    """The database `log`, and in it the users of the page."""
    database = Database(mariadb, "log")
    assert len(RIGHTS) == 3 and len(statements()) == 6
    database.ask(*(f"DROP USER IF EXISTS {user}@'%'" for user in RIGHTS), *statements())
    monkeypatch.setenv("EL_TEST_DB", "…")
    return Admin(database, tmp_path, capsys)


def used_by(admin: Admin, user: str) -> str:
    return admin.database.uri.replace("el@", f"{user}:${{EL_TEST_DB}}@", 1)


def test_users_can_do_their_work(granted: Admin) -> None:
    registry = open_registry(f"{granted.folder}/schemas")
    writer = granted.database.sink(registry, uri=used_by(granted, "el_writer"))
    rows = [(S, aged(1, OLD)), (S, aged(2, OLD)), (S, aged(1, OLD)), (T, aged(1, OLD))]
    assert write(writer, rows) == {"given": 4, "written": 3, "repeated": 1}
    granted.database.ask("ALTER TABLE S_1 DROP event_n, DROP INDEX uuid")
    granted.uri = used_by(granted, "el_reader")
    assert granted.el("plan")[0] == 1
    assert granted.purge()[0] == 0
    assert cli.main(["find", f"{1:032x}", granted.uri]) == 0
    assert cli.main(["reconcile", granted.uri, granted.uri]) == 0
    granted.uri = used_by(granted, "el_admin")
    assert granted.el("apply")[0] == 0
    assert granted.el("plan")[0] == 0
    assert granted.purge("--yes", *granted.keep(S=["wiki"]))[0] == 0
    assert (granted.database.count("S_1"), granted.database.count("T_1")) == (2, 0)
    both = granted.database.sink(registry, uri=used_by(granted, "el_admin"))
    assert write(both, [(S, aged(9, NEW)), (T, aged(9, NEW))]) == {"given": 2, "written": 2}
    assert delete(both, [("S_1", f"{9:032x}"), ("T_1", "none")]) == 1


def test_users_can_do_no_more(granted: Admin) -> None:
    granted.write((S, aged(1, OLD)))
    every = {"SELECT * FROM S_1", "INSERT INTO S_1 (uuid) VALUES ('x')",
             "UPDATE S_1 SET wiki = 'x'", "DELETE FROM S_1", "ALTER TABLE S_1 ADD x INT",
             "CREATE TABLE x (id INT)", "CREATE INDEX x ON S_1 (wiki)", "DROP TABLE S_1",
             "TRUNCATE S_1", "CREATE VIEW y AS SELECT 1", "GRANT SELECT ON log.* TO el_reader@'%'",
             "SELECT * FROM mysql.global_priv", "CREATE DATABASE z",
             "SELECT 1 INTO OUTFILE 'x'"}  # fmt: skip
    writes = {"SELECT *", "INSERT", "UPDATE", "CREATE TABLE"}
    may = {"el_reader": {"SELECT *"}, "el_writer": writes, "el_admin": writes | {"DELETE", "ALTER"}}
    for user, rights in may.items():
        for sql in sorted(every):
            allowed = any(sql.startswith(each) for each in rights) and "mysql." not in sql
            given = {"user": user, "password": "…".encode()}
            with closing(granted.database.connect(**given)) as connection:
                try:
                    connection.cursor().execute(sql)
                    done = True
                except pymysql.Error as error:
                    assert error.args[0] in (1044, 1045, 1142, 1227, 1370), error
                    done = False
            assert done == allowed, (user, sql)
            granted.database.ask("DROP TABLE IF EXISTS x", "ALTER TABLE S_1 DROP IF EXISTS x",
                                 "ALTER TABLE S_1 DROP INDEX IF EXISTS x")  # fmt: skip


def test_without_rights_nothing_is_half_done(granted: Admin) -> None:
    """It is told once, before any row is removed."""
    granted.write((S, aged(1, OLD)), (T, aged(1, OLD)))
    before, keep = granted.database.rows("S_1"), granted.keep(S=["wiki"])
    for user, denied in (("el_writer", "DELETE"), ("el_reader", "UPDATE")):
        granted.uri = used_by(granted, user)
        code, out, err = granted.purge("--yes", *keep)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"{denied} command denied" in err and "docs/mysql.md says which rights" in err
    assert granted.database.rows("S_1") == before
    granted.database.ask("DROP TABLE T_1")
    code, out, err = granted.el("apply")
    assert (code, out, err.count("\n")) == (2, "", 1) and "CREATE command denied" in err


@pytest.mark.parametrize("missing", sorted({*RIGHTS["el_admin"]} - {"INSERT"}))
def test_an_admin_needs_each_right(missing: str, granted: Admin) -> None:
    granted.write((S, aged(1, OLD)), (EVENT_ERROR, error(1, OLD)))
    granted.database.ask("ALTER TABLE S_1 DROP event_n, DROP INDEX uuid",
                         f"REVOKE {missing} ON log.* FROM el_admin@'%'")  # fmt: skip
    granted.uri = used_by(granted, "el_admin")
    keep = granted.keep(S=["wiki"])
    done = [granted.el("apply"), granted.purge("--yes", *keep)]
    told = "".join(out + err for _, out, err in done)
    assert any(code for code, *_ in done)
    assert "docs/mysql.md says which rights this needs" in told
    assert f"{missing} command denied" in told or "Access denied" in told
