"""`el mysql purge` on MariaDB: which rows go, and what stays of those that don't."""

import json
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mysql_admin import DOCUMENT, HOSTILE, NEW, ODD, OLD, Admin, S, T, aged, error

from el_beam import cli
from runners.local_stack import Stack, mariadb
from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry import open_registry
from schemas.storage.columns import RESCUED
from schemas.storage.sql import layout
from schemas.storage.table_names import apart_table
from traffic.database import Database, event, write


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


def test_rows_of_a_time_to_come_are_as_old_as_those_beside_them(admin: Admin) -> None:
    """Somebody's clock was wrong. They go once they came before all rows that are young enough."""
    future = timedelta(days=-30_000)
    ages = (OLD, future, OLD, future, NEW, future, OLD, NEW, future)
    admin.write(*((S, aged(number, age)) for number, age in enumerate(ages)),
                (T, aged(1, future)), (EVENT_ERROR, error(1, future)))  # fmt: skip
    for _ in range(2):
        admin.purge("--yes", "--batch", "2")
        assert [row["event_n"] for row in admin.database.rows("S_1")] == [4, 5, 7, 8]
    assert admin.database.count("T_1") == 1, "nothing tells when it came"
    admin.write((T, aged(2, NEW)))
    assert "T_1: 1 rows would go\n" in admin.purge()[1]
    admin.purge("--yes", *admin.keep(T=["event.n"]))
    first, _ = admin.database.rows("T_1")
    assert first["wiki"] is None and first["uuid"]


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
        assert (code, out) == (2, "") and "--schema 'Nope': no schema here" in err


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


def test_a_server_that_takes_all_names_for_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `Edit_1` and `edit_1` are one name: one of the schemas has another one, as everywhere.
    EventLogging's own are found by their names all the same."""
    small = mariadb._SETTINGS.replace("table-names=0", "table-names=1")
    monkeypatch.setattr(mariadb, "_SETTINGS", small)
    stack = Stack(tmp_path / "stack")
    with closing(Up(stack)):
        admin = Admin(Database(stack.mariadb.endpoint(), "small"), tmp_path, capsys)
        upper, lower = Destination("Edit", 1), Destination("edit", 1)
        for schema in (upper, lower):
            admin.define(schema, DOCUMENT)
        sink = admin.database.sink(open_registry(f"{tmp_path}/schemas"))
        books = write(sink, [(lower, aged(2, OLD)), (upper, aged(1, OLD)), (S, aged(3, OLD))])
        assert books == {"given": 3, "written": 3}
        apart = apart_table(lower)
        for name, number in (("edit_1", 1), (apart, 2)):
            assert [each["event_n"] for each in admin.database.rows(name)] == [number]
        admin.database.ask("ALTER TABLE S_1 COMMENT = ''")
        assert admin.purge("--yes", "--schema", "Edit|edit|S")[:2] == (
            0, f"edit_1: 1 rows gone\n{apart}: 1 rows gone\ns_1: 1 rows gone\n",
        )  # fmt: skip


class Up:
    """A stack with a running database server."""

    def __init__(self, stack: Stack) -> None:
        self.close = stack.down
        for _ in stack.up(["mariadb"]):
            pass
