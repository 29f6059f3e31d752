"""The source of a compiled verdict (fast_path.py) under construction: its lines, its constants."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from schemas.validation.patterns import spend

ORDER: Final = ("str", "int", "dict", "float", "bool", "list", "none")  # the usual ones first
FEW_CHECKS: Final = 16  # in all loops of a verdict: so many are fast enough for any event


class VerdictWriter:
    """The source under construction: finished functions, the current one, the bound constants. It
    knows no rules; `possible` and `fitting` are sets of classes of values."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"none": type(None), "spend": spend}
        self._finished: list[str] = []
        self._lines: list[str] = []
        self._indent = 1
        self._count = 0
        self.written = 0  # lines, of all functions
        self._in_loops = 0

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

    @property
    def is_heavy(self) -> bool:
        """Whether the checks of each of many values may be too many."""
        return self._in_loops > FEW_CHECKS

    def source(self) -> str:
        lines = self._finished
        if not self.is_heavy:
            lines = [line for line in lines if not line.lstrip().startswith("spend(")]
        return "\n".join(lines)

    def fresh(self, prefix: str) -> str:
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
        self.written += 1

    def refuse_if(self, condition: str) -> None:
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
    def loop(self, item: str, values: str) -> Iterator[None]:
        """Writes a loop around the lines written inside. If all loops have many lines, it notes
        what it takes: each value is checked by each line at most."""
        start, before = len(self._lines), self.written
        with self.block(f"for {item} in {values}:"):
            yield
        if len(self._lines) > start:
            checks = self.written - before
            self._in_loops += checks
            self._lines.insert(start, f"{' ' * self._indent}spend(len({values}) * {checks})")

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
    tests = [f"{value}.__class__ is {each}" for each in ORDER if each in classes]
    return f"({' or '.join(tests)})" if tests else "False"
