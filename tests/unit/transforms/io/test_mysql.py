"""The MySQL sink without a server: its URI, what errors mean, and rows as MySQL reads them."""

import pickle
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pymysql.converters import escape_item

from el_beam.connectors.contract import StoredError
from el_beam.connectors.registry import checked_uri, sink_of, store_of
from el_beam.uris import UriError
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, event_error
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import Registry, open_registry
from schemas.storage.sql import create_table_sql, table
from schemas.storage.table_names import Names, apart_table, owner_of, table_name
from transforms.errors import SinkError
from transforms.io.mysql.client import (
    DatabaseAway,
    MysqlFault,
    NoRight,
    TableLocked,
    ValueRefused,
    engine,
    fault,
    reason,
)
from transforms.io.mysql.server import MysqlServer
from transforms.io.secrets import SettingsError
from transforms.write import mysql
from transforms.write.mysql import MysqlSink
from transforms.write.mysql_table import _LITERALS, Inserted, MysqlTable, Row, _parts
from transforms.write.sink import Receipt, Rejected

HERE = Destination("S", 1)
LINE = RawLine(b"raw", Origin("file", "a.log", 7, 1_552_200_000.0, "a-0"))
NAMES = Names([], lambda schema: table_name(*schema), apart_table)
DOCUMENT = {"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}


def event(number: int = 1, split: str = "a-0", **more: Any) -> Event:
    data = {"uuid": f"{number:032x}", "dt": "2019-03-10T07:00:00.75Z", "event": {"n": number}}
    origin = LINE.origin._replace(split=split, offset=number)
    return Event(data | more, LINE._replace(origin=origin))


def server(uri: str) -> MysqlServer:
    found = sink_of(checked_uri("sink", uri), open_registry(None), "job")
    assert isinstance(found, MysqlSink)
    return found.server


def test_a_server() -> None:
    found = server("mysql://el@db.example:3307/log")
    assert (found.user, found.host, found.port, found.database) == (
        "el", "db.example", 3307, "log",
    )  # fmt: skip
    assert (str(found), found.password(), found.ssl_mode) == (
        "db.example:3307/log", b"", "PREFERRED",
    )  # fmt: skip
    assert server("mysql://el@[::1]/log").host == "::1"
    assert server("mysql://el@h/log").port == 3306
    assert server("mysql://e%40l@h/my%20log").database == "my log"
    assert server("mysql://el@h/log?ssl_ca=/ca.pem").ssl_mode == "VERIFY_IDENTITY"
    assert server("mysql://el@h/log?unix_socket=/run/my.sock").settings == {
        "unix_socket": "/run/my.sock"
    }


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://el:${EL_DB}@h/log",
        "mysql://el@h/log?password=${EL_DB}",
        "mysql://el@h/log?password.file={file}",
    ],
)
def test_passwords_are_found_where_they_are_needed(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EL_DB", "h@sh/?=:é")
    (tmp_path / "pw").write_text("h@sh/?=:é\n")
    sink = sink_of(
        checked_uri("sink", uri.replace("{file}", f"{tmp_path}/pw")), open_registry(None), "job"
    )
    assert isinstance(sink, MysqlSink)
    assert sink.server.password() == "h@sh/?=:é".encode()
    assert b"h@sh" not in pickle.dumps(sink)
    assert "h@sh" not in f"{sink}{sink.server!r}"
    monkeypatch.setenv("EL_DB", "")
    (tmp_path / "pw").write_text("\n")
    with pytest.raises(SettingsError, match=r"(EL_DB\}|/pw) is empty: leave it out"):
        sink.server.password()
    monkeypatch.delenv("EL_DB")
    (tmp_path / "pw").unlink()
    with pytest.raises(SettingsError, match=r"EL_DB is not set here|password.file=/.*/pw: No "):
        pickle.loads(pickle.dumps(sink)).server.password()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mysql://h/log", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql://@h/log", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql://el@h", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql://el@h:99999/log", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql://el@h:x/log", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql:el", "write mysql://USER@HOST:PORT/DATABASE"),
        ("mysql://el:s3cret@h/log", "must not be written down: give ${VARIABLE}, or password.file"),
        ("mysql://el@h/log?password=s3cret", "must not be written down"),
        ("mysql://el:${HOME}@h/log?password.file=/x", "password is given twice"),
        ("mysql://el:${HOME}@h/log?password=${HOME}", "password is given twice"),
        ("mysql://el@h/log?ssl_mode=YES", "there are DISABLED, PREFERRED, REQUIRED"),
        ("mysql://el@h/log?ssl_mode=VERIFY_CA", "need ssl_ca=PATH"),
        (
            "mysql://el@h/log?ssl_mode=REQUIRED&ssl_ca=/x",
            "ssl_ca is of no use with ssl_mode=REQUIRED",
        ),
        ("mysql://el@h/log?ssl_cert=/x", "ssl_cert and ssl_key go together"),
        ("mysql://el@h/log?ssl_cert=/x&ssl_key=/y", "ssl_cert needs ssl_mode=REQUIRED"),
        ("mysql://el@h/log?bots=some", "bots must be keep or drop, not 'some'"),
        ("mysql://el@h/log?charset=latin1", "has no parameter charset; there are bots, password"),
        ("mysql://el@${NOT_THERE}/log", "the environment variable NOT_THERE is not set"),
    ],
)
def test_wrong_uris(uri: str, told: str) -> None:
    with pytest.raises(UriError) as caught:
        checked_uri("sink", uri)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARIADB", "127.0.0.1:15000")
    assert server("mysql://el@${MARIADB}/el").port == 15000
    monkeypatch.setenv("MARIADB", "el:s3cret@h")  # no place for a secret
    with pytest.raises(UriError) as caught:
        checked_uri("sink", "mysql://root@${MARIADB}/el")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "without"), [("", False), ("?bots=drop", True), ("?bots=keep", False)]
)
def test_an_end_to_read_knows_whether_it_has_bots(more: str, without: bool) -> None:
    end = store_of(f"mysql://el@h/log{more}")
    assert end.tables and end.without_bots is without


