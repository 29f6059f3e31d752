"""Hooks: one that is good, one that fails, one that hangs."""

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from el_beam.running.hooks import Finding, Hook, Probe, look, within
from transforms.io.world import Clock


class _Clock(Clock):
    """Shows the time that a test says; waits a hundredth of it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds / 100)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hangs returns after the test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_good_hook_gets_all_in_order() -> None:
    got: list[int] = []
    hook: Hook[int] = Hook("sync", got.append)
    for value in range(100):
        hook(value)
    hook.wait()
    assert (got, hook.notes()) == ([*range(100)], [])


def test_a_hook_that_fails_is_reported_and_called_again() -> None:
    got: list[int] = []

    def sync(value: int) -> None:
        got.append(value)
        if value == 1:
            raise ValueError("no such table")

    hook = Hook("the sync with Hive", sync)
    for value in range(3):
        hook(value)
    hook.wait()
    assert (got, hook.notes()) == ([0, 1, 2], ["the sync with Hive failed: no such table"])
    assert hook.notes() == []


def test_a_hook_that_hangs_holds_up_nothing(released: threading.Event) -> None:
    clock = _Clock()
    got: list[int] = []

    def sync(value: int) -> None:
        got.append(value)
        if value == 1:
            released.wait()

    hook = Hook("sync", sync, clock)
    hook(1)
    hook(2)
    _until(lambda: got == [1])
    assert hook.notes() == []
    clock.now = 31.0
    hook(3)
    hook.wait()
    assert hook.notes() == [
        "sync has not returned for more than 30 s; 1 later call(s) were left out"
    ]
    assert got == [1]
    released.set()
    _until(lambda: got == [1, 2])
    hook(4)
    _until(lambda: got == [1, 2, 4])


def test_a_call_has_so_much_time(released: threading.Event) -> None:
    assert within(lambda: 7) == 7
    with pytest.raises(KeyError):
        within(lambda: {"a": 1}["x"])
    with pytest.raises(TimeoutError, match="no answer for 30 s"):
        within(released.wait, _Clock())
    with pytest.raises(SystemExit):
        within(sys.exit)


def test_probes_that_fail_or_hang_are_findings(released: threading.Event) -> None:
    def failing() -> list[Finding]:
        raise ValueError("no password")

    def hanging() -> list[Finding]:
        released.wait()
        return []

    fine = Finding("ok", "hive", "all partitions are there")
    probes: dict[str, Probe] = {"hive": lambda: [fine], "dashboards": failing, "slow": hanging}
    assert [*look(probes, _Clock())] == [
        fine,
        Finding("problem", "dashboards", "cannot be checked: no password"),
        Finding("problem", "slow", "cannot be checked: no answer for 30 s"),
    ]


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()
