"""The lab's world: machines with clocks, disks and processes, all of it in one thread.

A process is a greenlet that stops before each operation on files. Who goes on then, and how far,
decides the history; nothing else does. So a history that is played again goes the same way.
"""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Final

from greenlet import getcurrent, greenlet

from runners.orphans import Processes
from transforms.io.files.base import FileInfo
from transforms.io.files.filesystem import mount
from transforms.io.files.local import Disk, LocalFiles
from transforms.io.world import Clock, ticking

ROOT: Final = "/lab"
_BEGIN: Final = 1_552_213_800.0  # unix seconds: 2019-03-10T10:30


class Killed(BaseException):
    """This process is dead, as if by SIGKILL."""


class Machine:
    """A host: its clock may differ from others', and it starts anew after a power cut."""

    def __init__(self, host: str) -> None:
        self.host, self.boots, self.skew = host, 1, 0.0

    @property
    def boot(self) -> str:
        return f"{self.host}-{self.boots}"


class Process:
    """A piece of work on a machine."""

    def __init__(self, world: World, name: str, machine: Machine, work: Callable[[], Any]) -> None:
        self.world, self.name, self.machine = world, name, machine
        self.pid, self.started, self.boot = world.next_pid(), world.now, machine.boot
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


class _LabProcesses(Processes):
    def __init__(self, world: World) -> None:
        self._world = world

    def here(self) -> tuple[str, str, int, float]:
        process = self._world.current
        assert process is not None
        return process.machine.host, process.boot, process.pid, process.started

    def alive(self, host: str, boot: str, pid: int, started: float) -> bool | None:
        process = self._world.current
        assert process is not None
        if host != process.machine.host:
            return None
        return any(each.alive and each.boot == boot and each.pid == pid
                   for each in self._world.processes)  # fmt: skip

    def end_orphans(self) -> None:
        return


class World:
    """All that there is."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.now = _BEGIN
        self.current: Process | None = None
        self.processes: list[Process] = []
        self.machines = [Machine("one"), Machine("two")]
        self.clock, self.tables = _LabClock(self), _LabProcesses(self)
        self.disk = LabDisk(self)
        self._pids = 100

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    @contextmanager
    def there(self) -> Iterator[World]:
        """While the block runs all code of ours is in this world, if it works below ROOT."""
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
        process.paused = False
        for _ in range(operations):
            if not process.alive or process.asleep > self.now:
                return
            process.step()

    def finish(self, process: Process, most: int = 100_000) -> None:
        """Let a process come to its end; time passes while it sleeps."""
        for _ in range(most):
            if not process.alive:
                return
            if process.asleep > self.now:
                self.wait(process.asleep - self.now)
            process.step()
        raise AssertionError(f"{process.name} comes to no end")

    def wait(self, seconds: float) -> None:
        """Time passes. Who isn't paused gives its signs of life."""
        end = self.now + seconds
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
        """All processes of a machine die, and its disk (there is one for all) forgets some of what
        wasn't synced; those of the others see it come back as it is now."""
        machine = self.machines[number]
        machine.boots += 1
        for each in self.processes:
            if each.machine is machine:
                each.kill()
        self.disk.forget(chance)


class _File:
    def __init__(self, content: bytes, updated: float) -> None:
        self.content, self.updated = content, updated


Entry = Any  # _File, or None for a folder


