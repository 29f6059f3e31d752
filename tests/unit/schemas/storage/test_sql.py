"""Events as rows: the original's tables, and what happens to what they can't hold."""

import gzip
import json
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from schemas.bad_event import EVENT_ERROR
from schemas.capsule import uuid5_hex
from schemas.event import Destination
from schemas.registry import CATALOG
from schemas.storage import sql
from schemas.storage.columns import RESCUED
from schemas.storage.sql import create_table_sql, insert_ignoring_repeats, layout, table
from schemas.storage.sql_rows import DoesNotFit, row
from schemas.storage.table_names import table_name

ORACLE = Path(__file__).resolve().parents[3] / "golden" / "oracle"
GOLDEN = json.loads((ORACLE / "golden.json").read_text())

HERE = Destination("Test", 1)
UUID = "babb66f34a0a5de3be0c6513088be33e"
DT = "2019-03-10T07:09:07Z"


def document(**properties: Any) -> dict[str, Any]:
    return {"properties": properties}


def stored(of: dict[str, Any], *events: dict[str, Any]) -> list[dict[str, Any]]:
    """What SQLite has after the events were inserted into a new table."""
    engine = sa.create_engine("sqlite://")
    made, convert = table(of, HERE), row(of)
    with engine.begin() as connection:
        made.create(connection)
        insert = insert_ignoring_repeats(made)
        connection.execute(insert, [convert(event) for event in events])
        found = connection.exec_driver_sql(f'SELECT * FROM "{made.name}" ORDER BY id')
        return [dict(one) for one in found.mappings()]


def one(of: dict[str, Any], event: Any, **capsule: Any) -> tuple[dict[str, Any], Any]:
    """The stored row of an event, and what of it was rescued."""
    (found,) = stored(of, {"event": event, "uuid": UUID, "dt": DT, **capsule})
    return found, json.loads(found[RESCUED] or "null")


def types(of: dict[str, Any]) -> dict[str, str]:
    """Column name -> type as MySQL is told."""
    text = create_table_sql(table(of, HERE))
    found = re.findall(r"^\t`?([^`\n]*?)`? ([A-Z]+(?:\(\d+\))?)", text, flags=re.M)
    return {name: kind for name, kind in found if name not in ("PRIMARY", "UNIQUE")}


def test_the_original_row() -> None:
    (fact,) = GOLDEN["tests"]["sql"]
    event, expected = fact["input"], fact["expect"]["ok"]
    deep = {"type": "object", "properties": {"pi": {"type": "number"}}}
    of = document(
        value={"type": "string"},
        nested={"type": "object", "properties": {"deeplyNested": deep}},
        list={"type": "array", "items": {"type": "string"}},
    )
    made = table(of, Destination(event["topic"], event["revision"]))
    assert made.name == expected["table"]
    (found,) = stored(of, event)
    fraction = json.loads(found.pop(RESCUED))
    assert list(found) == expected["columns"]
    assert found == expected["row"]
    assert fraction == {"dt": event["dt"], "timestamp": event["timestamp"]}


@pytest.mark.parametrize("fact", GOLDEN["observed"]["table_name"])
def test_table_names(fact: dict[str, Any]) -> None:
    event = fact["input"]
    meta = event.get("meta", {})
    name = event.get("topic") or meta.get("topic") or event["schema"]
    revision = event.get("revision") or int(meta["schema_uri"].split("/")[-1])
    assert table_name(name, revision) == fact["expect"]["ok"]


def test_table_names_that_no_database_takes() -> None:
    assert table_name("sqlite_master", 1) == "_sqlite_master_1"
    assert len(table_name("a" * 63, 10**9)) == 64
    assert table_name("a" * 63, 10**9) != table_name("a" * 63, 10**9 + 1)


