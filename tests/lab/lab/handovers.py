"""Hand-overs: who works is stopped at each of its operations in turn and taken for dead, another
one works in its place, and then the first one wakes up; or its machine loses its power there. Seeds
come to few of these moments."""

from collections.abc import Iterator
from typing import Final

from lab.expected import Step
from lab.history import History, in_world

_ALL: Final = 5000  # operations: more than anybody has to do
_BEFORE: Final[list[Step]] = [  # files to be made one, replaced, purged
    ("put", "one", "raw", 0, 3, 0), ("put", "one", "raw", 1, 3, 1), ("go", "A", _ALL),
    ("put", "one", "raw", 0, 3, 0), ("put", "one", "raw", 1, 3, 1), ("wait", 70), ("go", "A", _ALL),
    ("kill", "A"), ("wait", 4000),
]  # fmt: skip
_POWER: Final = "power"
PAIRS: Final = [
    ("A", _POWER), ("C", _POWER), ("F", _POWER), ("P", _POWER), ("A", "A2"), ("A", "B"),
    ("A", "C2"), ("A", "F2"), ("B", "A"), ("C", "C2"), ("C", "F2"), ("C", "U"), ("F", "C2"),
    ("F", "F2"), ("F", "U"), ("P", "C2"), ("P", "F2"), ("U", "C2"),
]  # fmt: skip


def handovers(first: str, second: str) -> Iterator[tuple[int, list[Step]]]:
    """After how many operations `first` is stopped, and the steps of that history."""
    begin = [*_BEFORE, ("put", "one", "raw", 0, 2, 0), ("put", "two", "raw", 0, 2, 0)]
    after: list[Step] = [("pause", first), ("wait", 100), ("go", second, _ALL), ("go", first, _ALL)]
    for at in range(1, _operations(begin, first)):
        yield at, [*begin, ("go", first, at), *([(_POWER, 0)] if second == _POWER else after)]


def _operations(begin: list[Step], slot: str) -> int:
    """How many a process does that nobody stops."""
    history, number = History(0), 0
    with in_world(history):
        for step in [*begin, ("go", slot, 0)]:
            history.do(step)
        process = history.slots[slot]
        while process.alive and process.asleep <= history.world.now:
            history.world.go(process, 1)
            number += 1
        history.stop_all()
    return number
