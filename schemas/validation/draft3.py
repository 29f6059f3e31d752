"""Draft 3 of JSON Schema as the original means it (BEHAVIOUR 7): as jsonschema 3.2 did.

`AUTHORITY` is today's Draft3Validator with that meaning; each keyword here says where the two
releases differ.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final

from jsonschema.exceptions import ValidationError
from jsonschema.validators import Draft3Validator, extend
from referencing import Registry

from schemas.validation.messages import LONGEST_MESSAGE, text_of
from schemas.validation.patterns import joined, one_event, pattern_of

Json = dict[str, Any]
VerdictOf = Callable[[Json], Callable[[object], bool] | None]
"""Returns for a schema the function that is True for values which surely fit it, if there is one.
"""
_Part = tuple[str | int, Any]  # of a value: a key or a place, and what is there

_SHOWN: Final = 20  # names of extra properties in a message
MOST_STEPS: Final = 64_000
"""How often a keyword is applied to a value of one event: in about half a second."""
_SURE: Final = 64  # values that a compiled verdict judges in the time of a step
_KEYWORDS: Final = 64  # of a schema that are looked at in the time of a step
_FEW: Final = 20  # values that are judged one by one before a verdict on their schema is compiled
NO_REMOTE_SCHEMAS: Final[Any] = Registry()  # a `$ref` that leads out of the schema fails


def _shown(value: object) -> str:
    """Returns `repr` of a value for a message; nothing for one that nobody will see."""
    return "" if _JUDGED.get().trying else text_of(value)


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
    _JUDGED.get().step(len(instance) // _SURE)
    known = schema.get("properties", {})
    patterns = joined(schema.get("patternProperties", {}))
    search = pattern_of(patterns).search if patterns else lambda _: None
    extras = [key for key in instance if key not in known and not search(key)]
    if isinstance(allowed, dict):
        _JUDGED.get().step(len(extras) // _SURE)
        yield from _each(validator, ((extra, instance[extra]) for extra in extras), allowed)
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
    if isinstance(instance, dict):
        _JUDGED.get().step(len(patterns) * (6 + len(instance)) // 32)
    for pattern, subschema in patterns.items() if isinstance(instance, dict) else ():
        search = pattern_of(pattern).search
        found = ((key, value) for key, value in instance.items() if search(key))
        yield from _each(validator, found, subschema, schema_path=pattern)


def _items(validator: Any, items: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, list) and isinstance(items, dict):
        _JUDGED.get().step(len(instance) // _SURE)
        yield from _each(validator, enumerate(instance), items)
    elif isinstance(instance, list):
        for place, (item, subschema) in enumerate(zip(instance, items, strict=False)):
            yield from _each(validator, [(place, item)], subschema, schema_path=place)


def _additional_items(
    validator: Any, allowed: object, instance: object, schema: Json
) -> Iterator[ValidationError]:
    items = schema.get("items", {})
    if not isinstance(instance, list) or isinstance(items, dict):
        return
    extras = instance[len(items) :]
    if isinstance(allowed, dict):
        _JUDGED.get().step(len(extras) // _SURE)
        yield from _each(validator, enumerate(extras, len(items)), allowed)
    elif extras and not allowed:
        names = ", ".join(map(_shown, extras[:_SHOWN]))
        more = f" and {len(extras) - _SHOWN} more" if len(extras) > _SHOWN else ""
        verb = "was" if len(extras) == 1 else "were"
        yield ValidationError(f"Additional items are not allowed ({names}{more} {verb} unexpected)")


def _min_items(_: Any, least: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, list) and len(instance) < least:
        what = "should be non-empty" if least == 1 else "is too short"
        yield ValidationError(f"{_shown(instance)} {what}")


def _max_items(_: Any, most: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, list) and len(instance) > most:
        what = "is expected to be empty" if most == 0 else "is too long"
        yield ValidationError(f"{_shown(instance)} {what}")


# --- in linear time, however often a schema leads to the same value


class TooManySteps(ValueError):
    """An event has more values than a schema's keywords can be applied to in a second."""


