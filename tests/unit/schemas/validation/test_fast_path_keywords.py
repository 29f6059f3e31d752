"""The fast path by hand: keywords, what it leaves to the authority, names that look like code."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.validation.fast_path import compile_schema
from schemas.validation.validator import encapsulate

Json = dict[str, Any]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[4] / "schemas" / "catalog").glob("*/*.json")), ids=str
)
def test_each_schema_of_the_catalog_has_one(path: Path) -> None:
    assert compile_schema(encapsulate(json.loads(path.read_text()))) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"a": {"$ref": "#/properties/b"}}},
        {"disallow": [{"type": "string"}]},
        {"type": "strnig"},
        {"type": [{"type": "strnig"}, "string"]},
        {"disallow": "strnig"},
        {"minimum": "1"},
        {"minimum": True},
        {"pattern": "("},
        {"patternProperties": {"a(": {}, ")": {}}},
        {"properties": []},
        {"properties": {"a": True}},
        {"items": 5},
        {"dependencies": {"a": 5}},
        {"extends": "a"},
    ],
    ids=str,
)
def test_what_cannot_be_proved_goes_to_the_authority(schema: Json) -> None:
    assert compile_schema(schema) is None


def test_a_schema_too_deep_for_the_compiler_goes_to_the_authority() -> None:
    schema: Json = {}
    for _ in range(60):
        schema = {"items": schema, "type": "array"}
    assert compile_schema(schema) is None


HOSTILE = ["'", '"', "\\", "\n", "']: import os; d['", "{0}", "%s", "\ud800", "#", "\u2028", "\0"]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_are_no_code(name: str) -> None:
    verdict = compile_schema(
        {
            "properties": {name: {"type": "string", "enum": [name], "required": True}},
            "dependencies": {name: [name]},
            "additionalProperties": False,
        }
    )
    assert verdict is not None
    assert verdict({name: name})
    assert not verdict({name: 1})
    assert not verdict({name + "x": name})
    assert not verdict({})


@pytest.mark.parametrize(
    ("schema", "fits", "asks"),
    [
        ({"type": "integer"}, [0, -1, 2**63], [True, 1.0, "1", None]),
        ({"type": "number"}, [0, 1.5], [False, "1"]),
        ({"type": ["string", "null"]}, ["", None], [0, {}, []]),
        ({"enum": [1, "a"]}, [1, 1.0, "a"], [True, 2, [], None]),
        ({"enum": [True]}, [True], [1, 1.0, False]),
        ({"enum": [0, False]}, [0, 0.0, False], [1, True]),
        ({"uniqueItems": True}, [[], [[]], [1, 2], "aa"], [[1, 1], [1, 1.0], [1, True]]),
        ({"divisibleBy": 0.5}, [1, 2.5, "a", True], [0.3]),
        ({"divisibleBy": 1e-300}, [], [1e300]),
        ({"disallow": ["number", "null"]}, ["", True], [1, 1.0, None]),
        ({"items": [{"type": "null"}], "additionalItems": False}, [[], [None]], [[1], [None, 1]]),
        ({"additionalItems": False}, [[1, 2]], []),
        ({"properties": {"a": {"required": ["b"]}}}, [{"a": 1}, []], [{}, {"b": 1}]),
        ({"minimum": 1, "exclusiveMinimum": True}, [1.1, "", True], [1, 1.0]),
        ({"pattern": "a$"}, ["ba", "a\n", 1], ["ab"]),
        ({"dependencies": {"a": "b"}}, [{}, {"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        (
            {"patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False},
            [{}, {"x1": None}],
            [{"x1": 1}, {"y": None}],
        ),
    ],
    ids=str,
)
def test_keywords(schema: Json, fits: list[Any], asks: list[Any]) -> None:
    verdict = compile_schema(schema)
    assert verdict is not None
    assert [value for value in fits if not verdict(value)] == []
    assert [value for value in asks if verdict(value)] == []
