"""The world as a job meets it: tests and simulations pass their own."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final


class Clock:
    """What the time is, and waiting for it to pass: the clock of this machine."""

    def time(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; it never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after these seconds."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Return once the event is set, or after these seconds: whether it is set."""
        return event.wait(seconds)

    def repeat(self, call: Callable[[], None], seconds: float) -> Callable[[], None]:
        """Call beside what this thread does, again and again, this long after each other. Returns
        what ends it: nothing is called any more once that has returned."""
        ended = threading.Event()

        def repeat() -> None:
            while not self.wait(ended, seconds):
                call()

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()

        def end() -> None:
            ended.set()
            thread.join(seconds)

        return end


class _WorldClock(Clock):
    """The clock that `ticking` has put in the place of this machine's, if any."""

    def __init__(self) -> None:
        self.now = Clock()

    def time(self) -> float:
        return self.now.time()

    def monotonic(self) -> float:
        return self.now.monotonic()

    def sleep(self, seconds: float) -> None:
        self.now.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return self.now.wait(event, seconds)

    def repeat(self, call: Callable[[], None], seconds: float) -> Callable[[], None]:
        return self.now.repeat(call, seconds)


CLOCK: Final = _WorldClock()
"""The clock that all code asks which was given no other one."""


@contextmanager
def ticking(clock: Clock) -> Iterator[None]:
    """While the block runs, CLOCK is this clock: for all threads of this process."""
    before, CLOCK.now = CLOCK.now, clock
    try:
        yield
    finally:
        CLOCK.now = before
