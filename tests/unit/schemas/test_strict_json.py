"""JSON that sinks can hold: what is read is what the standard library reads, or refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from oracle import storable

from schemas.strict_json import DEEPEST, TooDeep, Unstorable, dumps, loads

INTEGERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])
LITERALS = st.sampled_from(
    ["NaN", "-Infinity", "1e400", "-0", "-0.0", "1E5", "0.1e-7", "9223372036854775808.0", "1e22"]
)
LONG_FRACTIONS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,17})\.[0-9]{19,60}(e-?[0-9]{1,2})?",
    fullmatch=True,
    alphabet="-.e0123456789",
)
TEXTS = st.text() | st.sampled_from(["\ud800", "a\udfffb", "😀", "é\0", '"\\'])
SPACES = st.text(" \t\n\r", max_size=3)


def written(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of arrays and objects of these, with white space where it may stand."""
    keys = TEXTS.map(json.dumps)
    members = st.tuples(keys, SPACES, values, SPACES).map(lambda t: f"{t[0]}{t[1]}:{t[2]}{t[3]}")
    arrays = st.lists(values, max_size=4).map(lambda items: f"[{','.join(items)}]")
    objects = st.lists(members, max_size=4).map(lambda items: f"{{ {','.join(items)}}}")
    return st.tuples(SPACES, arrays | objects, SPACES).map("".join)


SCALARS = (
    INTEGERS.map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | LITERALS
    | LONG_FRACTIONS
    | TEXTS.map(json.dumps)
    | st.sampled_from(["true", "false", "null", '"\\ud83d\\ude00"', '"\\u00e9"', '"\\/"'])
)
JSON = st.recursive(SCALARS, written, max_leaves=12)


def same(one: Any, two: Any) -> bool:
    """Equal in value, type and sign."""
    return repr(one) == repr(two)


@given(JSON)
@example("9223372036854775808")
@example("[-9223372036854775808]")
@example("-9223372036854775809")
@example('["00000000000000000000", 9223372036854775808]')
@example('["0000000000000000000000000000000000000000",9223372036854775808]')
@example('{"00000000000000000000":\t-9223372036854775809}')
@example('{"a": NaN, "a": 1}')
@example('{"":0,"Infinity":0}')
def test_reads_what_the_standard_library_reads_if_it_can_be_stored(text: str) -> None:
    constants: list[str] = []  # NaN and Infinity, also where another value hides them
    json.loads(text, parse_constant=constants.append)
    expected = json.loads(text)
    if storable(expected) and not constants:
        assert same(loads(text.encode("utf-8", "surrogatepass")), expected)
        assert same(loads(dumps(expected)), json.loads(json.dumps(expected, sort_keys=True)))
    else:
        with pytest.raises(Unstorable) as caught:
            loads(text.encode())
        assert str(caught.value).isprintable()


@given(st.binary(max_size=30) | st.text('{}[]",:0123.eE-\\u tnf', max_size=20).map(str.encode))
def test_refuses_what_the_standard_library_refuses(raw: bytes) -> None:
    try:
        expected = json.loads(raw.decode())
    except ValueError as error:
        with pytest.raises(ValueError) as caught:
            loads(raw)
        assert type(caught.value) is type(error)
    else:
        if storable(expected):
            assert same(loads(raw), expected)
        else:
            with pytest.raises(Unstorable):
                loads(raw)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [1, DEEPEST - 1, DEEPEST, DEEPEST + 1, 1023, 1024, 1025, 100_000])
def test_depth(opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    text = (opening * depth + "1" + closing * depth).encode()
    if depth <= DEEPEST:
        assert dumps(loads(text)) == text
    else:
        with pytest.raises(TooDeep, match=str(DEEPEST)):
            loads(text)


def test_many_brackets_that_are_not_deep() -> None:
    assert loads(b"[" + b"[]," * 5_000 + b"{}]") == [*([[]] * 5_000), {}]
    assert loads(b'"' + b"[" * 5_000 + b'"') == "[" * 5_000


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b'{"a": {"b": [0, NaN]}}', "NaN"),
        (b'{"a": {"b": [0, -Infinity]}}', "-Infinity is not a number that can be stored"),
        (b'{"a": {"b": [0, 1e999]}}', "a number too large for a float at a.b[1]"),
        (b'{"a": {"b": [0, "\\ud800"]}}', "a lone surrogate at a.b[1]"),
        (b'{"a": {"\\udc00": 1}}', "a lone surrogate at a (a name)"),
        (b"9223372036854775808", "an integer beyond 64 bits at the top"),
        (b"1" * 5_000, "thousands of digits"),
        (b'{"\\u001b[31m\\n": 1e999}', "a number too large for a float at \\x1b[31m\\n"),
    ],
)
def test_what_cannot_be_stored_is_named_and_printable(raw: bytes, where: str) -> None:
    with pytest.raises(Unstorable) as caught:
        loads(raw)
    assert where in str(caught.value)
    assert str(caught.value).isprintable()


def test_bad_escapes_of_bytes_are_told() -> None:
    with pytest.raises(UnicodeDecodeError):
        loads(b'{"a": "\xff"}')


def test_dumps_is_the_same_for_the_same_value() -> None:
    assert dumps({"b": 1, "a": {"d": "é", "c": None}}) == '{"a":{"c":null,"d":"é"},"b":1}'.encode()
