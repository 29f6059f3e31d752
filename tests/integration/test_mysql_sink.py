"""The MySQL sink on MariaDB: the original's tables, what they hold, refuse and make of names."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from el_beam.connectors.contract import Selection
from el_beam.connectors.registry import store_of
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage
from schemas.event import Destination, Event, RawLine
from schemas.registry import Registry, open_registry
from schemas.storage.columns import RESCUED, folded_name
from schemas.storage.sql import layout
from schemas.storage.sql_rows import DoesNotFit, row
from schemas.storage.table_names import apart_table, table_name
from traffic.database import Database, event, write
from transforms.errors import SinkError

ROOT = Path(__file__).parents[2]
CATALOG = sorted((ROOT / "schemas" / "catalog").glob("*/*.json"))
ORACLE = ROOT / "tests" / "golden" / "oracle"
S = Destination("S", 1)
ERRORS = str(EVENT_ERROR)
Registries = Callable[..., Registry]


def document(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


SIMPLE = document(n={"type": "integer"}, text={"type": "string"})
AN_UUID = "F47ac10b-58cc-4372-a567-0e02b2c3d479"
UUID_V1 = "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"

# --- what the original made of a schema, written down anew from BEHAVIOUR 11

LONG = "varchar(1024)"
Columns = dict[str, tuple[str, bool]]  # name -> type, whether it has an index


def original(schema: Any, path: tuple[str, ...]) -> Columns:
    """The original's columns of a property."""
    found: Columns = {}
    if "properties" in schema:
        for key, value in schema["properties"].items():
            found |= original(value, (*path, key))
        return found
    kind, indexed = schema.get("type"), path[-1] in ("id", "timestamp")
    plain = {"boolean": "tinyint(1)", "integer": "bigint(20)", "number": "float"}
    made = plain.get(kind, LONG) if isinstance(kind, str) else LONG
    for key, told, rule in (
        ("pattern", UUID_V1, "char(38)"),
        ("format", "date-time", "datetime"),
        ("format", "uuid5-hex", "char(32)"),
    ):
        if schema.get(key) == told:
            made, indexed = rule, True
    return {"_".join(path): ("varchar(14)" if path[-1] == "timestamp" else made, indexed)}


CAPSULE: Columns = {
    **{"uuid": ("char(32)", True), "dt": ("datetime", True), "timestamp": ("varchar(14)", True)},
    **dict.fromkeys(("webHost", "wiki", "userAgent"), (LONG, False)),
}


def differs_as_stated(column: str, was: str, is_: str) -> bool:
    """The differences that docs/mysql.md lists."""
    if was == "datetime":
        return is_ == "datetime(6)" and column.startswith("event_")
    return was == LONG and is_ in ("text", "mediumtext")  # JSON, long texts, wide rows


@pytest.mark.parametrize("path", CATALOG, ids=lambda path: f"{path.parent.name}_{path.stem}")
def test_tables_of_the_catalog_are_the_originals(
    path: Path, database: Database, registry_of: Registries
) -> None:
    to, of = Destination(path.parent.name, int(path.stem)), json.loads(path.read_text())
    books = write(database.sink(registry_of({to: of})), [(to, event(1, event={}))])
    assert books["written"] == 1
    expected = CAPSULE | original(of if of.get("properties") else {}, ("event",))
    found = database.ask(f"SHOW COLUMNS FROM `{to}`")
    names = [name for name, *_ in found]
    assert found[0] == ("id", "int(11)", "NO", "PRI", None, "auto_increment")
    assert names[1] == "uuid" and names[-1] == RESCUED
    assert names[2:-1] == sorted({*expected} - {"uuid"}, key=lambda name: (name.count("_"), name))
    assert all(null == "YES" for _, _, null, *_ in found[1:])
    for name, kind, *_ in found[1:-1]:
        was = expected[name][0]
        assert kind == was or differs_as_stated(name, was, kind), (name, was, kind)
    indexes = [(column, bool(many)) for _, many, key, _, column, *_ in
               database.ask(f"SHOW INDEX FROM `{to}`") if key != "PRIMARY"]  # fmt: skip
    indexed = {name for name, (_, indexed) in expected.items() if indexed}
    assert sorted(indexes) == sorted((name, name != "uuid") for name in indexed)
    create = database.ask(f"SHOW CREATE TABLE `{to}`")[0][1]
    assert "ENGINE=InnoDB" in create and "CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci" in create


