"""What is transient is retried, and how long is up to the clock that is passed in."""

import threading
from collections.abc import Callable

import pytest

from transforms.io.retry import patiently, retrying
from transforms.io.world import Clock


class Locked(Exception):
    pass


class Away(Exception):
    pass


class FastClock(Clock):
    """Its time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.now += seconds
        return event.is_set()


def failing(clock: FastClock, *until: tuple[float, type[Exception]]) -> Callable[[], str]:
    """A call that raises each error until a second of the clock."""

    def call() -> str:
        for end, error in until:
            if clock.now < end:
                raise error(f"until {end}")
        return "done"

    return call


def test_hours_pass_at_once() -> None:
    clock = FastClock()
    assert retrying(failing(clock, (3600, Away)), Away, patience=7200, clock=clock) == "done"
    assert 3600 <= clock.now < 3700


def test_patience_ends() -> None:
    clock = FastClock()
    with pytest.raises(Away, match="until 700"):
        retrying(failing(clock, (700, Away)), Away, clock=clock)
    assert 600 <= clock.now < 640


@pytest.mark.parametrize(
    ("until", "error"),
    [
        ([(50, Locked)], None),
        ([(70, Locked)], Locked),
        ([(500, Away), (550, Locked)], None),  # its patience for locks begins when it is back
        ([(700, Away)], Away),
    ],
)
def test_locks_are_waited_for_and_a_server_longer(
    until: list[tuple[float, type[Exception]]], error: type[Exception] | None
) -> None:
    clock = FastClock()
    call = failing(clock, *until)
    if error is None:
        assert patiently(call, locked=(Locked, 60), away=(Away, 600), clock=clock) == "done"
    else:
        with pytest.raises(error):
            patiently(call, locked=(Locked, 60), away=(Away, 600), clock=clock)
