"""The world as a job meets it: tests and simulations pass their own."""

import threading
import time
from typing import Protocol


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


class Processes(Protocol):
    """Which processes there are."""

    def here(self) -> tuple[str, str, int, float]:
        """This process: its host, an id of the host's start, its pid, its start (unix s)."""

    def alive(self, host: str, boot: str, pid: int, started: float) -> bool | None:
        """Whether that process runs; None where this host can't tell."""

    def end_orphans(self) -> None:
        """End the processes whose submitter has gone; it returns when they have ended."""