def test_what_an_end_to_read_may_not_say_of_bots() -> None:
    with pytest.raises(StoredError, match="bots must be keep or drop, not 'some'"):
        store_of("mysql://el@h/log?bots=some")


def test_a_folder_of_certificates_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name, told in (
        ("none", r"^ssl_ca=/.*/none\.pem: No such"),
        ("empty", "no certificate or crl"),
    ):
        wrong = MysqlServer("el", "127.0.0.1", 1, "log", {"ssl_ca": f"{tmp_path}/{name}.pem"})
        with pytest.raises(MysqlFault, match=told):
            engine(wrong).connect()


OPERATIONAL, INTERNAL = pymysql.OperationalError, pymysql.InternalError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((OPERATIONAL(code, "x"), DatabaseAway) for code in (2003, 2006, 2013, 1040, 1053)),
        (pymysql.InterfaceError(0, ""), DatabaseAway),
        (INTERNAL("Packet sequence number wrong - got 1 expected 2"), DatabaseAway),
        *((OPERATIONAL(code, "x"), TableLocked) for code in (1205, 1213, 1317, 1969, 3024)),
        (pymysql.ProgrammingError(1146, "no table"), TableLocked),  # dropped under our feet
        *((pymysql.DataError(code, "x"), ValueRefused) for code in (1406, 1264, 1366, 1292)),
        *((OPERATIONAL(code, "x"), MysqlFault) for code in (1045, 1049, 1290, 1114)),
        *((OPERATIONAL(code, "x"), NoRight) for code in (1044, 1142, 1143, 1370)),
        (INTERNAL(1, "x"), MysqlFault),
        (sa.exc.OperationalError("SELECT 1", {}, OPERATIONAL(2013, "x")), DatabaseAway),
        (TableLocked("x"), TableLocked),
    ],
)
def test_what_errors_mean(error: BaseException, kind: type) -> None:
    assert type(fault(error)) is kind


def test_reasons_are_a_line() -> None:
    assert reason(OPERATIONAL(1290, "read\nonly")) == (
        "read only (1290); is it a replica? Write to the server that it follows"
    )
    assert reason(pymysql.InterfaceError(0, "")) == "the connection is lost"
    assert reason(INTERNAL("Packet sequence")) == "Packet sequence"
    assert reason(ValueError()) == "ValueError"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=1100)
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.datetimes(datetime(1000, 1, 1))
    | st.sampled_from(["'" * 101, "\\" * 200, "\x00\n\r\x1a\"'\\", "% %s %(x)s", "ab" * 512])
)
def test_literals_are_those_of_pymysql(value: Any) -> None:
    assert _LITERALS[type(value)](value) == escape_item(value)


