"""The SQLite sink: once by uuid, whatever is repeated; and which outcomes a sink is given."""

import gc
import json
import re
import sqlite3
import threading
import weakref
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import Registry
from schemas.storage.sql import table
from schemas.storage.table_names import apart_table, owner_of
from transforms.errors import SinkError
from transforms.route import Choice
from transforms.write import tables
from transforms.write.events import _WriteFn
from transforms.write.sink import Bundle, Receipt, Rejected, Sink, Writer
from transforms.write.tables import SqliteSink

DOCUMENT = {"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}
HERE, THERE = Destination("S", 1), Destination("T", 2)
LINE = RawLine(b"raw", Origin("file", "a.log", 7, 1_552_200_000.0, "a-0"))
HOSTILE = ["x'; DROP TABLE S_1; --", '"quoted"', "\x00\x1b[31m", "é😀", "x" * 1_000, "%s ? :n"]


def event(number: int, text: str = "t") -> Event:
    data = {
        "schema": "S", "revision": 1, "uuid": f"{number:032x}", "dt": "2019-03-10T07:00:00Z",
        "wiki": "w", "event": {"n": number, "text": text},
    }  # fmt: skip
    return Event(data, LINE)


@pytest.fixture
def registry(registry_of: Callable[..., Registry]) -> Registry:
    return registry_of({("S", 1): DOCUMENT, ("T", 2): {}, ("a.b/c-d", 3): DOCUMENT})


@pytest.fixture
def sink(tmp_path: Path, registry: Registry) -> SqliteSink:
    made = SqliteSink(f"{tmp_path}/new folder/e.db", registry)
    made.prepare()
    return made


def write(sink: Sink, *events: Event, to: Destination = HERE) -> list[Receipt]:
    writer = sink.writer()
    bundle = writer.bundle()
    for each in events:
        bundle.add(to, each)
    receipts = list(bundle.commit())
    writer.close()
    return receipts


def query(sink: SqliteSink, sql: str) -> list[Any]:
    with sqlite3.connect(sink.path) as connection:
        return connection.execute(sql).fetchall()


def test_rows_are_there_after_the_bundle(sink: SqliteSink) -> None:
    (receipt,) = write(sink, event(1), event(2))
    assert (receipt.schema, receipt.where, receipt.given, receipt.written) == ("S", "S_1", 2, 2)
    assert query(sink, "SELECT uuid, event_n, event_text, wiki FROM S_1 ORDER BY event_n") == [
        (f"{n:032x}", n, "t", "w") for n in (1, 2)
    ]


def test_a_closed_writer_goes_at_once(sink: SqliteSink) -> None:
    """Jobs look for garbage seldom: a client that waited for that would stay."""
    gc.disable()
    try:
        writer = sink.writer()
        bundle = writer.bundle()
        bundle.add(HERE, event(1))
        assert list(bundle.commit())
        writer.close()
        left = weakref.ref(writer)
        del writer, bundle
        assert left() is None
    finally:
        gc.enable()


def test_repeats_are_counted_and_change_nothing(sink: SqliteSink) -> None:
    write(sink, event(1, "first"), event(2))
    (receipt,) = write(sink, event(1, "second"), event(3), event(3))
    assert (receipt.given, receipt.written, receipt.repeated) == (3, 1, 2)
    assert query(sink, "SELECT event_n, event_text FROM S_1 ORDER BY 1") == [
        (1, "first"), (2, "t"), (3, "t"),
    ]  # fmt: skip


def test_rows_are_inserted_while_a_bundle_lasts(
    sink: SqliteSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_IN_MEMORY", 4)
    bundle = sink.writer().bundle()
    for n in range(10):
        bundle.add(HERE, event(n))
    assert query(sink, "SELECT COUNT(*) FROM S_1") == [(8,)]
    assert sum(receipt.written for receipt in bundle.commit()) == 10


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_values(sink: SqliteSink, text: str) -> None:
    write(sink, event(1, text))
    assert query(sink, "SELECT event_text FROM S_1") == [(text,)]


def test_names_of_schemas_are_made_names_of_tables(sink: SqliteSink) -> None:
    (receipt,) = write(sink, event(1), to=Destination("a.b/c-d", 3))
    assert receipt.where == "a_b_c_d_3"
    assert query(sink, "SELECT COUNT(*) FROM a_b_c_d_3") == [(1,)]


EDIT, LOWER, SLASH, FLAT = (Destination(name, 1) for name in ("Edit", "edit", "a/b", "a_b"))


def alike(tmp_path: Path, registry_of: Callable[..., Registry], *known: Destination) -> SqliteSink:
    made = SqliteSink(f"{tmp_path}/e.db", registry_of(dict.fromkeys(known, DOCUMENT)))
    made.prepare()
    return made


@pytest.mark.parametrize("order", permutations([EDIT, LOWER, SLASH, FLAT]))
def test_schemas_whose_names_are_alike_have_tables_of_their_own(
    order: tuple[Destination, ...], tmp_path: Path, registry_of: Callable[..., Registry]
) -> None:
    """Which are called how doesn't depend on who comes first."""
    sink = alike(tmp_path, registry_of, *order)
    names = {each: write(sink, event(1), to=each)[0].where for each in order}
    assert (names[EDIT], names[FLAT]) == ("Edit_1", "a_b_1")
    assert names[LOWER] == apart_table(LOWER) and names[SLASH] == apart_table(SLASH)
    assert {each: write(sink, event(2), to=each)[0].where for each in order[::-1]} == names


def test_a_table_keeps_its_name(tmp_path: Path, registry_of: Callable[..., Registry]) -> None:
    """Also one of the release before, which says nothing of its schema."""
    first = alike(tmp_path, registry_of, LOWER)
    assert write(first, event(1), to=LOWER)[0].where == "edit_1"
    both = alike(tmp_path, registry_of, EDIT, LOWER)
    assert write(both, event(2), to=EDIT)[0].where == apart_table(EDIT)
    assert write(both, event(2), to=LOWER)[0].where == "edit_1"
    query(both, "DROP TABLE edit_1")
    query(both, str(CreateTable(table(DOCUMENT, LOWER)).compile(dialect=sqlite.dialect())))
    assert write(both, event(3), to=LOWER)[0].where == "edit_1"
    assert write(both, event(3), to=EDIT)[0].where == apart_table(EDIT)


def test_a_property_that_came_without_a_new_revision_gets_its_column(
    sink: SqliteSink, registry_of: Callable[..., Registry]
) -> None:
    write(sink, event(1))
    more = {"properties": {**DOCUMENT["properties"], "a": {"properties": {"id": {}}}}}
    newer = SqliteSink(sink.path, registry_of({HERE: more}))
    new = event(2)
    new.data["event"]["a"] = {"id": "x"}
    for writing in (newer, sink, newer):
        write(writing, event(1), new)
    found = query(sink, "SELECT uuid, event_n, event_a_id, _rescued_data FROM S_1 ORDER BY 1")
    assert found == [(f"{1:032x}", 1, None, None), (f"{2:032x}", 2, "x", None)]
    (owner,) = query(sink, "SELECT sql FROM sqlite_master WHERE name = 'S_1'")
    assert owner_of(*owner) == HERE
    indexed = query(sink, "SELECT c.name FROM pragma_index_list('S_1') AS i "
                          "JOIN pragma_index_info(i.name) AS c")  # fmt: skip
    assert ("event_a_id",) in indexed


def test_a_column_that_may_be_of_another_property_is_left_alone(
    sink: SqliteSink, registry_of: Callable[..., Registry]
) -> None:
    """`a_b` has had the column that `a: {b}` would have in a new table."""
    text = {"type": "string"}
    old = {"properties": {"a_b": text, "c": text}}
    new = {"properties": {**old["properties"], "a": {"properties": {"b": text}}, "c_d": text}}

    def events(number: int, **values: Any) -> Event:
        found = event(number)
        found.data["event"] = values
        return found

    write(SqliteSink(sink.path, registry_of({HERE: old})), events(1, a_b="1", c="c"))
    newer = SqliteSink(sink.path, registry_of({HERE: new}))
    write(newer, events(2, a_b="2", a={"b": "b"}, c="c", c_d="d"))
    found = query(sink, "SELECT event_a_b, event_c, event_c_d, _rescued_data FROM S_1 ORDER BY id")
    rescued = '{"event.a.b":"b","event.a_b":"2"}'
    assert found == [("1", "c", None, None), (None, "c", "d", rescued)]
    query(sink, "DROP TABLE S_1")
    write(newer, events(3, a_b="3", a={"b": "b"}))
    found = query(sink, "SELECT event_a_b, event_a_b_2, _rescued_data FROM S_1")
    assert found == [("b", "3", None)], "a new table has both"


def test_a_property_that_became_another_type(
    tmp_path: Path, registry_of: Callable[..., Registry]
) -> None:
    """SQLite would make 7 of "007", and a text of 3, in the column that there is."""
    values: dict[str, Any] = {
        "integer": 5, "string": "007", "number": 2.5, "boolean": True, "any": "x"
    }  # fmt: skip
    for was, becomes in product(values, values):
        sink = SqliteSink(f"{tmp_path}/{was}-{becomes}.db", registry_of({}))
        for number, kind in enumerate((was, becomes)):
            new = event(number)
            new.data["event"] = {"x": values[kind]}
            registry = registry_of({HERE: {"properties": {"x": {"type": kind}}}})
            write(SqliteSink(sink.path, registry), new)
        (first, nothing), (x, rescued) = query(sink, "SELECT event_x, _rescued_data FROM S_1")
        assert (first, nothing) == (values[was], None)
        apart = was != becomes and {was, becomes} != {"string", "any"}
        assert (x, rescued) == (
            (None, f'{{"event.x":{json.dumps(values[becomes])}}}')
            if apart
            else (values[becomes], None)
        )


def test_values_without_a_column_are_rescued(sink: SqliteSink) -> None:
    """Where SQLite adds none: a table has 2,000 columns at most."""
    names = ", ".join(f"c{n}" for n in range(1992))
    query(
        sink,
        "CREATE TABLE S_1 (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, dt, timestamp, "
        f"userAgent, webHost, wiki, _rescued_data, {names})",
    )
    assert write(sink, event(1, "t"))[0].written == 1
    assert query(sink, "SELECT _rescued_data FROM S_1") == [('{"event.n":1,"event.text":"t"}',)]


def test_a_table_that_lacks_columns_is_told(sink: SqliteSink) -> None:
    query(sink, "CREATE TABLE S_1 (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, event_n INTEGER)")
    with pytest.raises(SinkError, match=r"table S_1 lacks .*event_text.*rename or drop it"):
        write(sink, event(1))


def test_two_workers_at_once(sink: SqliteSink) -> None:
    receipts: list[Receipt] = []

    def work(first: int) -> None:
        for at in range(first, first + 20):
            receipts.extend(write(sink, event(at), event(at + 1)))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query(sink, "SELECT COUNT(*), COUNT(DISTINCT uuid) FROM S_1") == [(31, 31)]
    assert sum(receipt.written for receipt in receipts) == 31
    assert sum(receipt.repeated for receipt in receipts) == 80 - 31


@pytest.mark.parametrize("what", ["garbage", "folder", "below a file"])
def test_what_is_no_database(tmp_path: Path, registry: Registry, what: str) -> None:
    path = tmp_path / "x.db"
    if what == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"garbage, no database" * 100)
    where = path / "e.db" if what == "below a file" else path
    with pytest.raises(SinkError, match="cannot write sqlite:") as caught:
        SqliteSink(str(where), registry).prepare()
    assert "\n" not in str(caught.value)


def test_a_database_that_breaks_under_way(sink: SqliteSink) -> None:
    write(sink, event(1))
    for path in Path(sink.path).parent.iterdir():
        path.write_bytes(b"garbage" * 1000)
    with pytest.raises(SinkError, match="sqlite:") as caught:
        write(sink, event(2))
    assert "\n" not in str(caught.value)


S, T, ERRORS = HERE, THERE, EVENT_ERROR


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (Choice(), {S, T, ERRORS}),
        (Choice(only=re.compile("S")), {S, ERRORS}),  # choosing schemas doesn't hide bad lines
        (Choice(only=re.compile("S$")), {S, ERRORS}),
        (Choice(only=re.compile("x")), {ERRORS}),
        (Choice(except_=re.compile("S")), {T, ERRORS}),
        (Choice(except_=re.compile("E")), {S, T}),
        (Choice(except_=re.compile("rror")), {S, T, ERRORS}),  # from the start of the name
        (Choice(only=re.compile("S|T"), except_=re.compile("T")), {S, ERRORS}),
        (Choice(errors=False), {S, T}),
        (Choice(events=False), {ERRORS}),
        (Choice(only=re.compile("EventError"), errors=False), set()),
    ],
)
def test_choices(choice: Choice, wanted: set[Destination]) -> None:
    assert {each for each in (S, T, ERRORS) if choice.wants(each)} == wanted


