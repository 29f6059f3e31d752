"""The fast path against the authority: what it accepts has no violation.

Schemas and values are drawn from a Random that hypothesis drives (and shrinks). Names, numbers and
strings come from small pools, so that schemas, values and their parts meet often.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.validation.documents import problem_with
from schemas.validation.validator import Validator

Json = dict[str, Any]

ORACLE = Path(__file__).parents[3] / "golden" / "oracle"
CAPSULE = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}

NAMES = ["a", "b", "id", "x_y", "ключ", "a.b", "'\"\\", ""]
PATTERNS = ["^a", "b$", "^x_", "[0-9]", "", "a|b", "^$", "ключ"]
TYPES = ["string", "integer", "number", "boolean", "null", "object", "array", "any"]
SCALARS: list[Any] = [None, True, False, 0, 1, 2, -1, 7, 2**63 - 1, 0.0, -0.0, 1.0, 0.5, 2.5, 1e300]
SCALARS += ["", "a", "b", "ab", "1", "x_1", "ключ", "🦆", "a\n"]
LIMITS = [0, 1, 2, 7, 0.5, 1.0, 2.5, -1]


def some(rnd: Random, pool: list[Any], most: int = 3) -> list[Any]:
    """Up to `most` different members of a pool, in any order."""
    return rnd.sample(pool, rnd.randint(0, most))


def any_value(rnd: Random, depth: int = 2) -> Any:
    """Any value at all."""
    shape = rnd.choice(["scalar", "scalar", "list", "dict"]) if depth else "scalar"
    if shape == "list":
        return [any_value(rnd, depth - 1) for _ in range(rnd.randint(0, 3))]
    if shape == "dict":
        return {name: any_value(rnd, depth - 1) for name in some(rnd, NAMES)}
    return rnd.choice(SCALARS)


def any_type(rnd: Random, depth: int) -> Any:
    """A simple type, a union, a union with schemas."""
    if rnd.random() < 0.6:
        return rnd.choice(TYPES)
    union: list[Any] = some(rnd, TYPES)
    if depth and rnd.random() < 0.5:
        union.insert(rnd.randint(0, len(union)), any_schema(rnd, depth - 1))
    return union


def any_dependency(rnd: Random, depth: int) -> Any:
    return rnd.choice([rnd.choice(NAMES), some(rnd, NAMES), any_schema(rnd, depth - 1)])


def any_required(rnd: Random) -> Any:
    return rnd.choice([True, True, False, ["a"], ["a", "b"], []])


NESTING: dict[str, Callable[[Random, int], Any]] = {
    "type": any_type,
    "properties": lambda r, d: {
        name: any_schema(r, d - 1) | ({"required": any_required(r)} if r.random() < 0.4 else {})
        for name in some(r, NAMES, 4)
    },
    "patternProperties": lambda r, d: {p: any_schema(r, d - 1) for p in some(r, PATTERNS, 2)},
    "additionalProperties": lambda r, d: r.choice([False, True, any_schema(r, d - 1)]),
    "items": lambda r, d: r.choice(
        [any_schema(r, d - 1), [any_schema(r, d - 1) for _ in range(r.randint(0, 2))]]
    ),
    "additionalItems": lambda r, d: r.choice([False, True, any_schema(r, d - 1)]),
    "dependencies": lambda r, d: {name: any_dependency(r, d) for name in some(r, NAMES, 2)},
    "extends": lambda r, d: r.choice(
        [any_schema(r, d - 1), [any_schema(r, d - 1) for _ in range(r.randint(0, 2))]]
    ),
}
FLAT: dict[str, Callable[[Random], Any]] = {
    "disallow": lambda r: r.choice([r.choice(TYPES), some(r, TYPES)]),
    "enum": lambda r: [any_value(r, 1) for _ in range(r.randint(1, 4))],
    "minimum": lambda r: r.choice(LIMITS),
    "maximum": lambda r: r.choice(LIMITS),
    "exclusiveMinimum": lambda r: r.choice([True, False]),
    "exclusiveMaximum": lambda r: r.choice([True, False]),
    "divisibleBy": lambda r: r.choice([1, 2, 7, 0.5, 0.1, 1.0, 2.5]),
    "minLength": lambda r: r.randint(0, 2),
    "maxLength": lambda r: r.randint(0, 2),
    "pattern": lambda r: r.choice(PATTERNS),
    "minItems": lambda r: r.randint(0, 2),
    "maxItems": lambda r: r.randint(0, 2),
    "uniqueItems": lambda r: r.choice([True, True, False]),
    "format": lambda _: "date-time",
    "required": any_required,  # means nothing but in a property
    "oneOf": lambda _: [{"type": "null"}],  # draft 4: unknown, so ignored
    "$schema": lambda _: "http://json-schema.org/draft-04/schema#",
}


def any_schema(rnd: Random, depth: int) -> Json:
    """A draft-3 schema, at times with draft 4 in it."""
    keywords = [*NESTING, *FLAT] if depth > 0 else ["type", *FLAT]
    chosen = {*some(rnd, keywords, 4)} | ({"type"} if rnd.random() < 0.6 else set())
    chosen |= {"minimum"} if "exclusiveMinimum" in chosen else set()
    chosen |= {"maximum"} if "exclusiveMaximum" in chosen else set()
    return {
        each: NESTING[each](rnd, max(depth, 0)) if each in NESTING else FLAT[each](rnd)
        for each in keywords
        if each in chosen
    }


def fitting(rnd: Random, schema: Json, depth: int = 4) -> Any:
    """A value that is likely to fit the schema, or nearly."""
    if rnd.random() < 0.08 or depth == 0:
        return any_value(rnd)
    if "enum" in schema and rnd.random() < 0.9:
        return rnd.choice(schema["enum"])
    if isinstance(schema.get("extends"), dict) and rnd.random() < 0.5:
        return fitting(rnd, schema["extends"], depth - 1)
    types = schema.get("type", "any")
    kind = rnd.choice(types or ["any"]) if isinstance(types, list) else types
    if isinstance(kind, dict):
        return fitting(rnd, kind, depth - 1)
    if kind == "any":
        if {"properties", "patternProperties", "dependencies"} & set(schema):
            kind = "object"
        elif {"items", "minItems", "uniqueItems"} & set(schema):
            kind = "array"
    if kind == "object":
        return fitting_object(rnd, schema, depth)
    if kind == "array":
        items = schema.get("items", {})
        parts = items if isinstance(items, list) else [items] * rnd.randint(0, 3)
        return [fitting(rnd, part, depth - 1) for part in parts]
    classes = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,)}
    wanted = classes.get(kind, (object,))
    return rnd.choice([each for each in SCALARS if isinstance(each, wanted)])


def fitting_object(rnd: Random, schema: Json, depth: int) -> Json:
    """An object with most of the schema's properties, rarely one more."""
    found = {}
    for name, part in schema.get("properties", {}).items():
        if rnd.random() < (0.95 if part.get("required") else 0.6):
            found[name] = fitting(rnd, part, depth - 1)
    if rnd.random() < 0.3:
        extra = schema.get("additionalProperties")
        part = extra if isinstance(extra, dict) else {}
        found.setdefault(rnd.choice(NAMES), fitting(rnd, part, depth - 1))
    return found