class _Judged:
    """What is known of the values of one event, by their ids, while it is judged."""

    def __init__(self, verdict_of: VerdictOf, steps: float) -> None:
        self._verdict_of, self._left = verdict_of, steps
        self.trying = 0  # unions around the value whose messages nobody will see
        self.fits: dict[tuple[int, int], bool] = {}
        """Whether a value fits a schema, by the ids of both. If two members of a union lead to the
        same `$ref`, the innermost value would else be judged 2 ** levels times."""
        self._numbers: dict[int, tuple[int]] = {}
        self._same: dict[Hashable, tuple[int]] = {}
        self._members: dict[int, set[Hashable]] = {}

    def step(self, size: int = 1) -> None:
        """Note that a schema is applied to a value. Raises TooManySteps."""
        self._left -= size
        if self._left < 0:
            raise TooManySteps(
                f"the event would take more than {MOST_STEPS:,} steps to be judged: it has too "
                "many values for a schema of this kind"
            )

    def unsure(self, found: Iterator[_Part], schema: Json) -> Iterator[_Part]:
        """Those of some values that don't surely fit a schema: the few that are wrong in a long
        list, if the schema can be proved."""
        some = [*islice(found, _FEW)]
        yield from some
        if len(some) == _FEW:
            verdict = self._verdict_of(schema)
            yield from (
                found if verdict is None else (part for part in found if not verdict(part[1]))
            )

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
                (dict, frozenset(zip(value, self._identities(value.values()), strict=True)))
                if isinstance(value, dict)
                else (list, self._identities(value))
            )
            number = self._same.setdefault(key, (len(self._same),))
            self._numbers[id(value)] = number
        return number

    def _identities(self, values: Iterable[object]) -> tuple[Hashable, ...]:
        return tuple([self.identity(x) if isinstance(x, (dict, list)) else x for x in values])


_JUDGED: Final[ContextVar[_Judged]] = ContextVar("judged")


@contextmanager
def one_value(verdict_of: VerdictOf = lambda _: None, steps: float = MOST_STEPS) -> Iterator[None]:
    """While it lasts, AUTHORITY judges one value, which stays as it is, in so many steps."""
    token = _JUDGED.set(_Judged(verdict_of, steps))
    try:
        with one_event():
            yield
    finally:
        _JUDGED.reset(token)


