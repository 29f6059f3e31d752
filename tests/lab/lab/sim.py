"""The lab's world: machines with clocks, disks and processes, all of it in one thread.

A process is a greenlet that stops before each operation on files. Who goes on then, and how far,
decides the history; nothing else does. So a history that is played again goes the same way.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from greenlet import getcurrent, greenlet

from el_beam.running.failures import JobFailed
from lab.disk import ROOT, LabDisk
from runners.orphans import Processes, ProcessId
from transforms.io.files.base import Files
from transforms.io.files.filesystem import mount
from transforms.io.files.local import LocalFiles
from transforms.io.world import Clock, ticking

_DRIFT: Final = 2e-4
_BEGIN: Final = 1_552_213_800.0  # unix seconds: 2019-03-10T10:30


class Killed(BaseException):
    """This process is dead, as if by SIGKILL."""


class Machine:
    """A host: its clock may differ from others', and it starts anew after a power cut. It may be a
    container of another one."""

    def __init__(self, name: str, host: str = "", within: Machine | None = None) -> None:
        self.name, self.host, self.boots, self.skew = name, host or name, 1, 0.0
        self.namespaces = f"pid:[{name if within else 1}]"
        self.within = within or self

    @property
    def boot(self) -> str:
        return f"{self.within.name}-{self.within.boots}"


class Process:
    """A piece of work on a machine. It may wait for one that it has started, a worker, which lives
    on when it dies."""

    def __init__(
        self, world: World, name: str, machine: Machine, work: Callable[[], Any],
        starter: Process | None = None,
    ) -> None:  # fmt: skip
        self.world, self.name, self.machine, self.starter = world, name, machine, starter
        self.worker: Process | None = None
        self.pid, self.boot = world.next_pid(), machine.boot
        self.begun = world.now
        self.woken = 0.0  # when it was paused no more
        self.dead = self.ended = self.paused = self.beating = False
        self.error: Exception | None = None
        self.result: Any = None
        self.asleep = 0.0  # until this monotonic second
        self.beats: list[list[Any]] = []  # [seconds, when it is due, call]
        self._work = work
        self._greenlet = greenlet(self._run, world.hub)

    @property
    def alive(self) -> bool:
        return not (self.dead or self.ended)

    @property
    def working(self) -> Process:
        """The one that goes on if this one is let: it itself, or its worker."""
        return self.worker if self.worker and self.worker.alive else self

    @property
    def orphaned(self) -> bool:
        """Whether nobody lets it go on but itself."""
        return bool(self.alive and self.starter and not self.starter.goes)

    @property
    def goes(self) -> bool:
        return self.alive and not self.paused

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Killed:
            self.dead = True
        except Exception as error:
            self.error = error
        self.ended = True

    def step(self) -> None:
        """Do one operation on files, or as much as there is without any."""
        before, self.world.current = self.world.current, self
        try:
            self._greenlet.switch()
        finally:
            self.world.current = before

    def kill(self) -> None:
        """Whatever it still wants to do, it does nothing of it."""
        if not self.alive:
            return
        self.dead = True
        before, self.world.current = self.world.current, self
        try:
            if self._greenlet:
                self._greenlet.throw(Killed)
        finally:
            self.world.current = before


class _LabClock(Clock):
    def __init__(self, world: World) -> None:
        self._world = world

    def time(self) -> float:
        process = self._world.current
        return self._world.now + (process.machine.skew if process else 0.0)

    def monotonic(self) -> float:
        return self._world.now

    def sleep(self, seconds: float) -> None:
        self.wait(threading.Event(), seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        process = self._world.current
        if process is None or process.beating:
            return event.is_set()
        process.asleep = self._world.now + seconds
        while self._world.now < process.asleep and not event.is_set():
            self._world.pause()
        process.asleep = 0.0
        return event.is_set()

    def repeat(self, call: Callable[[], None], seconds: float) -> Callable[[], None]:
        process = self._world.current
        assert process is not None
        beat = [seconds, self._world.now + seconds, call]
        process.beats.append(beat)
        return lambda: process.beats.remove(beat)


class LabProcesses(Processes):
    """The processes of all machines: each sees those of its own namespaces."""

    def __init__(self, world: World) -> None:
        self._world = world

    def ticks(self, process: Process) -> int:
        """The start of a process, as its kernel counts: the clock has no part in it."""
        return int(process.begun * 100)

    def here(self) -> ProcessId:
        process = self._world.current
        assert process is not None
        return self._known(process)

    def _known(self, process: Process) -> ProcessId:
        machine = process.machine
        return ProcessId(
            machine.host, process.boot, process.pid, machine.namespaces, self.ticks(process)
        )

    def runs(self, pid: int, ticks: int) -> bool | None:
        process = self._world.current
        assert process is not None
        return any(each.alive and each.machine is process.machine and each.pid == pid
                   and self.ticks(each) == ticks for each in self._world.processes)  # fmt: skip

    def end_orphans(self, dead: Collection[ProcessId]) -> None:
        for each in dead:
            if self._world.who(each.pid).alive:
                self._world.wrong.append(f"what {each} has started is ended, though it lives")
        marks = {each.mark for each in dead}
        here = self._world.current
        assert here is not None
        for process in self._world.processes:
            its = process.starter
            if its and process.machine is here.machine and self._known(its).mark in marks:
                process.kill()


class World:
    """All that there is."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.now = _BEGIN
        self.current: Process | None = None
        self.processes: list[Process] = []
        self.machines = [Machine("one"), Machine("two")]
        self.clock, self.tables = _LabClock(self), LabProcesses(self)
        self.disk = LabDisk(self)
        self.wrong: list[str] = []  # what must not be
        self.files: Files | None = None  # where not those of a machine
        self._pids = 100

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def who(self, pid: int) -> Process:
        """The process of a number: no other one of any machine has it."""
        return next(each for each in self.processes if each.pid == pid)

    def name_alike(self, *, contained: bool) -> None:
        """The second machine has the name of the first one, or is a container of it."""
        one = self.machines[0]
        self.machines[1] = Machine("two", one.host, one if contained else None)
        if contained:
            self.disk.home = 0

    @contextmanager
    def there(self) -> Iterator[World]:
        """While the block runs all code of ours is in this world, if it works below ROOT."""
        files = self.files
        if files is None:
            files = LocalFiles(self.disk)
            files.clock, files.at_once = self.clock, 1
        with ExitStack() as stack:
            stack.enter_context(mount(ROOT, files))
            stack.enter_context(ticking(self.clock))
            yield self

    def start(self, name: str, machine: int, work: Callable[[], Any]) -> Process:
        process = Process(self, name, self.machines[machine], work)
        self.processes.append(process)
        return process

    def worked(self, work: Callable[[], Any]) -> Any:
        """What a worker gives that the current process starts, and waits for. Raises its error."""
        starter = self.current
        assert starter is not None
        worker = Process(self, f"the worker of {starter.name}", starter.machine, work, starter)
        starter.worker = worker
        self.processes.append(worker)
        while worker.alive:
            self.pause()
        if worker.dead:
            raise JobFailed("a worker process has died")
        if worker.error:
            raise worker.error
        return worker.result

    def pause(self) -> None:
        """Called by a process before each operation: somebody else may go on now."""
        process = self.current
        if process is None or process.beating:
            return
        if process.dead:
            raise Killed
        self.hub.switch()
        if process.dead:
            raise Killed

    def go(self, process: Process, operations: int) -> None:
        """Let a process do so many operations, if it doesn't end or sleep before."""
        if process.paused:
            process.paused, process.woken = False, self.now
        for _ in range(operations):
            if not process.alive or process.working.asleep > self.now:
                return
            process.working.step()

    def finish(self, process: Process, most: int = 100_000) -> None:
        """Let a process come to its end; time passes while it sleeps."""
        for _ in range(most):
            if not process.alive:
                return
            if process.working.asleep > self.now:
                self.wait(process.working.asleep - self.now)
            process.working.step()
        raise AssertionError(f"{process.name} comes to no end")

    def wait(self, seconds: float) -> None:
        """Time passes, and clocks drift a little. Who isn't paused gives its signs of life."""
        end = self.now + seconds
        for machine in self.machines:
            machine.skew += _DRIFT * seconds
        while self.now < end:
            due = [beat[1] for each in self._beating() for beat in each.beats]
            self.now = min([end, *(max(each, self.now) for each in due)])
            for process in self._beating():
                for beat in [*process.beats]:
                    if beat[1] <= self.now:
                        beat[1] = self.now + beat[0]
                        self._beat(process, beat[2])

    def _beating(self) -> list[Process]:
        return [each for each in self.processes if each.alive and not each.paused]

    def _beat(self, process: Process, call: Callable[[], None]) -> None:
        before, self.current = self.current, process
        process.beating = True
        try:
            call()
        finally:
            process.beating = False
            self.current = before

    def power_cut(self, number: int, chance: random.Random) -> None:
        """All processes of a machine die. The disk, if it is there, forgets some of what wasn't
        synced; processes of the other one see it come back as it is now."""
        machine = self.machines[number].within
        machine.boots += 1
        for each in self.processes:
            if each.machine.within is machine:
                each.kill()
        if machine is self.machines[self.disk.home]:
            self.disk.forget(chance)
