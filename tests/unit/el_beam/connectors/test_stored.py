"""What is stored comes back: from every end the same events, and only those that are wanted."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_broker import FakeBroker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from el_beam.connectors.contract import Selection, Store, StoredError, StoredEvent, selection_of
from el_beam.connectors.registry import store_of
from schemas.bad_event import event_error
from schemas.capsule import event_time, uuid5_hex
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import Registry
from schemas.storage.table_names import table_name
from transforms.layout import hour_name
from transforms.parse import line_parser
from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
from transforms.write.files import FileSink, publish
from transforms.write.sink import Sink
from transforms.write.tables import SqliteSink

DOCUMENT = {"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}
SCHEMAS = [Destination("S", 1), Destination("S", 21), Destination("a.b/c-d", 3)]
HOURS = ["2018-12-31T23", "2019-03-09T23", "2019-03-10T00", "2019-03-10T07", "2019-03-11T00"]
RECEIPT = 1_552_200_000.0
ENDS = ("parquet", "jsonl", "sqlite", "kafka")
Made = tuple[Destination, dict[str, Any]]


def made(number: int, to: Destination, dt: str, value: Any) -> Made:
    return to, {
        "schema": to.schema, "revision": to.revision, "uuid": uuid5_hex(f"{number}"), "dt": dt,
        "wiki": "w", "event": {"n": value},
    }  # fmt: skip


TIMES = st.builds(
    lambda hour, rest: hour + rest,
    st.sampled_from(HOURS), st.sampled_from([":00:00Z", ":59:59Z", ":30:00+00:00", ":59:59.999Z"]),
)  # fmt: skip
VALUES = st.sampled_from([0, -1, 2**63 - 1, "no number", 1.5, None])
EVENTS = st.lists(st.tuples(st.sampled_from(SCHEMAS), TIMES, VALUES), max_size=12).map(
    lambda found: [made(number, *each) for number, each in enumerate(found)]
)
BOUNDS = st.sampled_from([None, *HOURS, *{hour[:10] for hour in HOURS}])


class Stores:
    """Ends that hold given events."""

    def __init__(self, folder: Path, registry: Registry, stack: ExitStack) -> None:
        self.folder, self.registry, self.stack = folder, registry, stack

    def end(self, scheme: str, events: list[Made], name: str = "x") -> Store:
        if scheme == "kafka":
            records: dict[str, list[bytes]] = {"t": []}
            for to, data in events:
                records.setdefault(f"e_{to.revision}", []).append(json.dumps(data).encode())
            return self.topics(records)
        path = f"{self.folder}/{name}"
        sink: Sink
        if scheme == "sqlite":
            sink = SqliteSink(path, self.registry)
        else:
            parquet = ParquetEncoding(self.registry)
            sink = FileSink(
                scheme, path, parquet if scheme == "parquet" else JsonLinesEncoding(), "j"
            )
        sink.prepare()
        writer = sink.writer()
        bundle = writer.bundle()
        for number, (to, data) in enumerate(events):
            line = RawLine(b"line", Origin("file", "a.log", number, RECEIPT, f"a-{number % 2}"))
            bundle.add(to, Event(data, line))
        publish([receipt.file for receipt in bundle.commit() if receipt.file])
        writer.close()
        return store_of(f"{scheme}:{path}")

    def topics(self, records: Mapping[str, list[bytes]], which: str = "pattern=^e_.*|t") -> Store:
        parts = {name: [each, []] for name, each in records.items()}
        self.stack.enter_context(FakeBroker(parts, first=10, time=RECEIPT).at("host:1"))
        return store_of(f"kafka://host:1/?{which}")


@pytest.fixture
def registry(registry_of: Callable[..., Registry]) -> Registry:
    return registry_of(dict.fromkeys(SCHEMAS, DOCUMENT))


@pytest.fixture
def store(tmp_path: Path, registry: Registry) -> Iterator[Stores]:
    with ExitStack() as stack:
        yield Stores(tmp_path, registry, stack)


def named(scheme: str, to: Destination) -> str:
    return table_name(*to) if scheme == "sqlite" else str(to)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, BOUNDS, BOUNDS, st.sampled_from([None, "S_", "S_1$", "a.b"]), st.data())
def test_every_end_gives_what_is_wanted(
    tmp_path_factory: pytest.TempPathFactory, registry: Registry, events: list[Made],
    first: str | None, last: str | None, schema: str | None, data: st.DataObject,
) -> None:  # fmt: skip
    if first and last and first[:10] > last[:10]:
        first, last = last, first
    try:
        wanted = selection_of(first, last, schema)
    except StoredError:  # hours of one day
        wanted = selection_of(last, first, schema)
    scheme = data.draw(st.sampled_from(ENDS))
    with ExitStack() as stack:
        store = Stores(tmp_path_factory.mktemp("store"), registry, stack)
        found = list(store.end(scheme, events).events(wanted, ("event.n", "wiki")))
    expected = {
        (named(scheme, to), hour, made["uuid"], made["event"]["n"], "w")
        for to, made in events
        if (wanted.first <= (hour := hour_name(int(event_time(made, 0) // 3600))))
        and (not wanted.last or hour[: len(wanted.last)] <= wanted.last)
        and (schema is None or re.match(schema, named(scheme, to)))
    }
    assert {(each.schema, each.hour, each.uuid, *each.values) for each in found} == expected
    assert len(found) == len(expected)
    assert len({each.place for each in found}) == len(found)


@pytest.mark.parametrize("scheme", ENDS)
def test_one_by_its_uuid(store: Stores, scheme: str) -> None:
    events = [made(number, SCHEMAS[0], f"{HOURS[0]}:00:00Z", number) for number in range(5)]
    events[4][1]["uuid"] = "no uuid of ours ' \x00"
    end = store.end(scheme, events)
    for number in (3, 4):
        uuid = events[number][1]["uuid"]
        (found,) = end.events(Selection(uuid=uuid), ("event.n",))
        assert (found.uuid, found.values) == (uuid, (number,))
    assert list(end.events(Selection(uuid="f" * 32))) == []


def test_hours_that_are_not_wanted_are_not_looked_at(store: Stores) -> None:
    events = [made(number, SCHEMAS[0], f"{hour}:00:00Z", 0) for number, hour in enumerate(HOURS)]
    end = store.end("parquet", events)
    for path in Path(end.root).rglob("hour=07/*.parquet"):
        path.write_bytes(b"damaged")
    found = list(end.events(Selection(first="2019-03-10T08")))
    assert [each.hour for each in found] == ["2019-03-11T00"]
    assert len(list(end.events(Selection(last="2019-03-10T06")))) == 3
    with pytest.raises(StoredError, match=r"cannot read .*hour=07/a-.*\.parquet: "):
        list(end.events(Selection(first="2019-03-10", last="2019-03-10")))


def test_what_is_no_data_is_passed_over(store: Stores, tmp_path: Path) -> None:
    end = store.end("jsonl", [made(1, SCHEMAS[0], f"{HOURS[0]}:00:00Z", 0)])
    (file,) = Path(end.root).rglob("*.jsonl.gz")
    for name in ("_SUCCESS", ".hidden.jsonl.gz", "_x.jsonl.gz", "other.parquet", "README"):
        (file.parent / name).write_bytes(b"nothing")
    for folder in ("_temporary/S_1", ".S_1", "S", "S_1/hour=07", "S_1/year=x"):
        (tmp_path / "x" / folder).mkdir(parents=True)
    assert len(list(end.events(Selection()))) == 1


def test_a_row_without_a_time(store: Stores) -> None:
    """Nobody knows its hour: it is wanted where all are."""
    to, data = made(1, SCHEMAS[0], "", 0)
    del data["dt"]
    end = store.end("sqlite", [(to, data), made(2, to, f"{HOURS[0]}:00:00Z", 0)])
    assert sorted(each.hour for each in end.events(Selection())) == ["", HOURS[0]]
    assert [each.hour for each in end.events(Selection(first="2000-01-01"))] == [HOURS[0]]


def test_tables_of_others(store: Stores) -> None:
    """Other tables are passed over; names are quoted; one of EventLogging's own has no rescued."""
    end = store.end("sqlite", [made(1, SCHEMAS[0], f"{HOURS[0]}:00:00Z", 0)])
    hostile = 'x"; DROP TABLE S_1; --%s:n_1'
    quoted = hostile.replace('"', '""')
    with sqlite3.connect(store.folder / "x") as database:
        database.execute("CREATE TABLE other_1 (id INTEGER, uuid TEXT)")
        database.execute(f'CREATE TABLE "{quoted}" (id INTEGER, uuid TEXT, dt DATETIME)')
        database.execute(f"INSERT INTO \"{quoted}\" VALUES (7, 'u', '2019-03-10 07:00:00')")
    found = list(end.events(Selection(), ("event.n",)))
    assert [each.schema for each in found] == ["S_1", hostile]
    assert found[1] == StoredEvent(hostile, "2019-03-10T07", hostile, 7, "u", (None,))


