"""Users with no more rights than they need: the grants of docs/mysql.md."""

import re
from contextlib import closing
from pathlib import Path

import pymysql
import pytest
from mysql_admin import NEW, OLD, Admin, S, T, aged, error

from el_beam import cli
from schemas.bad_event import EVENT_ERROR
from schemas.registry import open_registry
from traffic.database import Database, write

DOCS = Path(__file__).parents[2] / "docs" / "mysql.md"


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
    assert both.delete_rows([("S_1", f"{9:032x}"), ("T_1", "none")]) == 1


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