EVERY = document(
    b={"type": "boolean"},
    i={"type": "integer"},
    n={"type": "number"},
    s={"type": "string"},
    text={"type": "string", "maxLength": 5_000},
    huge={"type": "string", "maxLength": 100_000},
    t={"type": "string", "format": "date-time"},
    v1={"type": "string", "pattern": UUID_V1},
    hex={"type": "string", "format": "uuid5-hex"},
    a={"type": "array", "items": {"type": "string"}},
    j={"type": "any"},
    timestamp={"type": "number"},
    id={"type": "string"},
    o={"properties": {"deep": {"properties": {"i": {"type": "integer"}}}}},
)
VALUES: list[tuple[str, Any, Any]] = [
    *(("b", True, 1), ("b", False, 0)),
    *(("i", -(2**63), -(2**63)), ("i", 2**63 - 1, 2**63 - 1), ("i", 0, 0)),
    *(("n", 2.5, 2.5), ("n", -3.4028234e38, -3.4028234e38), ("n", 0.1, 0.1), ("n", 1e-45, 1e-45)),
    *(("s", "", ""), ("s", "😀" * 1024, "😀" * 1024), ("s", " a ", " a ")),
    *(("s", text, text) for text in ("it's \\ \" ` %s %(x)s", "\x00\n\r\x1a\t", "'; DROP TABLE S")),
    *(("text", "☆" * 5_000, "☆" * 5_000), ("huge", "☆" * 100_000, "☆" * 100_000)),
    ("t", "2019-03-10T09:09:07.25+02:00", "2019-03-10 07:09:07.250000"),
    ("t", "9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
    ("t", "1000-01-01T00:00:00Z", "1000-01-01 00:00:00"),
    ("v1", AN_UUID, AN_UUID),
    ("hex", "0" * 32, "0" * 32),
    *(("a", ["b", "☆"], '["b", "\\u2606"]'), ("j", {"z": 1}, '{"z": 1}'), ("j", "text", "text")),
    *(("timestamp", 1358791834, "20130121181034"), ("timestamp", 1358791834123, "20130121181034")),
    *(("id", "same", "same"), ("id", "same", "same")),  # no unique index
    ("o", {"deep": {"i": 7}}, 7),
]


def test_every_type_holds_its_extremes(database: Database, registry_of: Registries) -> None:
    events = [(S, event(n, event={key: value})) for n, (key, value, _) in enumerate(VALUES)]
    books = write(database.sink(registry_of({S: EVERY})), events)
    assert books == {"given": len(VALUES), "written": len(VALUES)}
    for found, (key, value, shown) in zip(database.rows("S_1"), VALUES, strict=True):
        column = "event_o_deep_i" if key == "o" else f"event_{key}"
        stored = found[column]
        if key == "n":
            assert stored == pytest.approx(shown, rel=1e-5, abs=1e-45)
        else:
            assert (str(stored) if key == "t" else stored) == shown, value
        others = {name for name, other in found.items() if other is not None} - {column}
        assert others - {RESCUED} == {"id", "uuid", "dt", "timestamp"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("s", "x" * 1025), ("text", "☆" * 30_000), ("i", 2**63), ("n", 1e39)),
        *(("t", "not-a-date"), ("t", "0999-01-01T00:00:00Z"), ("v1", "x" * 39), ("hex", "x" * 33)),
        *(("timestamp", "x"), ("j", "x" * 70_000), ("a", ["x" * 70_000])),
    ],
)  # fmt: skip
def test_a_value_too_large_makes_its_row_a_bad_event(
    key: str, value: Any, database: Database, registry_of: Registries
) -> None:
    events = [event(1), event(2, event={key: value}), event(3)]
    books = write(database.sink(registry_of({S: EVERY})), [(S, each) for each in events])
    assert books == {"given": 4, "written": 3, "rejected": 1}
    assert [found["uuid"][-1] for found in database.rows("S_1")] == ["1", "3"]
    (error,) = database.rows(ERRORS)
    assert (error["event_reason"], error["event_path"], error["event_schema"]) == (
        "row_rejected", f"event.{key}", "S",
    )  # fmt: skip
    assert error["event_rawEvent"] == "raw"


