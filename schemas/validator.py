"""The verdict on an event: draft 3 as the original means it (BEHAVIOUR 6 and 7).

Two judges. The authority is jsonschema's Draft3Validator with the meaning that its release 3.2
gave to draft 3, which the original ran on; it says what is wrong and where. The fast path
(schemas.fast_path) may accept an event, never reject one: what it doesn't accept goes to the
authority.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from jsonschema.exceptions import UnknownType, ValidationError
from jsonschema.validators import Draft3Validator, extend
from referencing import Registry as NoRemoteSchemas
from referencing.exceptions import Unresolvable

from schemas.capsule import CAPSULE
from schemas.fast_path import compile_schema

Json = dict[str, Any]

MOST_VIOLATIONS: Final = 20
LONGEST_MESSAGE: Final = 500  # characters
LONGEST_PATH: Final = 300  # characters
_COUNTED: Final = 1000  # violations counted, not shown: from there it is "at least"
_DEEPEST: Final = 64  # schemas within schemas
_LARGEST: Final = 100_000  # values in a schema document

# Where a schema holds schemas: as the value or in a list of them, and in a dict of them.
_SCHEMAS: Final = frozenset(
    ["additionalItems", "additionalProperties", "disallow", "extends", "items", "type"]
)
_NAMED_SCHEMAS: Final = frozenset(
    ["properties", "patternProperties", "dependencies", "definitions"]
)


class Violation(NamedTuple):
    """One thing that is wrong with an event."""

    path: str  # where: `event.uploads.count`, `event.l[2].c`; empty for the capsule itself
    message: str  # what: at most LONGEST_MESSAGE printable characters
    keyword: str  # the schema's keyword that is broken: `type`, `required`, …


# --- the dialect


def _same(one: object, two: object) -> bool:
    """Python's equality, but for booleans, which equal no number where they stand by themselves."""
    if isinstance(one, bool) or isinstance(two, bool):
        return one is two
    return one == two


def _enum(_: Any, enum: list[Any], instance: object, __: Json) -> Iterator[ValidationError]:
    # Release 4 tells true from 1 at any depth, release 3.2 at the top alone: [true] is in [[1]].
    if not any(_same(each, instance) for each in enum):
        yield ValidationError(f"{instance!r} is not one of {enum!r}")


def _identity(value: object) -> Hashable:
    """What two values share exactly where Python calls them equal."""
    if isinstance(value, dict):
        return (dict, frozenset((key, _identity(each)) for key, each in value.items()))
    if isinstance(value, list):
        return (list, tuple(_identity(each) for each in value))
    return value


def _unique_items(_: Any, unique: object, instance: object, __: Json) -> Iterator[ValidationError]:
    # As for enum: [[1], [true]] has a repeat in release 3.2, none in 4. In linear time, because the
    # list is a stranger's.
    if unique and isinstance(instance, list):
        seen = {(bool, x) if isinstance(x, bool) else _identity(x) for x in instance}
        if len(seen) < len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")


def _divisible_by(
    validator: Any, divisor: float, instance: Any, __: Json
) -> Iterator[ValidationError]:
    # Release 4 computes with fractions where the quotient is infinite; 3.2 failed there, and so the
    # event was bad.
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
    patterns = "|".join(schema.get("patternProperties", {}))
    extras = [
        key for key in instance if key not in known and not (patterns and re.search(patterns, key))
    ]
    if isinstance(allowed, dict):
        for extra in extras:
            yield from validator.descend(instance[extra], allowed, path=extra)
    elif extras and not allowed:
        names = ", ".join(repr(extra) for extra in extras[:MOST_VIOLATIONS])
        more = f" and {len(extras) - MOST_VIOLATIONS} more" if len(extras) > MOST_VIOLATIONS else ""
        verb = "was" if len(extras) == 1 else "were"
        if patterns:
            verb = "does" if len(extras) == 1 else "do"
            regexes = ", ".join(repr(pattern) for pattern in schema["patternProperties"])
            yield ValidationError(f"{names}{more} {verb} not match any of the regexes: {regexes}")
        else:
            yield ValidationError(
                f"Additional properties are not allowed ({names}{more} {verb} unexpected)"
            )


_Authority: Final = extend(  # type: ignore[no-untyped-call]
    Draft3Validator,
    {
        "additionalProperties": _additional_properties,
        "divisibleBy": _divisible_by,
        "enum": _enum,
        "uniqueItems": _unique_items,
    },
)

# --- schema documents


