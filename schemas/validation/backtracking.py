"""How many steps Python's `re` may need for a pattern, by the pattern's syntax tree.

`re` tries one way after another. A part of a pattern is judged by the ways in which it may match
from one place in the text, and by the steps until all of them are tried; a sequence tries its
second part once for each way of its first. No character is looked at: what two parts can't both
match counts as if they could, so that the truth may be better, never worse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf, log2
from re._constants import _NamedIntConstant as Op  # type: ignore[import-not-found]  # private
from typing import Any, Final, NamedTuple

EACH: Final = 200  # steps for each character (and one more), which any search may take
_COUNTED: Final = 1_000  # turns of a loop; one that may have more counts as if it had no end
_LONGEST: Final = 1_024  # characters of a text whose steps are counted
_LONGEST_PATTERN: Final = 10_000  # characters; counting the steps of one may take 10 s
_MANY: Final = 1e100  # of which no product is infinite


def is_quick(tree: Any) -> bool:
    """Whether `re` surely needs EACH steps for each character at most, however long a text is."""
    growth = _growth(tree)
    if growth.power <= 1 and growth.factor <= EACH:
        return True
    return is_quick_in_long(tree) and len(excess(tree, 0)) > _LONGEST


def steps_each(tree: Any) -> float:
    """How many steps a quick pattern may need for each character; 0 if the text doesn't matter."""
    growth = _growth(tree)
    return growth.factor if growth.power else 0.0


def is_quick_in_long(tree: Any) -> bool:
    """The same of texts whose steps aren't counted."""
    growth = _growth(tree)
    return not growth.power and growth.factor <= EACH * _LONGEST


def _growth(tree: Any) -> _Growth:
    # At each turn of a loop `re` keeps the places of all groups, in 16 bytes each.
    growth = _sequence(tree).steps * _Growth(tree.state.groups)
    return growth if _is_anchored(tree, tree.state.flags) else growth * _LENGTH


class _Growth(NamedTuple):
    """The bound factor · (n + 1) ** power, in a text of n characters."""

    factor: float = 1.0
    power: float = 0

    def __add__(self, other: _Growth) -> _Growth:  # type: ignore[override]  # no tuple's
        return _Growth(self.factor + other.factor, max(self.power, other.power))

    def __mul__(self, other: _Growth) -> _Growth:  # type: ignore[override]  # no tuple's
        return _Growth(self.factor * other.factor, self.power + other.power)


_ONE: Final = _Growth()
_LENGTH: Final = _Growth(power=1)
_ENDLESS: Final = _Growth(power=inf)


class _Bound(NamedTuple):
    """What a part of a pattern may do from one place in the text."""

    ways: _Growth  # to match, one after another
    steps: _Growth  # to try all of them
    empty: bool = False  # whether it may take no character


def _sequence(nodes: Iterable[tuple[Op, Any]]) -> _Bound:
    ways, steps, empty = _ONE, _ONE, True
    for operator, argument in nodes:
        bound = _bound(str(operator), argument)
        steps += ways * bound.steps
        ways *= bound.ways
        empty &= bound.empty
    return _Bound(ways, steps, empty)


def _bound(operator: str, argument: Any) -> _Bound:
    match operator:
        case "LITERAL" | "NOT_LITERAL" | "ANY":
            return _Bound(_ONE, _ONE)
        case "IN":
            return _Bound(_ONE, _Growth(1 + len(argument) / 8))
        case "AT":
            return _Bound(_ONE, _ONE, True)
        case "SUBPATTERN":
            return _sequence(argument[3])
        case "ATOMIC_GROUP":
            return _sequence(argument)._replace(ways=_ONE)
        case "ASSERT" | "ASSERT_NOT":
            return _Bound(_ONE, _sequence(argument[1]).steps, True)
        case "GROUPREF":
            return _Bound(_ONE, _LENGTH, True)
        case "BRANCH":
            return _either([_sequence(each) for each in argument[1]])
        case "GROUPREF_EXISTS":
            return _either([_sequence(each or ()) for each in argument[1:]])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, body = argument
            bound = _repeated(least, most, _sequence(body))
            return bound._replace(ways=_ONE) if operator == "POSSESSIVE_REPEAT" else bound
    return _Bound(_ENDLESS, _ENDLESS)  # a release of Python has a new operator


def _either(branches: list[_Bound]) -> _Bound:
    ways, steps, empty = branches[0]
    for each in branches[1:]:
        ways, steps, empty = ways + each.ways, steps + each.steps, empty or each.empty
    return _Bound(ways, steps, empty)


def _repeated(least: int, most: int, body: _Bound) -> _Bound:
    endless, empty = most > _COUNTED, body.empty or not least
    if body.ways == _ONE and not body.empty:  # only where it ends is open
        times = _LENGTH if endless else _Growth(most + 1)
        ends = _ONE if least == most else _LENGTH if endless else _Growth(most - least + 1)
        return _Bound(ends, body.steps * times, empty)
    if endless or log2(body.ways.factor + body.empty) * most > _COUNTED:
        return _Bound(_ENDLESS, _ENDLESS, empty)
    ways = _Growth((body.ways.factor + body.empty) ** most * (most + 1), body.ways.power * most)
    return _Bound(ways, ways * body.steps, empty)


