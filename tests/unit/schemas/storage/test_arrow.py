"""Events as Arrow: types, rescue, and that no valid event loses anything."""

import gzip
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_back import canonical, overlaid, read_back

from schemas.storage.arrow import ArrowTable, arrow_schema
from schemas.storage.columns import RESCUED, nested_columns

ORACLE = Path(__file__).resolve().parents[3] / "golden" / "oracle"
AGENT = {
    **dict.fromkeys(("device_family", "browser_family", "os_family"), "Other"),
    **dict.fromkeys(("browser_major", "browser_minor", "os_major", "os_minor")),
    "wmf_app_version": "-",
    "is_bot": False,
    "is_mediawiki": True,
}
FLAT = {
    "properties": {
        "s": {"type": "string"},
        "i": {"type": "integer"},
        "n": {"type": "number"},
        "b": {"type": "boolean"},
        "t": {"type": "string", "format": "date-time"},
        "l": {"type": "array", "items": {"type": "integer"}},
        "w": {"type": "array", "items": {"type": "string"}},
        "j": {"type": ["string", "integer"]},
        "o": {"type": "object", "properties": {"page.id": {"type": "integer"}}},
    }
}


def assert_nothing_lost(document: dict[str, Any], events: list[dict[str, Any]]) -> list[Any]:
    columns = nested_columns(document)
    batch = ArrowTable(document).batch(events)
    batch.validate(full=True)
    rows = batch.to_pylist()
    assert len(rows) == len(events)
    for row, event in zip(rows, events, strict=True):
        again = overlaid(read_back(columns, row), row[RESCUED])
        assert canonical(again) == canonical(event)
    return [json.loads(row[RESCUED]) if row[RESCUED] else None for row in rows]


def one(event: Any, **capsule: Any) -> tuple[dict[str, Any], Any]:
    """The row of an event of FLAT, and what of it was rescued."""
    data = {"event": event, "userAgent": AGENT, "dt": "2019-03-10T07:09:07Z", **capsule}
    (rescued,) = assert_nothing_lost(FLAT, [data])
    return ArrowTable(FLAT).batch([data]).to_pylist()[0], rescued


def test_types() -> None:
    schema = arrow_schema(FLAT)
    assert schema.names[0] == "dt" and schema.names[-1] == RESCUED
    event = schema.field("event").type
    types = {field.name: field.type for field in event}
    assert types == {
        "s": pa.string(),
        "i": pa.int64(),
        "n": pa.float64(),
        "b": pa.bool_(),
        "t": pa.string(),
        "l": pa.list_(pa.int64()),
        "w": pa.list_(pa.string()),
        "j": pa.string(),
        "o": pa.struct([("page_id", pa.int64())]),
    }
    assert schema.field("dt").type == schema.field(RESCUED).type == pa.string()
    assert all(field.nullable for field in [*schema, *event])


def test_a_plain_event_rescues_nothing() -> None:
    event = {
        **{
            "s": "☆",
            "i": 2**62,
            "n": 5,
            "b": False,
            "t": "yesterday",
            "l": [1, 2],
            "j": "x",
            "w": [],
        },
        "o": {"page.id": 7},
    }
    row, rescued = one(event, wiki="enwiki", seqId=3)
    assert rescued is None
    assert row["event"] == {**event, "n": 5.0, "o": {"page_id": 7}}
    assert row["userAgent"] == AGENT and row["wiki"] == "enwiki" and row["seqId"] == 3


@pytest.mark.parametrize(
    ("event", "path", "shown"),
    [
        ({"i": 1.5}, "event.i", None),
        ({"i": True}, "event.i", None),
        ({"i": 2**63}, "event.i", None),
        ({"i": "5"}, "event.i", None),
        ({"n": True}, "event.n", None),
        ({"n": 2**53 + 1}, "event.n", 2.0**53),
        ({"n": 10**400}, "event.n", None),
        ({"b": 1}, "event.b", None),
        ({"s": 5}, "event.s", None),
        ({"s": "\ud83e"}, "event.s", None),
        ({"t": {}}, "event.t", None),
        ({"l": "abc"}, "event.l", None),
        ({"l": [1, 2.5]}, "event.l", None),
        ({"l": [True]}, "event.l", None),
        ({"l": {"a": 1}}, "event.l", None),
        ({"w": "abc"}, "event.w", None),
        ({"w": ["a", "\ud83e"]}, "event.w", None),
        ({"j": "5"}, "event.j", "5"),
        ({"j": "\ud83e"}, "event.j", None),
    ],
)
def test_what_a_column_cannot_hold_is_rescued(event: Any, path: str, shown: Any) -> None:
    row, rescued = one({**event, "o": {"page.id": 1}})
    (key,) = event
    assert rescued == {path: event[key]}
    assert row["event"][key] == shown and row["event"]["o"] == {"page_id": 1}


@pytest.mark.parametrize("event", [[], "str", 5, True, [{"s": "x"}]])
def test_an_event_that_is_no_object(event: Any) -> None:
    row, rescued = one(event)
    assert row["event"] is None and rescued == {"event": event}