DEFAULTS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "b": ({"type": "boolean"}, True, 1),
    "i": ({"type": "integer"}, -1, -1),
    "n": ({"type": "number"}, 0.5, 0.5),
    "s": ({"type": "string"}, "none", "none"),
    "t": ({"type": "string", "format": "date-time"}, "2019-01-01", "2019-01-01 00:00:00"),
    "timestamp": ({"type": "integer"}, 0, "19700101000000"),
    "v1": ({"type": "string", "pattern": UUID_V1}, AN_UUID, AN_UUID),
    "hex": ({"type": "string", "format": "uuid5-hex"}, "0" * 32, "0" * 32),
    "a": ({"type": "array", "items": {"type": "string"}}, [], "[]"),
    "j": ({"type": "any"}, {"a": 1}, '{"a": 1}'),
    "id": ({"type": "string"}, "0", "0"),
    "bad": ({"type": "integer"}, "x", None),
}


def test_absent_values_are_null_or_the_default(database: Database, registry_of: Registries) -> None:
    optional = {key: schema | {"default": value} for key, (schema, value, _) in DEFAULTS.items()}
    of = document(**optional, plain={"type": "string"}, x={"type": "integer"})
    nulls: dict[str, Any] = dict.fromkeys(DEFAULTS)
    events = [(S, event(1, event={"x": 1})), (S, event(2, event=nulls | {"x": 1}))]
    assert write(database.sink(registry_of({S: of})), events)["written"] == 2
    absent, null = database.rows("S_1")
    for key, (*_, shown) in DEFAULTS.items():
        found = absent[f"event_{key}"]
        assert (str(found) if key == "t" else found) == shown
        assert null[f"event_{key}"] is None
    assert absent["event_plain"] is absent[RESCUED] is null[RESCUED] is None


def test_all_valid_events_of_the_oracle(database: Database) -> None:
    """Each column is what the pure function says; what can't be held is there as an EventError."""
    registry, by_schema = open_registry(str(ORACLE / "schemas")), defaultdict(list)
    with gzip.open(ORACLE / "valid.jsonl.gz", "rt") as lines:
        for number, line in enumerate(lines):
            data = json.loads(line)["event"]
            origin = event(number).line.origin
            made = Event(data, RawLine(line.encode()[:200], origin))
            by_schema[Destination(data["schema"], data["revision"])].append(made)
    sink = database.sink(registry)
    routed = [(to, each) for to, events in by_schema.items() for each in events]
    books = write(sink, routed)
    assert books["given"] - books["rejected"] == books["written"] == len(routed) == 19_170
    assert books["rejected"] == database.count(ERRORS) == 310
    for to, events in by_schema.items():
        convert, strict = row(registry.get(*to)), row(registry.get(*to), strict=True)
        found = {one["uuid"]: one for one in database.rows(str(to))}
        for each in events[::10]:
            if (stored := found.get(each.data["uuid"])) is None:
                with pytest.raises(DoesNotFit):  # a `ts` that is no time, an Infinity
                    strict(each.data)
                continue
            for name, value in convert(each.data).items():
                if isinstance(value, float):
                    assert stored[name] == pytest.approx(value, rel=1e-5)
                elif name == "dt":
                    assert stored[name] == value.replace(microsecond=0)
                else:
                    assert stored[name] == value, (to, name)
    again = write(sink, routed)
    assert again == {"given": books["given"], "rejected": 310, "repeated": 19_170}


def test_repeats_are_counted_and_change_nothing(
    database: Database, registry_of: Registries
) -> None:
    sink = database.sink(registry_of({S: SIMPLE}))
    first = [event(1, event={"text": "first"}), event(2), event(2)]
    assert write(sink, [(S, each) for each in first]) == {"given": 3, "written": 2, "repeated": 1}
    second = [event(n, split=f"s-{n % 2}", event={"text": "second"}) for n in range(1, 1_500)]
    assert write(sink, [(S, each) for each in second]) == {
        "given": 1_499, "written": 1_497, "repeated": 2,
    }  # fmt: skip
    texts = database.ask("SELECT event_text, COUNT(*) FROM S_1 GROUP BY 1 ORDER BY 1")
    assert texts == [(None, 1), ("first", 1), ("second", 1_497)]


