"""What columns a schema has, how they are named and where the bounds are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.capsule import CAPSULE
from schemas.registry import CATALOG
from schemas.storage import columns
from schemas.storage.columns import (
    MOST_COLUMNS,
    Column,
    Kind,
    distinct_names,
    leaves,
    nested_columns,
    path_text,
    safe_name,
)


def event_column(document: dict[str, Any]) -> Column:
    return next(column for column in nested_columns(document) if column.key == "event")


def of_property(schema: Any) -> Column:
    return event_column({"properties": {"p": schema}}).children[0]


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "boolean"}, Kind.BOOLEAN),
        ({"type": "integer", "minimum": 0}, Kind.INTEGER),
        ({"type": "number"}, Kind.NUMBER),
        ({"type": "string", "format": "uri"}, Kind.STRING),
        ({"type": "string", "format": "date-time"}, Kind.DATETIME),
        ({"type": ["string", "null"], "format": "date-time"}, Kind.DATETIME),
        ({"type": ["null", "integer"]}, Kind.INTEGER),
        ({"type": ["string"]}, Kind.STRING),
        ({"type": ["string", "integer"]}, Kind.JSON),
        ({"type": ["null"]}, Kind.JSON),
        ({"type": "null"}, Kind.JSON),
        ({"type": "any"}, Kind.JSON),
        ({"type": {"type": "string"}}, Kind.JSON),
        ({"type": [{"type": "string"}]}, Kind.JSON),
        ({"type": "fancy"}, Kind.JSON),
        ({"enum": ["a"]}, Kind.JSON),
        ({"type": "object"}, Kind.JSON),
        ({"type": "object", "properties": {}}, Kind.JSON),
        ({"type": "object", "properties": {"a": {}}}, Kind.STRUCT),
        ({"type": ["object", "null"], "properties": {"a": {}}}, Kind.STRUCT),
        ({"properties": {"a": {}}}, Kind.STRUCT),
        ({"type": ["object", "string"], "properties": {"a": {}}}, Kind.JSON),
        ({"type": "array"}, Kind.JSON),
        ({"type": "array", "items": {"type": "integer"}}, Kind.LIST),
        ({"type": "array", "items": [{"type": "integer"}]}, Kind.JSON),
        ({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}, Kind.JSON),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, Kind.JSON),
        ("no schema at all", Kind.JSON),
    ],
)
def test_kinds(schema: Any, kind: Kind) -> None:
    assert of_property(schema).kind is kind


def test_a_list_knows_its_items() -> None:
    schema = {"type": "array", "items": {"type": ["string", "null"], "format": "date-time"}}
    assert of_property(schema).item is Kind.DATETIME


def test_what_dialects_need_is_kept() -> None:
    schema = {"type": "string", "required": True, "pattern": "^x", "format": "uri", "maxLength": 7}
    column = of_property(schema)
    assert (column.required, column.pattern, column.format, column.max_length) == (
        True,
        "^x",
        "uri",
        7,
    )
    draft4 = {"type": "string", "required": ["a"], "pattern": 5, "maxLength": True}
    column = of_property(draft4)
    assert (column.required, column.pattern, column.max_length) == (False, None, None)


def test_the_capsule_is_whole_and_dt_first() -> None:
    found = nested_columns({"properties": {"a": {"type": "string"}}})
    keys = [column.key for column in found]
    assert keys == ["dt", *(key for key in CAPSULE["properties"] if key != "dt")]
    kinds = {column.key: column.kind for column in found}
    assert kinds["dt"] is Kind.DATETIME and kinds["timestamp"] is Kind.NUMBER
    assert kinds["seqId"] is kinds["revision"] is Kind.INTEGER and kinds["ip"] is Kind.STRING
    agent = next(column for column in found if column.key == "userAgent")
    assert len(agent.children) == 10
    flags = [child.key for child in agent.children if child.kind is Kind.BOOLEAN]
    assert flags == ["is_bot", "is_mediawiki"]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({}, Kind.JSON),
        ({"type": "object"}, Kind.JSON),
        ({"properties": {}}, Kind.JSON),
        ({"type": "string"}, Kind.STRING),
    ],
)
def test_an_event_without_properties_is_one_column(document: dict[str, Any], kind: Kind) -> None:
    assert event_column(document).kind is kind


def test_properties_stay_in_the_order_of_the_schema() -> None:
    document: dict[str, Any] = {"properties": {"b": {}, "a": {}, "c": {}}}
    assert [child.key for child in event_column(document).children] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("page.id", "page_id"),
        ("ключ", "ключ"),
        ("", "_"),
        ("a b`;\"'", "a_b____"),
        ("\x00", "_"),
        ("\ud83e", "_"),
        ("🦆", "_"),
        ("_ok9", "_ok9"),
    ],
)
def test_safe_names(key: str, name: str) -> None:
    assert safe_name(key) == name


def test_clashing_names_are_numbered_in_sorted_order() -> None:
    keys = ["a_b", "a.b", "A.B", "a b", "a_b_2", "c"]
    assert distinct_names(keys, safe_name) == {
        "A.B": "A_B",
        "a b": "a_b_2",
        "a.b": "a_b_3",
        "a_b": "a_b_4",
        "a_b_2": "a_b_2_2",
        "c": "c",
    }


def test_letters_that_only_mysql_thinks_the_same() -> None:
    assert distinct_names(["i", "I", "İ", "é", "É", "e"], safe_name) == {
        **{"I": "I", "i": "i_2", "İ": "İ_3"},
        **{"e": "e", "É": "É_2", "é": "é_3"},
    }


@given(st.lists(st.text(st.characters()), unique=True))
def test_names_never_clash_and_do_not_depend_on_order(keys: list[str]) -> None:
    names = distinct_names(keys, safe_name)
    assert len({name.casefold() for name in names.values()}) == len(keys)
    assert names == distinct_names(reversed(keys), safe_name)


def test_structs_end_at_level_20() -> None:
    document: dict[str, Any] = {"type": "string"}
    for _ in range(30):
        document = {"type": "object", "properties": {"a": document}}
    ((path, column),) = leaves([event_column(document)])
    assert path == ("event", *["a"] * 20)
    assert column.kind is Kind.JSON


def test_structs_end_where_a_path_is_long() -> None:
    document: dict[str, Any] = {"properties": {"b": {}, "c": {}}}
    for key in ("x" * 100, "y" * 151):  # within `event`
        document = {"properties": {key: document}}
    found = [path for path, _ in leaves([event_column(document)])]
    assert [path[-1] for path in found] == ["b", "c"]
    longer = {"properties": {"event.": document}}
    ((path, column),) = leaves([event_column(longer)])
    assert path[-1] == "x" * 100 and column.kind is Kind.JSON


def test_a_table_has_no_more_than_1000_columns() -> None:
    wide = {"properties": {f"p{i}": {"type": "integer"} for i in range(2000)}}
    found = list(leaves(nested_columns(wide)))
    assert len(found) == MOST_COLUMNS - 1  # and RESCUED
    assert [path[1] for path, _ in found if path[0] == "event"][-1] == "p977"


def test_a_struct_for_which_there_is_no_room_is_no_column() -> None:
    properties: dict[str, Any] = {f"p{i}": {"type": "integer"} for i in range(1000)}
    properties["s"] = {"properties": {"a": {"type": "string"}}}
    assert event_column({"properties": properties}).children[-1].key == "p977"


def test_keys_that_are_no_text_are_no_columns() -> None:
    document: dict[str, Any] = {"properties": {1: {"type": "string"}, "a": {"type": "string"}}}
    assert [child.key for child in event_column(document).children] == ["a"]
    assert event_column({"properties": ["a"]}).kind is Kind.JSON


def test_paths_are_unambiguous() -> None:
    assert path_text(["event", "uploads", "foo"]) == "event.uploads.foo"
    assert path_text(["event", "page.id"]) == r"event.page\.id"
    assert path_text(["a\\", "b"]) == r"a\\.b"
    assert path_text(["a\\.b"]) == r"a\\\.b"


@pytest.mark.parametrize("text", ["5", "-1e3", "true", "null", "{}", "[1]", '"a"', " 1", "NaN"])
def test_strings_that_look_like_json_need_quotes(text: str) -> None:
    assert columns.needs_quotes(text)


@pytest.mark.parametrize("text", ["", "a", "5x", "truth", "{", "2019-03-01", "-", "🦆"])
def test_other_strings_need_none(text: str) -> None:
    assert not columns.needs_quotes(text)


def test_json_text_holds_what_utf8_and_64_bits_cannot() -> None:
    assert columns.json_text({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    for value in ({"a": "\ud83e"}, [10**30]):
        assert json.loads(columns.json_text(value)) == value


def test_the_whole_catalog_has_columns() -> None:
    files = list(CATALOG.rglob("*.json"))
    assert len(files) > 15
    for file in files:
        found = nested_columns(json.loads(file.read_text()))
        assert event_column(json.loads(file.read_text())).kind is Kind.STRUCT, file
        assert len({column.name for column in found}) == len(CAPSULE["properties"])