def any_event(rnd: Random, document: Json) -> Json:
    """A capsule around a value for the document; at times the capsule itself is broken."""
    event = {**CAPSULE, "event": fitting(rnd, document)}
    if rnd.random() < 0.1:
        event[rnd.choice([*CAPSULE, "event", "seqId", "zzz", "timestamp"])] = any_value(rnd)
    if rnd.random() < 0.1:
        event.pop(rnd.choice([*CAPSULE, "event"]))
    return event


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_what_it_accepts_has_no_violation(rnd: Random) -> None:
    document = any_schema(rnd, 3)
    assert problem_with(document) is None
    validator = Validator(document)
    for _ in range(5):
        event = any_event(rnd, document)
        if validator.accepts(event):
            assert validator.violations(event) == [], (document, event)


def test_it_accepts_most_of_what_is_valid() -> None:
    """The same draw, more of it, counted: a fast path that accepts nothing would pass the above."""
    rnd, valid, accepted, invalid = Random(1), 0, 0, 0
    for _ in range(1500):
        document = any_schema(rnd, 3)
        validator = Validator(document)
        for _ in range(5):
            event = any_event(rnd, document)
            surely = validator.accepts(event)
            fits = not validator.violations(event)
            assert fits or not surely, (document, event)
            valid, invalid, accepted = valid + fits, invalid + (not fits), accepted + surely
    assert valid > 2000
    assert invalid > 2000
    assert accepted > 0.95 * valid


def test_a_broken_keyword_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The differential test can fail: without its check of `minimum` the fast path is caught."""
    from schemas.validation import fast_path

    monkeypatch.setattr(fast_path._Code, "_number", lambda *_: None)
    with pytest.raises(AssertionError):
        test_it_accepts_most_of_what_is_valid()


def oracle_events() -> Iterator[Json]:
    """The events that the original called valid and that orjson can carry."""
    with gzip.open(ORACLE / "valid.jsonl.gz", "rt") as lines:
        for line in lines:
            event: Json = json.loads(line)["event"]
            try:
                same = orjson.loads(orjson.dumps(event)) == event
            except orjson.JSONEncodeError:  # lone surrogates, integers beyond 64 bits
                continue
            if same:  # NaN has become null otherwise
                yield event


def oracle_validators() -> dict[tuple[str, int], Validator]:
    return {
        (path.parent.name, int(path.stem)): Validator(json.loads(path.read_text()))
        for path in (ORACLE / "schemas").glob("*/*.json")
    }


def test_it_accepts_what_the_original_did() -> None:
    validators = oracle_validators()
    verdicts = [
        validators[event["schema"], event["revision"]].accepts(event) for event in oracle_events()
    ]
    assert len(verdicts) > 19_000
    assert sum(verdicts) > 0.999 * len(verdicts)
