"""The fast path: a draft-3 schema compiled to straight-line Python.

`compile_schema` makes a function. It returns True only if the authority (draft3.py) would find no
violation, and False for "ask the authority": if the value is wrong, or if it can't decide.
tests/unit/schemas/validation/test_fast_path.py checks that over generated schemas and values.

The generated code has only `repr` of strings and integers from a schema; all else (regular
expressions, sets, fractions) is bound by name in the function's namespace. The values are what
orjson reads: dict, list, str, int, float, bool and None themselves, no subclasses, no NaN.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

from schemas.validation.patterns import SearchTooLong, joined, one_event, pattern_of, spend
from schemas.validation.verdict_writer import FEW_CHECKS, ORDER, VerdictWriter, is_one_of

Json = dict[str, Any]
Verdict = Callable[[object], bool]

_CLASSES: Final[dict[str, frozenset[str]]] = {
    "string": frozenset(["str"]),
    "integer": frozenset(["int"]),
    "number": frozenset(["int", "float"]),
    "boolean": frozenset(["bool"]),
    "null": frozenset(["none"]),
    "object": frozenset(["dict"]),
    "array": frozenset(["list"]),
    "any": frozenset(["str", "int", "float", "bool", "none", "dict", "list"]),
}
"""The classes of values that each simple type of draft 3 allows: a bool is not a number, 1.0 is not
an integer."""

_ANY: Final = _CLASSES["any"]
_NUMBER: Final = _CLASSES["number"]


class _Unproved(Exception):
    """The schema has a keyword that the fast path can't prove."""


def compile_schema(schema: Json) -> Verdict | None:
    """Compiles a schema to a function that returns True only for values that surely fit it. The
    function never raises.

    Returns None if a keyword can't be proved (`$ref`, `disallow` of a schema), or if the schema is
    malformed or too large for Python's compiler: then every event goes to the authority."""
    verdict, code = _compiled(schema)
    sums = code.counted or code.noted or code.is_heavy
    return one_event()(verdict) if verdict and sums else verdict


def compile_part(schema: Json) -> Verdict | None:
    """The same for a part of a schema, whose values are parts of one event. Returns None also if it
    has a pattern whose searches in one event may be too many."""
    verdict, code = _compiled(schema)
    if verdict is None or code.counted:
        return None
    return verdict if code.written <= FEW_CHECKS else _noted(verdict, code.written)


def _noted(verdict: Verdict, checks: int) -> Verdict:
    """Returns a verdict that notes what it takes: it may be asked of each value of a list."""

    def judge(value: object) -> bool:
        try:
            spend(checks)
        except SearchTooLong:
            return False
        return verdict(value)

    return judge


def _compiled(schema: Json) -> tuple[Verdict | None, _Code]:
    code = _Code()
    try:
        name = code.verdict_on(schema)
        exec(compile(code.source(), "<schema>", "exec"), code.names)
    except (_Unproved, SyntaxError, RecursionError, MemoryError, ValueError, re.error):
        return None, code
    return code.names[name], code


