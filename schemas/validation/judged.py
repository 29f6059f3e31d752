"""What is known of a schema, and of an event while it is judged: so a verdict takes linear time,
however often a schema leads to the same value.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Final

from schemas.validation.patterns import one_event

Json = dict[str, Any]
Verdict = Callable[[object], bool]
Part = tuple[str | int, Any]  # of a value: a key or a place, and what is there
_Property = tuple[str, frozenset[object] | None, bool]  # name, what fits, whether it is required

MOST_STEPS: Final = 64_000
"""How often a keyword is applied to a value of one event: in about half a second."""
_SAYS_NOTHING: Final = frozenset(["required", "description", "title", "default", "format"])
"""Formats are not checked."""
CLASSES: Final = {
    kind: frozenset[object](classes) for kind, classes in (
        ("string", [str]), ("integer", [int]), ("number", [int, float]), ("boolean", [bool]),
        ("null", [type(None)]), ("object", [dict]), ("array", [list]),
    )
}  # fmt: skip
"""The types of draft 3, as of values that were read from JSON."""
_NONE: Final = frozenset[object]()
_FEW: Final = 20  # values that are judged one by one before a verdict on their schema is compiled


class TooManySteps(ValueError):
    """An event has more values than a schema's keywords can be applied to in a second."""


class Known:
    """What is known of a schema's parts, by their ids, for all events."""

    def __init__(
        self, compile_part: Callable[[Json], Verdict | None] = lambda _: None,
        targets: Mapping[str, Json | None] | None = None,
    ) -> None:  # fmt: skip
        self._compile = compile_part
        self.targets = targets or {}  # of local references
        self._validators: dict[int, Any] = {}
        self._verdicts: dict[int, Verdict | None] = {}
        self._properties: dict[int, list[_Property]] = {}

    def verdict_on(self, schema: Json) -> Verdict | None:
        """Returns a function that is True for values which surely fit a schema, if there is one."""
        if id(schema) not in self._verdicts:
            self._verdicts[id(schema)] = self._compile(schema)
        return self._verdicts[id(schema)]

    def validator_of(self, schema: Json, within: Any) -> Any:
        """Returns the validator of a part of another one's schema. To make it takes half of the
        time of a verdict. A part has no `id`, so a `$ref` means the same in all of them."""
        if (found := self._validators.get(id(schema))) is None:
            found = self._validators[id(schema)] = within.evolve(schema=schema)
        return found

    def properties(self, properties: Json) -> list[_Property]:
        if (found := self._properties.get(id(properties))) is None:
            found = self._properties[id(properties)] = [
                (name, _fitting(schema), bool(schema.get("required")))
                for name, schema in properties.items()
            ]
        return found


def _fitting(schema: Json) -> frozenset[object] | None:
    """Returns classes, and texts, that surely fit a schema; None if all values do."""
    says = schema.keys() - _SAYS_NOTHING
    stated, enum = schema.get("type", "any"), schema.get("enum")
    if stated == "any" and says <= {"type"}:
        return None
    if stated in ("any", "string") and says <= {"type", "enum"} and isinstance(enum, list):
        return frozenset(each for each in enum if isinstance(each, str))
    return classes_of(schema)


def classes_of(schema: Json) -> frozenset[object]:
    """Returns the classes of values that fit a schema, if it states nothing but one type."""
    stated = schema.get("type")
    if not isinstance(stated, str) or schema.keys() - _SAYS_NOTHING != {"type"}:
        return _NONE
    return CLASSES.get(stated, _NONE)


class Judged:
    """What is known of the values of one event, by their ids, while it is judged."""

    def __init__(self, known: Known, steps: float) -> None:
        self.known, self._left = known, steps
        self.counting = False  # whether errors are but counted from now on
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

    def unsure(self, found: Iterator[Part], schema: Json) -> Iterator[Part]:
        """Those of some values that don't surely fit a schema: the few that are wrong in a long
        list, if the schema can be proved."""
        some = [*islice(found, _FEW)]
        yield from some
        if len(some) == _FEW:
            verdict = self.known.verdict_on(schema)
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
            within = value.values() if isinstance(value, dict) else value
            its = tuple([self.identity(x) if isinstance(x, (dict, list)) else x for x in within])
            key = (dict, frozenset(zip(value, its, strict=True))) if within is not value else its
            number = self._same.setdefault(key, (len(self._same),))
            self._numbers[id(value)] = number
        return number


JUDGED: Final[ContextVar[Judged]] = ContextVar("judged")


@contextmanager
def one_value(known: Known | None = None, steps: float = MOST_STEPS) -> Iterator[Judged]:
    """While it lasts, AUTHORITY judges one value, which stays as it is, in so many steps."""
    judged = Judged(known or Known(), steps)
    token = JUDGED.set(judged)
    try:
        with one_event():
            yield judged
    finally:
        JUDGED.reset(token)