def test_types_of_mysql() -> None:
    of = document(
        b={"type": "boolean"},
        i={"type": "integer"},
        n={"type": "number"},
        s={"type": "string"},
        t={"type": "string", "format": "date-time"},
        a={"type": "array", "items": {"type": "string"}},
        u={"type": ["string", "integer"]},
        v1={"type": "string", "pattern": "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$"},
        hex={"type": "string", "format": "uuid5-hex"},
        text={"type": "string", "maxLength": 5000},
        huge={"type": "string", "maxLength": 100_000},
        id={"type": "string"},
        o={"properties": {"timestamp": {"type": "integer"}}},
    )
    assert types(of) == {
        **{"id": "INTEGER", "uuid": "CHAR(32)", "dt": "DATETIME", "timestamp": "VARCHAR(14)"},
        **{"userAgent": "TEXT", "webHost": "VARCHAR(1024)", "wiki": "VARCHAR(1024)"},
        **{"event_a": "TEXT", "event_b": "BOOL", "event_hex": "CHAR(32)", "event_i": "BIGINT"},
        **{"event_huge": "MEDIUMTEXT", "event_id": "VARCHAR(1024)", "event_n": "FLOAT"},
        **{"event_s": "VARCHAR(1024)", "event_t": "DATETIME(6)", "event_text": "TEXT"},
        **{"event_u": "TEXT", "event_v1": "CHAR(38)", "event_o_timestamp": "VARCHAR(14)"},
        RESCUED: "MEDIUMTEXT",
    }
    text = create_table_sql(table(of, HERE))
    assert "ENGINE=InnoDB" in text and "utf8mb4" in text and text.count("UNIQUE") == 1
    indexed = re.findall(r"^\tKEY `.*` \((.*?)\),?$", text, flags=re.M)
    assert sorted(indexed) == [
        *("`dt`", "`event_hex`", "`event_id`(191)", "`event_o_timestamp`", "`event_t`"),
        *("`event_v1`", "`timestamp`"),
    ]
    nullable = {column.name for column in table(of, HERE).columns if column.nullable}
    assert nullable == {column.name for column in table(of, HERE).columns} - {"id"}


def test_types_of_sqlite() -> None:
    of = document(n={"type": "number"}, b={"type": "boolean"})
    text = str(CreateTable(table(of, HERE)).compile(dialect=sqlite.dialect()))
    assert 'event_n" REAL' in text and 'event_b" BOOLEAN' in text and "AUTOINCREMENT" in text


def test_order_is_uuid_then_underscores_then_name() -> None:
    inner = {"properties": {"a": {"type": "string"}}}
    names = [column.name for column in layout(document(z=inner, B={}, a={}, a_a={}))]
    first = ["uuid", "dt", "timestamp", "userAgent", "webHost", "wiki"]
    assert names == [*first, "event_B", "event_a", "event_a_a", "event_z_a"]


def test_repeats_are_left_alone() -> None:
    of = document(s={"type": "string"})
    events = [{"uuid": UUID, "event": {"s": text}} for text in ("first", "second")]
    assert [found["event_s"] for found in stored(of, *events)] == ["first"]


PAGE = document(
    **{"page.id": {"type": "integer"}, "s": {"type": "string"}, "n": {"type": "number"}}
)


def test_dots_stay_in_names() -> None:
    assert one(PAGE, {"page.id": 7})[0]["event_page.id"] == 7