def test_what_the_server_refuses_is_found_among_the_others(
    database: Database, registry_of: Registries
) -> None:
    """A table that somebody made narrower: only the server knows."""
    sink = database.sink(registry_of({S: SIMPLE}))
    write(sink, [(S, event(0))])
    database.ask("ALTER TABLE S_1 MODIFY event_text VARCHAR(5), MODIFY event_n TINYINT")
    wrong = {7, 8, 499, 500, 777}
    events = [event(n, event={"text": "too long"} if n in wrong else {"n": n % 100})
              for n in range(1, 1_001)]  # fmt: skip
    events[99] = event(100, event={"n": 1_000})
    books = write(sink, [(S, each) for each in events])
    assert books == {"given": 1_006, "written": 1_000, "rejected": 6}
    assert database.count("S_1") == 995
    errors = database.rows(ERRORS)
    assert {(each["event_origin"], each["event_path"]) for each in errors} == {
        *((f"a.log@{n}", "event.text") for n in wrong), ("a.log@100", "event.n"),
    }  # fmt: skip
    assert "Data too long for column 'event_text'" in errors[0]["event_message"]
    again = write(sink, [(S, each) for each in events])
    assert again == {"given": 1_006, "repeated": 1_000, "rejected": 6}


def test_an_event_error_is_cut_where_its_table_is_narrow(
    database: Database, registry_of: Registries
) -> None:
    sink = database.sink(registry_of({}))

    def bad(number: int) -> tuple[Destination, BadEvent]:
        line = event(number).line
        return EVENT_ERROR, BadEvent(line, Stage.PARSE, Reason.BAD_JSON, "m" * 1_000)

    write(sink, [bad(0)])
    database.ask(f"DELETE FROM {ERRORS}", f"ALTER TABLE {ERRORS} MODIFY event_message VARCHAR(300)")
    assert write(sink, [bad(number) for number in range(3)]) == {"given": 3, "written": 3}
    for error in database.rows(ERRORS):
        assert error["event_message"] == "m" * 248 and error["event_rawEvent"] == "raw"
    narrow = f"ALTER TABLE {ERRORS} MODIFY event_origin VARCHAR(3)"
    database.ask(f"DELETE FROM {ERRORS}", narrow)
    with pytest.raises(SinkError, match=f"table {ERRORS}: it can't hold an EventError"):
        write(sink, [bad(9)])