class _Code(VerdictWriter):
    """Writes the checks of each keyword of a schema."""

    counted = False  # whether it has a pattern whose searches in one event may be too many
    noted = False  # whether that is so of long texts only

    def verdict_on(self, schema: object) -> str:
        """Writes a function that is True for values that surely fit; returns its name."""
        with self.function() as (name, value):
            self.schema(schema, value, _ANY)
        return name

    def schema(self, schema: object, value: str, possible: frozenset[str]) -> None:
        """Writes the checks of a schema for a value of one of the possible classes."""
        if not isinstance(schema, dict) or schema.get("$ref") is not None:
            raise _Unproved
        possible = self._type(schema, value, possible)
        if "disallow" in schema:
            possible = self._disallow(schema["disallow"], value, possible)
        if "enum" in schema:
            self._enum(schema["enum"], value, possible)
        if possible & _CLASSES["string"]:
            self._string(schema, value, possible)
        if possible & _NUMBER:
            self._number(schema, value, possible)
        if possible & _CLASSES["array"]:
            self._array(schema, value, possible)
        if possible & _CLASSES["object"]:
            self._object(schema, value, possible)
        extends = schema.get("extends", [])
        for parent in extends if isinstance(extends, list) else [extends]:
            self.schema(parent, value, possible)

    def _type(self, schema: Json, value: str, possible: frozenset[str]) -> frozenset[str]:
        simple: frozenset[str] = frozenset()
        fitting: list[str] = []
        for each in _listed(schema.get("type", "any")):
            if isinstance(each, dict):
                fitting.append(f"{self.verdict_on(each)}({value})")
            else:
                simple |= _classes(each)
        if possible <= simple:
            return possible
        if fitting:
            here = [is_one_of(value, possible & simple)] if possible & simple else []
            self.refuse_if(f"not ({' or '.join(here + fitting)})")
            return possible
        self.refuse_if(_is_none_of(value, possible & simple))
        return possible & simple

    def _disallow(self, disallow: object, value: str, possible: frozenset[str]) -> frozenset[str]:
        for each in _listed(disallow):
            unwanted = _classes(each) & possible
            if unwanted:
                self.refuse_if(is_one_of(value, unwanted))
            possible -= unwanted
        return possible

    def _enum(self, enum: object, value: str, possible: frozenset[str]) -> None:
        # A bool equals no number, unlike in a Python set. Lists and objects among the members are
        # left out: the lookup of such a value raises, and so the function returns False.
        members = [each for each in _listed(enum) if not isinstance(each, (list, dict))]
        flags = [each for each in members if isinstance(each, bool)]
        others = self.bind(frozenset(each for each in members if not isinstance(each, bool)))
        if "bool" not in possible:
            self.refuse_if(f"{value} not in {others}")
        else:
            among = f"{value} in {self.bind(frozenset(flags))}" if flags else "False"
            self.refuse_if(f"not ({among} if {value}.__class__ is bool else {value} in {others})")

    def _string(self, schema: Json, value: str, possible: frozenset[str]) -> None:
        with self.only_if(value, possible, _CLASSES["string"]):
            if "minLength" in schema:
                self.refuse_if(f"len({value}) < {self._limit(schema['minLength'])}")
            if "maxLength" in schema:
                self.refuse_if(f"len({value}) > {self._limit(schema['maxLength'])}")
            if "pattern" in schema:
                self.refuse_if(f"not {self._search(schema['pattern'])}({value})")

    def _number(self, schema: Json, value: str, possible: frozenset[str]) -> None:
        with self.only_if(value, possible, _NUMBER):
            if "minimum" in schema:
                less = "<=" if schema.get("exclusiveMinimum") else "<"
                self.refuse_if(f"{value} {less} {self._limit(schema['minimum'])}")
            if "maximum" in schema:
                more = ">=" if schema.get("exclusiveMaximum") else ">"
                self.refuse_if(f"{value} {more} {self._limit(schema['maximum'])}")
            if "divisibleBy" in schema:
                divisor = self._limit(schema["divisibleBy"])
                if isinstance(schema["divisibleBy"], float):  # an infinite quotient raises: False
                    self.refuse_if(f"int({value} / {divisor}) != {value} / {divisor}")
                else:
                    self.refuse_if(f"{value} % {divisor}")

    def _array(self, schema: Json, value: str, possible: frozenset[str]) -> None:
        with self.only_if(value, possible, _CLASSES["array"]):
            if "minItems" in schema:
                self.refuse_if(f"len({value}) < {self._limit(schema['minItems'])}")
            if "maxItems" in schema:
                self.refuse_if(f"len({value}) > {self._limit(schema['maxItems'])}")
            if schema.get("uniqueItems"):
                # Coarser than the authority (here 1 equals true): a repeat found here may not be
                # one there, but a list without repeats has none there. Hashing lists and objects
                # raises: False.
                self.refuse_if(f"len({value}) > 1 and len(set({value})) != len({value})")
            items = schema.get("items")
            if isinstance(items, dict):
                self._each(value, items)
            elif "items" in schema:  # additionalItems mean nothing but beside a list
                self._tuple(_listed(items), schema.get("additionalItems", True), value)

    def _tuple(self, items: list[object], additional: object, value: str) -> None:
        for position, schema in enumerate(items):
            with self.block(f"if len({value}) > {position}:"):
                self._part(f"{value}[{position}]", schema)
        if isinstance(additional, dict):
            self._each(f"{value}[{len(items)}:]", additional)
        elif not additional:
            self.refuse_if(f"len({value}) > {len(items)}")

    def _each(self, values: str, schema: object) -> None:
        item = self.fresh("v")
        with self.loop(item, values):
            self.schema(schema, item, _ANY)

    def _part(self, expression: str, schema: object, required: bool = False) -> None:
        """Writes the checks of a part of the value; a required part is always read."""
        name = self.fresh("v")
        taken = f"{name} = {expression}"
        if required:
            self.line(taken)
        with nullcontext() if required else self.headed(taken):
            self.schema(schema, name, _ANY)

    def _object(self, schema: Json, value: str, possible: frozenset[str]) -> None:
        properties = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        additional = schema.get("additionalProperties", True)
        dependencies = schema.get("dependencies", {})
        if not all(isinstance(each, dict) for each in (properties, patterns, dependencies)):
            raise _Unproved
        with self.only_if(value, possible, _CLASSES["object"]):
            closed = not isinstance(additional, dict) and not additional and not patterns
            self._properties(properties, value, closed)
            if patterns or isinstance(additional, dict):
                self._other_properties(properties, patterns, additional, value)
            for name, dependency in dependencies.items():
                with self.block(f"if {_key(name)} in {value}:"):
                    if isinstance(dependency, dict):
                        self.schema(dependency, value, _CLASSES["object"])
                    else:
                        for needed in _listed(dependency):
                            self.refuse_if(f"{_key(needed)} not in {value}")

    def _properties(self, properties: Json, value: str, closed: bool) -> None:
        """Writes the checks of each property. A missing required one raises KeyError: False.

        A closed object has only these keys: as many as were found."""
        required = [name for name, schema in properties.items() if _is_required(schema)]
        found = self.fresh("n")
        counted = closed and len(required) < len(properties)
        if counted:
            self.line(f"{found} = {len(required)}")
        for name, schema in properties.items():
            here = f"{value}[{_key(name)}]"
            if name in required:
                self._part(here, schema, required=True)
            else:
                with self.block(f"if {_key(name)} in {value}:"):
                    if counted:
                        self.line(f"{found} += 1")
                    self._part(here, schema)
        if closed:
            self.refuse_if(f"len({value}) != {found if counted else len(required)}")

    def _other_properties(
        self, properties: Json, patterns: Json, additional: object, value: str
    ) -> None:
        """Writes a loop over all keys: those that a pattern matches, and those without a schema.

        As in the authority, all patterns joined with `|` decide whether a pattern matches."""
        key, item = self.fresh("k"), self.fresh("v")
        with self.loop(f"{key}, {item}", f"{value}.items()"):
            for pattern, schema in patterns.items():
                with self.block(f"if {self._search(pattern)}({key}):"):
                    self.schema(schema, item, _ANY)
            if additional is True or additional == {}:
                return
            extra = f"{key} not in {self.bind(frozenset(properties))}"
            if any_of := joined(patterns):
                extra += f" and not {self._search(any_of)}({key})"
            with self.block(f"if {extra}:"):
                if isinstance(additional, dict):
                    self.schema(additional, item, _ANY)
                else:
                    self.line("return False")

    def _limit(self, limit: object) -> str:
        """Returns a number of the schema as an operand."""
        if isinstance(limit, bool) or not isinstance(limit, (int, float)):
            raise _Unproved
        return f"({limit!r})" if isinstance(limit, int) else self.bind(limit)

    def _search(self, pattern: object) -> str:
        """Binds the search of a pattern; returns its name."""
        if not isinstance(pattern, str):
            raise _Unproved
        how = pattern_of(pattern)
        self.counted |= how.counted
        self.noted |= how.noted
        return self.bind(how.search)


def _listed(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [value]
    raise _Unproved


def _classes(name: object) -> frozenset[str]:
    """Returns the classes of a simple type. Raises _Unproved for a type that draft 3 doesn't know,
    at which the authority fails, and for a schema in `disallow`, because the fast path can't prove
    that a value doesn't fit."""
    if not isinstance(name, str) or name not in _CLASSES:
        raise _Unproved
    return _CLASSES[name]


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise _Unproved
    return repr(name)


def _is_required(schema: object) -> bool:
    # Any truthy value: also draft 4's list of names, which makes this very property required.
    return isinstance(schema, dict) and bool(schema.get("required", False))


def _is_none_of(value: str, classes: frozenset[str]) -> str:
    """Returns the condition that a value is of none of these classes."""
    tests = [f"{value}.__class__ is not {each}" for each in ORDER if each in classes]
    return " and ".join(tests) or "True"
