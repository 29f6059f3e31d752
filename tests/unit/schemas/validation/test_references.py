"""Local references: `#` is the event's own schema, as EventLogging wrote them too."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.registry import DirectoryRegistry
from schemas.validation.validator import Validator, reservations

Json = dict[str, Any]
CAPSULE = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
TEXT = {"type": "string"}


def messages(document: Json, event: object) -> list[str]:
    found = Validator(document).violations({**CAPSULE, "event": event})
    return [f"{each.path}: {each.message}" for each in found]


@pytest.mark.parametrize("definitions", ["definitions", "$defs", "x-types"])
@pytest.mark.parametrize("root", ["#", "#/properties/event"])
def test_a_definition_of_the_schema(definitions: str, root: str) -> None:
    """With `#/properties/event` as EventLogging had it, which knew the whole capsule only."""
    document = {
        definitions: {
            "name~ /%": TEXT,
            "names": {"items": {"$ref": f"{root}/{definitions}/name~0%20~1%25"}},
        },
        "properties": {"a": {"$ref": f"{root}/{definitions}/names"}},
    }
    assert not reservations(document)
    assert not messages(document, {"a": ["x", "y"]})
    assert messages(document, {"a": ["x", 5]}) == ["event.a[1]: 5 is not of type 'string'"]


@pytest.mark.parametrize("ref", ["#", "#/properties/event"])
def test_a_schema_may_contain_itself(ref: str) -> None:
    document = {"type": "object", "properties": {"a": TEXT, "more": {"$ref": ref}}}
    assert not messages(document, {"more": {"more": {"a": "x"}}})
    assert messages(document, {"more": {"more": {"a": 5}}}) == [
        "event.more.more.a: 5 is not of type 'string'"
    ]


def test_the_schemas_own_places_come_first() -> None:
    document = {
        "properties": {
            "event": TEXT,
            "wiki": {"type": "integer"},
            "a": {"$ref": "#/properties/event"},
            "b": {"$ref": "#/properties/wiki"},
            "c": {"$ref": "#/properties/webHost"},  # of the capsule
        }
    }
    assert not messages(document, {"a": "x", "b": 5, "c": "x"})
    assert len(messages(document, {"a": 5, "b": "x", "c": 5})) == 3


def test_values_of_an_enum_are_no_references() -> None:
    value = {"$ref": "#/properties/a"}
    assert not messages({"properties": {"a": {"enum": [value]}}}, {"a": value})


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("#/definitions/b", "$ref '#/definitions/b' leads nowhere"),
        ("#/properties/event/definitions/b", "leads nowhere"),
        ("#/properties/a", "$ref '#/properties/a' leads back to itself"),
        ("#/definitions/c", "$ref '#/definitions/c' leads back to itself"),
        ("#/definitions/d/type/0/x", "leads nowhere"),
        ("#/definitions/d/type/0", "leads nowhere"),
        ("#/definitions/d/type", "leads nowhere"),
    ],
)
def test_what_leads_nowhere_is_reported(ref: str, says: str, tmp_path: Path) -> None:
    """Events without it are valid, as in EventLogging: the schema is not refused."""
    (tmp_path / "S").mkdir()
    document = {
        "properties": {"a": {"$ref": ref}, "z": TEXT},
        "definitions": {"c": {"$ref": "#/definitions/c"}, "d": {"type": ["null"]}},
    }
    (tmp_path / "S" / "1.json").write_text(json.dumps(document))
    registry = DirectoryRegistry(tmp_path)
    assert not registry.problems()
    assert any("schema S revision 1: " in each and says in each for each in registry.limits())
    assert not messages(document, {"z": "x"})
    (message,) = messages(document, {"a": 1})
    assert f"$ref {ref!r} leads nowhere" in message or "too deep" in message
