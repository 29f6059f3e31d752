"""Patterns of schemas: `re` decides what they mean, whoever searches, and none takes for ever."""

import json
import re
import time
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.bad_event import BadEvent, Reason
from schemas.event import Event, Origin, RawLine
from schemas.registry import DirectoryRegistry
from schemas.validation.patterns import (
    SECONDS,
    Search,
    SearchTooLong,
    limited,
    pattern_of,
    re2_search,
)
from schemas.validation.validator import Validator
from transforms.validate import event_validator

CAPSULE = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
CHARACTERS = "abABéÉßſsKk٣１1_ \u00a0\n\r\x85\u2028-.🦆"
ATOMS = [*"abéß.sk", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[ab]", "[^a]", "[a-é]", r"[\d_]"]
ATOMS += [r"[^\w-]", r"[\W\d]", "\n", "$", "^", r"\A", r"\Z", r"\.", "٣", "🦆", "", "[🦆-🧀]"]
REPEATS = ["*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{2,}", "{1,3}?"]
UNTRANSLATABLE = [r"\b", r"\B", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "(?>a|ab)", "a*+"]


def any_pattern(rnd: Random, atoms: list[str], depth: int = 4) -> str:
    """A pattern of these atoms, with groups, branches, repetitions and flags."""
    kind = rnd.random()
    if not depth or kind < 0.35:
        return rnd.choice(atoms)
    inner = any_pattern(rnd, atoms, depth - 1)
    if kind < 0.55:
        return inner + any_pattern(rnd, atoms, depth - 1)
    if kind < 0.7:
        return f"(?:{inner}|{any_pattern(rnd, atoms, depth - 1)})"
    if kind < 0.75:
        return f"({inner})"
    if kind < 0.8:
        return f"(?{rnd.choice(['i', 'm', 's', 'is', '-i', 'a'])}:{inner})"
    return f"(?:{inner}){rnd.choice(REPEATS)}"


def any_text(rnd: Random, longest: int) -> str:
    return "".join(rnd.choices(CHARACTERS, k=rnd.randint(0, longest)))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_re2_says_what_re_says(rnd: Random) -> None:
    pattern = any_pattern(rnd, ATOMS)
    search = re2_search(pattern)
    for _ in range(10 if search else 0):
        text = any_text(rnd, 8)
        assert search and bool(search(text)) == bool(re.search(pattern, text)), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\d+$", "٣١", True),  # Arabic digits
        (r"^\d+$", "1\n", True),
        (r"^\d+$", "1\n\n", False),
        (r"^\d+\Z", "1\n", False),
        (r"^\w+$", "é", True),
        (r"^\W+$", "é", False),
        (r"^\s+$", "\u00a0", True),
        (r"(?a)^\d+$", "٣", False),
        (r"(?i)^k+$", "\u212a", True),  # the sign of Kelvin
        (r"(?i)^[r-t]+$", "ſ", True),
        (r"(?ai)^k+$", "\u212a", False),
        (r"(?m)^b$", "a\nb\nc", True),
        (r"(?s)a.b", "a\nb", True),
        (r"a.b", "a\nb", False),
        (r"a.b", "a\x85b", True),
        (r"[^\S\s]", "a", False),
        (r"^(?:a|b$)+", "ab\n", None),  # more may follow, which wants the line end
        (r"^a{1001}", "a", None),
        (r"\bé", " é", None),
        (r"(a)\1", "aa", None),
        (r"a(?=b)", "ab", None),
        (r"(?a:\d)+", "٣", None),
        (r"(?a:\W)", "é", None),  # which `re` doesn't find, though it is one
        (r"(?a)(?u:\d)+", "٣", None),
    ],
)  # fmt: skip
def test_a_pattern_means_the_same_or_is_left_to_re(
    pattern: str, text: str, found: bool | None
) -> None:
    search = re2_search(pattern)
    if found is None:
        assert search is None
    else:
        assert search and bool(search(text)) is found is bool(re.search(pattern, text))