def test_rows_are_literals_without_fractions_of_dt() -> None:
    row = MysqlTable(HERE, DOCUMENT, NAMES).row(
        event(5, event={"n": 5, "text": "it's \\ %s"}, ip="::1")
    )
    assert row.literal == (
        "('00000000000000000000000000000005','2019-03-10 07:00:00','20190310070000',NULL,NULL,NULL,"
        "5,'it\\'s \\\\ %s','{\\\"dt\\\":\\\"2019-03-10T07:00:00.75Z\\\"}')"
    )


def test_what_a_column_cannot_hold_is_rejected() -> None:
    long = event(1, event={"text": "x" * 1025})
    with pytest.raises(Rejected, match=r"event_text, VARCHAR\(1024\), can't hold a text of 1,025"):
        MysqlTable(HERE, DOCUMENT, NAMES).row(long)


def test_event_errors_are_never_rejected(registry_of: Callable[..., Registry]) -> None:
    bad = BadEvent(LINE._replace(data=b"\xff" * 70_000), Stage.PARSE, Reason.BAD_JSON, "m" * 16_000,
                   "p" * 2_000, "s" * 60_000)  # fmt: skip
    errors = MysqlTable(EVENT_ERROR, registry_of({}).get(*EVENT_ERROR), NAMES)
    assert "event.schema" in errors.row(event_error(bad)).literal


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_parts_have_all_rows_in_order(sizes: list[int], room: int) -> None:
    rows = [Row("x" * size, event(number)) for number, size in enumerate(sizes)]
    parts = list(_parts(rows, room))
    assert [row for part in parts for row in part] == rows
    assert all(part and (len(part) == 1 or sum(r.size + 1 for r in part) <= room + 1)
               for part in parts)  # fmt: skip


def test_a_statement_has_at_most_500_rows() -> None:
    assert [len(part) for part in _parts([Row("x", event())] * 1_001, 10**6)] == [500, 500, 1]


class _Tables:
    """Stands for the tables of a database: what happens to each attempt, by schema."""

    def __init__(self, **faults: list[MysqlFault]) -> None:
        self.faults, self.rows = faults, list[tuple[str, int]]()

    def insert(self, destination: Destination, rows: list[Row]) -> Inserted:
        if waiting := self.faults.get(destination.schema):
            raise waiting.pop(0)
        self.rows += [(destination.schema, row.event.data["event"]["n"]) for row in rows]
        return Inserted({"a-0": (len(rows), len(rows))}, [])


@pytest.fixture
def sink(registry_of: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch) -> MysqlSink:
    monkeypatch.setattr("time.sleep", lambda _: None)
    documents = {(name, 1): DOCUMENT for name in ("S", "T", "U")}
    return MysqlSink(
        MysqlServer("el", "127.0.0.1", 1, "log"), registry_of(documents), "mysql://el@h/log"
    )


def written(sink: MysqlSink, tables: _Tables, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receipt]:
    monkeypatch.setattr(mysql._MysqlWriter, "_insert", tables.insert)
    bundle = sink.writer().bundle()
    for number, schema in enumerate("STUSTU"):
        bundle.add(Destination(schema, 1), event(number))
    yield from bundle.commit()