ANY = document(
    b={"type": "boolean"},
    i={"type": "integer"},
    n={"type": "number"},
    s={"type": "string"},
    t={"type": "string", "format": "date-time"},
    a={"type": "array", "items": {"type": "string"}},
    j={"type": "any"},
    timestamp={"type": "number"},
    text={"type": "string", "maxLength": 5000},
)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("b", True, 1),
        ("i", -5, -5),
        ("n", 5, 5.0),
        ("s", "☆", "☆"),
        ("s", "x" * 1024, "x" * 1024),
        ("s", "☆" * 1024, "☆" * 1024),
        ("text", "☆" * 5000, "☆" * 5000),
        ("t", "2019-03-10T09:09:07.25+02:00", "2019-03-10 07:09:07.250000"),
        ("t", "2019-03-10", "2019-03-10 00:00:00.000000"),
        ("t", "20190310070907", "2019-03-10 07:09:07.000000"),
        ("t", "2019-03-10 07:09:07.500000000 UTC", "2019-03-10 07:09:07.500000"),
        ("n", 3.4028234e38, 3.4028234e38),
        ("a", ["b", "☆"], '["b", "\\u2606"]'),
        ("a", [{"z": 1, "a": None}], '[{"a": null, "z": 1}]'),
        ("j", {"z": 1, "a": 2}, '{"a": 2, "z": 1}'),
        ("j", "text", "text"),
        ("j", 5, "5"),
        ("timestamp", 1358791834, "20130121181034"),
        ("timestamp", 1358791834000, "20130121181034"),
        ("timestamp", "2013-01-21T18:10:34Z", "20130121181034"),
    ],
)
def test_what_fits(key: str, value: Any, shown: Any) -> None:
    found, rescued = one(ANY, {key: value})
    assert found[f"event_{key}"] == shown and rescued is None


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("b", 1, None),
        ("i", 1.5, None),
        ("i", True, None),
        ("i", 2**63, None),
        ("n", 1e39, None),
        ("n", 10**400, None),
        ("n", True, None),
        ("n", 2**53 + 1, 2.0**53),
        ("n", -1e-50, -1e-50),  # 0 in a FLOAT
        ("t", "2019-03-10T07:00:00.1234567Z", "2019-03-10 07:00:00.123456"),
        ("t", "Tuesday", "1970-01-06 00:00:00.000000"),
        ("t", "10:30", "1970-01-01 10:30:00.000000"),
        ("t", "2019-03", "2019-03-01 00:00:00.000000"),
        ("t", "2019-03-10 07:00:00 PST", "2019-03-10 07:00:00.000000"),
        ("timestamp", "5", "19700105000000"),
        ("s", "x" * 1025, None),
        ("s", "\ud83e", None),
        ("s", 5, None),
        ("text", "☆" * 30_000, None),
        ("text", "x" * 70_000, None),
        ("t", "not-a-date", None),
        ("t", "0001-01-01T00:00:00+14:00", None),
        ("t", "0999-01-01", None),
        ("t", 5, None),
        ("a", "b", None),
        ("a", ["x" * 70_000], None),
        ("j", "5", "5"),
        ("j", "x" * 70_000, None),
        ("timestamp", 1358791834912, "20130121181034"),
        ("timestamp", 1e300, None),
        ("timestamp", True, None),
        ("timestamp", [1], None),
        ("other", {"x": 1}, None),
    ],
)
def test_what_does_not_fit_is_rescued(key: str, value: Any, shown: Any) -> None:
    found, rescued = one(ANY, {key: value})
    assert found.get(f"event_{key}") == shown and rescued == {f"event.{key}": value}


@pytest.mark.parametrize("event", [[], "str", 5, True, {}])
def test_an_event_that_is_no_object(event: Any) -> None:
    assert one(ANY, event)[1] == {"event": event}


def test_nulls_are_absent() -> None:
    found, rescued = one(ANY, {"i": None, "s": "x"}, webHost=None)
    assert found["event_i"] is found["webHost"] is rescued is None


def test_dt_and_timestamp_are_one_time() -> None:
    assert one(ANY, {"i": 1})[0]["timestamp"] == "20190310070907"
    assert one(ANY, {"i": 1}, dt=None, timestamp=1358791834)[0]["dt"].startswith(
        "2013-01-21 18:10:34"
    )
    found, rescued = one(ANY, {"i": 1}, timestamp=1358791834.5)
    assert found["timestamp"] == "20130121181034" and rescued == {"timestamp": 1358791834.5}
    found, rescued = one(ANY, {"i": 1}, dt="not-a-date")
    assert found["dt"] is found["timestamp"] is None and rescued == {"dt": "not-a-date"}


def test_mysql_gets_whole_seconds() -> None:
    bind = table(ANY, HERE).c["dt"].type.dialect_impl(sql.MYSQL)
    moment = datetime(2019, 1, 1, 0, 0, 59, 999_999)
    process = bind.bind_processor(sql.MYSQL)
    assert process and process(moment) == datetime(2019, 1, 1, 0, 0, 59)


def test_fields_that_tables_never_had() -> None:
    dropped = {"recvFrom": "h", "revision": 1, "schema": "S", "seqId": 5, "topic": "t", "ip": "::1"}
    found, rescued = one(ANY, {"i": 1}, **dropped)
    assert rescued is None and not dropped.keys() & found.keys()
    assert one(ANY, {"i": 1}, odd=1)[1] == {"odd": 1}


def test_user_agents_are_json_text() -> None:
    agent = {"os_family": "iOS", "is_bot": False, "browser_major": None}
    text = '{"browser_major": null, "is_bot": false, "os_family": "iOS"}'
    assert one(ANY, {"i": 1}, userAgent=agent)[0]["userAgent"] == text
    assert one(ANY, {"i": 1}, userAgent="Mozilla")[0]["userAgent"] == "Mozilla"
    convert, shared = row(ANY), {"x": 1}
    rows = [convert({"userAgent": agent}) for agent in (shared, {"x": 2}, shared, {"x": 3})]
    assert [one["userAgent"] for one in rows] == ['{"x": 1}', '{"x": 2}', '{"x": 1}', '{"x": 3}']
    assert rows[0]["userAgent"] is rows[2]["userAgent"]  # made once