@pytest.mark.parametrize(
    ("pattern", "engine"),
    [
        ("^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$", "re"),
        (r"^(\d{1,3}\.){3}\d{1,3}$", "re"),
        (r"^\d+$", "re"),
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "re"),
        ("^(a+)+$", "re2"),
        (r"^(\w+\s?)*$", "re2"),
        ("a*b", "re2"),
        (r"^[^@]+@[^@]+\.[^@]+$", "re2"),
    ],
)
def test_a_long_value_takes_time_in_proportion(pattern: str, engine: str) -> None:
    how = pattern_of(pattern)
    assert (how.engine, how.longest) == (engine, inf)
    for text in ("a" * 1_000_000 + "!", "a " * 500_000 + "!", "1." * 500_000):
        assert seconds_of(how.search, text) < 0.25


def seconds_of(search: Search, text: str) -> float:
    """CPU seconds of one search; the least of three, because others use the machine too."""
    found = []
    for _ in range(3):
        begun = time.thread_time()
        search(text)
        found.append(time.thread_time() - begun)
        if found[-1] < SECONDS:
            break
    return min(found)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_what_only_re_can_search_has_a_limit_that_holds(rnd: Random) -> None:
    atoms = ["a", "b", "[ab]", "a?", "b*", ".", "a{2}", *UNTRANSLATABLE]
    pattern = any_pattern(rnd, atoms) + rnd.choice(["$", "c", r"\Z"]) + "(?!x)"
    how = pattern_of(pattern)
    longest = int(min(how.longest, 5_000))
    for text in ("a" * longest, "ab" * (longest // 2), "a" * (longest - 1) + "!"):
        if len(text) <= longest:
            assert seconds_of(how.search, text) < SECONDS, (pattern, longest)


EVIL = r"^(a+)+\b$"


def test_a_longer_value_makes_the_event_bad_and_names_the_pattern() -> None:
    longest = int(pattern_of(EVIL).longest)
    assert 10 <= longest < 40
    schema: dict[str, Any] = {"properties": {"a": {"type": "string", "pattern": EVIL}}}
    validator = Validator(schema)
    for value, valid in (("a" * longest, True), ("a" * (longest - 1) + "!", False)):
        found = validator.violations(CAPSULE | {"event": {"a": value}})
        assert [each.keyword for each in found] == ([] if valid else ["pattern"])
    begun = time.thread_time()
    long = CAPSULE | {"event": {"a": "a" * 40 + "!"}}
    assert not validator.accepts(long)
    (violation,) = validator.violations(long)
    assert time.thread_time() - begun < 0.1
    assert violation.keyword == "pattern"
    assert repr(EVIL) in violation.message
    assert "41 characters" in violation.message


@pytest.mark.parametrize("pattern", ["^(a+)+$", r"^(\w+\s?)*[\ud800-\udbff]$", "^(a+|[^a])*$"])
def test_re_decides_on_lone_surrogates(pattern: str) -> None:
    """RE2 takes bytes, and there are none for them."""
    search = pattern_of(pattern).search
    for text in ("\ud800", "aaaaaaaaaa\ud800", "aaaaaaaaaa\udfff"):
        assert bool(search(text)) is bool(re.search(pattern, text))
    with pytest.raises(SearchTooLong, match="1001 characters"):
        search("a" * 1_000 + "\ud800")


@pytest.mark.parametrize(
    "pattern", [r"(?:a?){4294967294}\b", r"(?:(?:a?){1000}){1000}\b", "(?:x*|y*)*" * 1_000 + r"\b"]
)
def test_what_takes_for_ever_in_any_text_is_never_searched(pattern: str) -> None:
    begun = time.thread_time()
    with pytest.raises(SearchTooLong):
        pattern_of(pattern).search("")
    assert time.thread_time() - begun < 2


def test_what_is_too_large_for_re2_is_soon_known() -> None:
    begun = time.thread_time()
    pattern_of("(?:a|b){1,900}" * 150)
    assert time.thread_time() - begun < 5


def test_many_groups_take_no_more_memory_than_a_line_is_worth() -> None:
    """`re` would keep the places of all of them at each turn of the loop."""
    assert pattern_of("^" + "(a)" * 50 + "(?:ab)*$").engine == "re2"


SHORT = "a" * int(pattern_of(EVIL).longest - 1) + "!"
STEADY = r"^(?:a|a){16}\b"  # 65536 ways at most, in any text


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"pattern": EVIL}}, [SHORT] * 50_000),
        ({"items": {"pattern": STEADY}}, ["a" * 17] * 50_000),
        ({"items": {"type": [{"pattern": EVIL}, {"pattern": EVIL, "minLength": 2}]}},
         [SHORT + str(n) for n in range(50_000)]),
        ({"patternProperties": {EVIL: {"type": "integer"}}},
         {f"{SHORT[6:]}{n:06}": 1 for n in range(50_000)}),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_many_values_take_no_longer_than_one(schema: dict[str, Any], value: Any) -> None:
    validator = Validator(schema | {"additionalProperties": True})
    event = CAPSULE | {"event": value}
    begun = time.thread_time()
    assert not validator.accepts(event)
    found = validator.violations(event)
    assert time.thread_time() - begun < 0.5
    assert found[-1].keyword == "pattern"
    assert [*validator.violations(event)] == found  # each event has its own time


