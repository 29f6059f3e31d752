"""What tables lack, and the statements that add it. The server's part is tests/integration."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam.upkeep.mysql.migrations import plan_of
from schemas.event import Destination
from schemas.storage.sql import ColumnFacts, Index, TableFacts, folded, lacks, table
from schemas.storage.table_names import owner_of

S = Destination("S", 1)
DOCUMENT: dict[str, Any] = {
    "properties": {
        "b": {"type": "boolean"}, "n": {"type": "integer"}, "text": {"type": "string"},
        "at": {"type": "string", "format": "date-time"}, "id": {"type": "string"},
    }
}  # fmt: skip
TYPES = {"BOOLEAN": "tinyint(1)", "INTEGER": "int(11)", "BIGINT": "bigint(20)"}
UUID = Index("uuid", True, ("uuid",))
PRIMARY = Index("PRIMARY", True, ("id",))
QUOTED = re.compile("`(?:[^`]|``)*`")


def as_described(document: dict[str, Any] = DOCUMENT) -> TableFacts:
    """The table as the server tells of it."""
    described = table(document, S)
    columns = (
        ColumnFacts(str(c.name), TYPES.get(kind := str(c.type.compile()), kind.lower()))
        for c in described.columns
    )
    indexes = (Index(str(i.name), False, (i.columns[0].name,)) for i in described.indexes)
    return TableFacts(S, tuple(columns), (PRIMARY, UUID, *indexes))


def mysql_types(found: TableFacts) -> TableFacts:
    """With types that only MySQL has."""
    known = {"event_at": "datetime(6)", "_rescued_data": "mediumtext"}
    columns = (each._replace(type=known.get(each.name, each.type)) for each in found.columns)
    return found._replace(columns=tuple(columns))


FOUND = mysql_types(as_described())


def without(found: TableFacts, *names: str) -> TableFacts:
    return found._replace(
        columns=tuple(each for each in found.columns if each.name not in names),
        indexes=tuple(each for each in found.indexes if not {*each.columns} & {*names}),
    )


def test_a_table_as_described_needs_nothing() -> None:
    plan = plan_of(S, table(DOCUMENT, S), FOUND)
    assert plan.is_done and plan.state == "there" and not plan.notes
    assert plan_of(S, table(DOCUMENT, S), FOUND._replace(owner=None)) == plan


def test_a_column_that_may_be_of_another_property_is_left_alone() -> None:
    more = {"properties": {"a_b": {"type": "integer"}, "a": {"properties": {"b": {}, "c": {}}}}}
    there = mysql_types(as_described({"properties": {"a_b": {"type": "string"}}}))
    plan = plan_of(S, table(more, S), there)
    (statement,) = plan.statements
    assert "event_a_c" in statement and "event_a_b" not in statement
    (note,) = plan.notes
    assert note.startswith("event_a_b, event_a_b_2: the schema got one of these without a new")


def test_a_missing_table_is_made() -> None:
    plan = plan_of(S, table(DOCUMENT, S), None)
    (create,) = plan.statements
    assert create.startswith("CREATE TABLE `S_1` (") and owner_of(create) == S
    assert plan.as_json()["schema"] == "S" and plan.as_json()["state"] == "missing"


@pytest.mark.parametrize(
    ("gone", "added"),
    [
        (("event_n",), ["ADD COLUMN `event_n` BIGINT"]),
        (("event_b", "event_text"),
         ["ADD COLUMN `event_b` BOOL", "ADD COLUMN `event_text` VARCHAR(1024)"]),
        (("event_at",), ["ADD COLUMN `event_at` DATETIME(6)", "(`event_at`)"]),
        (("event_id",), ["ADD COLUMN `event_id` VARCHAR(1024)", "(`event_id`(191))"]),
        (("uuid",), ["ADD COLUMN `uuid` CHAR(32)", "ADD UNIQUE KEY (`uuid`)"]),
    ],
)  # fmt: skip
def test_what_is_missing_is_added(gone: tuple[str, ...], added: list[str]) -> None:
    plan = plan_of(S, table(DOCUMENT, S), without(FOUND, *gone))
    assert plan.state.startswith(f"lacks {', '.join(gone)}")
    text = "\n".join(plan.statements)
    assert all(each in text for each in added) and not plan.by_hand
    assert text.count("ADD") == sum("ADD" in each or "(`event" in each for each in added)
    assert all(each.endswith("ALGORITHM=INPLACE, LOCK=NONE") for each in plan.statements)
    assert all(("ADD COLUMN" in each) != ("KEY" in each) for each in plan.statements)


def test_names_of_columns_are_the_same_in_any_case() -> None:
    columns = tuple(each._replace(name=each.name.upper()) for each in FOUND.columns)
    assert plan_of(S, table(DOCUMENT, S), FOUND._replace(columns=columns)).is_done
    assert folded("event_ß") != folded("event_ss") and folded("event_É") == folded("event_é")


def test_an_index_that_begins_with_the_column_is_enough() -> None:
    wide = tuple(each._replace(name="other", columns=(*each.columns, "wiki"))
                 if each.columns == ("dt",) else each for each in FOUND.indexes)  # fmt: skip
    assert plan_of(S, table(DOCUMENT, S), FOUND._replace(indexes=wide)).is_done


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"owner": Destination("s", 1)}, "it is that of the schema s_1"),
        ({"indexes": (*FOUND.indexes, Index("a`b", True, ("event_n",)))}, "DROP INDEX `a``b`"),
        ({"indexes": (*FOUND.indexes, Index("two", True, ("uuid", "dt")))}, "DROP INDEX `two`"),
        ({"indexes": (*FOUND.indexes, Index("x", True, ("uuid",), False))}, "DROP INDEX `x`"),
        (
            {"columns": (*FOUND.columns, ColumnFacts("x`", "int", null=False, needed=True))},
            "ALTER `x``` SET DEFAULT",
        ),
    ],
)
def test_what_a_person_must_do(change: dict[str, Any], told: str) -> None:
    plan = plan_of(S, table(DOCUMENT, S), FOUND._replace(**change))
    assert not plan.is_done and not plan.statements
    assert len(plan.by_hand) == 1 and told in plan.by_hand[0]


@pytest.mark.parametrize(
    ("column", "kind"),
    [("event_text", "varchar(255)"), ("event_n", "int(11)"), ("event_at", "datetime"),
     ("userAgent", "varchar(1024)"), ("event_b", "bit(1)")],
)  # fmt: skip
def test_other_types_may_stay(column: str, kind: str) -> None:
    columns = tuple(each._replace(type=kind) if each.name == column else each
                    for each in FOUND.columns)  # fmt: skip
    plan = plan_of(S, table(DOCUMENT, S), FOUND._replace(columns=columns))
    assert plan.is_done and plan.notes[0].startswith(f"{column} is {kind}, not ")


def test_display_widths_are_no_other_types() -> None:
    """MySQL 8 has none."""
    columns = tuple(each._replace(type=re.sub(r"int\(\d+\)", "int", each.type))
                    for each in FOUND.columns)  # fmt: skip
    assert not lacks(table(DOCUMENT, S), FOUND._replace(columns=columns)).types


@given(st.lists(st.text(max_size=70), unique=True, min_size=1, max_size=12))
def test_no_name_breaks_out_of_its_quotes(keys: list[str]) -> None:
    document = {"properties": {key: {"properties": {key: {"type": "string"}, "id": {}}}
                               for key in keys}}  # fmt: skip
    described = table(document, S)
    lack = without(as_described(document), *(c.name for c in described.columns if c.name != "id"))
    plan = plan_of(S, described, lack)
    for statement in (*plan.statements, *plan_of(S, described, None).statements):
        left = re.sub(r" COMMENT='[^']*'", "", QUOTED.sub("", statement))
        assert re.fullmatch(r"[A-Za-z0-9_(),=\s]*", left), statement
