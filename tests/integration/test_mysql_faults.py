"""The MySQL sink when things go wrong: locks, kills, races, rights, TLS, tables made by others."""

import base64
import re
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from import_job import ImportJob, problems

from el_beam.cli import main
from el_beam.job import Job
from el_beam.running.bounded import run
from el_beam.running.failures import NotReady
from runners.local_stack import Stack
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.event import Destination, Event, RawLine
from schemas.registry import Registry
from traffic.database import Database, event, write
from traffic.feed import put
from transforms.errors import SinkError
from transforms.io.mysql import client as mysql_client
from transforms.write import mysql
from transforms.write.mysql import MysqlSink
from transforms.write.sink import Sink

S, T = Destination("S", 1), Destination("T", 1)
DOCUMENT = {"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}
SAMPLE = Path(__file__).parents[2] / "examples" / "sample.log.gz"
PASSWORD = "p@ss/wörd?"
REFUSED = r"alert unknown ca|does the server accept ssl_cert\?"


@pytest.fixture
def registry(registry_of: Callable[..., Registry]) -> Registry:
    return registry_of({S: DOCUMENT, T: DOCUMENT, Destination("Edit", 1): DOCUMENT})


@pytest.fixture
def sink(database: Database, registry: Registry) -> Sink:
    return database.sink(registry)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def events(*numbers: int, to: Destination = S) -> list[tuple[Destination, Event]]:
    return [(to, event(number)) for number in numbers]


def wait_for(what: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def waiting(database: Database) -> int:
    """Transactions that wait for a row. Who asks more often is given the same answer again."""
    time.sleep(0.2)
    sql = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return int(database.ask(sql)[0][0])


def test_a_locked_table_holds_up_itself_alone(
    database: Database, sink: Sink, pool: ThreadPoolExecutor
) -> None:
    write(sink, [*events(0), *events(0, to=T)])
    with closing(database.connect()) as holder:
        holder.cursor().execute("LOCK TABLES S_1 WRITE")
        writing = pool.submit(write, sink, [*events(1, 2), *events(1, 2, to=T)])
        wait_for(lambda: database.count("T_1") == 3)
        assert not writing.done()
    assert writing.result() == {"given": 4, "written": 4}
    assert database.count("S_1") == 3


@pytest.mark.parametrize("limit", [0, 0.3])
def test_a_lock_is_not_waited_for_without_end(
    limit: float, database: Database, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own limit of a statement doesn't matter: a locked table would look like a
    server that is too slow for all."""
    monkeypatch.setattr(mysql, "_LOCKED", 0.0)
    monkeypatch.setattr(mysql_client, "_LOCK", 1)
    write(sink, events(0))
    database.ask(f"SET GLOBAL max_statement_time={limit}")
    try:
        with closing(database.connect()) as holder:
            holder.cursor().execute("LOCK TABLES S_1 READ")
            with pytest.raises(SinkError, match=r"table S_1: Lock wait timeout exceeded.*\(1205\)"):
                write(sink, [*events(1), *events(1, to=T)])
    finally:
        database.ask("SET GLOBAL max_statement_time=0")
    assert database.count("T_1") == 1  # written before
    assert write(sink, [*events(1), *events(1, to=T)]) == {"given": 2, "written": 1, "repeated": 1}


def test_a_deadlock_is_tried_again(
    database: Database, sink: Sink, pool: ThreadPoolExecutor
) -> None:
    write(sink, events(0))
    insert = "INSERT INTO S_1 (uuid) VALUES ('{:032x}')"
    with closing(database.connect(autocommit=False)) as other:
        cursor = other.cursor()
        for number in range(100, 150):  # the one with more rows survives
            cursor.execute(insert.format(number))
        cursor.execute(insert.format(2))
        writing = pool.submit(write, sink, events(1, 2))
        wait_for(lambda: waiting(database))  # it has 1 and wants 2
        cursor.execute(insert.format(1))  # and we have 2 and want 1
        other.commit()
    assert writing.result() == {"given": 2, "repeated": 2}
    (status,) = database.ask("SHOW ENGINE INNODB STATUS")
    assert "LATEST DETECTED DEADLOCK" in status[2]


def test_many_workers_make_one_table(
    database: Database, sink: Sink, pool: ThreadPoolExecutor
) -> None:
    for _ in range(3):
        database.ask("DROP TABLE IF EXISTS S_1")
        barrier = threading.Barrier(4)

        def work(first: int, barrier: threading.Barrier = barrier) -> dict[str, int]:
            barrier.wait()
            return dict(write(sink, events(*range(first, first + 1_000))))

        books = list(pool.map(work, (0, 250, 500, 750)))
        assert database.ask("SELECT COUNT(*), COUNT(DISTINCT uuid) FROM S_1") == [(1_750, 1_750)]
        assert sum(each.get("written", 0) for each in books) == 1_750
        assert sum(each.get("repeated", 0) for each in books) == 4_000 - 1_750


@pytest.mark.parametrize("dies", ["server", "connection"])
def test_nothing_is_lost_or_doubled_by_a_kill(
    dies: str, database: Database, sink: Sink, stack: Stack, pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(mysql, "_ROWS_IN_MEMORY", 300)
    writing: Future[Any] = pool.submit(write, sink, events(*range(30_000)))
    wait_for(lambda: database.ask("SHOW TABLES") and database.count("S_1") > 1_000)
    if dies == "server":
        process = stack.mariadb.process("mariadb")
        process.kill()
        time.sleep(1)
        assert not writing.done()
        process.start()
        process.wait()
    else:
        ids = database.ask("SELECT id FROM information_schema.processlist WHERE db = DATABASE()"
                           " AND id != CONNECTION_ID()")  # fmt: skip
        for (number,) in ids:
            database.ask(f"KILL {number}")
    books = writing.result(60)
    # What was committed just before the kill may be told as repeated, by the second try.
    assert books["given"] == books["written"] + books.get("repeated", 0) == 30_000
    assert books.get("repeated", 0) <= 300
    assert database.ask("SELECT COUNT(*), COUNT(DISTINCT uuid) FROM S_1") == [(30_000, 30_000)]


class LostAnswers:
    """A server in front of another: it loses the connection at each of the first COMMITs, when the
    other has done it."""

    def __init__(self, address: str, lost: int) -> None:
        host, _, port = address.partition(":")
        self._behind, self.lost = (host, int(port)), lost
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listening.getsockname())
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, server = self._listening.accept()[0], socket.create_connection(self._behind)
                for of in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=of, daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError), one, other:
            while data := one.recv(2**16):
                if data[5:] == b"COMMIT" and self.lost:
                    self.lost -= 1
                    one.shutdown(socket.SHUT_RDWR)
                    other.sendall(data)
                    time.sleep(0.3)  # it is done by then
                    return
                other.sendall(data)

    def close(self) -> None:
        self._listening.close()


def test_the_answer_to_a_commit_is_lost(database: Database, registry: Registry) -> None:
    """What was written then is told as repeated: it is there once."""
    write(database.sink(registry), [*events(0), *events(0, to=T)])
    with closing(LostAnswers(database.address, lost=2)) as between:
        uri = database.uri.replace(database.address, between.address)
        books = write(database.sink(registry, "?ssl_mode=DISABLED", uri),
                      [*events(*range(50)), *events(*range(50), to=T)])  # fmt: skip
        assert between.lost == 0
    assert books["given"] == books["written"] + books["repeated"] == 100
    assert books["repeated"] > 40
    assert (database.count("S_1"), database.count("T_1")) == (50, 50)


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE S_1 ADD SYSTEM VERSIONING",
     "CREATE TRIGGER x BEFORE UPDATE ON S_1 FOR EACH ROW SET NEW.event_n = 7"],
)  # fmt: skip
def test_a_table_that_cannot_tell_what_is_new(change: str, database: Database, sink: Sink) -> None:
    """Books that don't balance would be worse."""
    write(sink, events(0))
    database.ask(change)
    with pytest.raises(SinkError, match="table S_1: nobody can tell which rows are new"):
        write(sink, [*events(0, 1), *events(1, to=T)])
    assert (database.count("S_1"), database.count("T_1")) == (1, 1)


def test_a_table_that_is_dropped_under_way_is_made_anew(database: Database, sink: Sink) -> None:
    writer = sink.writer()
    for number in range(2):
        bundle = writer.bundle()
        bundle.add(*events(number)[0])
        assert sum(receipt.written for receipt in bundle.commit()) == 1
        database.ask("DROP TABLE S_1")
    writer.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP wiki, DROP event_n", r"it lacks wiki, event_n.*`el mysql plan` says"),
        ("DROP _rescued_data", "it lacks _rescued_data"),
        ("DROP INDEX uuid", "only uuid may be unique in it, and must be"),
        ("ADD UNIQUE (event_n)", r"only uuid may be unique .*event_n"),  # it swallowed events
        ("ADD event_x INT NOT NULL", r"'event_x' doesn't have a default value \(1364\)"),
        ("AUTO_INCREMENT=2147483647", r"its ids are used up: ALTER TABLE"),
    ],
)
def test_a_table_that_is_not_as_it_must_be(
    change: str, told: str, database: Database, sink: Sink
) -> None:
    write(sink, events(0))
    database.ask(f"ALTER TABLE S_1 {change}")
    with pytest.raises(SinkError, match=f"table S_1: .*{told}"):
        write(sink, [*events(1, 2), *events(1, 2, to=T)])
    assert (database.count("S_1"), database.count("T_1")) == (1, 2)


def test_a_property_that_came_without_a_new_revision(database: Database, sink: Sink) -> None:
    """Its column is added, as in SQLite."""
    write(sink, events(0))
    database.ask("ALTER TABLE S_1 DROP event_n, DROP wiki, ADD wiki VARCHAR(1024)")
    write(sink, events(1))
    assert database.ask("SELECT event_n, _rescued_data FROM S_1 ORDER BY id") == [
        (None, None), (1, None),
    ]  # fmt: skip
    write(sink, events(2))


def test_a_column_is_not_added_while_a_query_reads_the_table(
    database: Database, sink: Sink
) -> None:
    write(sink, events(0))
    database.ask("ALTER TABLE S_1 DROP event_n")
    with closing(database.connect()) as reader:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT * FROM S_1")
        write(sink, events(1))
    write(sink, events(2))
    assert database.ask("SELECT event_n, _rescued_data FROM S_1 ORDER BY id") == [
        (None, None), (None, '{"event.n":1}'), (2, None),
    ]  # fmt: skip


def test_a_column_that_the_writer_may_not_add(database: Database, registry: Registry) -> None:
    """Its values are rescued until the table has the column, row by row."""
    sink = database.sink(registry, uri=user(database, "SELECT, INSERT, UPDATE, CREATE"))
    write(sink, events(0))
    database.ask("ALTER TABLE S_1 DROP event_n")
    writer = sink.writer()
    bundle = writer.bundle()
    for to, each in (*events(1, 2), *events(1, to=T)):
        bundle.add(to, each)
    assert sum(receipt.written for receipt in bundle.commit()) == 3
    assert database.ask("SELECT uuid, _rescued_data FROM S_1 WHERE _rescued_data IS NOT NULL") == [
        (f"{number:032x}", f'{{"event.n":{number}}}') for number in (1, 2)
    ]
    database.ask("ALTER TABLE S_1 ADD event_n BIGINT")
    other = writer.bundle()  # it knows the table without the column: nothing is lost
    other.add(*events(4)[0])
    assert sum(receipt.written for receipt in other.commit()) == 1
    writer.close()
    write(sink, events(5))
    assert database.ask("SELECT event_n, _rescued_data FROM S_1 ORDER BY uuid DESC LIMIT 2") == [
        (5, None), (None, '{"event.n":4}'),
    ]  # fmt: skip


def test_another_unique_index_swallows_nothing(database: Database, sink: Sink) -> None:
    """Not even where it was made after the writer had looked."""
    writer = sink.writer()
    for number in (1, 2):
        bundle = writer.bundle()
        bundle.add(S, event(number, event={"n": 5}))
        receipts = [*bundle.commit()] if number == 1 else []
        assert sum(each.written for each in receipts) == (number == 1)
        if number == 1:
            database.ask("ALTER TABLE S_1 ADD UNIQUE (event_n)")
    bundle.settle()
    (refused,) = bundle.rejected()
    assert "Data too long for column 'uuid'" in str(refused.error)
    assert database.ask("SELECT uuid FROM S_1") == [(f"{1:032x}",)]
    writer.close()


def test_others_of_a_long_bundle_are_written(
    database: Database, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, though a table's fault is found at once."""
    monkeypatch.setattr(mysql, "_ROWS_IN_MEMORY", 10)
    write(sink, events(0))
    database.ask("ALTER TABLE S_1 DROP wiki")
    mixed = [each for number in range(100) for to in (S, T) for each in events(number, to=to)]
    with pytest.raises(SinkError, match="table S_1: it lacks wiki"):
        write(sink, mixed)
    assert (database.count("S_1"), database.count("T_1")) == (1, 100)


def test_a_fault_is_told_without_rows(database: Database, sink: Sink) -> None:
    """In logs and traces nobody finds what events say."""
    write(sink, events(0))
    database.ask("ALTER TABLE S_1 ADD event_x INT NOT NULL")
    with pytest.raises(SinkError) as raised:
        write(sink, [(S, event(1, event={"text": "x" * 99}))])
    assert "x" * 99 not in "".join(traceback.format_exception(raised.value))


def test_who_has_vanished_holds_no_locks(sink: Sink) -> None:
    assert isinstance(sink, MysqlSink)
    with mysql_client.engine(sink.server, keep=True).connect() as connection:
        told = connection.exec_driver_sql("SELECT @@idle_transaction_timeout").scalar_one()
    assert told == 120


THEIRS = """CREATE TABLE S_1 (
    id INTEGER AUTO_INCREMENT, uuid CHAR(32), userAgent VARCHAR(1024), event_n BIGINT,
    PRIMARY KEY (id), UNIQUE KEY ix_S_1_uuid (uuid)
) CHARSET=utf8"""
MENDED = """ALTER TABLE S_1
    ADD dt DATETIME, ADD timestamp VARCHAR(14), ADD webHost VARCHAR(1024), ADD wiki VARCHAR(1024),
    ADD event_text VARCHAR(1024), ADD _rescued_data MEDIUMTEXT"""


def test_a_table_of_the_originals_own(database: Database, sink: Sink) -> None:
    database.ask(THEIRS)
    with pytest.raises(SinkError, match="it lacks dt, timestamp, webHost, wiki, event_text, _resc"):
        write(sink, events(1))
    database.ask(MENDED)
    odd = event(2, event={"text": "😀"})  # the original's utf8 has no room for it
    assert write(sink, [*events(1), (S, odd)]) == {"given": 3, "written": 2, "rejected": 1}
    (error,) = database.rows(str(EVENT_ERROR))
    assert error["event_path"] == "event.text" and "Incorrect string" in error["event_message"]
    database.ask(f"ALTER TABLE {EVENT_ERROR} CONVERT TO CHARACTER SET utf8")
    strange = [(EVENT_ERROR, BadEvent(
        RawLine(raw.encode(), event(3).line.origin), Stage.PARSE, Reason.BAD_JSON, "near 😀"
    )) for raw in ("x😀", "y")]  # fmt: skip
    assert write(sink, strange) == {"given": 2, "written": 2}
    told = database.rows(str(EVENT_ERROR))[1:]
    assert {each["event_message"] for each in told} == {"near \\U0001f600"}
    assert sorted((each["event_encoding"], each["event_rawEvent"]) for each in told) == [
        ("base64", base64.b64encode("x😀".encode()).decode()), ("utf-8", "y"),
    ]  # fmt: skip


def user(database: Database, rights: str, more: str = "") -> str:
    """The URI of a user that has these rights and a password, in $EL_TEST_DB."""
    on = f"ON {database.name}.* TO limited@'%'"
    database.ask(
        "DROP USER IF EXISTS limited@'%'",
        f"CREATE USER limited@'%' IDENTIFIED BY '{PASSWORD}' {more}",
        *([f"GRANT {rights} {on}"] if rights else []),
    )
    return database.uri.replace("el@", "limited:${EL_TEST_DB}@", 1)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EL_TEST_DB", PASSWORD)


def test_a_socket(database: Database, registry: Registry, stack: Stack) -> None:
    uri = re.sub("@[^/]*", "@localhost:1", database.uri)
    more = f"?unix_socket={stack.mariadb.folder}/data/mariadb.sock"
    assert write(database.sink(registry, more, uri), events(1))["written"] == 1


def test_rights(database: Database, registry: Registry, tmp_path: Path) -> None:
    uri = user(database, "SELECT, INSERT, UPDATE, CREATE")
    sink = database.sink(registry, uri=uri)
    sink.prepare()
    assert write(sink, events(1))["written"] == 1
    (tmp_path / "pw").write_text(f"{PASSWORD}\n")
    by_file = uri.replace(":${EL_TEST_DB}", "")
    assert write(database.sink(registry, f"?password.file={tmp_path}/pw", by_file), events(1)) == {
        "given": 1, "repeated": 1,
    }  # fmt: skip
    for rights, told in (
        ("SELECT, INSERT, UPDATE", "CREATE command denied"),
        ("INSERT, UPDATE, CREATE", "SELECT command denied"),
        ("SELECT, UPDATE, CREATE", "INSERT command denied"),
        ("SELECT, INSERT, CREATE", "UPDATE command denied"),
    ):
        limited = database.sink(registry, uri=user(database, rights))
        with pytest.raises(SinkError, match=f"{told}.*docs/mysql.md says which rights"):
            write(limited, events(1, to=T if "CREATE com" in told else S))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("password", r"Access denied for user 'limited'.*\(1045\)"),
        ("rights", r"Access denied.*\(1044\); the user may not use this database"),
        ("database", r"Unknown database 'nope' \(1049\); is its name right\? CREATE DATABASE"),
        ("variable", "the environment variable EL_TEST_DB is not set here"),
    ],
)
def test_what_cannot_be_reached_is_told_at_once(
    change: str, told: str, database: Database, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = user(database, "" if change == "rights" else "ALL")
    if change == "password":
        monkeypatch.setenv("EL_TEST_DB", "wrong")
    if change == "database":
        uri = f"mysql://el@{database.address}/nope"
    sink = database.sink(registry, uri=uri)
    if change == "variable":
        monkeypatch.delenv("EL_TEST_DB")
    begun = time.monotonic()
    with pytest.raises(SinkError, match=rf"cannot write mysql://.*: {told}") as caught:
        sink.prepare()
    assert time.monotonic() - begun < 60  # what is waited for is for ten minutes
    assert PASSWORD not in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_only_reads(database: Database, registry: Registry) -> None:
    uri = user(database, "SELECT, INSERT, UPDATE, CREATE")
    write(database.sink(registry, uri=uri), events(1))
    database.ask("SET GLOBAL read_only=1")
    try:
        with pytest.raises(SinkError, match=r"\(1290\); is it a replica\?"):
            write(database.sink(registry, uri=uri), events(2))
    finally:
        database.ask("SET GLOBAL read_only=0")


def test_tls(database: Database, registry: Registry, stack: Stack, tmp_path: Path) -> None:
    ca, other = stack.mariadb.folder / "ca.pem", tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=other", "-keyout", f"{tmp_path}/key.pem", "-out", str(other)],
        check=True, capture_output=True,
    )  # fmt: skip
    mine = f"&ssl_cert={stack.mariadb.folder}/server.pem&ssl_key={stack.mariadb.folder}/key.pem"
    strange = f"&ssl_cert={other}&ssl_key={tmp_path}/key.pem"  # no authority of the server's
    uri = user(database, "ALL", "REQUIRE SSL")
    by_name = uri.replace("127.0.0.1", "localhost")
    for number, (more, where) in enumerate(
        [(f"?ssl_ca={ca}", uri), (f"?ssl_ca={ca}&ssl_mode=VERIFY_CA", by_name),
         ("?ssl_mode=REQUIRED", uri), ("", uri)]
    ):  # fmt: skip
        sink = database.sink(registry, more, where)
        sink.prepare()
        assert write(sink, events(number))["written"] == 1
    for more, where, told in (
        (f"?ssl_ca={other}", uri, "certificate verify failed"),
        (f"?ssl_ca={ca}", by_name, "certificate is not valid for 'localhost'"),
        ("?ssl_mode=DISABLED", uri, "Access denied"),
        (f"?ssl_ca={tmp_path}/none.pem", uri, f"ssl_ca={tmp_path}/none.pem: No such file"),
    ):
        begun = time.monotonic()
        with pytest.raises(SinkError, match=told):
            database.sink(registry, more, where).prepare()
        assert time.monotonic() - begun < 60  # what is waited for is for ten minutes
    uri = user(database, "ALL", "REQUIRE X509")
    assert write(database.sink(registry, f"?ssl_ca={ca}{mine}", uri), events(9))["written"] == 1
    for more, told in (("", "Access denied"), (strange, REFUSED)):
        begun = time.monotonic()
        with pytest.raises(SinkError, match=told):
            database.sink(registry, f"?ssl_ca={ca}{more}", uri).prepare()
        assert time.monotonic() - begun < 60  # what is waited for is for ten minutes


