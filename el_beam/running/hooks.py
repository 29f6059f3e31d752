"""Hooks: what lies higher is called from here, and holds up nothing."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Generic, Literal, NamedTuple, TypeVar

from transforms.io.world import CLOCK, Clock

_LIMIT = 30.0  # seconds of one call
Value = TypeVar("Value")
Result = TypeVar("Result")


class Finding(NamedTuple):
    """One thing that `el check` has looked at."""

    level: Literal["ok", "warning", "problem"]
    what: str  # kafka, topics, lag, job, checkpoints, …
    told: str  # a sentence for people; a problem's says what to do


Probe = Callable[[], Iterable[Finding]]


class Hook(Generic[Value]):
    """Calls a function with one value after the other, in a thread of its own. A value that comes
    while a call takes longer than the limit is passed over."""

    def __init__(
        self, name: str, function: Callable[[Value], object], clock: Clock = CLOCK
    ) -> None:
        """`name` is for people."""
        self._name, self._function, self._clock = name, function, clock
        self._lock = threading.Lock()
        self._waiting: deque[Value] = deque()
        self._notes: list[str] = []
        self._began: float | None = None  # the call under way, monotonic seconds
        self._passed_over = 0
        self._idle = threading.Event()
        self._idle.set()

    def __call__(self, value: Value) -> None:
        """Let the function be called with a value. Returns at once."""
        with self._lock:
            if self._hangs():
                self._passed_over += 1
                return
            self._waiting.append(value)
            if self._idle.is_set():
                self._idle.clear()
                threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._began = self._clock.monotonic()
                if not self._waiting:
                    self._began = None
                    self._idle.set()
                    return
                value = self._waiting.popleft()
            try:
                self._function(value)
            except Exception as error:  # whatever it calls, nothing of ours ends with it
                with self._lock:
                    self._notes.append(f"{self._name} failed: {error}")

    def _hangs(self) -> bool:
        return self._began is not None and self._clock.monotonic() - self._began > _LIMIT

    def notes(self) -> list[str]:
        """What went wrong since the last call of this, a sentence each."""
        with self._lock:
            notes, self._notes = self._notes, []
            if self._hangs():
                notes.append(
                    f"{self._name} has not returned for more than {_LIMIT:.0f} s; "
                    f"{self._passed_over} later call(s) were left out"
                )
            return notes

    def wait(self) -> None:
        """Return once all calls have returned, or after the limit."""
        self._clock.wait(self._idle, _LIMIT)


def within(function: Callable[[], Result], clock: Clock = CLOCK) -> Result:
    """Call a function in a thread and return its result, or raise what it raises.

    Raises TimeoutError after 30 s; the call goes on in its thread then."""
    future: Future[Result] = Future()
    ended = threading.Event()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # it is raised below
            future.set_exception(error)
        finally:
            ended.set()

    threading.Thread(target=work, daemon=True).start()
    if not clock.wait(ended, _LIMIT):
        raise TimeoutError(f"no answer for {_LIMIT:.0f} s")
    return future.result()


def look(probes: Mapping[str, Probe], clock: Clock = CLOCK) -> Iterator[Finding]:
    """What probes find, each by its name; one that fails or hangs is a problem by itself."""
    for what, probe in probes.items():
        try:
            yield from within(partial(_all, probe), clock)
        except Exception as error:  # whatever it asks, the others are still of use
            yield Finding("problem", what, f"cannot be checked: {error}")


def _all(probe: Probe) -> list[Finding]:
    return [*probe()]
