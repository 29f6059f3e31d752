"""The verdict on an event: what is said, where, how much of it; and what the original said."""

import gzip
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.capsule import scid_of
from schemas.event import Origin, RawLine
from schemas.validation.messages import LONGEST_MESSAGE
from schemas.validation.validator import MOST_VIOLATIONS, Validator, Violation, encapsulate

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


def oracle_validators() -> dict[tuple[str, int], Validator]:
    return {
        (path.parent.name, int(path.stem)): Validator(json.loads(path.read_text()))
        for path in (ORACLE / "schemas").glob("*/*.json")
    }


def capsule_of(line: str) -> Json:
    """The capsule as the original puts it together, but for its user agent and uuid."""
    match = LINE.match(line)
    assert match
    query, recv_from, seq_id, dt, ip = match.groups()
    client = json.loads(unquote_plus(query.strip("?;")))
    for marker in ("clientValidated", "isTruncated"):
        client.pop(marker, None)
    capsule = {"recvFrom": recv_from, "seqId": int(seq_id), "dt": f"{dt}Z", "ip": ip}
    return {**capsule, "userAgent": {}, "uuid": "u", **client}


def test_the_first_violation_is_that_of_the_original() -> None:
    validators = oracle_validators()
    lines = gzip.decompress((ORACLE / "corpus.log.gz").read_bytes()).split(b"\n")
    compared = 0
    with gzip.open(ORACLE / "invalid.jsonl.gz", "rt") as records:
        for record in map(json.loads, records):
            if not record.get("validator"):  # not a violation of a schema
                continue
            event = capsule_of(lines[record["line"] - 1].decode("utf-8", "replace"))
            scid = scid_of(event)
            if scid not in validators:
                continue
            validator = validators[scid]
            assert not validator.accepts(event)
            first = validator.violations(event)[0]
            path = "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in record["path"])
            assert (first.path, first.keyword) == (path.lstrip("."), record["validator"]), record
            assert first.message == record["message"]
            compared += 1
    assert compared > 370


def test_the_authority_finds_nothing_wrong_with_what_the_original_accepted() -> None:
    validators = oracle_validators()
    with gzip.open(ORACLE / "valid.jsonl.gz", "rt") as records:
        for record in records:
            event = json.loads(record)["event"]
            assert validators[event["schema"], event["revision"]].violations(event) == []


@pytest.mark.parametrize("event", [[], None, "str", 5, {}])
def test_a_schema_without_a_type_takes_any_event(event: object) -> None:
    document = {"properties": {"a": {"type": "string"}}}
    assert fits(document, event)
    assert not fits({**document, "type": "object"}, event) or event == {}
    assert not Validator(document).violations(CAPSULE)  # no event at all


def test_the_documents_top_level_alone_is_closed() -> None:
    document: Json = {"properties": {"o": {"properties": {}}}}
    assert not fits(document, {"x": 1})
    assert fits(document, {"o": {"x": 1}})
    assert fits({**document, "additionalProperties": {"type": "null"}}, {"x": None})
    assert not fits({**document, "additionalProperties": {"type": "null"}}, {"x": 1})


def test_encapsulate_leaves_the_document_alone() -> None:
    document: Json = {
        "$schema": "x",
        "id": "y",
        "properties": {"id": {"id": "z", "type": "string"}, "$schema": {"enum": [{"id": 1}]}},
    }
    before = json.dumps(document)
    assert encapsulate(document)["properties"]["event"] == {
        "properties": {"id": {"type": "string"}, "$schema": {"enum": [{"id": 1}]}},
        "additionalProperties": False,
    }
    assert json.dumps(document) == before
    assert encapsulate({})["properties"]["event"] != encapsulate(document)["properties"]["event"]


