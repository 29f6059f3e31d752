"""Five hundred histories in the crash lab: lab/history.py says what happens in them, and what must
hold. A history that fails is printed as its fewest steps; `python -m lab SEED` plays it again."""

from collections.abc import Iterator
from itertools import islice

import pytest
from lab.expected import Violation
from lab.handovers import PAIRS, handovers
from lab.history import play, quiet
from lab.seeds import steps_of
from lab.shrink import shortest

PARTS, HISTORIES = 10, 50


@pytest.fixture(autouse=True)
def nothing_is_said() -> Iterator[None]:
    with quiet():
        yield


@pytest.mark.parametrize("part", range(PARTS))
def test_histories(part: int) -> None:
    for seed in range(part * HISTORIES, (part + 1) * HISTORIES):
        try:
            play(seed, steps_of(seed))
        except Violation:
            steps, why = shortest(seed, steps_of(seed))
            told = (" ".join(map(str, each)) for each in steps)
            pytest.fail("\n".join([f"seed {seed}: {why}", *told]))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_hand_overs(pair: tuple[str, str]) -> None:
    """Some of them: `scripts/soak lab --handovers` plays all."""
    for number, steps in islice(handovers(*pair), 20, None, 60):
        try:
            play(number, steps)
        except Violation as error:
            pytest.fail(f"{pair[0]} is stopped after {number} operations: {error}")


def test_a_history_goes_the_same_way_again() -> None:
    first, second = (play(7, steps_of(7)) for _ in range(2))
    assert first.world.disk.operations == second.world.disk.operations
    assert [*first.world.disk.files("/lab")] == [*second.world.disk.files("/lab")]
