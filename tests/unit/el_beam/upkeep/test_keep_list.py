"""One keep list means the same for files and tables."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from el_beam.upkeep.mysql.keep import kept
from el_beam.upkeep.retention.keep_list import fields_of, leading_to
from el_beam.upkeep.retention.purge import cut, documents_of
from schemas.registry import DirectoryRegistry
from schemas.storage.arrow import ArrowTable
from schemas.storage.columns import RESCUED, Column, nested_columns, path_text
from schemas.storage.sql import layout
from schemas.storage.sql_rows import row
from transforms.write.encodings import parquet

KEYS = st.sampled_from(["a", "b", "a.b", "a_b", "a b", "A", "a\\", "a_b_2", "é", "o"])
ANY: dict[str, Any] = {}
SCHEMAS = st.recursive(
    st.sampled_from([ANY, {"type": "string"}, {"type": "integer"}]),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=4).map(
        lambda properties: {"type": "object", "properties": properties}
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, SCHEMAS, min_size=1, max_size=5).map(
    lambda properties: {"properties": properties}
)
VALUES = st.recursive(
    st.sampled_from(["7", "text", 7, 2**60]),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=6,
)
EVENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=6)
CASE: dict[str, Any] = {
    "properties": {
        "a": {}, "ab": {}, "a.b": {"type": "string"}, "a_b": {"type": "string"},
        "o": {"type": "object", "properties": {"x": {}, "y": {}}}, "secret": {},
    }
}  # fmt: skip
OF_CASE = {
    "a": "5", "ab": "6", "a.b": "dot", "a_b": "us", "o": {"x": "7", "y": "8", "z": 9},
    "secret": "9", "extra": "e", "a.c": 1,
}  # fmt: skip


def data(event: Any) -> dict[str, Any]:
    return {"schema": "K", "revision": 1, "uuid": "0" * 32, "dt": "2019-03-10T07:00:00Z",
            "wiki": "w", "event": event}  # fmt: skip


def of_table(document: dict[str, Any], event: Any, fields: frozenset[str]) -> set[str]:
    """The paths of the event that a table's row has after the purge."""
    found = row(document)(data(event))
    stays = kept(document, found, fields)
    found |= dict.fromkeys(stays.nulls)
    found |= {name: cut(found[name]) for name, cut in stays.cuts.items() if found[name]}
    paths = {path_text(each.path) for each in layout(document) if found[each.name] is not None}
    return {each for each in paths | {*json.loads(found[RESCUED] or "{}")}
            if each.startswith("event")}  # fmt: skip


def of_file(document: dict[str, Any], event: Any, fields: frozenset[str]) -> set[str]:
    """The same of a file's."""
    table = ArrowTable(document)
    content = parquet(pa.Table.from_batches([table.batch([data(event)])]))
    (found,) = cut(content, fields, document).to_pylist()

    def there(columns: Iterable[Column], values: Any, above: tuple[str, ...]) -> Iterator[str]:
        for each in columns:
            value = (values or {}).get(each.name)
            if each.children:
                yield from there(each.children, value, (*above, each.key))
            elif value is not None:
                yield path_text((*above, each.key))

    paths = {*there(nested_columns(document), found, ()), *json.loads(found[RESCUED] or "{}")}
    return {each for each in paths if each.startswith("event")}


@given(document=DOCUMENTS, event=EVENTS, choose=st.data())
def test_files_and_tables_keep_the_same(
    document: dict[str, Any], event: dict[str, Any], choose: st.DataObject
) -> None:
    fields = choose.draw(st.frozensets(st.sampled_from(sorted(fields_of(document))), max_size=3))
    assert of_table(document, event, fields) == of_file(document, event, fields)


@pytest.mark.parametrize(
    ("field", "stays"),
    [
        ("event.a", {"event.a"}),
        ("event.a_b", {"event.a_b"}),
        ("event.a_b_2", {"event.a_b"}),
        (r"event.a\.b", {r"event.a\.b"}),
        ("event.o", {"event.o.x", "event.o.y", "event.o.z"}),
        ("event.o.x", {"event.o.x"}),
        ("wiki", set()),
    ],
)
def test_a_field_stays_with_all_in_it(field: str, stays: set[str]) -> None:
    for of in (of_table, of_file):
        assert of(CASE, OF_CASE, frozenset({field})) == stays
        everything = of(CASE, OF_CASE, frozenset({"event"}))
        assert {"event.extra", r"event.a\.c", "event.o.z", "event.secret"} <= everything


@given(st.lists(st.text("ab.\\\\"), min_size=1))
def test_the_paths_that_lead_to_a_value(keys: list[str]) -> None:
    """A key may end with a backslash, and be empty."""
    assert leading_to(path_text(keys)) == {path_text(keys[: n + 1]) for n in range(len(keys))}


@example([])
@given(st.lists(st.sampled_from(["a", "a_2", "a_b", "b_3"])))
def test_without_its_schema_a_column_is_called_as_it_is(names: list[str]) -> None:
    content = parquet(pa.table({"uuid": ["x"], "event": [{"a": 1, "a_2": 2, "a_b": 3, "b_3": 4}]}))
    (found,) = cut(content, frozenset(f"event.{name}" for name in names)).to_pylist()
    there = {name for name, value in (found["event"] or {}).items() if value is not None}
    assert there == {*names}


def test_schemas_are_found_by_the_names_of_folders(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/1.json").write_text(json.dumps(CASE))
    (tmp_path / "a/b/2.json").write_text("{")
    documents = documents_of(DirectoryRegistry(tmp_path))
    assert documents("a/b_1") == CASE
    assert [documents(name) for name in ("a/b_2", "a/b_3", "*_0", "unknown", "")] == [None] * 5
