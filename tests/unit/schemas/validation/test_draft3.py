"""Draft 3 as jsonschema 3.2 meant it, and what is a schema at all."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from schemas.validation.documents import problem_with
from schemas.validation.messages import LONGEST_MESSAGE
from schemas.validation.validator import Validator, Violation

Json = dict[str, Any]

TESTS = Path(__file__).parents[3]
ORACLE = TESTS / "golden" / "oracle"
CATALOG = TESTS.parent / "schemas" / "catalog"
CAPSULE = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
LINE = re.compile(r"\?(\S+)\s+(\S+)\s+(\d+)\s+(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\s+([^\t]+)\s+[^\t]+")


DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def violations(document: Json, event: object) -> list[Violation]:
    return Validator(document).violations({**CAPSULE, "event": event})


def fits(document: Json, event: object) -> bool:
    validator, data = Validator(document), {**CAPSULE, "event": event}
    return validator.accepts(data) or not validator.violations(data)


# Each of these has another verdict in jsonschema 4.26 (or an exception), measured.
AS_IN_RELEASE_3: list[tuple[Json, object, bool]] = [
    ({"enum": [[1]]}, [True], True),
    ({"enum": [{"a": 0}], "additionalProperties": True}, {"a": False}, True),
    ({"uniqueItems": True}, [[1], [True]], False),
    ({"uniqueItems": True}, [{"a": 1}, {"a": True}], False),
    ({"divisibleBy": 0.5}, 1.7e308, False),
    (  # draft 4 would want `a`
        {"properties": {"o": {"$schema": DRAFT_4, "required": ["a"]}}},
        {"o": {}},
        True,
    ),
    (  # draft 7 would take 1.0 for an integer
        {"properties": {"o": {"$schema": DRAFT_7, "type": "integer"}}},
        {"o": 1.0},
        False,
    ),
    (  # `any` is unknown to draft 4
        {"$schema": DRAFT_4, "type": "any"},
        {},
        True,
    ),
]


@pytest.mark.parametrize(("document", "event", "valid"), AS_IN_RELEASE_3, ids=str)
def test_draft_3_as_release_3_meant_it(document: Json, event: object, valid: bool) -> None:
    assert fits(document, event) is valid
    assert (not violations(document, event)) is valid


@pytest.mark.parametrize(
    ("document", "event", "valid"),
    [
        ({"enum": [1]}, True, False),
        ({"enum": [True]}, 1.0, False),
        ({"enum": [1]}, 1.0, True),
        ({"enum": [0, 1]}, False, False),
        ({"uniqueItems": True}, [1, True], True),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [0, False, [], {}], True),
        ({"uniqueItems": True}, [[], {}], True),
        ({"type": "integer"}, 1.0, False),
        ({"type": "number"}, True, False),
        ({"properties": {"o": {"required": ["a"], "type": "object"}}}, {}, False),
        ({"properties": {"o": {"required": ["a"], "type": "object"}}}, {"o": {}}, True),
        ({"properties": {"o": {"required": []}}}, {}, True),
        ({"format": "date-time", "type": "string"}, "never", True),
        ({"dependencies": {"a": {"properties": {"b": {"required": True}}}}}, {"a": 1}, False),
    ],
    ids=str,
)
def test_draft_3(document: Json, event: object, valid: bool) -> None:
    document = {**document, "additionalProperties": True}
    assert fits(document, event) is valid


def test_extra_properties_are_reported_in_the_events_order() -> None:
    """In both releases it is the order of a set, which differs from run to run."""
    names = [f"x{number}" for number in range(12)]
    found = violations({"additionalProperties": {"type": "null"}}, dict.fromkeys(names, 1))
    assert [each.path for each in found] == [f"event.{name}" for name in names]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("path", sorted(CATALOG.glob("*/*.json")), ids=str)
def test_the_catalog_is_valid(path: Path) -> None:
    assert problem_with(json.loads(path.read_text())) is None


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "a schema is an object, not list"),
        (None, "a schema is an object, not NoneType"),
        ({"type": 5}, "type: 5"),
        ({"properties": {"a": {"type": 5}}}, "properties.a.type: 5"),
        ({"properties": {"a": True}}, "properties.a: True"),
        ({"items": {"minimum": "1"}}, "items"),
        ({"required": "yes"}, "required"),
        ({"required": [1]}, "required"),
        ({"divisibleBy": 0}, "divisibleBy"),
        ({"$ref": "http://example.org/x"}, "only a pointer"),
        ({"properties": {"a": {"$ref": "other.json#"}}}, "only a pointer"),
        ({"extends": [{"$ref": "//example.org/x"}]}, "only a pointer"),
        ({"pattern": "("}, "not a regular expression"),
        ({"properties": {"a": {"pattern": "*"}}}, "not a regular expression"),
        ({"pattern": f"a{{{2**40}}}"}, "not a regular expression"),
        ({"patternProperties": {"[": {}}}, "not a regular expression"),
        ({"patternProperties": {"a": {}, "(?i)b": {}}}, "not a regular expression"),
        ({"default": nested(70)}, "deeper than"),
        ({"enum": list(range(100_001))}, "values"),
        ({"pattern": "(?i)" + r"[\x00-\uffff]" * 5_000}, "patterns have more than 10000 char"),
        ({"patternProperties": {f"(?i)[{n}-\uffff]": {} for n in range(10 ** 6, 10**6 + 900)}},
         "patterns have more than"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_no_schema(document: object, says: str) -> None:
    problem = problem_with(document)
    assert problem is not None
    assert says in problem
    assert "\n" not in problem
    assert len(problem) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"required": ["a"], "$schema": DRAFT_4},
        {"properties": {"a": {"required": ["b"]}, "$ref": {"type": "string"}}},
        {"enum": []},
        {"enum": [1, 1]},
        {"$ref": "#"},
        {"$ref": "#/properties/event"},
        {"oneOf": 5, "const": []},
        {"properties": {f"p{n}": {"items": {"type": "string"}} for n in range(20_000)}},
    ],
    ids=lambda document: str(document)[:60],
)
def test_what_the_original_let_pass(document: Json) -> None:
    assert problem_with(document) is None