def test_topics_of_other_schemas_go_on(kafka: str, database: Database, tmp_path: Path) -> None:
    """Increments: a table that somebody has locked holds up its topic, and no other."""
    job = ImportJob(kafka, tmp_path)
    runs: list[Job] = []

    def counted(job: Job, *how: Any) -> Any:
        runs.append(job)
        return run(job, *how)

    line = (b'{"schema":"%s","revision":%d,"wiki":"w","uuid":"%032x","dt":"2019-03-10T07:00:00Z",'
            b'"recvFrom":"cp1","event":{}}')  # fmt: skip
    for topic, schema, revision in (("a", b"EmptyAllowed", 1), ("b", b"SearchSatisfaction", 9)):
        put(kafka, f"{job.name}.{topic}",
            [line % (schema, revision, number) for number in range(200)], 2)  # fmt: skip
    options: dict[str, Any] = {"sinks": (database.uri,), "format": "json", "run": counted}
    which = f"topics={job.name}.a,{job.name}.b"
    ok, _ = job.run(f"topics={job.name}.a", **options)
    assert ok and database.count("EmptyAllowed_1") == 200
    put(kafka, f"{job.name}.a", [line % (b"EmptyAllowed", 1, number) for number in range(500)], 2)
    with closing(database.connect()) as holder:
        holder.cursor().execute("LOCK TABLES EmptyAllowed_1 WRITE")
        ok, reports = job.run(which, **options)
        assert not ok and "Lock wait timeout" in problems(reports[0])[f"{job.name}.a"]
        assert reports[0].topics == [f"{job.name}.b"] and len(runs) == 2  # b waited for nobody
        assert database.count(str(EVENT_ERROR)) == 200  # of b: there is no such revision
    ok, reports = job.run(which, **options)
    assert ok and database.count("EmptyAllowed_1") == 500
    assert [report.summary.read for report in reports] == [500]


