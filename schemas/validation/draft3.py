"""Draft 3 of JSON Schema as the original means it (BEHAVIOUR 7): as jsonschema 3.2 did.

`AUTHORITY` is today's Draft3Validator with that meaning; each keyword here says where the two
releases differ. `problem_with` says why a document is not a schema.
"""

import re
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from jsonschema.exceptions import ValidationError
from jsonschema.validators import Draft3Validator, extend
from referencing import Registry

from schemas.validation.patterns import joined, one_event, pattern_of

Json = dict[str, Any]

LONGEST_MESSAGE: Final = 500  # characters
LONGEST_PATH: Final = 300  # characters
_SHOWN: Final = 20  # names of extra properties in a message
_DEEPEST: Final = 64  # values within values in a schema document
_LARGEST: Final = 100_000  # values in a schema document
NO_REMOTE_SCHEMAS: Final[Any] = Registry()  # a `$ref` that leads out of the schema fails

# Where a schema holds schemas: as the value or in a list of them, and in a dict of them.
_SCHEMAS: Final = frozenset(
    ["additionalItems", "additionalProperties", "disallow", "extends", "items", "type"]
)
_NAMED_SCHEMAS: Final = frozenset(
    ["properties", "patternProperties", "dependencies", "definitions"]
)


def printable(text: str, longest: int) -> str:
    """Cuts a text, and escapes characters that can't be printed (controls, lone surrogates)."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"


def path_text(path: Iterable[str | int]) -> str:
    """Joins the parts of a path: `event.l[2].c`."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return printable(parts.removeprefix("."), LONGEST_PATH)


def _shown(value: object) -> str:
    """Returns `repr` of a value, or at least as much of it as a message may have: a list of
    a megabyte in lists would otherwise be written once for each level."""
    if isinstance(value, str):
        quotes = "".join(quote for quote in "'\"" if quote in value)  # repr chooses by all of them
        return repr(value if len(value) <= LONGEST_MESSAGE else value[:LONGEST_MESSAGE] + quotes)
    if not isinstance(value, (dict, list)):
        return repr(value)
    parts, room = [], LONGEST_MESSAGE
    for each in value:
        parts.append(
            f"{each!r}: {_shown(value[each])}" if isinstance(value, dict) else _shown(each)
        )
        room -= len(parts[-1])
        if room < 0:
            break
    text = ", ".join(parts)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"


def _divisible_by(
    validator: Any, divisor: float, instance: Any, __: Json
) -> Iterator[ValidationError]:
    # Release 4 computes with fractions if the quotient is infinite; 3.2 failed, so the event was
    # bad.
    if not validator.is_type(instance, "number"):
        return
    if isinstance(divisor, float):
        quotient = instance / divisor
        failed = quotient in (float("inf"), float("-inf")) or int(quotient) != quotient
    else:
        failed = bool(instance % divisor)
    if failed:
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _additional_properties(
    validator: Any, allowed: object, instance: object, schema: Json
) -> Iterator[ValidationError]:
    # Both releases report extra properties in the random order of a set; here it is the event's.
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    patterns = joined(schema.get("patternProperties", {}))
    search = pattern_of(patterns).search if patterns else lambda _: None
    extras = [key for key in instance if key not in known and not search(key)]
    if isinstance(allowed, dict):
        for extra in extras:
            yield from validator.descend(instance[extra], allowed, path=extra)
    elif extras and not allowed:
        names = ", ".join(repr(extra) for extra in extras[:_SHOWN])
        more = f" and {len(extras) - _SHOWN} more" if len(extras) > _SHOWN else ""
        verb = "was" if len(extras) == 1 else "were"
        if patterns:
            verb = "does" if len(extras) == 1 else "do"
            regexes = ", ".join(repr(pattern) for pattern in schema["patternProperties"])
            yield ValidationError(f"{names}{more} {verb} not match any of the regexes: {regexes}")
        else:
            yield ValidationError(
                f"Additional properties are not allowed ({names}{more} {verb} unexpected)"
            )


