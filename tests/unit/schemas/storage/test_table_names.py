"""Each schema has a table of its own, by one order; what exists keeps its name."""

from random import Random
from typing import cast

import pytest

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry.base import Registry
from schemas.storage.table_names import (
    LONGEST_NAME,
    Look,
    Names,
    Taken,
    apart_table,
    called,
    owner_of,
    sqlite_look,
    table_name,
    table_names,
)

EDIT, ODD, LOWER = (Destination(name, 1) for name in ("Edit", "eDIT", "edit"))
FLAT, SLASH = Destination("A_b", 1), Destination("A/b", 1)
SPOOF = Destination("EVENTERROR", EVENT_ERROR.revision)
LONG = "a" * 63
NAMES = ("a/b", "a_b", "A_b", "a.b", "_a_b", "a-_-b", "a_b_1", "a_b/1", "A", "a", "a_1", "a/1",
         "SQLite_x", "sqlite_x", "_sqlite_x", "select", LONG, LONG.upper(), f"{LONG[1:]}/",
         "a_1_x8b6579dc")  # fmt: skip


def names(*schemas: Destination) -> Names:
    return Names(schemas, lambda schema: table_name(*schema), apart_table)


def look(*tables: Taken) -> Look:
    there = {each.name.lower(): each for each in tables}
    return lambda name: there.get(name.lower())


def test_the_order() -> None:
    """EventError, then names that are the table's, then others; capitals first."""
    known = names(LOWER, SLASH, ODD, FLAT, EDIT, EVENT_ERROR, SPOOF)
    plain = {each: table_name(*each) for each in (EVENT_ERROR, EDIT, FLAT)}
    apart = {each: apart_table(each) for each in (SPOOF, LOWER, ODD, SLASH)}
    assert {each: known.of(each) for each in plain | apart} == plain | apart
    assert {each.first: {*each.others} for each in known.alike()} == {
        EVENT_ERROR: {SPOOF}, EDIT: {ODD, LOWER}, FLAT: {SLASH}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "table", "name"),
    [
        (FLAT, Taken("A_b_1", SLASH), apart_table(FLAT)),
        (SLASH, Taken("A_b_1", SLASH), "A_b_1"),
        (FLAT, Taken("A_b_1", None), "A_b_1"),
        (SLASH, Taken("A_b_1", None), apart_table(SLASH)),
        (LOWER, Taken("Edit_1", None), apart_table(LOWER)),
        (EDIT, Taken("Edit_1", None), "Edit_1"),  # nobody knows this schema
        (EDIT, Taken("edit_1", None), apart_table(EDIT)),
        (FLAT, Taken(apart_table(FLAT), FLAT), apart_table(FLAT)),
        (FLAT, Taken(apart_table(FLAT), SLASH), "A_b_1"),
        (FLAT, Taken(apart_table(SLASH), SLASH), "A_b_1"),
    ],
)
def test_a_table_that_is_there(schema: Destination, table: Taken, name: str) -> None:
    assert names(SLASH, FLAT).choose(schema, look(table)) == name


def test_of_a_wiki_that_can_not_list_its_schemas_event_error_is_known() -> None:
    class Wiki:
        lists = False

    known = table_names(cast("Registry", Wiki()))
    assert known.of(SPOOF) == apart_table(SPOOF)
    assert {known.of(each) for each in (EDIT, ODD)} == {"Edit_1", "eDIT_1"}


def test_of_two_tables_the_plain_one_goes_on() -> None:
    both = look(Taken("A_b_1", FLAT), Taken(apart_table(FLAT), FLAT))
    assert names(FLAT).choose(FLAT, both) == called(FLAT, both) == "A_b_1"


def test_a_table_is_found_without_a_registry() -> None:
    apart = Taken(apart_table(SLASH), SLASH)
    there = look(Taken("A_b_1", FLAT), apart)
    assert (called(FLAT, there), called(SLASH, there)) == ("A_b_1", apart.name)
    assert called(EDIT, look(Taken("EDIT_1", ODD))) == "Edit_1"


@pytest.mark.parametrize("name", ["sqlite_x", "SQLite_x", "SQLITE.x"])
def test_names_of_sqlite_are_not_used(name: str) -> None:
    assert table_name(name, 1)[0] == "_" and len(apart_table(Destination(name, 1))) <= LONGEST_NAME


def test_a_name_that_is_apart_is_no_longer_and_no_other() -> None:
    assert apart_table(LOWER) == "edit_1_x8b6579dc", "it is for good"
    found = [apart_table(Destination(name, of)) for name in NAMES for of in (1, 11, 10**15)]
    assert len({*found}) == len(found) and max(map(len, found)) == LONGEST_NAME


def test_whose_a_table_is() -> None:
    columns = "\n\tid INTEGER, /* schema a, revision 9 */\n\tx TEXT"
    assert owner_of(f"CREATE TABLE t ({columns} /* schema A/b, revision 1 */\n)") == SLASH
    assert owner_of(f"CREATE TABLE t ({columns}\n) COMMENT='schema A/b, revision 1'") == SLASH
    assert owner_of(f"CREATE TABLE t ({columns}\n)") is None
    sql = "CREATE TABLE t (id INTEGER /* schema A/b, revision 1 */\n)"
    assert sqlite_look([("A_B_1", sql)])("a_b_1") == Taken("A_B_1", SLASH)


@pytest.mark.parametrize("seed", range(30))
def test_registries_that_change_from_run_to_run(seed: int) -> None:
    """Whatever a run knows and writes first, no table is of two schemas, no schema has two."""
    chance = Random(seed)
    every = [Destination(name, revision) for name in NAMES for revision in (1, 2)]
    tables: dict[str, Taken] = {}
    of: dict[Destination, str] = {}
    for _ in range(6):
        known = chance.sample(every, chance.randrange(len(every)))
        writing = names(*known)
        for schema in chance.sample(every, len(every) // 2):  # also what the registry has lost
            name = writing.choose(schema, lambda name: tables.get(name.lower()))
            assert of.setdefault(schema, name) == name
            assert tables.setdefault(name.lower(), Taken(name, schema)).owner == schema
    assert len({name.lower() for name in of.values()}) == len(of)