@pytest.mark.parametrize("mode", ["", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ALLOW_INVALID_DATES"])
def test_the_servers_own_mode_does_not_matter(
    mode: str, database: Database, registry_of: Registries
) -> None:
    before = database.ask("SELECT @@GLOBAL.sql_mode")[0][0]
    database.ask(f"SET GLOBAL sql_mode='{mode}'")
    try:
        sink = database.sink(registry_of({S: SIMPLE}))
        texts = ["it's \\", "\\'", '"', "a\nb", "\\0\x00"]
        write(sink, [(S, event(n, event={"text": text})) for n, text in enumerate(texts)])
        assert [found["event_text"] for found in database.rows("S_1")] == texts
        database.ask("ALTER TABLE S_1 MODIFY event_text VARCHAR(8)")
        writer = sink.writer()
        for _ in range(2):  # on the connection that was made first, and on the next
            bundle = writer.bundle()
            bundle.add(S, event(9, event={"text": "x" * 9}))
            bundle.settle()
            assert [each.error.path for each in bundle.rejected()] == ["event.text"]
            database.ask(*(
                f"KILL {number}" for (number,) in database.ask(
                    "SELECT id FROM information_schema.processlist"
                    " WHERE db = DATABASE() AND id != CONNECTION_ID()"
                )
            ))  # fmt: skip
        writer.close()
    finally:
        database.ask(f"SET GLOBAL sql_mode='{before}'")


def test_rows_beyond_the_packet_are_bad_events(database: Database, registry_of: Registries) -> None:
    database.ask("SET GLOBAL max_allowed_packet=65536")
    try:
        of = document(text={"type": "string", "maxLength": 200_000})
        sizes = [10, 60_000, 70_000, 5_000, 30_000, 30_000, 65_000, 150_000, 1]
        events = [(S, event(n, event={"text": "x" * size})) for n, size in enumerate(sizes)]
        books = write(database.sink(registry_of({S: of})), events)
        stored = {int(found["uuid"], 16) for found in database.rows("S_1")}
        assert {n for n, size in enumerate(sizes) if size < 63_000} == stored
        assert books == {"given": 12, "written": 9, "rejected": 3}
    finally:
        database.ask("SET GLOBAL max_allowed_packet=16777216")


def test_ip_is_never_stored_and_the_user_agent_is_json(
    database: Database, registry_of: Registries
) -> None:
    agent = {"browser_family": "Chrome", "is_bot": False, "os_minor": None}
    events = [event(1, ip="203.0.113.77", userAgent=agent, recvFrom="cp1", seqId=5, topic="t")]
    write(database.sink(registry_of({S: SIMPLE})), [(S, each) for each in events])
    (found,) = database.rows("S_1")
    assert "203.0.113.77" not in str(found) and not {"ip", "recvFrom", "seqId", "topic"} & {*found}
    assert json.loads(found["userAgent"]) == agent
    assert database.ask("SELECT JSON_VALUE(userAgent, '$.browser_family') FROM S_1") == [
        ("Chrome",)
    ]


def test_bots(database: Database, registry_of: Registries) -> None:
    agents = [{"is_bot": True}, {"is_bot": False}, None]
    events = [(S, event(n, userAgent=agent)) for n, agent in enumerate(agents)]
    assert write(database.sink(registry_of({S: SIMPLE}), "?bots=drop"), events) == {
        "given": 3, "written": 2, "filtered": 1,
    }  # fmt: skip
    assert write(database.sink(registry_of({S: SIMPLE})), events)["written"] == 1


HOSTILE = [
    *('"', "'", "`", "``", '""', "a;DROP TABLE S_1;--", "a.b", "a_b", "A_B", "a b", "%(x)s", "%s"),
    *("%%", ":x", "?", "é", "É", "è", "e", "ключ", "🦆", "select", "values", "VALUES (%s)"),
    *("x" * 100, "x" * 101, "", " ", "a ", "a\x00", "a\x01", "\n", "\ud83e", "[a]", "(a)"),
    *("_rescued_data", "id", "uuid", "ON DUPLICATE KEY UPDATE", "row_start", "primary"),
    *("ß", "ẞ", "ſ", "K", "k", "ǆ", "ǅ", "i", "İ", "ı", "I", "Σ", "ς", "σ", "－", "a\\", "\\"),
    *("\u200b", "\uffff"),
]  # fmt: skip


def test_hostile_names(database: Database, registry_of: Registries) -> None:
    of = document(**{key: {"type": "integer"} for key in HOSTILE})
    of["properties"]["a"] = document(b={"type": "integer"}, B={"type": "integer"})
    values: dict[str, Any] = {key: number for number, key in enumerate(HOSTILE)}
    told = values | {"a": {"b": 1_000, "B": 1_001}}
    assert write(database.sink(registry_of({S: of})), [(S, event(1, event=told))])["written"] == 1
    (found,) = database.rows("S_1")
    for column in layout(of):
        if len(column.path) == 2:
            assert found[column.name] == values[column.path[1]]
    assert found[RESCUED] is None
    assert {name for (name,) in database.ask("SHOW TABLES")} == {"S_1"}
    (read,) = store_of(database.uri).events(Selection(), ("event.%s", "event.values"))
    assert read.values == (values["%s"], values["values"]) and read.place == "S_1@1"


def test_letters_that_are_the_same_to_the_server_clash(database: Database) -> None:
    """All that names may have: it is by these weights that it looks columns up."""
    weights = database.ask(
        "SELECT seq, HEX(WEIGHT_STRING(CONVERT(CHAR(seq USING ucs2) USING utf8mb3)"
        " COLLATE utf8mb3_general_ci)) FROM seq_1_to_65535 WHERE seq NOT BETWEEN 55296 AND 57343"
    )
    same = defaultdict(set)
    for code, weight in weights:
        same[weight].add(folded_name(chr(code)))
    assert len(same) > 60_000 and all(len(folded) == 1 for folded in same.values())


KEYS = st.text(st.characters(), max_size=70).filter(lambda key: key not in ("timestamp", "id"))


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(keys=st.lists(KEYS, unique=True, min_size=8, max_size=30))
def test_any_name_makes_a_column(
    keys: list[str], database: Database, registry_of: Registries
) -> None:
    database.ask("DROP TABLE IF EXISTS S_1")
    of = document(**{key: {"properties": {key: {"type": "integer"}}} for key in keys})
    told = {key: {key: number} for number, key in enumerate(keys)}
    assert write(database.sink(registry_of({S: of})), [(S, event(1, event=told))])["written"] == 1
    (found,) = database.rows("S_1")
    values = {value for name, value in found.items() if name.startswith("event")}
    assert values == set(range(len(keys))) and found[RESCUED] is None


@pytest.mark.parametrize("pair", [("a/b", "a_b"), ("edit", "Edit")])
def test_a_table_belongs_to_one_schema(
    pair: tuple[str, str], database: Database, registry_of: Registries
) -> None:
    """`a/b` and `a_b` have one name as tables, and some servers don't distinguish `Edit` from
    `edit`: who comes first plays no part."""
    apart, plain = (Destination(name, 1) for name in pair)
    sink = database.sink(registry_of({apart: SIMPLE, plain: SIMPLE}))
    assert write(sink, [(apart, event(1))])["written"] == 1
    assert write(sink, [(plain, event(2)), (apart, event(3))])["written"] == 2
    assert [found["event_n"] for found in database.rows(apart_table(apart))] == [1, 3]
    assert [found["event_n"] for found in database.rows(table_name(*plain))] == [2]


def test_a_table_keeps_its_name(database: Database, registry_of: Registries) -> None:
    upper, lower = Destination("Edit", 1), Destination("edit", 1)
    alone = database.sink(registry_of({lower: SIMPLE}))
    assert write(alone, [(lower, event(1))])["written"] == 1
    both = database.sink(registry_of({upper: SIMPLE, lower: SIMPLE}))
    assert write(both, [(upper, event(2)), (lower, event(3))])["written"] == 2
    assert [found["event_n"] for found in database.rows("edit_1")] == [1, 3]
    slash, flat = Destination("a/b", 1), Destination("a_b", 1)
    assert write(database.sink(registry_of({slash: SIMPLE})), [(slash, event(1))])["written"] == 1
    both = database.sink(registry_of({slash: SIMPLE, flat: SIMPLE}))
    assert write(both, [(flat, event(2)), (slash, event(3))])["written"] == 2
    assert [found["event_n"] for found in database.rows("a_b_1")] == [1, 3]
    assert [found["event_n"] for found in database.rows(apart_table(flat))] == [2]


WIDE: dict[str, dict[str, dict[str, Any]]] = {
    "200 texts": {f"p{n:03}": {"type": "string"} for n in range(200)},
    "1000 booleans": {f"p{n:03}": {"type": "boolean"} for n in range(1_000)},
    "100 times": {f"p{n:03}": {"type": "string", "format": "date-time"} for n in range(100)},
    "40 uuids": {f"p{n:03}": {"type": "string", "pattern": UUID_V1} for n in range(60)},
    "70 stamps": {f"p{n:03}": {"properties": {"timestamp": {"type": "any"}}} for n in range(200)},
    "mixed": {
        f"p{n:03}": {"type": kind, "maxLength": 9_000}
        for n, kind in enumerate(["string", "integer", "array", "boolean"] * 60)
    },
}
FILL = {"string": "☆" * 1024, "boolean": True, "integer": -(2**63), "array": ["x" * 1_000]}


@pytest.mark.parametrize("name", WIDE)
def test_wide_schemas_have_a_table(name: str, database: Database, registry_of: Registries) -> None:
    """Every column is full: what InnoDB accepts as a table it must accept as a row."""
    of = document(**WIDE[name])
    full: dict[str, Any] = {}
    for key, schema in WIDE[name].items():
        value = FILL.get(schema.get("type", ""), {"timestamp": 1358791834})
        value = "2019-03-10T09:09:07.25+02:00" if "format" in schema else value
        full[key] = AN_UUID if "pattern" in schema else value
    books = write(database.sink(registry_of({S: of})), [(S, event(1, event=full)), (S, event(2))])
    assert books == {"given": 2, "written": 2}
    found, _ = database.rows("S_1")
    columns = [column for column in layout(of) if column.path[0] == "event"]
    assert all(found[column.name] is not None for column in columns)
    beyond = {f"event.{key}" for key in full} - {f"event.{column.path[1]}" for column in columns}
    assert {
        path.removesuffix(".timestamp") for path in json.loads(found[RESCUED] or "{}")
    } == beyond
