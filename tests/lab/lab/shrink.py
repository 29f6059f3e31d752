"""A failing history is made shorter, as long as it fails."""

from collections.abc import Iterator

from lab.expected import Step, Violation
from lab.history import play


def _fails(seed: int, steps: list[Step]) -> str:
    try:
        play(seed, steps)
    except Violation as error:
        return str(error)
    return ""


def shortest(seed: int, steps: list[Step]) -> tuple[list[Step], str]:
    """Steps of which none can be left out or made smaller, and what doesn't hold after them."""
    why = _fails(seed, steps)
    size = len(steps)
    while size:
        for begin in range(len(steps) - size, -1, -1):
            fewer = steps[:begin] + steps[begin + size :]
            if found := _fails(seed, fewer):
                steps, why = fewer, found
        size //= 2
    changed = True
    while changed:
        changed = False
        for place, step in enumerate(steps):
            for smaller in _smaller(step):
                other = [*steps[:place], smaller, *steps[place + 1 :]]
                if found := _fails(seed, other):
                    steps, why, changed = other, found, True
                    break
    return steps, why


def _smaller(step: Step) -> Iterator[Step]:
    if step[0] == "go" and step[2] > 1:
        yield from (("go", step[1], each) for each in (step[2] // 2, step[2] * 3 // 4, step[2] - 1))
    if step[0] == "put" and step[4] > 1:
        yield (*step[:4], 1, *step[5:])
        yield (*step[:4], step[4] - 1, *step[5:])