def test_paths_and_order() -> None:
    document = {
        "properties": {
            "l": {"items": {"properties": {"c": {"type": "string"}}}},
            "n": {"required": True},
            "a.b": {"type": "integer"},
        }
    }
    event = {"l": [{}, {"c": "x"}, {"c": 1}], "a.b": "", "zz": 1}
    found = Validator(document).violations({**CAPSULE, "event": event, "wiki": 5})
    assert [(each.path, each.keyword) for each in found] == [
        ("event.l[2].c", "type"),
        ("event.n", "required"),
        ("event.a.b", "type"),
        ("event", "additionalProperties"),
        ("wiki", "type"),
    ]
    assert found[3].message == "Additional properties are not allowed ('zz' was unexpected)"
    assert Validator({}).violations({})[0] == Violation(
        "wiki", "'wiki' is a required property", "required"
    )


def test_violations_are_bounded() -> None:
    document = {"items": {"type": "string"}}
    assert len(violations(document, [1] * MOST_VIOLATIONS)) == MOST_VIOLATIONS
    assert "more" not in violations(document, [1] * MOST_VIOLATIONS)[-1].message
    found = violations(document, [1] * (MOST_VIOLATIONS + 7))
    assert len(found) == MOST_VIOLATIONS
    assert found[-1].message == "1 is not of type 'string' (and 7 more violations)"
    assert violations(document, [1] * 50_000)[-1].message.endswith(
        "(and at least 1000 more violations)"
    )


@pytest.mark.parametrize("hostile", ["x" * 10**6, "\x00\x1b[31m\r\n" * 400, "\ud800\u2028" * 300])
def test_messages_and_paths_are_bounded_and_printable(hostile: str) -> None:
    document = {"additionalProperties": {"type": "integer"}}
    for event in ({hostile: hostile}, {"a": [hostile]}, {hostile: {hostile: 1}}):
        (found,) = violations(document, event)
        assert len(found.message) <= LONGEST_MESSAGE
        assert len(found.path) <= LONGEST_MESSAGE
        assert found.message.isprintable()
        assert found.path.isprintable()
    (found,) = violations({}, {f"{hostile}{n}": 1 for n in range(50)})
    assert len(found.message) <= LONGEST_MESSAGE
    assert found.message.isprintable()


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("document", "event", "says"),
    [
        ({"$ref": "#/properties/event"}, {}, "too deep"),
        ({"type": "string"}, nested(50_000), "too deep"),
        ({"uniqueItems": True}, [nested(50_000), []], "too deep"),
        ({"$ref": "#/nowhere"}, {}, "can't be applied"),
        ({"$ref": "http://example.invalid/schema"}, {}, "can't be applied"),
        ({"type": "strnig"}, {}, "'strnig'"),
        ({"properties": {"a": {"pattern": "("}}}, {"a": "b"}, "can't be applied"),
        ({"properties": {"a": True}}, {}, "can't be applied"),
        ({"items": {"minimum": "1"}}, [1], "can't be applied"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, (dict, str)) else "",
)
def test_a_schema_that_fails_makes_the_event_bad(document: Json, event: object, says: str) -> None:
    """In the original too: its exception made the event an EventError."""
    assert not fits(document, event)
    last = violations(document, event)[-1]
    assert says in last.message
    assert last.keyword == "schema"


def test_a_list_of_a_strangers_values_takes_linear_time() -> None:
    assert fits({"uniqueItems": True}, [{"a": n} for n in range(30_000)])


@pytest.mark.parametrize("raw", [b"?%7B\n", b"\xff\xfe", b"x" * 100_000, b""])
def test_event_errors_fit_their_schema(raw: bytes) -> None:
    line = RawLine(raw, Origin("file", "a.log", 12, 1e9, "a-0"))
    error = event_error(BadEvent(line, Stage.PARSE, Reason.BAD_JSON, "no JSON"))
    schema = json.loads((CATALOG / "EventError" / "14035058.json").read_text())
    validator = Validator(schema)
    assert validator.violations(error.data) == []
    assert validator.accepts(error.data)
    assert {*error.data["event"]} == set(schema["properties"])
    assert all(each["description"] for each in schema["properties"].values())
    for required in ("rawEvent", "message", "code", "schema", "revision"):
        event = {key: value for key, value in error.data["event"].items() if key != required}
        assert validator.violations({**error.data, "event": event})
