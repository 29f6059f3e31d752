"""The world as a job meets it: tests and simulations pass their own."""

import threading
import time


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


CLOCK = Clock()
