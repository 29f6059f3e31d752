"""The lease of a state: one instance works on it at a time."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from el_beam.books.state.state import LeaseLost, State, StateError
from runners.orphans import Processes, ProcessId
from schemas.durable import Document, DocumentError, DocumentFormat
from transforms.io.files import filesystem
from transforms.io.retry import LONGEST_REQUEST
from transforms.io.world import CLOCK, Clock

BEAT = 5.0  # seconds between signs of life
DEAD = 30.0  # seconds without one, after which an instance is taken for dead
# A sign of life whose request is lost is given again before anybody takes its process for dead; and
# what a process asks for once it has checked its lease is done, or given up, by then.
assert 2 * BEAT + LONGEST_REQUEST < DEAD


@dataclass(frozen=True)
class Holder(ProcessId):
    """An instance of `el run`, as its lease tells of it."""

    token: str = ""
    started: float = 0.0  # unix seconds; where the release before is to know it by that

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _previous(holder: Holder) -> Document:
    """It knows no namespaces and ticks, and refuses names that it doesn't know: but it takes any
    token."""
    document = {**vars(holder)}
    evidence = document.pop("namespaces"), document.pop("ticks")
    if all(evidence):
        document["token"] = " ".join(map(str, (holder.token, *evidence)))
    return document


def _migrate(old: Document) -> Document:
    token, *evidence = old["token"].split()
    namespaces, ticks = evidence or ("", 0)
    return old | {"token": token, "namespaces": namespaces, "ticks": int(ticks)}


HOLDER = DocumentFormat("lease", Holder, 2, {1: _migrate}, _previous)


class Lease:
    """The right to work on a state, while the block runs. A dead holder's is free at once for those
    who can see that it is dead, for others half a minute after its last sign of life.

    Entering raises StateError where another instance works."""

    def __init__(
        self, state: State, clock: Clock = CLOCK, processes: Processes | None = None
    ) -> None:
        self._state, self._folder = state, f"{state.path}/lease"
        self._clock, self._processes = clock, processes or Processes()
        self.number = 0  # of this instance
        self.token = ""  # the same, unlike any of a copy of this state
        self.dead: tuple[ProcessId, ...] = ()  # of the instances before, those that surely are

    def __enter__(self) -> Lease:
        filesystem.make_folder(self._folder)
        numbers = self._numbers()
        if numbers:
            self._refuse_if_held(numbers[-1])
        self.dead = tuple(self._dead(numbers))
        self.number = (numbers[-1] if numbers else 0) + 1
        self.token = uuid.uuid4().hex
        previous = self._state.previous
        started = _started() if previous else 0.0
        holder = Holder(**vars(self._processes.here()), token=self.token, started=started)
        self._beat("held")
        content = HOLDER.dump(holder, previous=previous)
        if not filesystem.create(f"{self._folder}/{self.number:08d}.json", content):
            raise StateError(f"another instance has just begun to work on {self._folder}")
        for number in numbers[:-1]:
            for ending in ("json", "beat"):
                filesystem.remove(f"{self._folder}/{number:08d}.{ending}")
        self._end = self._clock.repeat(self._live, BEAT)
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
        now = self._now()  # before we look at the sign: if we are held up then, it isn't older
        sign = filesystem.info(f"{path}.beat")
        if sign and filesystem.read(f"{path}.beat") == b"released":
            return
        sign = sign or filesystem.info(f"{path}.json")  # a sign that is lost proves no death
        holder = self._holder(number)
        alive = self._processes.alive(holder)
        age = now - (sign.updated if sign else now)
        if alive is False or (alive is None and age > DEAD):
            return
        message = f"{holder} works on this state (last sign of life {max(age, 0):.0f} s ago)"
        if alive is None:
            message += f"; if it is dead its lease ends {DEAD:.0f} s after that sign"
        raise StateError(f"{message}: two instances would read the same offsets")

    def _holder(self, number: int) -> Holder:
        path = f"{self._folder}/{number:08d}.json"
        return HOLDER.load(filesystem.read(path), path)

    def _dead(self, numbers: list[int]) -> Iterator[Holder]:
        for number in numbers:
            with suppress(OSError, DocumentError):
                if self._processes.alive(holder := self._holder(number)) is False:
                    yield holder

    def _now(self) -> float:
        """By the clock of the file system: those of machines differ."""
        probe = f"{self._folder}/_probe.{uuid.uuid4().hex}"
        filesystem.write(probe, b"")
        found = filesystem.info(probe)
        filesystem.remove(probe)
        if found is None:
            raise StateError(f"{probe} is gone as soon as it is written")
        return found.updated

    @property
    def _sign(self) -> str:
        return f"{self._folder}/{self.number:08d}.beat"

    def _beat(self, sign: str) -> None:
        filesystem.write(self._sign, sign.encode())

    def _live(self) -> None:
        with suppress(Exception):  # whatever it is, the next one may be written, and comes soon
            filesystem.files_of(self._folder).write(self._sign, b"held")


def _started() -> float:
    with suppress(psutil.Error):  # /proc may be that of another namespace
        return psutil.Process(os.getpid()).create_time()
    return 0.0