def test_records_that_are_no_events_are_what_an_import_makes_of_them(store: Stores) -> None:
    records = [
        b"", b"{", b"[]", b"\xff", b'{"schema": "S", "revision": 1}', b'{"uuid": "x"}',
        b'{"uuid": "y", "schema": "S", "revision": true}',
        b'{"uuid": 7, "schema": [], "revision": 1}',
        b'{"uuid": "z", "meta": {"schema_uri": "S/21"}}',
    ]  # fmt: skip
    found = list(store.topics({"t": records}, "topics=t").events(Selection(), ("event.reason",)))
    assert [each.number for each in found] == [*range(10, 19)]
    assert {each.where for each in found} == {"t/0"}
    schemas = [each.schema.partition("_")[0] for each in found]
    assert schemas == [*["EventError"] * 4, "S", "EventError", "S", "EventError", "S"]
    for number in (0, 5):
        line = RawLine(records[number], Origin("kafka", "t/0", 10 + number, RECEIPT, "t"))
        assert found[number].uuid == uuid5_hex(f"eventerror://{line.identity}")
    outcome = line_parser("json")(RawLine(b"{", Origin("kafka", "t/0", 11, RECEIPT, "t")))
    assert not isinstance(outcome, Event)
    assert found[1].uuid == event_error(outcome).data["uuid"]
    assert found[1].values == ("bad_json",)