def test_others_are_written_before_a_locked_table_is_waited_for(
    sink: MysqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = _Tables(S=[TableLocked("x"), TableLocked("y")], T=[TableLocked("z")])
    receipts = list(written(sink, tables, monkeypatch))
    assert [schema for schema, _ in tables.rows] == ["U", "U", "T", "T", "S", "S"]
    assert sum(receipt.written for receipt in receipts) == 6


def test_a_broken_table_holds_up_no_other(sink: MysqlSink, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = _Tables(S=[MysqlFault("it is broken")] * 99, T=[TableLocked("x")])
    with pytest.raises(SinkError, match="mysql://el@h/log: it is broken"):
        list(written(sink, tables, monkeypatch))
    assert {schema for schema, _ in tables.rows} == {"T", "U"}


def test_splits_of_a_table_that_cannot_be_written_are_deferred(
    sink: MysqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where who attempts it tries again later: others are done, and the job goes well."""
    monkeypatch.setattr(mysql, "_DEFERRING", 0)
    monkeypatch.setattr(mysql, "_ROWS_IN_MEMORY", 4)
    tables = _Tables(S=[MysqlFault("it is broken")] * 99, T=[TableLocked("x")] * 99)
    monkeypatch.setattr(mysql._MysqlWriter, "_insert", tables.insert)
    bundle = sink.deferring().writer().bundle()
    for number, schema in enumerate("USUTUSUU"):  # S is known to be broken when 5 comes
        bundle.add(Destination(schema, 1), event(number, split=f"a-{number}"))
    receipts = list(bundle.commit())
    assert {each.split: each.deferred for each in receipts if each.deferred} == {
        "a-1": "mysql://el@h/log: it is broken", "a-5": "mysql://el@h/log: it is broken",
        "a-3": "mysql://el@h/log: x",
    }  # fmt: skip
    assert tables.rows == [("U", 0), ("U", 2), ("U", 4), ("U", 6), ("U", 7)]
    assert not sink.defers


def test_what_is_away_is_waited_for_and_nothing_is_written_twice(
    sink: MysqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = _Tables(T=[DatabaseAway("x")] * 30)
    receipts = list(written(sink, tables, monkeypatch))
    assert sorted(tables.rows) == [(schema, n) for n, schema in sorted(
        enumerate("STUSTU"), key=lambda each: (each[1], each[0]))]  # fmt: skip
    assert [receipt.written for receipt in receipts] == [2, 2, 2]


def test_patience_has_an_end(sink: MysqlSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_LOCKED", 0.0)
    with pytest.raises(SinkError, match="it is locked"):
        list(written(sink, _Tables(S=[TableLocked("it is locked")] * 99), monkeypatch))
    monkeypatch.setattr(mysql, "_AWAY", 0.0)
    with pytest.raises(SinkError, match="gone away"):
        list(written(sink, _Tables(S=[DatabaseAway("gone away")] * 99), monkeypatch))
    monkeypatch.setattr(mysql, "_REACHABLE", 0.0)
    with pytest.raises(SinkError, match=r"cannot write mysql://el@h/log: .*refused.* \(2003\)"):
        sink.prepare()


def test_rows_are_inserted_while_a_bundle_lasts(
    sink: MysqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = _Tables()
    monkeypatch.setattr(mysql._MysqlWriter, "_insert", tables.insert)
    monkeypatch.setattr(mysql, "_ROWS_IN_MEMORY", 4)
    bundle = sink.writer().bundle()
    for number in range(10):
        bundle.add(HERE, event(number))
    assert len(tables.rows) == 8
    monkeypatch.setattr(mysql, "_BYTES_IN_MEMORY", 100)
    bundle.add(HERE, event(10))
    assert len(tables.rows) == 11
    assert sum(receipt.written for receipt in bundle.commit()) == 11


AGENTS = [{"is_bot": True}, {"is_bot": False}, {}, None, "Googlebot", {"is_bot": "yes"}]


@pytest.mark.parametrize(("drop", "kept"), [(False, 6), (True, 5)])
def test_bots_are_filtered_where_that_is_wanted(
    sink: MysqlSink, monkeypatch: pytest.MonkeyPatch, *, drop: bool, kept: int
) -> None:
    tables = _Tables()
    monkeypatch.setattr(mysql._MysqlWriter, "_insert", tables.insert)
    sink.drops_bots = drop
    bundle = sink.writer().bundle()
    for number, agent in enumerate(AGENTS):
        bundle.add(HERE, event(number, userAgent=agent))
    receipts = list(bundle.commit())
    books = [sum(getattr(each, name) for each in receipts) for name in Receipt._fields[5:10]]
    assert books == [6, kept, 0, 0, 6 - kept]  # given, written, rejected, repeated, filtered


def test_a_certificate_that_is_wrong_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    error = OPERATIONAL(2003, "certificate verify failed")
    error.original_exception = ssl.SSLCertVerificationError("x")  # type: ignore[attr-defined]

    def connect(**_: Any) -> None:
        raise error

    monkeypatch.setattr(pymysql, "connect", connect)
    with pytest.raises(MysqlFault) as caught:
        engine(MysqlServer("el", "h", 1, "log")).connect()
    assert type(fault(caught.value)) is MysqlFault


def test_a_table_says_whose_it_is() -> None:
    for name in ("S", "a.b/c-d_e"):
        of = Destination(name, 3)
        text = create_table_sql(table({}, of))
        assert owner_of(text) == of
        assert owner_of(re.sub("COMMENT='[^']*'", "COMMENT='mine'", text)) is None
