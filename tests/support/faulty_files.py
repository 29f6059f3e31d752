"""FaultyFiles: a file system that fails where a test wants it to, under all code that uses files.

with FaultyFiles(root, dies_at=7).mounted():
    work(root)  # raises Killed before the seventh operation
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import IO, TypeVar

from transforms.io.files.base import Access, FileInfo, Files, FoundAccess
from transforms.io.files.filesystem import files_of, mount
from transforms.io.world import Clock

Result = TypeVar("Result")


class Killed(BaseException):
    """The process is dead, as if by SIGKILL."""


class NoTime(Clock):
    """A clock on which any time passes at once."""

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


class FaultyFiles(Files):
    """The files at and below `root`, which are elsewhere: where they were before it was mounted.

    - `dies_at`: before which operation the process dies, or with `after` after which; each later
      one finds it dead too. 0: it doesn't.
    - `counts`: whether an operation (its name, a path) counts, and fails in a dead process. Leases
      don't: their threads go on.
    - `fault`: an error for an operation, instead of its result.

    If it `forgets`, which local files can, the machine dies with the process: files that it has
    written are gone unless their folder was synced or they were moved since, and a file that it has
    moved is under its old name too until the folder there was synced. A move syncs its target's."""

    def __init__(
        self,
        root: str,
        *,
        dies_at: int = 0,
        after: bool = False,
        forgets: bool = False,
        counts: Callable[[str, str], bool] = lambda _, path: "/lease" not in path,
        fault: Callable[[str, str], BaseException | None] = lambda *_: None,
    ) -> None:
        self.clock: NoTime = NoTime()
        self.done: list[tuple[str, str]] = []
        self.dead = False
        self._root, self._below = root, files_of(root)
        self._dies_at, self._after, self._forgets = dies_at, after, forgets
        self._counts, self._fault = counts, fault
        self._unsynced: list[tuple[str, Callable[[], object]]] = []  # path, how to undo it
        self._lock = threading.RLock()

    @contextmanager
    def mounted(self) -> Iterator[FaultyFiles]:
        with mount(self._root, self):
            yield self

    def _do(self, name: str, path: str, call: Callable[[], Result]) -> Result:
        if error := self._fault(name, path):
            raise error
        if not self._counts(name, path):
            return call()
        with self._lock:  # a process does one thing after the other, or nobody could count
            if self.dead:
                raise Killed
            self.done.append((name, path))
            now = len(self.done) == self._dies_at
            if now and not self._after:
                self.kill()
                raise Killed
            result = call()
            if now:
                self.kill()
                raise Killed
            return result

    def kill(self) -> None:
        """From here on the process is dead."""
        self.dead = True
        for _, undo in reversed(self._unsynced if self._forgets else []):
            with suppress(FileNotFoundError):  # it is gone for good
                undo()

    def info(self, path: str) -> FileInfo | None:
        return self._do("info", path, lambda: self._below.info(path))

    def access(self, path: str) -> FoundAccess | None:
        return self._below.access(path)

    def make_folder(self, path: str, access: Access | None = None) -> None:
        self._do("make_folder", path, lambda: self._below.make_folder(path, access))

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        def written() -> None:
            new = self._forgets and self._below.info(path) is None
            self._below.write(path, content, access)
            if new:
                self._unsynced.append((path, lambda: self._below.remove(path)))

        self._do("write", path, written)

    def open_file(self, path: str) -> IO[bytes]:
        return self._do("open", path, lambda: self._below.open_file(path))

    def move(self, source: str, target: str) -> bool:
        def moved() -> bool:
            if not self._below.move(source, target):
                return False
            if self._forgets:
                self._unsynced = [each for each in self._unsynced if each[0] != source]
                self._synced(target.rpartition("/")[0])
                self._unsynced.append((source, lambda: os.link(target, source)))
            return True

        return self._do("move", target, moved)

    def remove(self, path: str) -> None:
        self._do("remove", path, lambda: self._below.remove(path))

    def remove_empty(self, folder: str) -> None:
        self._do("remove_empty", folder, lambda: self._below.remove_empty(folder))

    def names(self, folder: str) -> list[str]:
        return self._do("names", folder, lambda: self._below.names(folder))

    def walk(self, folder: str) -> Iterable[FileInfo]:
        return self._do("walk", folder, lambda: list(self._below.walk(folder)))

    def sync(self, folder: str) -> None:
        def synced() -> None:
            self._below.sync(folder)
            self._synced(folder)

        self._do("sync", folder, synced)

    def _synced(self, folder: str) -> None:
        self._unsynced = [each for each in self._unsynced
                          if each[0].rpartition("/")[0] != folder]  # fmt: skip


def deaths(prepare: Callable[[int], str], work: Callable[[str], object]) -> Iterator[str]:
    """The work dies before its first operation on files, then before its second, and so on, each
    time in another root, which `prepare` makes for a number. Gives each root after the death; it
    ends when the work does."""
    for number in count(1):
        root = prepare(number)
        try:
            with FaultyFiles(root, dies_at=number).mounted():
                work(root)
        except Killed:
            yield root
        else:
            return