def test_odd_uuids_still_tell_repeats() -> None:
    odd = "BABB66F3-4A0A-5DE3-BE0C-6513088BE33E" + "x" * 50
    found = stored(
        ANY, *({"uuid": uuid, "event": {"i": 1}} for uuid in (odd, odd, odd + "y", 5, 5))
    )
    assert len(found) == 3 and all(len(one["uuid"]) == 32 for one in found)
    assert found[0]["uuid"] == uuid5_hex(f'uuid://"{odd}"')
    assert json.loads(found[0][RESCUED]) == {"uuid": odd}
    assert len(stored(ANY, {"event": {"i": 1}}, {"event": {"i": 1}})) == 2  # no uuid, no repeat


UUID_1 = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
DEFAULTS: list[tuple[dict[str, Any], Any, Any]] = [  # schema of a property, default, stored
    ({"type": "boolean"}, False, 0),
    ({"type": "boolean"}, "no", None),
    ({"type": "integer"}, -5, -5),
    ({"type": "integer"}, 1.5, None),
    ({"type": "number"}, 2.5, 2.5),
    ({"type": "number"}, 1e39, None),
    ({"type": "string"}, "", ""),
    ({"type": "string"}, "☆", "☆"),
    ({"type": "string"}, "x" * 1025, None),
    ({"type": "string"}, 5, None),
    ({"type": "string", "maxLength": 5000}, "x" * 1025, "x" * 1025),
    ({"type": "string", "format": "uuid5-hex"}, "0" * 32, "0" * 32),
    ({"type": "string", "pattern": sql._UUID_V1_PATTERN}, UUID_1, UUID_1),
    ({"type": "string", "format": "date-time"}, "2019-03-10T07:09:07Z", "2019-03-10 07:09:07"),
    ({"type": "string", "format": "date-time"}, "never", None),
    ({"type": "array", "items": {"type": "string"}}, ["a"], '["a"]'),
    ({"type": "array", "items": {"type": "string"}}, "a", None),
    ({"type": ["string", "integer"]}, 5, "5"),
    ({"type": "any"}, {"a": 1}, '{"a": 1}'),
    ({"type": "object"}, {}, "{}"),
    ({"type": ["string", "null"]}, None, None),
    ({}, [], "[]"),
]


@pytest.mark.parametrize(("schema", "default", "shown"), DEFAULTS)
def test_an_absent_optional_value_is_its_default(
    schema: dict[str, Any], default: Any, shown: Any
) -> None:
    optional = {**schema, "default": default}
    x = {"type": "integer"}
    of = document(v=optional, o={"properties": {"v": optional, "x": x}}, x=x)

    def shows(event: Any, name: str = "event_v") -> Any:
        found, rescued = one(of, event)
        assert rescued is None or event == []
        value = found[name]
        return value.removesuffix(".000000") if isinstance(value, str) else value

    assert shows({"x": 1}) == shown
    assert shows({"x": 1, "v": None}) is None  # a null is one
    assert shows({"x": 1}, "event_o_v") is None  # its object is absent too
    assert shows({"o": {"x": 1}}, "event_o_v") == shown
    assert shows([]) is None  # no object at all


def test_an_absent_object_is_its_default() -> None:
    inner = {"n": {"type": "integer", "default": 1}, "s": {"type": "string"}}
    of = document(
        o={"properties": {"p": {"properties": inner, "default": {"s": "x"}}}, "default": {}},
        none={"properties": inner},
        bad={"properties": inner, "default": {"s": 5}},
        odd={"properties": inner, "default": {"t": 5}},
        text={"properties": inner, "default": "x"},
    )

    def shows(event: Any) -> dict[str, Any]:
        found, rescued = one(of, {"x": 1} | event)
        assert rescued == {"event.x": 1}
        return {
            name.removeprefix("event_"): value for name, value in found.items()
            if name.startswith("event_") and value is not None
        }  # fmt: skip

    assert shows({}) == {"o_p_n": 1, "o_p_s": "x"}
    assert shows({"o": {"p": {"s": "y"}}}) == {"o_p_n": 1, "o_p_s": "y"}
    assert shows({"o": None}) == {}
    assert shows({"none": {"s": "y"}}) == {"none_n": 1, "none_s": "y"} | shows({})