def test_a_raw_archive_holds_lines(tmp_path: Path) -> None:
    sink = FileSink("raw", f"{tmp_path}/S_1", RawEncoding(), "j")
    bundle = sink.writer().bundle()
    line = RawLine(b"line", Origin("file", "a.log", 0, RECEIPT, "a-0"))
    bundle.add(SCHEMAS[0], Event({}, line))
    publish([receipt.file for receipt in bundle.commit() if receipt.file])
    with pytest.raises(StoredError, match="no column uuid, so it has no events"):
        list(store_of(f"parquet:{tmp_path}").events(Selection()))


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("nope:x", "unknown store nope: there are jsonl: kafka: mysql: parquet: sqlite:"),
        ("/x", "has no scheme"),
        ("parquet:", "has no path"),
        ("parquet:/nowhere/at/all", "nothing is there"),
        ("sqlite:/nowhere/at/all", "nothing is there"),
        ("sqlite:hdfs://h:1/x", "a database is a local file"),
        ("jsonl:s3://b/x", "no file system s3://"),
        ("jsonl:mysql://el@h/log", "these are tables, not files: see `el mysql`"),
        ("jsonl:x?split=1", "has no parameter split"),
        ("kafka://h:1/", "must have topics=a,b or pattern="),
        ("kafka://h:1/?topics=", "topics is empty"),
        ("kafka://h:1/?topics=a&pattern=b", "must have topics=a,b or pattern="),
        ("kafka://h:1/?pattern=(", "pattern is not a regular expression"),
        ("kafka://h/?topics=a", "is not a broker"),
        ("kafka://h:1/?topics=a&group=g", "has no parameter group"),
    ],
)  # fmt: skip
def test_ends_that_are_refused(uri: str, told: str) -> None:
    with pytest.raises(StoredError, match=re.escape(told)):
        store_of(uri)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("7", None, None), "--from '7' is not an hour"),
        (("", None, None), "--from '' is not an hour"),
        ((None, "2019-02-30", None), "--to '2019-02-30' is not an hour"),
        ((None, "2019-02-28T24", None), "--to '2019-02-28T24' is not an hour"),
        (("2019-02-28T07", "2019-02-28T06", None), "--from 2019-02-28T07 is after --to"),
        (("2019-03", None, None), "is not an hour"),
        ((None, None, "("), "--schema '(' is not a regular expression"),
    ],
)  # fmt: skip
def test_options_that_are_refused(options: tuple[str | None, ...], told: str) -> None:
    with pytest.raises(StoredError, match=re.escape(told)):
        selection_of(*options)


def test_the_last_hour_of_all_times() -> None:
    _, last = Selection(last="9999-12-31").times()
    assert last and last.isoformat() == "9999-12-31T23:59:59.999999"


def test_what_cannot_be_read(store: Stores, tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("x" * 5_000)
    with pytest.raises(StoredError, match=r"sqlite:.*no\.db: file is not a database"):
        list(store_of(f"sqlite:{tmp_path}/no.db").events(Selection()))
    with pytest.raises(StoredError, match=r"jsonl:.*no\.db: .*Not a directory"):
        list(store_of(f"jsonl:{tmp_path}/no.db").events(Selection()))
    for which in ("topics=t,nope", "pattern=nope"):
        with pytest.raises(StoredError, match="there is no topic nope at the brokers"):
            list(store.topics({"t": []}, which).events(Selection()))