def _is_anchored(nodes: Any, flags: int) -> bool:
    """Whether it can only match at the beginning of the text, so that `re` gives up elsewhere."""
    if not len(nodes):
        return False
    operator, argument = nodes[0]
    match str(operator):
        case "AT":
            at_text = str(argument) == "AT_BEGINNING_STRING"
            return at_text or (str(argument) == "AT_BEGINNING" and not flags & re.MULTILINE)
        case "SUBPATTERN":
            return _is_anchored(argument[3], (flags | argument[1]) & ~argument[2])
        case "BRANCH":
            return all(_is_anchored(each, flags) for each in argument[1])
    return False


# --- how many steps, exactly, in a text of so many characters?

Vector = Any  # numpy's, with an item for each number of characters


class _Count(NamedTuple):
    """What a part of a pattern may do, counted as if every character were any other."""

    ways: Vector  # by the characters that it takes
    steps: Vector  # by the characters that are left


def excess(tree: Any, most: float) -> list[float]:
    """Returns by the length of a text how many steps `re` may need beyond EACH for each character,
    as far as they are at most `most`: of no length, if the pattern is too long to be counted."""
    import numpy as np

    if len(tree.state.str) > _LONGEST_PATTERN:
        return []
    for length in (32, 256, _LONGEST):
        count = _Counter(length).sequence(tree).steps * (0.8 + tree.state.groups / 5)  # as measured
        totals = count if _is_anchored(tree, tree.state.flags) else np.cumsum(count)
        beyond = np.maximum(totals - EACH * np.arange(1, length + 2), 0)
        if (beyond > most).any():
            beyond = beyond[: int(np.argmax(beyond > most))]
            break
    return [float(each) for each in beyond]


class _Counter:
    """Counts the parts of a pattern, up to a length of the text."""

    def __init__(self, length: int) -> None:
        import numpy as np

        self._convolve, self._minimum = np.convolve, np.minimum
        lengths = np.arange(length + 1)
        self._none: Vector = 0.0 * lengths
        self._nothing = 1.0 * (lengths == 0)  # one way, which takes no character
        self._character = 1.0 * (lengths == 1)
        self._one, self._left = self._none + 1.0, lengths + 1.0
        self._loops = 0  # around the part that is counted

    def sequence(self, nodes: Iterable[tuple[Op, Any]]) -> _Count:
        ways, steps = self._nothing, self._one
        for operator, argument in nodes:
            count = self._node(str(operator), argument)
            steps = steps + self._then(ways, count.steps)
            ways = self._then(ways, count.ways)
        return _Count(ways, steps)

    def _node(self, operator: str, argument: Any) -> _Count:
        match operator:
            case "LITERAL" | "NOT_LITERAL" | "ANY":
                return _Count(self._character, self._one)
            case "IN":
                return _Count(self._character, self._one * (1 + len(argument) / 8))
            case "AT":
                return _Count(self._nothing, self._one)
            case "SUBPATTERN":
                return self.sequence(argument[3])
            case "ATOMIC_GROUP":
                return self._in_one_way(self.sequence(argument))
            case "ASSERT" | "ASSERT_NOT":
                return self.sequence(argument[1])._replace(ways=self._nothing)
            case "GROUPREF":
                return self._in_one_way(_Count(self._one, self._left))
            case "BRANCH":
                return self._sum(self.sequence(each) for each in argument[1])
            case "GROUPREF_EXISTS":
                return self._sum(self.sequence(each or ()) for each in argument[1:])
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                self._loops += 1
                body = self.sequence(argument[2])
                self._loops -= 1
                count = self._repeated(argument[0], argument[1], body)
                return self._in_one_way(count) if operator == "POSSESSIVE_REPEAT" else count
        return _Count(self._one * _MANY, self._one * _MANY)

    def _repeated(self, least: int, most: int, body: _Count) -> _Count:
        """Counts turn after turn. After one that took nothing, `re` begins another only if it is
        one of the least."""
        more = body.ways * (1 - self._nothing)
        if least > _COUNTED and body.ways[0]:  # `re` begins all of them, whatever they take
            return _Count(self._one * _MANY, self._one * _MANY)
        if (body.ways == self._character).all():  # the usual loop: what follows, at once
            taken = self._left - 1
            ways = 1.0 * ((taken >= least) & (taken <= most))
            return _Count(ways, self._one + self._then(1.0 * (taken < most), body.steps))
        turns, ways, begun = self._nothing, self._none, self._none
        for turn in range(most + 1):
            if turn >= least:
                ways = ways + turns
            if turn < most:
                begun = begun + turns
                turns = self._then(turns, body.ways if turn < least else more)
            if not turns.any():  # all characters are taken
                break
        return _Count(ways * (1 + body.ways[0]), self._one + self._then(begun, body.steps))

    def _in_one_way(self, count: _Count) -> _Count:
        """Counts a way of unknown length. The fewer it takes, the more is left to be tried; but in
        a loop only what takes something begins another turn."""
        ways = self._minimum(count.ways, 1) if self._loops else self._nothing
        return count._replace(ways=ways)

    def _sum(self, counts: Iterable[_Count]) -> _Count:
        ways, steps = self._none, self._none
        for each in counts:
            ways, steps = ways + each.ways, steps + each.steps
        return _Count(ways, steps)

    def _then(self, ways: Vector, others: Vector) -> Vector:
        cut: Vector = self._convolve(ways, others)[: len(ways)]
        return self._minimum(cut, _MANY)