class _Picky(Sink, Writer, Bundle):
    """Refuses what has an `n` of 13."""

    def __init__(self) -> None:
        self.taken: list[tuple[Destination, Event]] = []

    def writer(self) -> Writer:
        return self

    def bundle(self) -> Bundle:
        return self

    def add(self, destination: Destination, event: Event) -> None:
        if event.data["event"].get("n") == 13:
            raise Rejected("13 brings bad luck", "event.n")
        self.taken.append((destination, event))

    def commit(self) -> list[Receipt]:
        return [Receipt("picky:", "s", *to, given=1, written=1) for to, _ in self.taken]

    def __str__(self) -> str:
        return "picky:"


def run(sink: Sink, choice: Choice, *routed: tuple[Destination, Event | BadEvent]) -> list[Receipt]:
    writing = _WriteFn(sink, choice)
    writing.setup()
    writing.start_bundle()
    for each in routed:
        writing.process(each)
    return [windowed.value for windowed in writing.finish_bundle()]


def test_what_a_sink_rejects_is_there_as_an_event_error() -> None:
    sink = _Picky()
    bad = BadEvent(LINE, Stage.PARSE, Reason.BAD_JSON, "m")
    receipts = run(
        sink,
        Choice(only=re.compile("S")),
        (S, event(1)),
        (S, event(13)),
        (T, event(2)),
        (ERRORS, bad),
    )
    assert [destination for destination, _ in sink.taken] == [S, ERRORS, ERRORS]
    error = sink.taken[1][1].data
    assert error["dt"] == "2019-03-10T07:00:00Z"  # the event's own time, not that of its receipt
    told = ("reason", "path", "message", "schema", "stage")
    assert {key: error["event"][key] for key in told} == {
        "reason": "row_rejected", "path": "event.n", "message": "13 brings bad luck",
        "schema": "S", "stage": "write",
    }  # fmt: skip
    names = ("given", "written", "rejected", "repeated", "filtered")
    books = [sum(getattr(r, name) for r in receipts) for name in names]
    assert books == [5, 3, 1, 0, 1]  # given = written + rejected + repeated + filtered
