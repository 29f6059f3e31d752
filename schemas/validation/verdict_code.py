"""Writes Python source of functions that return True or False for a value; it knows no rules.

Values are what orjson reads: dict, list, str, int, float, bool and None themselves. `possible` and
`fitting` below are sets of their classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_ORDER: Final = ("str", "int", "dict", "float", "bool", "list", "none")  # the usual ones first


class VerdictWriter:
    """The source under construction: finished functions, the current one, the bound constants."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"none": type(None)}
        self._finished: list[str] = []
        self._lines: list[str] = []
        self._indent = 1
        self._count = 0

    @contextmanager
    def function(self) -> Iterator[tuple[str, str]]:
        """Writes a function around the lines written inside; yields its name and its argument's.

        It returns True for a value that no line inside refuses. An exception in it means that it
        can't decide: a missing key, a list looked up in a set, an infinite quotient."""
        outer, self._lines = self._lines, []
        indent, self._indent = self._indent, 2
        name, value = self.fresh("f"), self.fresh("v")
        yield name, value
        self.line("return True")
        guard = [" except Exception: return False"]
        self._finished += [f"def {name}({value}):", " try:", *self._lines, *guard]
        self._lines, self._indent = outer, indent

    def source(self) -> str:
        """Returns all functions written so far."""
        return "\n".join(self._finished)

    def fresh(self, prefix: str) -> str:
        """Returns a new name."""
        self._count += 1
        return f"{prefix}{self._count}"

    def bind(self, constant: object) -> str:
        """Binds a constant in the code's namespace; returns its name."""
        name = self.fresh("c")
        self.names[name] = constant
        return name

    def line(self, text: str) -> None:
        """Writes one line at the current indent."""
        self._lines.append(" " * self._indent + text)

    def refuse_if(self, condition: str) -> None:
        """Writes: return False if the condition holds."""
        self.line(f"if {condition}: return False")

    @contextmanager
    def headed(self, header: str) -> Iterator[None]:
        """Writes a line before the lines written inside, or nothing if there are none."""
        self.line(header)
        start = len(self._lines)
        yield
        if len(self._lines) == start:
            self._lines.pop()

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Writes an indented block, or nothing if it stays empty."""
        with self.headed(header):
            self._indent += 1
            yield
            self._indent -= 1

    @contextmanager
    def only_if(
        self, value: str, possible: frozenset[str], fitting: frozenset[str]
    ) -> Iterator[None]:
        """Applies the lines written inside only to values of the fitting classes."""
        if possible <= fitting:
            yield
        else:
            with self.block(f"if {is_one_of(value, fitting)}:"):
                yield


def is_one_of(value: str, classes: frozenset[str]) -> str:
    """Returns the condition that a value is of one of these classes."""
    tests = [f"{value}.__class__ is {each}" for each in _ORDER if each in classes]
    return f"({' or '.join(tests)})" if tests else "False"


def is_none_of(value: str, classes: frozenset[str]) -> str:
    """Returns the condition that a value is of none of these classes."""
    tests = [f"{value}.__class__ is not {each}" for each in _ORDER if each in classes]
    return " and ".join(tests) or "True"
