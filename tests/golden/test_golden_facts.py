"""Fact by fact as the original: what its own unit tests assert, and what was measured of it.

A fact of golden.json is asserted by the check of its section, or it is in DIFFERENT, with the
reason: nothing is skipped in silence, and a difference that is none any more must leave the table.
"""

import json
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from schemas.addresses import without_addresses
from schemas.bad_event import BadEvent, Reason, Stage, event_error, named_in
from schemas.capsule import (
    capsule_uuid,
    check_scid,
    iso8601_from_timestamp,
    parse_time,
    scid_from_uri,
    uuid5_hex,
)
from schemas.event import Destination, Event, Origin, RawLine
from schemas.line_format import decode_qson
from schemas.registry import HttpRegistry, UnknownSchema
from schemas.storage import sql, table_names
from schemas.storage.columns import RESCUED
from schemas.storage.sql_rows import row
from schemas.user_agent import FLAGS, TEXTS, parse_user_agent
from transforms.parse import line_parser
from transforms.validate import event_validator

Json = dict[str, Any]
Fact = dict[str, Any]

GOLDEN: Json = json.loads((Path(__file__).parent / "oracle" / "golden.json").read_text())
LINE = RawLine(b"", Origin("file", "golden.log", 7, 1_552_200_000.0, "golden.log-0"))
EXACT_AGENT = ("wmf_app_version", "is_bot", "is_mediawiki")  # all else depends on ua-parser
SCHEMAS = {
    (key.split("/")[0], int(key.split("/")[1])): document
    for key, document in GOLDEN["tests"]["schema_for_validate"].items()
}


def all_facts() -> dict[str, Fact]:
    """`tests/parse/0` -> the fact. `schema_for_validate` is no fact, but what `validate` uses."""
    found: dict[str, Fact] = {}
    for part in ("tests", "observed"):
        for section, facts in GOLDEN[part].items():
            if section != "schema_for_validate":
                listed = facts if isinstance(facts, list) else [facts]
                found |= {f"{part}/{section}/{at}": fact for at, fact in enumerate(listed)}
    return found


FACTS = all_facts()


def agrees(call: Callable[[], Any], fact: Fact) -> None:
    """What the call gives is what the original gave, or an error (of any type) where it failed."""
    if "error" in fact["expect"]:
        with pytest.raises(Exception, match=r".") as caught:
            call()
        assert not isinstance(caught.value, AssertionError)
    else:
        assert call() == fact["expect"]["ok"]


def same_agent(ours: Json, original: Json) -> None:
    assert tuple(ours) == (*TEXTS, *FLAGS) and set(original) == set(ours)
    assert [ours[key] for key in EXACT_AGENT] == [original[key] for key in EXACT_AGENT]
    for key in TEXTS[:-1]:
        assert ours[key] is None or isinstance(ours[key], str)


def parsed(fact: Fact) -> Json:
    outcome = line_parser(fact["input"]["format"])(
        LINE._replace(data=fact["input"]["line"].encode())
    )
    if isinstance(outcome, BadEvent):
        raise ValueError(outcome.message)
    return outcome.data


def check_parse(fact: Fact) -> None:
    if "error" in fact["expect"]:
        return agrees(lambda: parsed(fact), fact)
    ours, original = dict(parsed(fact)), dict(fact["expect"]["ok"])
    if "userAgent" in original:
        same_agent(ours.pop("userAgent"), original.pop("userAgent"))
    if "note" in fact:  # its uuid depended on the clock; ours never does
        original["uuid"] = origin_uuid(fact["input"]["line"])
    assert ours == original
    return None


def origin_uuid(line: str) -> str:
    digest = sha1(without_addresses(line.encode())).hexdigest()
    return uuid5_hex(f"origin://file/golden.log@7#{digest}")


def check_parse_ua(fact: Fact) -> None:
    if "error" in fact["expect"]:
        agrees(lambda: parse_user_agent(fact["input"]), fact)
    else:
        same_agent(parse_user_agent(fact["input"]), fact["expect"]["ok"])


def check_flatten(fact: Fact) -> None:
    """Nested names are joined as columns are; those of an event start with `event_`."""

    def described(value: object) -> Json:
        if isinstance(value, dict):
            return {"type": "object", "properties": {k: described(v) for k, v in value.items()}}
        return {"type": "string"}

    stored = row(described(fact["input"]))({"event": fact["input"]})
    ours = {name: value for name, value in stored.items() if value is not None}
    assert ours == {f"event_{name}": value for name, value in fact["expect"]["ok"].items()}


class _Asked(Exception):
    pass


class _Opener:
    def open(self, fullurl: Any, *, timeout: float) -> Any:
        raise _Asked(fullurl.full_url, timeout)


def url_asked(schema: str, revision: int) -> str:
    with pytest.raises(_Asked) as caught:
        HttpRegistry(opener=_Opener()).get(schema, revision)
    return str(caught.value.args[0])


def check_validate(fact: Fact) -> None:
    class TestSchemas(HttpRegistry):
        def get(self, schema: str, revision: int) -> Json:
            if (schema, revision) not in SCHEMAS:
                raise UnknownSchema(f"no {schema!r} {revision}")
            document: Json = SCHEMAS[schema, revision]
            return document

    outcome = event_validator(TestSchemas())(Event(fact["input"], LINE))
    assert isinstance(outcome, BadEvent) == ("error" in fact["expect"])


