"""Which documents are schemas, and what is wrong with the others."""

import re
from collections.abc import Iterator
from math import inf
from typing import Any, Final

from jsonschema.validators import Draft3Validator

from schemas.validation.draft3 import AUTHORITY, NO_REMOTE_SCHEMAS
from schemas.validation.judged import Json, one_value
from schemas.validation.messages import LONGEST_MESSAGE, printable, readable_path

_DEEPEST: Final = 64  # values within values in a schema document
_LARGEST: Final = 100_000  # values in a schema document
_LONGEST_PATTERNS: Final = 10_000  # characters of all together: to judge them may take seconds
# Where a schema holds schemas: as the value or in a list of them, and in a dict of them.
_SCHEMAS: Final = frozenset(
    ["additionalItems", "additionalProperties", "disallow", "extends", "items", "type"]
)
_NAMED_SCHEMAS: Final = frozenset(
    ["properties", "patternProperties", "dependencies", "definitions"]
)


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


KEYWORDS: Final = frozenset(Draft3Validator.META_SCHEMA["properties"])
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
    left = _LONGEST_PATTERNS
    for count, (value, depth) in enumerate(_values(document)):
        if depth > _DEEPEST or count > _LARGEST:
            return f"deeper than {_DEEPEST} levels or more than {_LARGEST} values"
        if isinstance(value, dict):
            left -= sum(map(len, _patterns(value)))
            if left < 0:
                return f"its patterns have more than {_LONGEST_PATTERNS} characters"
            if problem := _problem_here(value):
                return problem
    with one_value(steps=inf):  # its size is bounded
        error = next(_METASCHEMA.iter_errors(document), None)
    if error is None:
        return None
    where = readable_path(error.absolute_path)
    return printable(f"{where}: {error.message}" if where else error.message, LONGEST_MESSAGE)


def _patterns(value: Json) -> list[str]:
    named = value.get("patternProperties")
    found = [value.get("pattern"), *(named if isinstance(named, dict) else ())]
    return [each for each in found if isinstance(each, str)]


def _problem_here(value: Json) -> str | None:
    reference = value.get("$ref")
    if isinstance(reference, str) and not re.match(r"#(/|\Z)", reference):
        return f"$ref {reference!r:.200}: only a pointer into the same schema (`#/…`) is followed"
    named = value.get("patternProperties")
    joint = ["|".join(named)] if isinstance(named, dict) else []
    for pattern in _patterns(value) + joint:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return f"pattern {pattern!r:.200} is not a regular expression: {error}"
    return None