def _each(
    validator: Any, found: Iterable[_Part], schema: Json, **place: Any
) -> Iterator[ValidationError]:
    judged = _JUDGED.get()
    for path, value in judged.unsure(iter(found), schema):
        judged.step(1 + len(schema) // _KEYWORDS)
        yield from validator.descend(value, schema, path=path, **place)


def _enum(_: Any, enum: list[Any], instance: object, __: Json) -> Iterator[ValidationError]:
    judged = _JUDGED.get()
    if judged.members(enum).isdisjoint(judged.apart([instance])):
        yield ValidationError(f"{_shown(instance)} is not one of {_shown(enum)}")


def _unique_items(_: Any, unique: object, instance: object, __: Json) -> Iterator[ValidationError]:
    if not unique or not isinstance(instance, list) or len(instance) < 2:
        return
    if len(_JUDGED.get().apart(instance)) < len(instance):
        yield ValidationError(f"{_shown(instance)} has non-unique elements")


def _ref(validator: Any, ref: str, instance: object, schema: Json) -> Iterator[ValidationError]:
    judged, key = _JUDGED.get(), (id(schema), id(instance))
    fits = judged.fits
    if fits.get(key):
        return
    judged.step()
    wrong = False
    for error in _REF(validator, ref, instance, schema):
        wrong = True
        yield error
    fits[key] = not wrong


def _extends(
    validator: Any, parents: Any, instance: object, schema: Json
) -> Iterator[ValidationError]:
    some = parents if isinstance(parents, list) else [parents]
    _JUDGED.get().step(sum(1 + len(each) // _KEYWORDS for each in some))
    yield from _EXTENDS(validator, parents, instance, schema)


def _dependencies(
    validator: Any, dependencies: Any, instance: object, schema: Json
) -> Iterator[ValidationError]:
    _JUDGED.get().step(1 + len(dependencies) // 16)
    yield from _DEPENDENCIES(validator, dependencies, instance, schema)


def _type(validator: Any, types: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    types = [types] if isinstance(types, str) else types
    if _is_one_of(validator, types, instance):
        return
    names = (each.get("name", each) if isinstance(each, dict) else each for each in types)
    shown = ", ".join(map(text_of, islice(names, LONGEST_MESSAGE // 3)))
    yield ValidationError(f"{_shown(instance)} is not of type {shown}")


def _is_one_of(validator: Any, types: list[Any], instance: object) -> bool:
    # Both releases list all errors of all members: memory for nothing, as the message has none.
    judged = _JUDGED.get()
    judged.step(len(types) // 16)
    for each in types:
        if isinstance(each, dict):
            key = (id(each), id(instance))
            if key not in judged.fits:
                judged.step(4 + len(each) // _KEYWORDS)
                judged.trying += 1
                judged.fits[key] = next(validator.descend(instance, each), None) is None
                judged.trying -= 1
            if judged.fits[key]:
                return True
        elif validator.is_type(instance, each):
            return True
    return False


def _disallow(
    validator: Any, unwanted: Any, instance: object, _: Json
) -> Iterator[ValidationError]:
    unwanted = [unwanted] if isinstance(unwanted, str) else unwanted
    _JUDGED.get().step(len(unwanted) // 8)
    for each in unwanted:
        if _is_one_of(validator, [each], instance):
            yield ValidationError(f"{text_of(each)} is disallowed for {_shown(instance)}")


def _properties(
    validator: Any, properties: Json, instance: object, schema: Json
) -> Iterator[ValidationError]:
    """Checks properties as both releases do. Most properties state only a type, and have it: those
    are skipped, which makes the verdict on a bad event four times as fast."""
    if not isinstance(instance, dict):
        return
    _JUDGED.get().step(2 + len(properties) // 4)
    judged = {
        name: subschema
        for name, subschema in properties.items()
        if (name in instance or subschema.get("required"))
        and not (
            _TYPED.get(_type_of(subschema)) is type(instance.get(name, schema))
            and subschema.keys() <= _SAYS_NO_MORE
        )
    }
    _JUDGED.get().step(sum(len(each) for each in judged.values()) // _KEYWORDS)
    yield from _PROPERTIES(validator, judged, instance, schema)


def _type_of(subschema: Json) -> str:
    stated = subschema.get("type")
    return stated if isinstance(stated, str) else ""


_PROPERTIES: Final[Any] = Draft3Validator.VALIDATORS["properties"]
_DEPENDENCIES: Final[Any] = Draft3Validator.VALIDATORS["dependencies"]
_EXTENDS: Final[Any] = Draft3Validator.VALIDATORS["extends"]
_REF: Final[Any] = Draft3Validator.VALIDATORS["$ref"]
_TYPED: Final = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
_SAYS_NO_MORE: Final = frozenset(
    ["type", "required", "description", "title", "default", "format"]
)  # formats are not checked


AUTHORITY: Final = extend(  # type: ignore[no-untyped-call]  # jsonschema is untyped here
    Draft3Validator,
    {
        "$ref": _ref,
        "additionalItems": _additional_items,
        "additionalProperties": _additional_properties,
        "dependencies": _dependencies,
        "disallow": _disallow,
        "divisibleBy": _divisible_by,
        "enum": _enum,
        "extends": _extends,
        "items": _items,
        "maxItems": _max_items,
        "minItems": _min_items,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "properties": _properties,
        "type": _type,
        "uniqueItems": _unique_items,
    },
)
