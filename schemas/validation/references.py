"""Local references, `$ref: #/…`: in an event's schema `#` is that schema.

jsonschema sees that schema within the capsule's, where EventLogging looked for `#` (BEHAVIOUR 7):
so a place that the schema itself doesn't have is one in the capsule, as `#/properties/event/…`.
"""

from collections.abc import Iterator
from typing import Any, Final

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT3

Json = dict[str, Any]

_WITHIN: Final = "#/properties/event"  # the place of an event's schema in the capsule's
_NOWHERE: Final = object()
_SCHEMAS: Final = (bool, dict)  # jsonschema takes a boolean for a schema; all else is nowhere


def rooted(event: Json) -> Json:
    """Returns an event's schema with its references as they must be within the capsule's."""

    def moved(value: object) -> Any:
        if isinstance(value, list):
            return [moved(each) for each in value]
        if not isinstance(value, dict):
            return value
        copy = {key: each if _is_data(key, each) else moved(each) for key, each in value.items()}
        if (ref := _ref_of(value)) and isinstance(_place(event, ref), _SCHEMAS):
            copy["$ref"] = f"{_WITHIN}{ref[1:]}"
        return copy

    result: Json = moved(event)
    return result


def targets(schema: Json) -> dict[str, Json | None]:
    """Returns the schema that each reference of a capsule's schema leads to, None for nowhere. Of
    booleans jsonschema knows more."""
    found = {ref: _place(schema, ref) for ref in _refs(schema)}
    return {
        ref: place if isinstance(place, dict) else None
        for ref, place in found.items()
        if not isinstance(place, bool)
    }


def loose_ends(schema: Json) -> list[str]:
    """Returns a sentence on each reference of a capsule's schema that leads nowhere, or back to
    itself."""
    found = []
    for ref in dict.fromkeys(_refs(schema)):
        seen, place = {ref}, _place(schema, ref)
        while (following := _ref_of(place)) and following not in seen:
            seen.add(following)
            place = _place(schema, following)
        if following or not isinstance(place, _SCHEMAS):
            where = "back to itself" if following else "nowhere"
            written = ref.replace(_WITHIN, "#", 1)
            found.append(
                f"$ref {written!r:.200} leads {where}: each value there makes its event bad"
            )
    return found


def _refs(value: object) -> Iterator[str]:
    if ref := _ref_of(value):
        yield ref
    if isinstance(value, dict):
        for key, each in value.items():
            if not _is_data(key, each):
                yield from _refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs(each)


def _is_data(key: str, value: object) -> bool:
    """Whether it is the values of an enum, which may look like anything."""
    return key == "enum" and isinstance(value, list)


def _ref_of(value: object) -> str:
    ref = value.get("$ref") if isinstance(value, dict) else None
    return ref if isinstance(ref, str) and ref.startswith("#") else ""


def _place(root: Json, ref: str) -> object:
    """What is at the place that a reference names; _NOWHERE if nothing is."""
    try:
        resolver = Registry().resolver_with_root(DRAFT3.create_resource(root))
        return resolver.lookup(ref).contents
    except (Unresolvable, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return _NOWHERE
