"""Draft 3 of JSON Schema as the original means it (BEHAVIOUR 7): as jsonschema 3.2 did.

`AUTHORITY` is today's Draft3Validator with that meaning; each keyword here says where the two
releases differ.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from jsonschema.exceptions import UndefinedTypeCheck, ValidationError
from jsonschema.validators import Draft3Validator, extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from schemas.validation.judged import CLASSES, JUDGED, Json, Part, classes_of
from schemas.validation.messages import LONGEST_MESSAGE, text_of
from schemas.validation.patterns import joined, pattern_of

_SHOWN: Final = 20  # names of extra properties in a message
_SURE: Final = 64  # values that a compiled verdict judges in the time of a step
_KEYWORDS: Final = 64  # of a schema that are looked at in the time of a step
NO_REMOTE_SCHEMAS: Final[Any] = Registry()  # a `$ref` that leads out of the schema fails


def _shown(value: object) -> str:
    """Returns `repr` of a value for a message; nothing for one that nobody will see."""
    return "" if JUDGED.get().trying else text_of(value)


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
    JUDGED.get().step(len(instance) // _SURE)
    known = schema.get("properties", {})
    extras = [key for key in instance if key not in known]
    if not extras:
        return
    if patterns := joined(schema.get("patternProperties", {})):
        search = pattern_of(patterns).search
        extras = [key for key in extras if not search(key)]
    if isinstance(allowed, dict):
        JUDGED.get().step(len(extras) // _SURE)
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
        JUDGED.get().step(len(patterns) * (6 + len(instance)) // 32)
    for pattern, subschema in patterns.items() if isinstance(instance, dict) else ():
        search = pattern_of(pattern).search
        found = ((key, value) for key, value in instance.items() if search(key))
        yield from _each(validator, found, subschema)


def _items(validator: Any, items: Any, instance: object, __: Json) -> Iterator[ValidationError]:
    if isinstance(instance, list) and isinstance(items, dict):
        JUDGED.get().step(len(instance) // _SURE)
        yield from _each(validator, enumerate(instance), items)
    elif isinstance(instance, list):
        for place, (item, subschema) in enumerate(zip(instance, items, strict=False)):
            yield from _each(validator, [(place, item)], subschema)


def _additional_items(
    validator: Any, allowed: object, instance: object, schema: Json
) -> Iterator[ValidationError]:
    items = schema.get("items", {})
    if not isinstance(instance, list) or isinstance(items, dict):
        return
    extras = instance[len(items) :]
    if isinstance(allowed, dict):
        JUDGED.get().step(len(extras) // _SURE)
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


class More(ValidationError):
    """So many errors, of which nobody will see more than the number."""

    def __init__(self, count: int) -> None:
        super().__init__("")
        self.count = count


def _descend(
    validator: Any, value: object, schema: Json, path: str | int | None = None
) -> Iterator[ValidationError]:
    """Yields what is wrong with a part of a value."""
    for error in JUDGED.get().known.validator_of(schema, validator).iter_errors(value):
        if path is not None:
            error.path.appendleft(path)
        yield error


def _each(validator: Any, found: Iterable[Part], schema: Json) -> Iterator[ValidationError]:
    judged = JUDGED.get()
    unsure = judged.unsure(iter(found), schema)
    for path, value in unsure:
        judged.step(1 + len(schema) // _KEYWORDS)
        yield from _descend(validator, value, schema, path)
        if judged.counting and (classes := classes_of(schema)):
            if count := sum(type(value) not in classes for _, value in unsure):
                yield More(count)
            return


def _enum(_: Any, enum: list[Any], instance: object, __: Json) -> Iterator[ValidationError]:
    judged = JUDGED.get()
    if judged.members(enum).isdisjoint(judged.apart([instance])):
        yield ValidationError(f"{_shown(instance)} is not one of {_shown(enum)}")


def _unique_items(_: Any, unique: object, instance: object, __: Json) -> Iterator[ValidationError]:
    if not unique or not isinstance(instance, list) or len(instance) < 2:
        return
    if len(JUDGED.get().apart(instance)) < len(instance):
        yield ValidationError(f"{_shown(instance)} has non-unique elements")


def _ref(validator: Any, ref: str, instance: object, schema: Json) -> Iterator[ValidationError]:
    judged, key = JUDGED.get(), (id(schema), id(instance))
    fits = judged.fits
    if fits.get(key):
        return
    judged.step()
    wrong = False
    if isinstance(ref, str) and ref in judged.known.targets:
        if (target := judged.known.targets[ref]) is None:
            raise Unresolvable(ref=ref)
        errors = _descend(validator, instance, target)
    else:
        errors = _REF(validator, ref, instance, schema)
    for error in errors:
        wrong = True
        yield error
    fits[key] = not wrong


def _extends(
    validator: Any, parents: Any, instance: object, schema: Json
) -> Iterator[ValidationError]:
    some = parents if isinstance(parents, list) else [parents]
    JUDGED.get().step(sum(1 + len(each) // _KEYWORDS for each in some))
    yield from _EXTENDS(validator, parents, instance, schema)


def _dependencies(
    validator: Any, dependencies: Any, instance: object, schema: Json
) -> Iterator[ValidationError]:
    JUDGED.get().step(1 + len(dependencies) // 16)
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
    judged = JUDGED.get()
    judged.step(len(types) // 16)
    for each in types:
        if isinstance(each, dict):
            key = (id(each), id(instance))
            if key not in judged.fits:
                judged.step(4 + len(each) // _KEYWORDS)
                judged.trying += 1
                judged.fits[key] = next(_descend(validator, instance, each), None) is None
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
    JUDGED.get().step(len(unwanted) // 8)
    for each in unwanted:
        if _is_one_of(validator, [each], instance):
            yield ValidationError(f"{text_of(each)} is disallowed for {_shown(instance)}")


def _properties(
    validator: Any, properties: Json, instance: object, schema: Json
) -> Iterator[ValidationError]:
    """Checks properties as both releases do. Most properties state only a type or some texts, and
    have it: those are skipped, which makes the verdict on a bad event four times as fast."""
    if not isinstance(instance, dict):
        return
    judged = JUDGED.get()
    judged.step(2 + len(properties) // 4)
    for name, fitting, required in judged.known.properties(properties):
        if name not in instance:
            if required:  # the error says so in the keyword's own way
                yield from _PROPERTIES(validator, {name: properties[name]}, instance, schema)
        elif fitting is not None:
            kind = type(value := instance[name])
            if kind not in fitting and not (kind is str and value in fitting):
                judged.step(len(properties[name]) // _KEYWORDS)
                yield from _descend(validator, value, properties[name], name)


_PROPERTIES: Final[Any] = Draft3Validator.VALIDATORS["properties"]
_DEPENDENCIES: Final[Any] = Draft3Validator.VALIDATORS["dependencies"]
_EXTENDS: Final[Any] = Draft3Validator.VALIDATORS["extends"]
_REF: Final[Any] = Draft3Validator.VALIDATORS["$ref"]


class _Types:
    """What jsonschema asks for types. Its own answer, and its way to what a `$ref` leads to, come
    from a library in Rust that ends the process where Python's stack ends within it."""

    def is_type(self, instance: object, kind: str) -> bool:
        if (classes := CLASSES.get(kind)) is not None:
            return type(instance) in classes
        if kind != "any":
            raise UndefinedTypeCheck(kind)
        return True


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
    type_checker=_Types(),
)