def check_sql(fact: Fact) -> None:
    event, expected = fact["input"], fact["expect"]["ok"]
    ((_, document),) = SCHEMAS.items()
    made = sql.table(document, Destination(event["topic"], event["revision"]))
    assert made.name == expected["table"]
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        made.create(connection)
        insert = sql.insert_ignoring_repeats(made)
        connection.execute(insert, [row(document)(event)])
        stored = dict(connection.execute(made.select()).mappings().one())
        texts = connection.exec_driver_sql(f'SELECT dt, "timestamp" FROM {made.name}').one()
    stored |= {"dt": texts[0], "timestamp": texts[1]}
    stored.pop(RESCUED)  # what columns can't hold, kept beside them: the original lost it
    assert list(stored) == expected["columns"]
    assert stored == expected["row"]


def check_table_name(fact: Fact) -> None:
    event = fact["input"]
    meta = event.get("meta", {})
    scid = scid_from_uri(meta.get("schema_uri")) or (event["schema"], event["revision"])
    topic = event.get("topic", meta.get("topic"))
    agrees(lambda: table_names.table_name(topic or scid[0], int(scid[1] or 0)), fact)


def check_event_error(fact: Fact) -> None:
    given = fact["input"]
    raw = given["raw"].encode()
    named = named_in(raw)
    bad = BadEvent(
        LINE._replace(data=raw), Stage.PARSE, Reason.BAD_JSON, given["message"], "", *named
    )
    ours = event_error(bad).data
    assert set(ours) == {*fact["keys"], "dt"}  # errors have a time that sinks can go by
    assert [ours[key] for key in ("schema", "revision", "wiki")] == [
        fact[key] for key in ("schema", "revision", "wiki")
    ]
    assert {key: ours["event"][key] for key in fact["event"]} == fact["event"]
    assert len(ours["uuid"]) == 32


CHECKS: dict[str, Callable[[Fact], None]] = {
    "parse": check_parse,
    "is_bot": lambda fact: agrees(lambda: parse_user_agent(fact["input"])["is_bot"], fact),
    "parse_ua": check_parse_ua,
    "flatten": check_flatten,
    "scid_from_uri": lambda fact: agrees(lambda: as_list(scid_from_uri(*rooted(fact))), fact),
    "validate_scid": lambda fact: agrees(lambda: check_scid(*fact["input"]), fact),
    "url_from_scid": lambda fact: agrees(lambda: url_asked(*fact["input"]), fact),
    "capsule_uuid": lambda fact: agrees(lambda: capsule_uuid(fact["input"]), fact),
    "timestamp_ms": lambda fact: agrees(
        lambda: int(parse_time(fact["input"]).timestamp() * 1000), fact
    ),
    "iso8601_from_timestamp": lambda fact: agrees(
        lambda: iso8601_from_timestamp(fact["input"]), fact
    ),
    "decode_qson": lambda fact: agrees(lambda: decode_qson(fact["input"]), fact),
    "validate": check_validate,
    "sql": check_sql,
    "table_name": check_table_name,
    "event_error": check_event_error,
}


def as_list(scid: tuple[str, int | None] | None) -> list[Any] | None:
    return None if scid is None else list(scid)


def rooted(fact: Fact) -> tuple[str, str]:
    uri, root = fact["input"]
    return uri, root or ""


_TYPED = "parameters of a URI are typed by its scheme: none is guessed from its look"
_NEVER_EDITED = "URIs are taken apart once (el_beam.uris): none is edited as text"
_NO_TOPICS = "an event's topic never routes (DESIGN); the templates of topics are the Kafka sink's"
_ORIGIN = "without recvFrom and seqId the identity is the line's origin (DESIGN, Delivery)"

DIFFERENT: dict[str, str] = {
    **{f"tests/cast_string/{at}": _TYPED for at in range(7)},
    **{f"tests/uri_delete_query_item/{at}": _NEVER_EDITED for at in range(3)},
    **{f"observed/uri_delete_query_item_prefix/{at}": _NEVER_EDITED for at in range(2)},
    **{f"tests/topic/{at}": _NO_TOPICS for at in range(5)},
    "observed/parse/1": _ORIGIN,
    "observed/parse/2": _ORIGIN,
    "observed/decode_qson/6": "NaN: no sink can hold it (DESIGN, where we differ)",
}


def section(name: str) -> str:
    return name.split("/")[1]


@pytest.mark.parametrize("name", sorted(FACTS.keys() - DIFFERENT.keys()))
def test_as_the_original(name: str) -> None:
    CHECKS[section(name)](FACTS[name])


def test_each_fact_is_asserted_or_listed() -> None:
    unchecked = {name for name in FACTS if section(name) not in CHECKS}
    checked_differences = {name for name in DIFFERENT if section(name) in CHECKS}
    assert DIFFERENT.keys() == unchecked | checked_differences
    assert CHECKS.keys() == {section(name) for name in FACTS.keys() - DIFFERENT.keys()}
    assert len(FACTS) == 116


@pytest.mark.parametrize("name", sorted(n for n in DIFFERENT if section(n) in CHECKS))
def test_what_is_listed_does_differ(name: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[section(name)](FACTS[name])


@pytest.mark.parametrize("name", [name for name in DIFFERENT if DIFFERENT[name] is _ORIGIN])
def test_only_the_uuid_differs(name: str) -> None:
    assert parsed(FACTS[name]) == {
        **FACTS[name]["expect"]["ok"],
        "uuid": origin_uuid(FACTS[name]["input"]["line"]),
    }