def _plain(schema: object) -> Any:
    """The schema without `$schema` and `id`, at any depth.

    Release 4 changes its dialect at a nested `$schema`, 3.2 ran everything as draft 3; an `id`
    would move what a local `$ref` means."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {}
    for keyword, value in schema.items():
        if keyword in _NAMED_SCHEMAS and isinstance(value, dict):
            plain[keyword] = {name: _plain(each) for name, each in value.items()}
        elif keyword in _SCHEMAS:
            plain[keyword] = _plain(value)
        elif keyword not in ("$schema", "id"):
            plain[keyword] = value
    return plain


def encapsulate(document: Json) -> Json:
    """The schema of a whole event: the capsule's, with the document in the place of `event`.

    As in the original, the document then says alone what an event must be (not even an object,
    where it has no `type`), and its own top level is closed unless it says otherwise itself."""
    event = _plain(document)
    event.setdefault("additionalProperties", False)  # last: the order of keywords is that of errors
    return {**CAPSULE, "properties": {**CAPSULE["properties"], "event": event}}


def _lenient_metaschema() -> Json:
    """Draft 3's metaschema with what the original lets pass: draft 4's list in `required`, which
    some schemas on meta.wikimedia.org have, and any list as an enum."""
    metaschema = {**Draft3Validator.META_SCHEMA}
    del metaschema["id"], metaschema["$schema"]  # so that its `$ref: #` means this copy
    required = {"type": ["boolean", "array"], "items": {"type": "string"}}
    metaschema["properties"] = {
        **metaschema["properties"],
        "required": required,
        "enum": {"type": "array"},
    }
    return metaschema


_METASCHEMA: Final = _Authority(_lenient_metaschema(), registry=NoRemoteSchemas())


def _values(document: object) -> Iterator[tuple[object, int]]:
    """All values within a document with their depth."""
    left = [(document, 0)]
    while left:
        value, depth = left.pop()
        yield value, depth
        if isinstance(value, (dict, list)):
            inner = value.values() if isinstance(value, dict) else value
            left.extend((each, depth + 1) for each in inner)


def problem_with(document: object) -> str | None:
    """Why a document can be no schema: one line, or None where it can.

    It can where it is draft 3 (leniently, see above), of a sane size, refers to nothing outside of
    itself and its regular expressions compile."""
    if not isinstance(document, dict):
        return f"a schema is an object, not {type(document).__name__}"
    for count, (value, depth) in enumerate(_values(document)):
        if depth > _DEEPEST or count > _LARGEST:
            return f"deeper than {_DEEPEST} levels or more than {_LARGEST} values"
        if isinstance(value, dict) and (problem := _problem_here(value)):
            return problem
    for error in _METASCHEMA.iter_errors(document):
        where = _path_text(error.absolute_path)
        return _printable(f"{where}: {error.message}" if where else error.message, LONGEST_MESSAGE)
    return None


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
            return f"pattern {pattern!r:.200} is no regular expression: {error}"
    return None


# --- verdicts


def _printable(text: str, longest: int) -> str:
    """The text, cut, with what isn't printable (control characters, lone surrogates) escaped."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"


def _path_text(path: Iterable[str | int]) -> str:
    """`event.l[2].c` of the parts of a path."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return _printable(parts.removeprefix("."), LONGEST_PATH)


class Validator:
    """The judge of one schema's events. Made once a schema, thread-safe, not to be pickled."""

    accepts: Callable[[Json], bool]
    """Whether an event (its whole capsule) surely is valid. False says "ask violations"; values are
    taken to be what orjson reads. Never raises."""

    def __init__(self, document: Json) -> None:
        schema = encapsulate(document)
        self.accepts = compile_schema(schema) or _unsure
        self._authority = _Authority(schema, registry=NoRemoteSchemas())

    def is_valid(self, data: Json) -> bool:
        """Whether the event fits the capsule and its schema."""
        return self.accepts(data) or not self.violations(data)

    def violations(self, data: Json) -> list[Violation]:
        """What is wrong with the event, in the order of the capsule's and the schema's keywords:
        the first is the one that the original reports. Empty means valid.

        At most MOST_VIOLATIONS; the last of so many says how many more there are. Where the schema
        itself fails (a type that draft 3 doesn't know, an endless `$ref`), the event is bad, as in
        the original; this is then the last violation."""
        found: list[Violation] = []
        more = 0
        try:
            for error in islice(self._authority.iter_errors(data), MOST_VIOLATIONS + _COUNTED):
                if len(found) < MOST_VIOLATIONS:
                    found.append(_violation(error))
                else:
                    more += 1
        except _SCHEMA_FAILURES as error:
            found = [*found[: MOST_VIOLATIONS - 1], _failure(error)]
        if more:
            count = f"at least {more}" if more == _COUNTED else str(more)
            last = found[-1]
            message = _printable(last.message, LONGEST_MESSAGE - 40)
            found[-1] = last._replace(message=f"{message} (and {count} more violations)")
        return found


_SCHEMA_FAILURES: Final = (
    UnknownType,
    Unresolvable,
    RecursionError,
    re.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def _unsure(_: Json) -> bool:
    return False


def _violation(error: ValidationError) -> Violation:
    message = _printable(error.message, LONGEST_MESSAGE)
    return Violation(_path_text(error.absolute_path), message, str(error.validator))


def _failure(error: Exception) -> Violation:
    if isinstance(error, UnknownType):
        what = f"the schema has a type that draft 3 doesn't know: {error.type!r}"
    elif isinstance(error, RecursionError):
        what = "the event or the schema's $ref nests too deep to be checked"
    else:
        what = f"the schema can't be applied: {type(error).__name__}: {error}"
    return Violation("", _printable(what, LONGEST_MESSAGE), "schema")