class LabDisk(Disk):
    """A disk in memory, on which a process stops before each operation."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.folders: dict[str, dict[str, Entry]] = {"/": {"lab": None}, ROOT: {}}
        self._unsynced: list[tuple[str, Callable[[], None]]] = []  # folder, how to undo it
        self.operations = 0
        self.journaled = False  # what is done lasts

    def _do(self, what: str, path: str) -> None:
        self._world.pause()
        self.operations += 1

    def _at(self, path: str) -> tuple[dict[str, Entry], str]:
        folder, _, name = path.rstrip("/").rpartition("/")
        entries = self.folders.get(folder or "/")
        if entries is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        return entries, name

    def _file(self, path: str) -> _File:
        entries, name = self._at(path)
        if name not in entries:
            raise FileNotFoundError(2, "No such file or directory", path)
        if entries[name] is None:
            raise IsADirectoryError(21, "Is a directory", path)
        found: _File = entries[name]
        return found

    def _set(self, path: str, entry: Entry, *, there: bool = True) -> None:
        """Put a name into a folder, or take it out."""
        entries, name = self._at(path)
        folder = path.rpartition("/")[0] or "/"
        was_there, before = name in entries, entries.get(name)

        def undo() -> None:
            again = self.folders.get(folder)
            if again is None:
                return
            if there and entry is None:
                self._drop(path)
            again.pop(name, None)
            if was_there:
                again[name] = before
                if before is None:
                    self.folders.setdefault(path, {})

        if there:
            entries[name] = entry
            if entry is None:
                self.folders[path] = {}
        else:
            del entries[name]
            if before is None:
                del self.folders[path]
        if not self.journaled:
            self._unsynced.append((folder, undo))

    def _drop(self, folder: str) -> None:
        for each in [each for each in self.folders if f"{each}/".startswith(f"{folder}/")]:
            del self.folders[each]

    def forget(self, chance: random.Random) -> None:
        """In each folder the first of those changes last that aren't synced, nobody knows how many
        of them; the others were never made."""
        pending: dict[str, int] = {}
        for folder, _ in self._unsynced:
            pending[folder] = pending.get(folder, 0) + 1
        lasting = {folder: chance.randint(0, count) for folder, count in sorted(pending.items())}
        undone = []
        for folder, undo in self._unsynced:
            if lasting[folder] > 0:
                lasting[folder] -= 1
            else:
                undone.append(undo)
        for undo in reversed(undone):
            undo()
        self._unsynced.clear()

    def info(self, path: str) -> FileInfo:
        self._do("info", path)
        if path.rstrip("/") in self.folders:
            return FileInfo(path, 0, self._world.now)
        file = self._file(path)
        return FileInfo(path, len(file.content), file.updated)

    def is_folder(self, path: str) -> bool:
        return path.rstrip("/") in self.folders

    def make_folder(self, path: str) -> None:
        self._do("make_folder", path)
        entries, name = self._at(path)
        if name in entries:
            raise FileExistsError(17, "File exists", path)
        self._set(path, None)

    def write(self, path: str, content: bytes) -> None:
        self._do("create", path)
        entries, name = self._at(path)
        if name in entries:
            file = self._file(path)
            file.content = b""
        else:
            file = _File(b"", self._world.now)
            self._set(path, file)
        self._do("write", path)
        file.content, file.updated = content, self._world.now

    def open_file(self, path: str) -> IO[bytes]:
        self._do("open", path)
        return io.BytesIO(self._file(path).content)

    def link(self, source: str, target: str) -> None:
        self._do("link", target)
        file = self._file(source)
        entries, name = self._at(target)
        if name in entries:
            raise FileExistsError(17, "File exists", target)
        self._set(target, file)

    def same(self, one: str, other: str) -> bool:
        self._do("same", one)
        return self._file(one) is self._file(other)

    def unlink(self, path: str) -> None:
        self._do("unlink", path)
        self._file(path)
        self._set(path, None, there=False)

    def remove_folder(self, path: str) -> None:
        """An empty one."""
        self._do("rmdir", path)
        if self.folders.get(path):
            raise OSError(39, "Directory not empty", path)
        if path in self.folders:
            self._set(path, None, there=False)

    def remove_tree(self, folder: str) -> None:
        for name in sorted(self.folders.get(folder, ())):
            path = f"{folder}/{name}"
            try:
                if self.is_folder(path):
                    self.remove_tree(path)
                else:
                    self.unlink(path)
            except FileNotFoundError:  # somebody else removes it too
                continue
        try:
            self.remove_folder(folder)
        except FileNotFoundError:
            return

    def names(self, folder: str) -> list[str]:
        self._do("names", folder)
        if folder.rstrip("/") not in self.folders:
            raise FileNotFoundError(2, "No such file or directory", folder)
        return [*self.folders[folder.rstrip("/")]]

    def walk(self, folder: str) -> Iterator[str]:
        self._do("walk", folder)
        for name, entry in sorted(self.folders.get(folder.rstrip("/"), {}).items()):
            path = f"{folder.rstrip('/')}/{name}"
            if entry is None:
                yield from self.walk(path)
            else:
                yield path

    def sync(self, folder: str) -> None:
        self._do("sync", folder)
        if folder not in self.folders:
            raise FileNotFoundError(2, "No such file or directory", folder)
        self._unsynced = [each for each in self._unsynced if each[0] != folder]

    # What people do beside all programs, at once.

    def make_folders(self, path: str) -> None:
        """A folder, and those above it."""
        if path not in self.folders:
            above, _, name = path.rpartition("/")
            self.make_folders(above)
            self.folders[above][name] = None
            self.folders[path] = {}

    def copy(self, source: str, target: str) -> None:
        """All that is in a folder, into one that isn't there."""
        for folder in sorted(each for each in self.folders if f"{each}/".startswith(f"{source}/")):
            there = target + folder.removeprefix(source)
            entries, name = self._at(there)
            entries[name] = None
            self.folders[there] = {
                each: entry and _File(entry.content, entry.updated)
                for each, entry in self.folders[folder].items()
            }

    def drop(self, folder: str) -> None:
        """A folder with all that is in it."""
        self._unsynced = [each for each in self._unsynced
                          if not f"{each[0]}/".startswith(f"{folder}/")]  # fmt: skip
        self._drop(folder)
        entries, name = self._at(folder)
        entries.pop(name, None)

    def files(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Paths below a folder, and contents."""
        for name, entry in sorted(self.folders.get(folder, {}).items()):
            if entry is None:
                yield from ((f"{name}/{path}", content)
                            for path, content in self.files(f"{folder}/{name}"))  # fmt: skip
            else:
                yield name, entry.content
