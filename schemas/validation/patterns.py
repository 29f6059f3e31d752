"""Regular expressions of schemas, searched as Python's `re` does, but in bounded time.

`re` tries one way after another, so a value of 40 characters can keep it busy for days. Therefore
each pattern is judged once, by its syntax tree:

- If `re` needs steps in proportion to the value at most, `re` it is: most patterns.
- Else, if it says the same in RE2's syntax, RE2 searches it, in linear time.
- Else `re` searches it, but only as long as all such searches in an event surely end within
  `SECONDS`; the next one raises SearchTooLong.

tests/unit/schemas/validation/test_patterns.py compares the engines over drawn patterns and values.
The syntax tree is private to Python: docs/decisions/011-syntax-trees-of-patterns.md.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from math import inf
from re import _compiler, _parser  # type: ignore[attr-defined]
from re._constants import _NamedIntConstant as Op  # type: ignore[import-not-found]
from typing import Any, Final, NamedTuple

from schemas.validation.backtracking import excess, is_quick, is_quick_in_long, steps_each

Search = Callable[[str], object]  # the result is true if the pattern is in the text
Ranges = tuple[tuple[int, int], ...]  # of code points, both ends included

SECONDS: Final = 0.01  # for all searches in an event, beyond what is in proportion to its texts
_STEP: Final = 10e-9  # s that one step of `re` takes at most
_FEW: Final = 500  # steps, for which `re` is asked all the same: as long as any call of RE2 takes
_LARGEST_PROGRAM: Final = 5_000  # instructions of RE2, which it may try at each character
_MOST_REPEATS: Final = 1_000  # in RE2's syntax
_MOST_PATTERNS: Final = 10_000  # judged patterns kept
_LIGHT: Final = 10  # steps of `re` for each character, of which nobody takes note
_QUICK: Final = 25  # steps of `re` in the time of a check
_FEW_PLACES: Final = 64
"""Characters that a pattern can be at, repeats written out. RE2 may have to try them all at each
character of a text, if it has made too many states of them."""
MOST_CHECKS: Final = 5_000_000
"""Lines of the fast path for one event, or 16 places of a pattern for RE2: in half a second."""


class SearchTooLong(ValueError):
    """An event has longer texts, or more of them, than a pattern can be searched in."""


class Pattern(NamedTuple):
    search: Search
    longest: float = inf  # characters that it searches; a longer text raises SearchTooLong
    engine: str = "re"
    counted: bool = False  # whether its searches in one event may be too many
    noted: bool = False  # whether that is so of long texts and many patterns only


_TAKEN: Final[ContextVar[list[float]]] = ContextVar("taken")  # steps of `re`, checks


@contextmanager
def one_event() -> Iterator[None]:
    """While it lasts, all searches together may take SECONDS; else each may."""
    token = _TAKEN.set([0.0, 0.0])
    try:
        yield
    finally:
        _TAKEN.reset(token)


def spend(checks: float, what: str = "") -> None:
    """Note checks of one event. Raises SearchTooLong."""
    taken = _TAKEN.get([0.0, 0.0])
    taken[1] += checks
    if taken[1] > MOST_CHECKS:
        raise SearchTooLong(f"these are too many or too long texts to look for the pattern {what}")


@lru_cache(maxsize=_MOST_PATTERNS)
def pattern_of(text: str) -> Pattern:
    """Returns how a pattern is searched. Raises re.error, RecursionError or OverflowError if `re`
    can't compile it."""
    search = re.compile(text).search
    try:
        return _judged(text, search, _parser.parse(text))
    except RecursionError:  # hundreds of groups in groups
        return _counted(text, search, [], -1)


def _judged(text: str, search: Search, tree: Any) -> Pattern:
    if is_quick(tree):
        each = steps_each(tree)
        return _noted(text, Pattern(search), each / _QUICK) if each > _LIGHT else Pattern(search)
    steps = excess(tree, SECONDS / _STEP)
    longest = inf if steps and is_quick_in_long(tree) else len(steps) - 1
    counted = _counted(text, search, steps, longest)
    if not (search_long := re2_search(text)):
        return counted
    either = _either_engine(search, search_long, counted.search, steps)
    if (places := _places(tree)) <= _FEW_PLACES:
        return _noted(text, either, places / 16)
    return _weighed(text, either, places)


def limited(document: object) -> list[str]:
    """Returns a sentence on each pattern of a schema that is searched in short values only."""
    return [
        f"pattern {pattern!r:.200} is searched in texts of up to {how.longest} characters only: "
        "a longer one makes the event bad"
        for pattern in dict.fromkeys(_patterns(document))
        if (how := pattern_of(pattern)).longest < inf
    ]


def joined(patterns: Iterable[str]) -> str:
    """Returns the pattern that says whether a property has one of patternProperties."""
    return "|".join(patterns)