def test_keys_without_a_column() -> None:
    _, rescued = one({"o": {"page.id": 1, "x.y": None, "z": [1]}, "other": 1}, extra="e")
    assert rescued == {"event.o.x\\.y": None, "event.o.z": [1], "event.other": 1, "extra": "e"}


def test_user_agents_of_other_forms() -> None:
    assert one({}, userAgent="Mozilla")[1] == {"userAgent": "Mozilla"}
    assert one({}, userAgent={**AGENT, "x": 1})[1] == {"userAgent.x": 1}
    assert one({}, userAgent={**AGENT, "is_bot": "no"})[1] == {"userAgent.is_bot": "no"}
    assert one({}, userAgent=None)[0]["userAgent"] is None


def test_shared_user_agents_stay_with_their_events() -> None:
    first, odd = AGENT, {**AGENT, "os_family": "iOS", "x": 1}
    events = [{"event": {}, "userAgent": agent} for agent in (first, odd, None, first, odd, "str")]
    rescued = assert_nothing_lost(FLAT, events)
    x = {"userAgent.x": 1}
    assert rescued == [None, x, None, None, x, {"userAgent": "str"}]


def test_one_odd_value_leaves_its_batch_alone() -> None:
    events: list[dict[str, Any]] = [{"event": {"i": n, "l": [n]}} for n in range(100)]
    events[50]["event"] = {"i": 10**30, "l": ["x"]}
    rescued = assert_nothing_lost(FLAT, events)
    assert Counter(map(bool, rescued)) == {False: 99, True: 1}


def test_no_events_are_an_empty_batch() -> None:
    batch = ArrowTable(FLAT).batch([])
    assert batch.num_rows == 0 and batch.schema.equals(arrow_schema(FLAT))


def parquet(document: dict[str, Any], events: list[dict[str, Any]]) -> bytes:
    batch = ArrowTable(document).batch(events)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_batches([batch]), file, compression="zstd")
    return file.getvalue()


def test_the_same_events_give_the_same_bytes() -> None:
    def events(turned: bool) -> list[dict[str, Any]]:
        step = -1 if turned else 1
        keys = list({"s": "x", "zz": 1, "yy": 2}.items())[::step]
        return [{"event": dict(keys), "userAgent": dict(AGENT) if turned else AGENT}] * 3

    assert parquet(FLAT, events(False)) == parquet(FLAT, events(True))


KEYS = st.one_of(
    st.sampled_from(["a", "A", "a.b", "a_b", "", "\\", "a\\.", "é"]), st.text(max_size=3)
)
TEXTS = st.text(st.characters(), max_size=5) | st.sampled_from(["5", "null", "{}", "[1]", '"'])
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "any", "array", "object"])
LEAVES = st.fixed_dictionaries(
    {"type": TYPES | st.lists(TYPES | st.just("null"), min_size=1, max_size=2)},
    optional={"items": st.fixed_dictionaries({"type": TYPES}), "format": st.just("date-time")},
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(KEYS, inner, max_size=4)}
    ),
    max_leaves=8,
)


def near(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that mostly have the form of the schema, and sometimes any other."""
    properties = schema.get("properties")
    if not properties:
        lists = st.lists(st.integers(-9, 9) | st.booleans()) | st.lists(TEXTS | st.none())
        return VALUES | lists if schema.get("type") == "array" else VALUES
    known = st.fixed_dictionaries({}, optional={key: near(one) for key, one in properties.items()})
    more = st.dictionaries(KEYS, VALUES, max_size=1)
    both = st.tuples(known, more).map(lambda pair: {**pair[1], **pair[0]})
    return st.one_of(known, both, VALUES)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_event_loses_anything(data: st.DataObject) -> None:
    document = data.draw(SCHEMAS)
    agents = st.sampled_from([AGENT, None, "str", {**AGENT, "x.": 1}])
    event = st.fixed_dictionaries({}, optional={"event": near(document), "userAgent": agents})
    assert_nothing_lost(document, data.draw(st.lists(event, max_size=4)))


def test_all_valid_events_of_the_oracle() -> None:
    by_schema = defaultdict(list)
    with gzip.open(ORACLE / "valid.jsonl.gz", "rt") as lines:
        for line in lines:
            event = json.loads(line)["event"]
            by_schema[f"{event['schema']}/{event['revision']}"].append(event)
    counts: Counter[str] = Counter()
    for name, events in by_schema.items():
        document = json.loads((ORACLE / "schemas" / f"{name}.json").read_text())
        events = [event for event in events if not re.search("NaN|Infinity", json.dumps(event))]
        rescued = assert_nothing_lost(document, events)
        counts.update({"rows": len(events), name: sum(map(bool, rescued))})
    assert counts["rows"] > 19_000
    assert counts["NavigationTiming/15033442"] == 0  # a plain schema: every value has a column
    assert counts["QuickSurveyInitiation/18397510"] > 100  # patternProperties