def test_a_few_values_of_a_pattern_that_takes_long_are_judged() -> None:
    validator = Validator({"items": {"pattern": EVIL}})
    for _ in range(100):
        assert validator.accepts(CAPSULE | {"event": ["aaaaaa"] * 100})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": [{"pattern": EVIL}, "null"]},
        {"disallow": [{"pattern": EVIL}]},
        {"extends": {"pattern": EVIL}},
        {"items": {"pattern": EVIL}},
        {"patternProperties": {EVIL: {}}, "additionalProperties": False},
        {"patternProperties": {"^x": {}, EVIL: {}}},
    ],
    ids=str,
)
def test_no_keyword_makes_another_verdict_of_it(schema: dict[str, Any]) -> None:
    """Of a value that is too long nobody knows whether it has the pattern: not in `disallow`
    either."""
    value: Any = "a" * 41
    value = [value] if "items" in schema else {value: 1} if "patternProperties" in schema else value
    event = CAPSULE | {"event": value}
    validator = Validator(schema)
    assert not validator.accepts(event)
    assert [each.keyword for each in validator.violations(event)] == ["pattern"]


def test_a_schema_with_such_a_pattern_is_used_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "S"
    folder.mkdir()
    (folder / "1.json").write_text(json.dumps({"properties": {"a": {"pattern": EVIL}}}))
    (folder / "2.json").write_text(json.dumps({"properties": {"a": {"pattern": "^(a+)+$"}}}))
    (folder / "3.json").write_text(json.dumps({"pattern": "("}))
    registry = DirectoryRegistry(tmp_path)
    (limit,) = registry.limits()
    assert limit.startswith(f"schema S revision 1: pattern {EVIL!r} is searched in texts of up to ")
    validate = event_validator(registry)
    line = RawLine(b"x", Origin("kafka", "t-0", 0, 0.0, "t"))
    good = Event(CAPSULE | {"event": {"a": "aa"}}, line)
    assert validate(good) == good
    bad = validate(Event(CAPSULE | {"event": {"a": "a" * 40 + "!"}}, line))
    assert isinstance(bad, BadEvent)
    assert bad.reason is Reason.SCHEMA_VIOLATION
    assert repr(EVIL) in bad.message


def test_patterns_are_found_where_a_schema_has_them() -> None:
    schema = {"items": [{"patternProperties": {EVIL: {"pattern": r"(\w+)\1"}, "^a": {}}}]}
    assert [each.split("'")[1] for each in limited(schema)] == [
        each.replace("\\", "\\\\") for each in (EVIL, f"{EVIL}|^a", r"(\w+)\1")
    ]


def test_groups_in_groups_end_with_a_limit() -> None:
    pattern = "(" * 90 + "a" + ")*" * 90 + r"\b"
    with pytest.raises(SearchTooLong):
        pattern_of(pattern).search("a" * 100)