def test_a_value_wins_over_its_default() -> None:
    of = document(v={"type": "string", "default": "d"}, timestamp={"type": "integer", "default": 0})
    found, rescued = one(of, {"v": "x"})
    assert (found["event_v"], found["event_timestamp"]) == ("x", "19700101000000")
    assert rescued is None and found["timestamp"] == "20190310070907"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("s", "x" * 1025, "event_s, VARCHAR(1024), can't hold a text of 1,025 characters"),
        ("s", 5, "event_s, VARCHAR(1024), can't hold 5"),
        ("i", 2**63, "event_i, BIGINT, can't hold 9223372036854775808"),
        ("n", 1e39, "event_n, FLOAT, can't hold 1e+39"),
        ("b", "yes", 'event_b, BOOL, can\'t hold "yes"'),
        ("t", "not-a-date", 'event_t, DATETIME(6), can\'t hold "not-a-date"'),
        ("timestamp", [1], "event_timestamp, VARCHAR(14), can't hold [1]"),
        ("a", ["x" * 70_000], "event_a, TEXT, can't hold 70,004 characters of JSON"),
        ("j", "x" * 70_000, "event_j, TEXT, can't hold a text of 70,000 characters"),
        ("text", "☆" * 30_000, "event_text, TEXT, can't hold a text of 30,000 characters"),
    ],
)
def test_strict_rows_refuse_what_a_column_cannot_hold(key: str, value: Any, told: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        row(ANY, strict=True)({"uuid": UUID, "dt": DT, "event": {key: value}})
    assert str(caught.value) == f"column {told}" and caught.value.path == f"event.{key}"


@pytest.mark.parametrize(
    "event",
    [{"event": {"other": 1}}, {"event": []}, {"event": {"n": 2**53 + 1}}, {"dt": f"{DT[:-1]}.5Z"},
     {"uuid": "odd"}, {"event": {"timestamp": 1.5}}],
)  # fmt: skip
def test_strict_rows_rescue_what_a_column_holds_in_part(event: dict[str, Any]) -> None:
    assert row(ANY, strict=True)({"uuid": UUID, "dt": DT, **event})[RESCUED]


HOSTILE = [
    *(
        '"',
        "'",
        "`",
        "``",
        '""',
        "a;DROP TABLE Test_1;--",
        "a.b",
        "a_b",
        "A_B",
        "a b",
        "%(x)s",
        "%s",
    ),
    *(":x", "?", "é", "É", "ключ", "🦆", "select", "values", "x" * 100, "x" * 101, "", " ", "a "),
    *("a\x00", "a\x01", "\n", "\ud83e", "[a]", "(a)", "_rescued_data", "id", "uuid"),
]


def test_hostile_names() -> None:
    of = document(**{key: {"type": "integer"} for key in HOSTILE})
    of["properties"]["a"] = {"properties": {"b": {"type": "integer"}, "B": {"type": "integer"}}}
    event: dict[str, Any] = {key: number for number, key in enumerate(HOSTILE)}
    found, rescued = one(of, {**event, "a": {"b": 1000, "B": 1001}})
    assert rescued is None
    for column in layout(of):
        if column.path[0] == "event" and len(column.path) == 2:
            assert found[column.name] == event[column.path[1]]
    names = [column.name for column in layout(of)]
    assert all(len(name) <= 64 and name.isprintable() and name.rstrip() == name for name in names)
    assert max("".join(names)) <= "\uffff"  # what MySQL has of Unicode in names
    assert len({name.casefold() for name in names}) == len(HOSTILE) + 2 + 6
    assert create_table_sql(table(of, HERE)).count("BIGINT") == len(HOSTILE) + 2


KEYS = st.text(st.characters(), max_size=70)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(KEYS.filter(lambda key: key != "timestamp"), unique=True, min_size=1, max_size=8))
def test_any_name_makes_a_column(keys: list[str]) -> None:
    of = document(**{key: {"properties": {key: {"type": ["integer", "null"]}}} for key in keys})
    found, rescued = one(of, {key: {key: number} for number, key in enumerate(keys)})
    assert rescued is None
    kept = {number for name, number in found.items() if name.startswith("event")}
    assert kept == set(range(len(keys)))


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters())
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["5", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("binx"), inner),
    max_leaves=5,
)
LOSSLESS = ("b", "i", "n", "s", "a", "j", "text")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from([*LOSSLESS, "other"]), VALUES, min_size=1))
def test_no_event_loses_anything(event: dict[str, Any]) -> None:
    found, rescued = one(ANY, event)
    rescued = rescued or {}
    for key, value in event.items():
        shown, path = found.get(f"event_{key}"), f"event.{key}"
        if "event" in rescued or path in rescued:  # all values null: the event is as good as empty
            assert (rescued["event"][key] if "event" in rescued else rescued[path]) == value
        elif key == "a" or (key == "j" and not isinstance(value, str)):
            assert json.loads(shown or "null") == value
        else:
            assert shown == value


