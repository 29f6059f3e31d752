"""The lab's disk, in memory. One machine has it; the other one uses it over a network, as by NFS:
what is done there lasts, with all that was done to the same folder before."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, Final

from transforms.io.files.base import Access, FileInfo, FoundAccess
from transforms.io.files.local import Disk

if TYPE_CHECKING:
    from lab.sim import World

ROOT: Final = "/lab"
_LEASE: Final = re.compile(r".*/lease/(\d{8})\.json")


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
        self.home = 0  # number of the machine that has it

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
        process = self._world.current
        if process and process.machine.within is not self._world.machines[self.home]:
            self._lasts(folder)
        elif not self.journaled:
            self._unsynced.append((folder, undo))

    def _look_at_lease(self, path: str, there: dict[str, Entry]) -> None:
        """Where somebody takes a lease, whoever had it before is dead, or has let go of it, or has
        given no sign of life for a while when that was looked for."""
        taken, process = _LEASE.fullmatch(path), self._world.current
        before = taken and there.get(f"{int(taken[1]) - 1:08d}.json")
        if not before or process is None:
            return
        holder = self._world.who(json.loads(before.content)["pid"])
        sign = there.get(f"{int(taken[1]) - 1:08d}.beat")  # type: ignore[index]  # matched
        if holder.alive and sign and sign.content == b"held":
            age = self._world.now - sign.updated
            if age <= 30 and holder.woken < process.begun:
                name = f"{holder.name} {holder.pid}"
                self._world.wrong.append(f"{process.name} takes {path} while {name} works, whose "
                                         f"last sign of life is {age:.0f} s old")  # fmt: skip

    def _lasts(self, folder: str) -> None:
        self._unsynced = [each for each in self._unsynced if each[0] != folder]

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

    def access(self, path: str) -> FoundAccess | None:
        return FoundAccess(0o755, None) if path.rstrip("/") in self.folders else None

    def make_folder(self, path: str, access: Access | None = None) -> None:
        self._do("make_folder", path)
        entries, name = self._at(path)
        if name in entries:
            raise FileExistsError(17, "File exists", path)
        self._set(path, None)

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
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
        self._look_at_lease(target, entries)
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
        self._lasts(folder)

    # What is done at once, and lasts.

    def found(self, path: str) -> FileInfo | None:
        """What is there."""
        if path.rstrip("/") in self.folders:
            return FileInfo(path, 0, self._world.now)
        try:
            file = self._file(path)
        except FileNotFoundError:
            return None
        return FileInfo(path, len(file.content), file.updated)

    def opened(self, path: str) -> IO[bytes]:
        """A stream of a file's content."""
        return io.BytesIO(self._file(path).content)

    def set_file(self, path: str, content: bytes) -> None:
        """A file, whatever was there."""
        entries, name = self._at(path)
        entries[name] = _File(content, self._world.now)

    def rename(self, source: str, target: str) -> bool:
        """False where that can't be, for whatever reason."""
        of, above = (self.folders.get(each.rpartition("/")[0], {}) for each in (source, target))
        old, name = (each.rpartition("/")[2] for each in (source, target))
        if old not in of or not self.is_folder(target.rpartition("/")[0]) or name in above:
            return False
        self._look_at_lease(target, above)
        above[name] = of.pop(old)
        return True

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
        """A folder with all that is in it, or a file."""
        self._unsynced = [each for each in self._unsynced
                          if not f"{each[0]}/".startswith(f"{folder}/")]  # fmt: skip
        self._drop(folder)
        self.folders.get(folder.rpartition("/")[0], {}).pop(folder.rpartition("/")[2], None)

    def files(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Paths below a folder, and contents."""
        for name, entry in sorted(self.folders.get(folder, {}).items()):
            if entry is None:
                yield from ((f"{name}/{path}", content)
                            for path, content in self.files(f"{folder}/{name}"))  # fmt: skip
            else:
                yield name, entry.content
