"""The lease of a state: one instance works on it at a time."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from dataclasses import dataclass

from el_beam.books.state.state import LeaseLost, State, StateError
from runners.orphans import Processes
from schemas.durable import DocumentFormat
from transforms.io.files import filesystem
from transforms.io.world import CLOCK, Clock

_BEAT = 5.0  # seconds between signs of life
_DEAD = 30.0  # seconds without one, after which an instance is taken for dead


@dataclass(frozen=True)
class Holder:
    """An instance of `el run`, as its lease tells of it."""

    host: str
    boot: str  # changes when the machine starts anew
    pid: int
    started: float  # unix seconds
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


HOLDER = DocumentFormat("lease", Holder, previous=vars)


class Lease:
    """The right to work on a state, while the block runs. A dead holder's is free at once on its
    own machine, after half a minute elsewhere.

    Entering raises StateError where another instance works."""

    def __init__(
        self, state: State, clock: Clock = CLOCK, processes: Processes | None = None
    ) -> None:
        self._state, self._folder = state, f"{state.path}/lease"
        self._clock, self._processes = clock, processes or Processes()
        self.number = 0  # of this instance
        self.token = ""  # the same, unlike any of a copy of this state

    def __enter__(self) -> Lease:
        filesystem.make_folder(self._folder)
        numbers = self._numbers()
        if numbers:
            self._refuse_if_held(numbers[-1])
        self.number = (numbers[-1] if numbers else 0) + 1
        self.token = uuid.uuid4().hex
        self._holder = Holder(*self._processes.here(), self.token)
        self._beat("held")
        content = HOLDER.dump(self._holder, previous=self._state.previous)
        if not filesystem.create(f"{self._folder}/{self.number:08d}.json", content):
            raise StateError(f"another instance has just begun to work on {self._folder}")
        for number in numbers[:-1]:
            for ending in ("json", "beat"):
                filesystem.remove(f"{self._folder}/{number:08d}.{ending}")
        self._end = self._clock.repeat(self._live, _BEAT)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        with suppress(OSError):
            self._beat("released")

    def check(self) -> None:
        """Raises LeaseLost where another instance has taken us for dead."""
        numbers = self._numbers()
        if not numbers:
            raise LeaseLost(f"{self._folder} isn't there any more: was its state moved?")
        if numbers[-1] != self.number:
            raise LeaseLost(f"instance {numbers[-1]} works here now, this one was {self.number}")

    def _numbers(self) -> list[int]:
        names = filesystem.names(self._folder)
        return sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d+\.json", name))

    def _refuse_if_held(self, number: int) -> None:
        path = f"{self._folder}/{number:08d}"
        beat = filesystem.find(f"{path}.beat")
        if not beat or filesystem.read(f"{path}.beat") == b"released":
            return
        holder = HOLDER.load(filesystem.read(f"{path}.json"), f"{path}.json")
        alive = self._processes.alive(holder.host, holder.boot, holder.pid, holder.started)
        age = self._now() - beat[0].updated
        if alive is False or (alive is None and age > _DEAD):
            return
        message = f"{holder} works on this state (last sign of life {max(age, 0):.0f} s ago)"
        if alive is None:
            message += f"; if it is dead its lease ends {_DEAD:.0f} s after that sign"
        raise StateError(f"{message}: two instances would read the same offsets")

    def _now(self) -> float:
        """By the clock of the file system: those of machines differ."""
        probe = f"{self._folder}/_probe.{uuid.uuid4().hex}"
        filesystem.write(probe, b"")
        now = filesystem.find(probe)[0].updated
        filesystem.remove(probe)
        return now

    def _beat(self, sign: str) -> None:
        filesystem.write(f"{self._folder}/{self.number:08d}.beat", sign.encode())

    def _live(self) -> None:
        with suppress(OSError):  # the next one may be written
            self._beat("held")
