"""Schemas and lines of a megabyte that are made to cost much: what may an event of them take?"""

import json
import random
from collections.abc import Callable
from typing import Any, Final

Json = dict[str, Any]
SIZE: Final = 1_000_000  # bytes of a line
SEED: Final = 20
_SELF: Final = {"$ref": "#/properties/event"}


def _union(*members: Any, **more: Any) -> Json:
    return {"type": [*members], **more}


def _lists(item: Any, **more: Any) -> Json:
    return {"type": "array", "items": item, **more}


def _of(schema: Any) -> Json:
    """The property `l` of an event."""
    return {"properties": {"l": schema}}


_TEXT, _FLAG, _NULL = {"type": "string"}, {"type": "boolean"}, {"type": "null"}
_ITEMS = (_TEXT, _FLAG, _NULL)
_MANY = {f"p{n}": {"type": "string"} for n in range(300)}

WRITTEN: Final[tuple[Json, ...]] = (
    _of(_union(_lists(_TEXT), "null")),
    _of(_lists(_union(_lists(_TEXT), "null"))),
    _of(_union(*map(_lists, _ITEMS))),
    _of(_lists(_union(*map(_lists, _ITEMS)))),
    _of(_lists(_union(*(_of(item) for item in _ITEMS)))),
    _of(_union(*(_lists(_lists(item)) for item in _ITEMS))),
    _of(_union(*({"additionalProperties": item} for item in _ITEMS))),
    _of(_union(*({"patternProperties": {"": item}} for item in _ITEMS))),
    _of({"extends": [*map(_lists, _ITEMS)]}),
    _of({"extends": [_lists({"extends": [_lists(item) for item in _ITEMS]})] * 3}),
    _of({"disallow": [*map(_lists, _ITEMS)]}),
    _of(_lists({"disallow": [_lists(_TEXT), _lists(_FLAG)]})),
    _of({"dependencies": {"a": _lists(_TEXT), "b": "a"}}),
    {"dependencies": {"l": _of(_union(*map(_lists, _ITEMS))), "a": ["b", "c"]}},
    {"patternProperties": {"^l": _lists(_TEXT), "l$": _lists(_FLAG), ".": _lists(_NULL)}},
    _of({"patternProperties": {".": _TEXT, "[a-z0-9]+": _FLAG, "^k": _NULL}}),
    _of({"additionalProperties": _union(_TEXT, _FLAG)}),
    _of({"properties": _MANY, "additionalProperties": False}),
    _of({"properties": {name: {**it, "required": True} for name, it in _MANY.items()}}),
    _of(_lists({"properties": {name: {**it, "required": True} for name, it in _MANY.items()}})),
    _of(_lists({"uniqueItems": True})),
    _of({"uniqueItems": True, "items": {"uniqueItems": True}}),
    _of(_union(*({"uniqueItems": True, "items": item} for item in _ITEMS))),
    _of({"enum": [[*range(1_000)], *range(1_000)]}),
    _of(_lists({"enum": [{"a": n} for n in range(1_000)]})),
    _of(_lists(_union(*({"enum": [n, [n]]} for n in range(50))))),
    _of(_lists({"pattern": "^(a+)+$"})),
    _of({"pattern": "(a|aa)+b"}),
    _of(_lists({"pattern": r"^(?=.*\d)(?=.*[a-z]).{8,}$"})),
    _of(_lists({"divisibleBy": 0.1, "maximum": 5, "minimum": 1})),
    _of({"items": [_TEXT, _FLAG], "additionalItems": _lists(_NULL)}),
    _of({"items": [_TEXT] * 300, "additionalItems": False}),
    {"type": [_lists(_SELF), _lists(_SELF, minItems=1), "null"]},
    {"properties": {"l": {"extends": [{"items": _SELF}, {"items": _SELF}]}}},
    {"extends": [{"items": _SELF}, {"additionalProperties": _SELF}], "disallow": "string"},
    {"additionalProperties": _union("string", _SELF)},
    {"type": [{"extends": [_of(_lists(item)), {"required": True}]} for item in _ITEMS]},
    _of({"type": "object", "properties": {"a": {"type": "object", "properties": _MANY}}}),
    _of(_lists("any")),
    {},
    {"additionalProperties": True},
)
"""What a person thinks of first."""

