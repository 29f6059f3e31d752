"""`el mysql purge` beside those who read and write, and when it, or the server, is killed."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from mysql_admin import NEW, OLD, Admin, S, aged, status
from thorough import some

from el_beam.upkeep.mysql import purge as mysql_purge
from el_beam.upkeep.retention.keep_list import Keep
from runners.local_stack import Stack
from schemas.registry import open_registry
from traffic.database import Database, write
from transforms.io.mysql.client import engine
from transforms.write.mysql import MysqlSink


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
    fill(admin.database, 8_000)
    more = admin.keep(S=["event.n"]) if keep else ()
    call = [sys.executable, "-m", "el_beam.cli", "mysql", "purge", admin.uri, "--schemas",
            f"{admin.folder}/schemas", "--older-than", "90d", "--yes", "--batch", "300", "--pause",
            "0.01", *more]  # fmt: skip
    left = "SELECT COUNT(*) FROM S_1 WHERE wiki IS NOT NULL"
    counts = [int(admin.database.ask(left)[0][0])]
    for _ in some(range(5), range(2)):
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
            (8_001, 8_000 * 8_001 // 2 + 1)
        ]
        before = status(admin.database, "Handler_update")
        assert admin.purge("--yes", *more)[0] == 0
        assert status(admin.database, "Handler_update") == before > 8_000


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
    """Late events of old hours, repeats of rows that go, new ones: nothing new is lost, and many
    are written while the purge goes on: `scripts/bench mysql_purge` says how long one waits."""
    registry = open_registry(f"{admin.folder}/schemas")
    admin.write((S, aged(0, NEW)))
    fill(admin.database, 15_000)
    stop = threading.Event()
    sink = admin.database.sink(registry)

    def insert() -> int:
        number = 1
        while not stop.is_set():
            write(sink, [(S, aged(number, NEW)), (S, aged(number + 1, OLD)),
                         (S, aged(number - 1, NEW))])  # fmt: skip
            number += 2
        return number

    with ThreadPoolExecutor() as pool:
        inserting = pool.submit(insert)
        assert admin.purge("--yes", "--pause", "0")[0] == 0
        stop.set()
        last = inserting.result()
    assert admin.purge("--yes")[0] == 0
    found = {row["event_n"] for row in admin.database.rows("S_1")}
    assert found >= {0, *range(1, last, 2)} and last > 20


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
