"""Templates of topics and keys: what they name, and what can never be named."""

import pickle
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from transforms.write.topics import LONGEST_KEY, KeyTemplate, TopicError, TopicTemplate

EDIT = Destination("Edit", 17)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("eventlogging_{schema}_{revision}", "eventlogging_Edit_17"),
        ("{schema}", "Edit"),
        ("{revision}.{schema}-{schema}", "17.Edit-Edit"),
        ("all", "all"),  # one topic for all
    ],
)
def test_topics(template: str, name: str) -> None:
    assert TopicTemplate(template).name(EDIT) == name
    assert pickle.loads(pickle.dumps(TopicTemplate(template))).name(EDIT) == name


@pytest.mark.parametrize(
    "field",
    ["", "0", "topic", "meta[topic]", "meta.topic", "schema.x", "schema[0]", "Schema", " schema",
     "schema!r", "schema:>9", "schema!s:x", "revision:d"],
)  # fmt: skip
def test_what_is_no_field_of_a_topic(field: str) -> None:
    told = re.escape(f"no field {{{field}}}; there are {{schema}} {{revision}}")
    with pytest.raises(TopicError, match=told):
        TopicTemplate(f"el_{{{field}}}")


@pytest.mark.parametrize("template", ["a{schema", "a}b", "{", "{schema}}"])
def test_braces_that_do_not_match(template: str) -> None:
    with pytest.raises(TopicError, match=re.escape(f"topic {template!r}: ")):
        TopicTemplate(template)


@pytest.mark.parametrize(
    "template", ["", "a b", "a/{schema}", "é{schema}", "{{schema}}", "__{schema}", "..", "\n",
                 "a" * 240 + "{schema}", "all\n"],
)  # fmt: skip
def test_templates_that_have_no_place_for_errors(template: str) -> None:
    with pytest.raises(TopicError):
        TopicTemplate(template)


@pytest.mark.parametrize("schema", ["a/b", "x" * 250, "__consumer_offsets", "..", ".", "", "a b"])
def test_names_that_kafka_does_not_allow(schema: str) -> None:
    template = TopicTemplate("{schema}")
    if schema:
        with pytest.raises(TopicError, match=r"is not a (valid )?topic"):
            template.name(Destination(schema, 1))
    with pytest.raises(TopicError, match=r"is not a (valid )?topic"):
        TopicTemplate("_{schema}").name(Destination("_x", 1))


@given(st.from_regex(r"[./a-zA-Z0-9_-]{1,63}", fullmatch=True), st.integers(1, 10**18))
def test_a_name_is_one_or_an_error(schema: str, revision: int) -> None:
    template = TopicTemplate("{schema}_{revision}")
    try:
        name = template.name(Destination(schema, revision))
    except TopicError:
        assert "/" in schema or f"{schema}_".startswith("__")
    else:
        assert re.fullmatch(r"(?!__)[a-zA-Z0-9._-]{1,249}", name)


def test_the_longest_name() -> None:
    longest = Destination("x" * 247, 1)
    assert len(TopicTemplate("{schema}_{revision}").name(longest)) == 249


def test_bad_lines_have_a_topic() -> None:
    name = TopicTemplate("eventlogging_{schema}_{revision}").name(EVENT_ERROR)
    assert name == "eventlogging_EventError_14035058"


@pytest.mark.parametrize(
    ("template", "data", "key"),
    [
        ("{wiki}", {"wiki": "enwiki"}, b"enwiki"),
        ("{wiki}", {"wiki": "é"}, "é".encode()),
        ("{seqId}", {"seqId": 7}, b"7"),
        ("{wiki}-{uuid}!", {"wiki": "w", "uuid": "u"}, b"w-u!"),
        ("{{{wiki}}}", {"wiki": "w"}, b"{w}"),
        ("{wiki}", {}, None),
        ("{wiki}-{uuid}", {"wiki": "w"}, None),
        ("{wiki}", {"wiki": ""}, None),  # EventErrors are of no wiki: not all in one partition
        ("{wiki}", {"wiki": None}, None),
        ("{wiki}", {"wiki": True}, None),
        ("{wiki}", {"wiki": 1.5}, None),
        ("{wiki}", {"wiki": {"a": 1}}, None),
        ("{wiki}", {"wiki": "x" * LONGEST_KEY}, b"x" * LONGEST_KEY),
        ("{wiki}", {"wiki": "x" * (LONGEST_KEY + 1)}, None),
    ],
)
def test_keys(template: str, data: dict[str, Any], key: bytes | None) -> None:
    assert KeyTemplate(template).key(data) == key
    assert pickle.loads(pickle.dumps(KeyTemplate(template))).key(data) == key


@pytest.mark.parametrize("field", ["event", "event.n", "userAgent", "nope", "", "0", "wiki!r"])
def test_what_is_no_field_of_a_key(field: str) -> None:
    told = re.escape(f"no field {{{field}}}; there are {{dt}} {{ip}}")
    with pytest.raises(TopicError, match=told):
        KeyTemplate(f"{{{field}}}")


@pytest.mark.parametrize("text", ["", "wiki", "{{wiki}}"])
def test_a_key_without_fields_is_a_mistake(text: str) -> None:
    with pytest.raises(TopicError, match="is the same for all"):
        KeyTemplate(text)


@given(st.text())
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    for kind in (TopicTemplate, KeyTemplate):
        try:
            kind(text)
        except TopicError as error:
            assert "\n" not in str(error) or "\n" in text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_is_a_key_or_none(value: str) -> None:
    assume(value)
    expected = value.encode()
    found = KeyTemplate("{wiki}").key({"wiki": value})
    assert found == (expected if len(expected) <= LONGEST_KEY else None)
