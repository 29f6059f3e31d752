"""`el mysql plan|apply` on MariaDB: what tables lack is told, and added."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pymysql
from mysql_admin import DOCUMENT, NEW, ODD, OLD, Admin, S, T, aged, status

from el_beam.upkeep.mysql import migrations as mysql_plan
from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry import open_registry
from schemas.storage.table_names import apart_table
from traffic.database import Database
from transforms.io.mysql.client import engine
from transforms.write.mysql import MysqlSink


def structure(database: Database, table: str) -> tuple[Any, ...]:
    """Columns and indexes, whatever their order and names."""
    columns = {tuple(each) for each in database.ask(f"SHOW COLUMNS FROM `{table}`")}
    indexes = {(many, place, column, length) for _, many, _, place, column, _, _, length, *_ in
               database.ask(f"SHOW INDEX FROM `{table}`")}  # fmt: skip
    return columns, indexes


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
    """They are the same whatever makes the table; both are purged as ours."""
    slash, flat = Destination("a/b", 1), Destination("a_b", 1)
    for schema in (slash, flat):
        admin.define(schema, DOCUMENT)
    assert admin.el("apply", "--schema", "a")[0] == 0
    names = {str(flat): "a_b_1", str(slash): apart_table(slash)}
    assert {f"{each['schema']}_1": table for table, each in admin.told("plan").items()
            if each["schema"][0] == "a"} == names  # fmt: skip
    admin.write((slash, aged(1, OLD)), (flat, aged(2, OLD)))
    assert all(admin.database.count(name) == 1 for name in names.values())
    assert admin.purge("--yes")[0] == 0
    assert not any(admin.database.count(name) for name in names.values())


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
    assert max(waited) < 30  # the reader holds the table all the time
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