def _pattern(_: Any, pattern: str, instance: object, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not pattern_of(pattern).search(instance):
        yield ValidationError(f"{_shown(instance)} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Json, instance: Any, __: Json
) -> Iterator[ValidationError]:
    for pattern, subschema in patterns.items() if isinstance(instance, dict) else ():
        search = pattern_of(pattern).search
        for key, value in instance.items():
            if search(key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)


# --- in linear time, however often a schema leads to the same value


class _Judged:
    """What is known of the values of one event, by their ids, while it is judged."""

    def __init__(self) -> None:
        self.fits: dict[tuple[int, int], bool] = {}
        """Whether a value fits a schema, by the ids of both. If two members of a union lead to the
        same `$ref`, the innermost value would else be judged 2 ** levels times."""
        self._numbers: dict[int, tuple[int]] = {}
        self._same: dict[Hashable, tuple[int]] = {}
        self._members: dict[int, set[Hashable]] = {}

    def apart(self, values: list[Any]) -> set[Hashable]:
        """Returns keys of values of which two are the same if Python calls them equal, except that
        a boolean equals no number. (Within lists and objects it does: release 4 distinguishes them
        at any depth, 3.2 only at the top. [true] is in [[1]], [[1], [true]] has a repeat.)"""
        return {(bool, x) if isinstance(x, bool) else self.identity(x) for x in values}

    def members(self, enum: list[Any]) -> set[Hashable]:
        """Returns what `apart` does for the values of an enum, which are looked at once."""
        if (found := self._members.get(id(enum))) is None:
            found = self._members[id(enum)] = self.apart(enum)
        return found

    def identity(self, value: object) -> Hashable:
        """Returns a key that two values share exactly if Python calls them equal: of a list or an
        object a number, so that those around it need not look into it again."""
        if not isinstance(value, (dict, list)):
            return value
        if (number := self._numbers.get(id(value))) is None:
            key: Hashable = (
                (dict, frozenset((name, self.identity(each)) for name, each in value.items()))
                if isinstance(value, dict)
                else (list, tuple(map(self.identity, value)))
            )
            number = self._same.setdefault(key, (len(self._same),))
            self._numbers[id(value)] = number
        return number


_JUDGED: Final[ContextVar[_Judged]] = ContextVar("judged")


@contextmanager
def one_value() -> Iterator[None]:
    """While it lasts, AUTHORITY judges one value, which stays as it is."""
    token = _JUDGED.set(_Judged())
    try:
        with one_event():
            yield
    finally:
        _JUDGED.reset(token)


def _enum(_: Any, enum: list[Any], instance: object, __: Json) -> Iterator[ValidationError]:
    judged = _JUDGED.get()
    if judged.members(enum).isdisjoint(judged.apart([instance])):
        yield ValidationError(f"{_shown(instance)} is not one of {_shown(enum)}")


def _unique_items(_: Any, unique: object, instance: object, __: Json) -> Iterator[ValidationError]:
    if not unique or not isinstance(instance, list):
        return
    if len(_JUDGED.get().apart(instance)) < len(instance):
        yield ValidationError(f"{_shown(instance)} has non-unique elements")


def _ref(validator: Any, ref: str, instance: object, schema: Json) -> Iterator[ValidationError]:
    fits, key = _JUDGED.get().fits, (id(schema), id(instance))
    if fits.get(key):
        return
    wrong = False
    for error in _REF(validator, ref, instance, schema):
        wrong = True
        yield error
    fits[key] = not wrong


def _type(validator: Any, types: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    # Both releases list all errors of all members: memory for nothing, as the message has none.
    fits, types = _JUDGED.get().fits, [types] if isinstance(types, str) else types
    for each in types:
        if isinstance(each, dict):
            key = (id(each), id(instance))
            if key not in fits:
                fits[key] = next(validator.descend(instance, each), None) is None
            if fits[key]:
                return
        elif validator.is_type(instance, each):
            return
    names = (each.get("name", each) if isinstance(each, dict) else each for each in types)
    yield ValidationError(f"{_shown(instance)} is not of type {', '.join(map(repr, names))}")


def _disallow(
    validator: Any, unwanted: Any, instance: object, _: Json
) -> Iterator[ValidationError]:
    for each in [unwanted] if isinstance(unwanted, str) else unwanted:
        if next(_type(validator, [each], instance, {}), None) is None:
            yield ValidationError(f"{each!r} is disallowed for {_shown(instance)}")


def _properties(
    validator: Any, properties: Json, instance: object, schema: Json
) -> Iterator[ValidationError]:
    """Checks properties as both releases do. Most properties state only a type, and have it: those
    are skipped, which makes the verdict on a bad event four times as fast."""
    if not isinstance(instance, dict):
        return
    judged = {
        name: subschema
        for name, subschema in properties.items()
        if (name in instance or subschema.get("required"))
        and not (
            _TYPED.get(_type_of(subschema)) is type(instance.get(name, schema))
            and subschema.keys() <= _SAYS_NO_MORE
        )
    }
    yield from _PROPERTIES(validator, judged, instance, schema)


def _type_of(subschema: Json) -> str:
    stated = subschema.get("type")
    return stated if isinstance(stated, str) else ""


_PROPERTIES: Final[Any] = Draft3Validator.VALIDATORS["properties"]
_REF: Final[Any] = Draft3Validator.VALIDATORS["$ref"]
_TYPED: Final = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
_SAYS_NO_MORE: Final = frozenset(
    ["type", "required", "description", "title", "default", "format"]
)  # formats are not checked


AUTHORITY: Final = extend(  # type: ignore[no-untyped-call]  # jsonschema is untyped here
    Draft3Validator,
    {
        "$ref": _ref,
        "additionalProperties": _additional_properties,
        "disallow": _disallow,
        "divisibleBy": _divisible_by,
        "enum": _enum,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "properties": _properties,
        "type": _type,
        "uniqueItems": _unique_items,
    },
)

# --- schema documents


def plain(schema: object) -> Any:
    """Returns the schema without `$schema` and `id`, at any depth.

    Release 4 changes its dialect at a nested `$schema`, 3.2 ran everything as draft 3; an `id`
    would change the meaning of a local `$ref`."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for keyword, value in schema.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            kept[keyword] = {name: plain(each) for name, each in value.items()}
        elif keyword in _SCHEMAS:
            kept[keyword] = plain(value)
        elif keyword not in ("$schema", "id"):
            kept[keyword] = value
    return kept


def _lenient_metaschema() -> Json:
    """Makes draft 3's metaschema as lenient as the original: it allows draft 4's list in
    `required`, which some schemas on meta.wikimedia.org have, and any list as an enum."""
    metaschema = {**Draft3Validator.META_SCHEMA}
    del metaschema["id"], metaschema["$schema"]  # so that its `$ref: #` means this copy
    required = {"type": ["boolean", "array"], "items": {"type": "string"}}
    metaschema["properties"] = {
        **metaschema["properties"],
        "required": required,
        "enum": {"type": "array"},
    }
    return metaschema


_METASCHEMA: Final = AUTHORITY(_lenient_metaschema(), registry=NO_REMOTE_SCHEMAS)


def _values(document: object) -> Iterator[tuple[object, int]]:
    """Yields all values within a document with their depth."""
    left = [(document, 0)]
    while left:
        value, depth = left.pop()
        yield value, depth
        if isinstance(value, (dict, list)):
            inner = value.values() if isinstance(value, dict) else value
            left.extend((each, depth + 1) for each in inner)


def problem_with(document: object) -> str | None:
    """Returns why a document is not a schema, in one line, or None if it is one.

    A schema is draft 3 (leniently, see above), has a sane size, refers only to itself, and its
    regular expressions compile."""
    if not isinstance(document, dict):
        return f"a schema is an object, not {type(document).__name__}"
    for count, (value, depth) in enumerate(_values(document)):
        if depth > _DEEPEST or count > _LARGEST:
            return f"deeper than {_DEEPEST} levels or more than {_LARGEST} values"
        if isinstance(value, dict) and (problem := _problem_here(value)):
            return problem
    with one_value():
        error = next(_METASCHEMA.iter_errors(document), None)
    if error is None:
        return None
    where = path_text(error.absolute_path)
    return printable(f"{where}: {error.message}" if where else error.message, LONGEST_MESSAGE)


def _problem_here(value: Json) -> str | None:
    reference = value.get("$ref")
    if isinstance(reference, str) and not re.match(r"#(/|\Z)", reference):
        return f"$ref {reference!r:.200}: only a pointer into the same schema (`#/…`) is followed"
    patterns = value.get("patternProperties")
    named = [*patterns, "|".join(patterns)] if isinstance(patterns, dict) else []
    for pattern in [value.get("pattern"), *named]:
        try:
            if isinstance(pattern, str):
                re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return f"pattern {pattern!r:.200} is not a regular expression: {error}"
    return None