def _patterns(schema: object) -> Iterable[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _patterns(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(named := schema.get("patternProperties"), dict) and named:
            yield from (*named, joined(named))
        for each in schema.values():
            yield from _patterns(each)


def _either_engine(
    search: Search, search_long: Search, counted: Search, steps: list[float]
) -> Pattern:
    def search_any(value: str) -> object:
        if (size := len(value)) < len(steps) and steps[size] <= _FEW:
            return search(value)
        try:
            return search_long(value)
        except UnicodeEncodeError:  # a lone surrogate, which RE2 has no bytes for
            return counted(value)

    return Pattern(search_any, engine="re2")


def _noted(text: str, pattern: Pattern, checks: float) -> Pattern:
    """Returns a search that notes what it may take, at so many checks for each character: a schema
    may have hundreds of patterns for one text."""

    def search_noted(value: str) -> object:
        spend(checks * len(value), repr(text))
        return pattern.search(value)

    return pattern._replace(search=search_noted, noted=True)


def _weighed(text: str, pattern: Pattern, places: int) -> Pattern:
    """Returns a search by RE2 that notes what it may take."""

    def search_in_time(value: str) -> object:
        spend(places * len(value) / 16, repr(text))
        return pattern.search(value)

    return Pattern(search_in_time, 16 * MOST_CHECKS // places, pattern.engine, counted=True)


def _places(nodes: Any) -> int:
    """How many characters a pattern can be at, repeats written out."""
    found = 0
    for operator, argument in nodes:
        match str(operator):
            case "SUBPATTERN":
                found += _places(argument[-1])
            case "BRANCH":
                found += sum(map(_places, argument[1]))
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, body = argument
                times = max(least, 1) if most == _parser.MAXREPEAT else most
                found += times * _places(body)
            case _:
                found += 1
    return found


def _counted(text: str, search: Search, steps: list[float], longest: float) -> Pattern:
    """Returns a search that counts its steps, which are known by the length of the value."""

    def search_in_time(value: str) -> object:
        if (size := len(value)) > longest:
            raise SearchTooLong(
                f"a text of {size} characters is too long to look for the pattern {text!r}, "
                f"which could take for ever: {max(longest, 0)} at most"
            )
        taken = _TAKEN.get([0.0, 0.0])
        taken[0] += steps[size] if size < len(steps) else 0
        if taken[0] > SECONDS / _STEP:
            raise SearchTooLong(
                f"these are too many texts to look for the pattern {text!r}, which could take for "
                "ever: shorter ones, or fewer of them, are possible"
            )
        return search(value)

    return Pattern(search_in_time, longest, counted=True)


# --- the same pattern for RE2


class _Untranslatable(Exception):
    """RE2 has nothing that surely means the same."""


def re2_search(text: str) -> Search | None:
    """Returns RE2's search for what `re` finds with this pattern; None if it has none."""
    import re2  # here, because few schemas need it

    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    tree = _parser.parse(text)
    if _places(tree) > _LARGEST_PROGRAM:  # it might take a minute to find that out
        return None
    try:
        compiled = re2.compile(_translated(tree, tree.state.flags, last=True), options)
    except (_Untranslatable, re2.error):  # or it is too large
        return None
    if compiled.programsize > _LARGEST_PROGRAM:
        return None
    search: Search = compiled.search
    return lambda value: search(value.encode())  # type: ignore[arg-type]  # it takes bytes too


def _translated(nodes: Any, flags: int, last: bool) -> str:
    """Writes a part of a pattern for RE2. `last` says that nothing of the pattern follows."""
    end = len(nodes) - 1
    return "".join(
        _node(operator, argument, flags, last and index == end)
        for index, (operator, argument) in enumerate(nodes)
    )


def _node(operator: Op, argument: Any, flags: int, last: bool) -> str:
    match str(operator):
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
            return _class(operator, argument, flags)
        case "AT":
            return _anchor(str(argument), flags, last)
        case "SUBPATTERN":
            _, added, removed, body = argument
            if not added & _parser.TYPE_FLAGS:  # `re` itself confuses both alphabets of (?a:\W)
                return f"(?:{_translated(body, (flags | added) & ~removed, last)})"
        case "BRANCH":
            return f"(?:{'|'.join(_translated(each, flags, last) for each in argument[1])})"
        case "MAX_REPEAT" | "MIN_REPEAT":  # which one is tried first changes no verdict
            least, most, body = argument
            inner = _translated(body, flags, last and most == 1)
            if most == _parser.MAXREPEAT and least <= _MOST_REPEATS:
                return f"(?:{inner}){{{least},}}"
            if most <= _MOST_REPEATS:
                return f"(?:{inner}){{{least},{most}}}"
    raise _Untranslatable


def _anchor(place: str, flags: int, last: bool) -> str:
    lines = flags & re.MULTILINE
    match place:
        case "AT_BEGINNING":
            return "(?m:^)" if lines else r"\A"
        case "AT_BEGINNING_STRING":
            return r"\A"
        case "AT_END_STRING":
            return r"\z"
        case "AT_END" if lines:
            return "(?m:$)"
        case "AT_END" if last:  # it takes the last line's end, which nothing else wants
            return r"(?:\n?\z)"
    raise _Untranslatable  # a word for Python has letters of all alphabets


def _class(operator: Op, argument: Any, flags: int) -> str:
    """Writes one character of a pattern as the class of all characters that `re` takes there."""
    plain = not flags & re.IGNORECASE
    if plain and str(operator) == "LITERAL":
        ranges: Ranges = ((argument, argument),)
    elif plain and str(operator) == "IN" and all(str(op) in _NAMED for op, _ in argument):
        ranges = tuple((r, r) if isinstance(r, int) else (r[0], r[1]) for _, r in argument)
    else:
        node = (operator, tuple(argument) if isinstance(argument, list) else argument)
        ranges = _asked(node, flags)
    text = "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges)
    return f"[{text}]" if text else r"[^\x{0}-\x{10ffff}]"


_NAMED: Final = ("LITERAL", "RANGE")


@lru_cache(maxsize=1_000)
def _asked(node: tuple[Op, Any], flags: int) -> Ranges:
    """Finds the characters that a part of a pattern takes: by asking `re` on all of them."""
    state = _parser.State()
    state.flags = flags
    state.str = ""
    one = _parser.SubPattern(state, [node])
    many = _parser.SubPattern(state, [(_parser.MAX_REPEAT, (1, _parser.MAXREPEAT, one))])
    found = _compiler.compile(many).finditer(_all_characters())
    return tuple((match.start(), match.end() - 1) for match in found)


@cache
def _all_characters() -> str:
    return array("I", range(0x110000)).tobytes().decode("utf-32", "surrogatepass")