def test_clashing_names_are_numbered() -> None:
    of = document(a={"properties": {"b": {}}}, a_b={}, A={"properties": {"B": {}}})
    names = {column.path: column.name for column in layout(of) if column.path[0] == "event"}
    assert names == {
        ("event", "A", "B"): "event_A_B",
        ("event", "a", "b"): "event_a_b_2",
        ("event", "a_b"): "event_a_b_3",
    }


def test_long_names_are_cut_to_55_and_a_digest() -> None:
    (name,) = [column.name for column in layout(document(**{"x" * 100: {}}))][-1:]
    assert re.fullmatch(r"event_x{49}_[0-9a-f]{8}", name)


def test_rows_stay_below_what_mysql_can_hold() -> None:
    of = document(**{f"p{n:03}": {"type": "string"} for n in range(40)})
    found = types(of)
    assert found["event_p000"] == "VARCHAR(1024)" and found["event_p039"] == "TEXT"
    assert sum(4 * 1024 + 2 for one in found.values() if one == "VARCHAR(1024)") < 65_535
    assert "TEXT" not in [
        one for name, one in types(document(s={"type": "string"})).items() if "_s" in name
    ]


def test_columns_beyond_the_page_are_rescued() -> None:
    of = document(**{f"p{n:03}": {"type": "string"} for n in range(300)})
    assert 150 < len(layout(of)) < 195  # InnoDB refuses a table with 198 texts
    found, rescued = one(of, {"p000": "a", "p299": "z"})
    assert found["event_p000"] == "a" and rescued == {"event.p299": "z"}


def test_no_more_indexes_than_mysql_has() -> None:
    of = document(**{f"p{n:03}": {"type": "string", "format": "date-time"} for n in range(100)})
    assert len(table(of, HERE).indexes) == 60


def test_indexes_of_two_tables_do_not_clash() -> None:
    engine = sa.create_engine("sqlite://")
    for name in ("a", "a_event"):
        table(document(id={"type": "string"}), Destination(name, 1)).metadata.create_all(engine)
    assert len(sa.inspect(engine).get_table_names()) == 2


def test_event_errors_are_events_like_any_other() -> None:
    file = CATALOG / EVENT_ERROR.schema / f"{EVENT_ERROR.revision}.json"
    of = json.loads(file.read_text())
    event = {"rawEvent": "x" * 60_000, "message": "m", "code": "processor", "revision": -1}
    (found,) = stored(of, {"event": event, "uuid": UUID, "dt": DT, "wiki": ""})
    assert found["event_message"] == "m" and found["event_revision"] == -1
    rescued = json.loads(found[RESCUED] or "{}").get("event.rawEvent")
    assert (found["event_rawEvent"] or rescued) == event["rawEvent"]


def test_all_valid_events_of_the_oracle() -> None:
    by_schema = defaultdict(list)
    with gzip.open(ORACLE / "valid.jsonl.gz", "rt") as lines:
        for line in lines:
            event = json.loads(line)["event"]
            by_schema[f"{event['schema']}/{event['revision']}"].append(event)
    total = 0
    for name, events in by_schema.items():
        of = json.loads((ORACLE / "schemas" / f"{name}.json").read_text())
        rows = stored(of, *events)
        assert len(rows) == len(events)
        assert [one["uuid"] for one in rows] == [event["uuid"] for event in events]
        assert all(re.fullmatch(r"\d{14}", one["timestamp"]) for one in rows)
        total += len(rows)
    assert total == 19_170
