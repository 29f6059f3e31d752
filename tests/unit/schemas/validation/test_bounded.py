"""What a line may cost: in proportion to its bytes, whatever values nest in it."""

import json
import time
from typing import Any

import hostile_schemas
import pytest

from schemas.validation.validator import Validator, Violation

Json = dict[str, Any]
CAPSULE = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
EVENT = {"$ref": "#/properties/event"}
LISTS = {"type": "array", "items": EVENT}


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def seconds_and_verdict(document: Json, event: object) -> tuple[float, bool]:
    validator, begun = Validator(document), time.thread_time()
    data = {**CAPSULE, "event": event}
    valid = validator.accepts(data) or not validator.violations(data)
    return time.thread_time() - begun, valid


@pytest.mark.parametrize(
    ("document", "event", "valid"),
    [
        ({"type": [LISTS, LISTS | {"minItems": 0}, "null"]}, nested(25, 1), False),
        ({"type": [LISTS, LISTS | {"minItems": 0}, "null"]}, nested(25, None), True),
        ({"disallow": [LISTS | {"minItems": 1}, LISTS | {"maxItems": 1}]}, nested(24, 1), True),
        ({"extends": [{"items": EVENT}, {"items": EVENT}]}, nested(25, None), True),
        ({"extends": [{"items": EVENT}, {"items": EVENT}], "disallow": "null"},
         nested(25, None), False),
        ({"uniqueItems": True, "items": EVENT}, nested(40, [*range(30_000)]), True),
        ({"uniqueItems": True, "items": EVENT}, nested(40, [0, *range(30_000)]), False),
        ({"type": ["null", "integer"], "items": EVENT}, nested(40, [*range(30_000)]), False),
        ({"type": ["null", "integer"], "items": EVENT}, nested(40, "x" * 1_000_000), False),
        ({"type": [{"items": {"type": "string"}}, {"items": {"type": "null"}}]},
         [1] * 500_000, False),
        ({"items": {"type": [{"enum": [{"a": n}]} for n in range(9)]}}, [{"a": 1}] * 9_000, True),
        ({"items": {"enum": [*map(str, range(3_000))]}}, ["2999"] * 30_000 + ["x"], False),
        ({"items": {"enum": [{"a": n} for n in range(3_000)]}}, [{"a": 2_999}] * 30_000, True),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_time_is_in_proportion(document: Json, event: object, valid: bool) -> None:
    seconds, found = seconds_and_verdict(document, event)
    assert found is valid
    assert seconds < 2


VALUES: dict[str, Any] = {name: json.loads(text) for name, text in hostile_schemas.VALUES.items()}


@pytest.mark.parametrize("document", hostile_schemas.WIDE, ids=lambda it: str(it)[:60])
def test_many_parts_of_a_schema_meet_many_values(document: Json) -> None:
    """Of some thousand values they do so without a limit."""
    for name in (
        "numbers",
        "different numbers",
        "objects",
        "many keys",
        "a random text",
        "far away",
    ):
        for event in (VALUES[name], {"l": VALUES[name]}):
            assert seconds_and_verdict(document, event)[0] < 2, name


@pytest.mark.parametrize("document", hostile_schemas.WIDE, ids=lambda it: str(it)[:60])
def test_some_hundred_values_are_judged(document: Json) -> None:
    """As surely as one of them."""
    validator = Validator({**document, "additionalProperties": True})
    one, few = ({**CAPSULE, "event": {"l": [3] * count}} for count in (1, 500))
    assert validator.accepts(few) is validator.accepts(one)


@pytest.mark.parametrize("text", ["a" * 600, "a'" * 600, 'a"' * 600, "'\"" * 600, "a" * 600 + "'"])
def test_a_long_text_is_shown_as_it_is_written(text: str) -> None:
    for event in (text, [text, 1], {"k": text, "l": [text]}, {"k": [1, None, {"é": True}]}, [], {}):
        (found,) = Validator({"type": "null", "additionalProperties": True}).violations(
            {**CAPSULE, "event": event}
        )
        assert found.message[:499] == f"{event!r} is not of type 'null'"[:499]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"extends": [{"$ref": "#"}]},
        {"type": "array", "items": {"$ref": "#/properties/a"}},
    ],
    ids=str,
)
def test_wherever_the_stack_ends(schema: dict[str, Any]) -> None:
    """It is no end of the process: a library in Rust that is asked there would panic."""
    validator = Validator({"properties": {"a": schema}})

    def judged(event: object, frames: int) -> list[Violation]:
        if frames:
            return judged(event, frames - 1)
        return validator.violations({**CAPSULE, "event": event})

    told = set()
    for depth in range(60, 240, 5):
        value: object = 5
        for _ in range(depth):
            value = [value] if "items" in schema else {"a": value}
        for frames in range(12):
            told |= {each.message for each in judged({"a": value}, frames)} or {""}
    assert any("nests too deep" in each for each in told) and len(told) > 1