def test_a_database_that_is_not_there_is_no_topics_fault(
    kafka: str, database: Database, tmp_path: Path
) -> None:
    """It is told once, not by topic."""
    job = ImportJob(kafka, tmp_path)
    for topic in "ab":
        job.put(10, topic)
    nope = f"mysql://el@{database.address}/nope"
    which, good = f"topics={job.name}.a,{job.name}.b", f"jsonl:{tmp_path}/j"
    with pytest.raises(NotReady, match="Unknown database 'nope'"):
        job.run(which, sinks=(good, nope))
    ok, reports = job.run(which, sinks=(good, database.uri))
    assert ok and [len(report.topics) for report in reports] == [2]


def test_the_command(database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The sample into tables of both kinds; what is stored is compared, found and listed."""
    ends = (database.uri, f"sqlite:{tmp_path}/e.db")
    assert main(["run", f"file:{SAMPLE}", *ends]) == 0
    kept = r"(?!MobileWikiAppSessions|EventError)"  # in MySQL 128 of the one are the other
    assert main(["reconcile", *ends, "--schema", kept]) == 0
    (uuid,), *_ = database.ask("SELECT uuid FROM Edit_17541122 LIMIT 1")
    assert main(["find", uuid, database.uri]) == 0
    assert main(["find", "0" * 32, database.uri]) == 1
    assert main(["bad", "list", database.uri, "--reason", "row_rejected"]) == 0
    told = capfd.readouterr().out
    assert "Edit_17541122@" in told and "128 bad events" in told
    assert main(["run", f"file:{SAMPLE}", f"mysql://el@{database.address}/nope"]) == 1
    told = capfd.readouterr().err
    assert "Unknown database 'nope'" in told and told.count("\n") == 1