_THOUSAND: Final = range(1_000)
_FAR: Final = "x" * 1_000
WIDE: Final[tuple[Json, ...]] = (
    _of({"patternProperties": {f"^q{n}": _TEXT for n in _THOUSAND}, "additionalProperties": _TEXT}),
    _of(_lists({"patternProperties": {f"^q{n}": _TEXT for n in _THOUSAND}})),
    _of({"extends": [{"items": {"type": ["integer", "null"]}} for _ in _THOUSAND]}),
    _of(_lists({"extends": [{"maximum": 5 + n} for n in _THOUSAND]})),
    _of(_lists({"properties": {f"p{n}": _TEXT for n in _THOUSAND}})),
    _of(_lists({"dependencies": {f"p{n}": "a" for n in _THOUSAND}})),
    {"dependencies": {f"p{n}": {"additionalProperties": _TEXT} for n in _THOUSAND}},
    _of(_lists(_union(*({"type": "string", "minLength": n} for n in _THOUSAND)))),
    _of(_lists(_union(*({"type": "string", "minLength": n} for n in _THOUSAND), {"minimum": 0}))),
    {
        "definitions": {f"d{n}": {"$ref": f"#/definitions/d{n + 1}"} for n in range(40)}
        | {"d40": {"minimum": 0}},
        "properties": {"l": _lists({"$ref": "#/definitions/d0"})},
    },
    _of(_lists({"disallow": [{"minimum": 9 + n} for n in _THOUSAND]})),
    _of(_lists({"items": [{"type": "integer"}] * 1_000})),
    _of(_lists({**{f"no keyword {n}": n for n in range(20_000)}, "type": [_TEXT, _FLAG]})),
    _of({"pattern": "a[ab]{900}c"}),
    _of({"extends": [{"pattern": f"a[ab]{{30}}c{n}"} for n in range(40)]}),
    _of({"extends": [{"pattern": f"^(a|b)*c{n}"} for n in range(200)]}),
    _of({"type": [{"pattern": f"ab*c{n}"} for n in range(500)]}),
    {"properties": {_FAR: {"properties": {_FAR: {"properties": {"l": {"properties": _MANY}}}}}}},
)
"""Whose many parts meet many values."""


def schemas(count: int, seed: int = SEED) -> list[Json]:
    """The written ones, and as many drawn ones as it takes."""
    chance, written = random.Random(seed), [*WRITTEN, *WIDE]
    return [*written, *(_of(_drawn(chance, 0)) for _ in range(count - len(written)))]


def _drawn(chance: random.Random, depth: int) -> Any:
    """A schema in which keywords that lead to the same values meet."""
    if depth > 3 or chance.random() < 0.1:
        return chance.choice([_TEXT, _FLAG, _NULL, {"type": "integer"}, {"type": "any"}, {},
                              {"enum": ["x", 1, None, [], {"k": 1}]}, _SELF,
                              {"pattern": "^x*$"}, {"minimum": 1, "divisibleBy": 2}])  # fmt: skip

    def some(most: int) -> list[Any]:
        return [_drawn(chance, depth + 1) for _ in range(chance.randint(1, most))]

    def named() -> Json:
        return {chance.choice(["a", "k", "k1", "l", "x"]): each for each in some(4)}

    makers: dict[str, Callable[[], Any]] = {
        "type": lambda: some(4) + chance.sample(["null", "string", "array", "object"], 1),
        "items": lambda: chance.choice(some(1) * 3 + [some(3)]),
        "additionalItems": lambda: chance.choice([False, *some(1)]),
        "properties": named,
        "patternProperties": lambda: dict(zip(["^k", ".", "[0-9]$", ""], some(4), strict=False)),
        "additionalProperties": lambda: chance.choice([False, *some(1)]),
        "dependencies": lambda: {"a": "k", "k": some(1)[0]},
        "extends": lambda: some(3),
        "disallow": lambda: [each for each in some(3) if each != _SELF] or ["null"],
        "uniqueItems": lambda: True,
        "minItems": lambda: 2,
        "maxItems": lambda: 3,
        "required": lambda: True,
    }
    return {name: makers[name]() for name in chance.sample([*makers], chance.randint(1, 4))}


def _repeated(part: str, begin: str = "[", end: str = "]") -> str:
    return begin + ",".join([part] * (SIZE // (len(part) + 1))) + end


def _objects(value: str) -> str:
    each = f'"k0000000":{value}'
    return "{" + ",".join(f'"k{n:07}":{value}' for n in range(SIZE // (len(each) + 1))) + "}"


VALUES: Final[dict[str, str]] = {
    "texts": _repeated('"x"'),
    "numbers": _repeated("1"),
    "nulls": _repeated("null"),
    "lists": _repeated("[]"),
    "lists of lists": _repeated('[[],[1],["x"]]'),
    "objects": _repeated('{"k":1}'),
    "objects of lists": _repeated('{"l":[null],"k1":["x",true]}'),
    "different texts": "[" + ",".join(f'"{n:07}"' for n in range(SIZE // 10)) + "]",
    "different numbers": "[" + ",".join(map(str, range(100_000, 100_000 + SIZE // 7))) + "]",
    "many keys": _objects("1"),
    "many keys of lists": _objects("[1]"),
    "a text": '"' + "a" * SIZE + '"',
    "a random text": '"' + "".join(random.Random(SEED).choices("ab", k=SIZE)) + '"',
    "an odd text": '"' + "é\\u0001" * (SIZE // 8) + '"',
    "far away": f'{{"{_FAR}":{{"{_FAR}":{{"l":' + _objects("1") + "}}}",
    "deep": "[" * 200 + _repeated("1") + "]" * 200,
    "deep objects": '{"l":' * 200 + _repeated("[1]") + "}" * 200,
    "depths": _repeated("[" * 100 + "]" * 100),
    "deep objects, again": _repeated('{"l":' * 100 + "1" + "}" * 100),
}  # fmt: skip
"""JSON of a megabyte: one line each."""


def line(name: str, *, whole: bool) -> bytes:
    """A line of `%j` with a value in the property `l`, or as the whole event."""
    event = VALUES[name] if whole else f'{{"l":{VALUES[name]}}}'
    capsule = json.dumps({"schema": "S", "revision": 1, "wiki": "w", "recvFrom": "r"})
    return f'{capsule[:-1]}, "event":{event}}}'.replace(" ", "").encode()
