"""Files on the disks of this machine."""

import ctypes
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from transforms.io.files.base import IS_GLOB, Access, FileInfo, Files, FoundAccess, glob

_REFUSED = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.EACCES}
"""What a file system says that doesn't have links, renames without replacing, or permissions."""
_HERE, _NOREPLACE = -100, 1  # AT_FDCWD, RENAME_NOREPLACE
_TRIES = 4  # while others remove folders that are empty


def _no_rename(*_: object) -> int:
    ctypes.set_errno(errno.ENOSYS)
    return -1


_renameat2: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", _no_rename)


class Disk:
    """What an operating system does with files; simulations pass their own. Methods raise OSError.

    What was done to the names in a folder may be undone by a power cut until it is synced."""

    def info(self, path: str) -> FileInfo:
        """What is there; of a link, what it leads to."""
        status = Path(path).stat()
        return FileInfo(path, status.st_size, status.st_mtime)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there, or a link to one."""
        return Path(path).is_dir()

    def access(self, path: str) -> FoundAccess | None:
        """Who may use a file or folder; None where there is none that we see."""
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        return FoundAccess(stat.S_IMODE(status.st_mode) & 0o777, status.st_gid)

    def make_folder(self, path: str, access: Access | None = None) -> None:
        """One folder, in one that is there."""
        Path(path).mkdir()
        if access:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _restrict(descriptor, access, folder=True)
            finally:
                os.close(descriptor)

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        """A file whose content lasts when this returns."""
        with Path(path).open("wb") as file:
            if access:
                _restrict(file.fileno(), access, folder=False)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def open_file(self, path: str) -> IO[bytes]:
        """A stream of its content."""
        return Path(path).open("rb")

    def link(self, source: str, target: str) -> None:
        """A second name of a file."""
        os.link(source, target)

    def rename_new(self, source: str, target: str) -> None:
        """Another name for a file. Raises FileExistsError where the name is taken, and an OSError
        of _REFUSED where the file system can't look and rename at once."""
        if _renameat2(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _NOREPLACE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), source, None, target)

    def replace(self, source: str, target: str) -> None:
        """Another name for a file, or for a folder where at most an empty one is; a file that has
        the name is gone."""
        Path(source).replace(target)

    def same(self, one: str, other: str) -> bool:
        """Whether two names are of one file."""
        return Path(one).samefile(other)

    def unlink(self, path: str) -> None:
        """One name less."""
        Path(path).unlink()

    def remove_folder(self, path: str) -> None:
        """A folder that nothing is in."""
        Path(path).rmdir()

    def remove_tree(self, folder: str) -> None:
        """A folder with all that is in it, but not what links in it lead to."""
        shutil.rmtree(folder, onerror=_unless_it_is_gone)

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""
        return [each.name for each in Path(folder).iterdir()]

    def walk(self, folder: str) -> Iterator[str]:
        """The paths of all files in a folder and in those in it, but not in what links lead to."""
        for within, _, names in os.walk(folder, onerror=_unless_no_folder):
            for name in names:
                yield f"{within.rstrip('/')}/{name}"

    def sync(self, folder: str) -> None:
        """What was done to the names in a folder lasts when this returns."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _given(access: Access | None) -> tuple[Access, ...]:
    return (access,) if access else ()


def _unless_it_is_gone(_: object, __: str, error: tuple[Any, Any, Any]) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def _unless_no_folder(error: OSError) -> None:
    if Path(error.filename).name == "lost+found":
        return  # the file system's own, at its top, for root alone
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _restrict(descriptor: int, access: Access, *, folder: bool) -> None:
    status = os.fstat(descriptor)
    if access.group not in (None, status.st_gid):
        try:
            os.fchown(descriptor, -1, access.group or 0)
        except OSError:  # we are not in that group
            if access.lenient:
                return
    usual = stat.S_IMODE(status.st_mode)
    bits = (usual & ~0o777) | access.bits(usual & 0o777, folder=folder)
    if bits != usual:
        try:
            os.fchmod(descriptor, bits)
        except OSError as error:  # exFAT and the like have no permissions
            if access.exact or error.errno not in _REFUSED:
                raise


class LocalFiles(Files):
    """The file systems of this machine."""

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk or Disk()

    def info(self, path: str) -> FileInfo | None:
        try:
            return self._disk.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def access(self, path: str) -> FoundAccess | None:
        return self._disk.access(path)

    def make_folder(self, path: str, access: Access | None = None) -> None:
        above = path.rpartition("/")[0]
        parent = above or ("/" if path.startswith("/") else ".")
        for left in reversed(range(_TRIES)):
            try:
                self._disk.make_folder(path, *_given(access))
                self._disk.sync(parent)
                return
            except FileNotFoundError:
                if not (left and above):
                    raise
                self.make_folder(above, access)
            except FileExistsError:
                if not self._disk.is_folder(path):
                    raise
                with suppress(PermissionError):  # then it isn't one of ours
                    self._disk.sync(parent)  # who has made it may not have come to that
                return

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        try:
            self._disk.write(path, content, *_given(access))
        except FileNotFoundError:
            self.make_folder(path.rpartition("/")[0] or ".", access)
            self._disk.write(path, content, *_given(access))

    def open_file(self, path: str) -> IO[bytes]:
        return self._disk.open_file(path)

    def move(self, source: str, target: str) -> bool:
        moved = True
        try:
            self._disk.link(source, target)  # a rename would replace what is there
        except FileExistsError:
            moved = self._disk.same(source, target)  # by a move that was killed in the midst of it
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            return self._renamed(source, target)
        # Before it has no other name; and who finds another file there relies on that one.
        self._disk.sync(target.rpartition("/")[0] or ".")
        if moved:
            with suppress(FileNotFoundError):  # somebody else may be moving it too
                self._disk.unlink(source)
        return moved

    def _renamed(self, source: str, target: str) -> bool:
        """Move where files have one name each."""
        try:
            self._disk.rename_new(source, target)
            moved = True
        except FileExistsError:
            moved = False
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            moved = self._claimed(source, target)
        self._disk.sync(target.rpartition("/")[0] or ".")
        return moved

    def _claimed(self, source: str, target: str) -> bool:
        """Move where nobody can look and rename at once: who may, a folder beside the target says.

        `_NAME.claim` has one file, whose content is the path of what gets the name. It appears
        with that, by a rename that fails where one with something in it is. The next mover
        helps it to its end, so a kill leaves nothing that waits, and a mover that slept long finds
        its file gone, and replaces nothing."""
        folder, _, name = target.rpartition("/")
        claim, mine = f"{folder}/_{name}.claim", f"{folder}/_{name}.{uuid.uuid4().hex}"
        while True:
            for note in self.names(claim):
                self._help(f"{claim}/{note}", target)
            if not self.info(source):
                if self.info(target):
                    return True  # somebody has helped
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), source)
            if self.info(target):
                return not self.info(source)
            self._disk.make_folder(mine)
            note = uuid.uuid4().hex
            self._disk.write(f"{mine}/{note}", source.encode("utf-8", "surrogateescape"))
            try:
                self._disk.replace(mine, claim)
            except OSError as error:
                self.remove(mine)
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise  # else another one's is there, or was

    def _help(self, note: str, target: str) -> None:
        """Bring a claim to its end."""
        try:
            with self._disk.open_file(note) as file:
                source = file.read().decode("utf-8", "surrogateescape")
            if not self.info(target):
                self._disk.replace(source, target)
        except FileNotFoundError:  # somebody else was faster
            pass
        with suppress(FileNotFoundError):
            self._disk.unlink(note)
        self.remove_empty(note.rpartition("/")[0])

    def remove(self, path: str) -> None:
        if self._disk.is_folder(path):
            self._disk.remove_tree(path)
        else:
            with suppress(FileNotFoundError):
                self._disk.unlink(path)

    def remove_empty(self, folder: str) -> None:
        try:
            self._disk.remove_folder(folder)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(self._disk.names(folder))
        return []

    def walk(self, folder: str) -> Iterator[FileInfo]:
        for path in self._disk.walk(folder or "."):
            if found := self.info(path):  # else it is gone meanwhile
                yield found if folder else found._replace(path=path.removeprefix("./"))

    def _reached(self, folder: str, parts: list[str]) -> Iterable[FileInfo]:
        """Looks into no folder that the parts don't lead to: it may be one that we can't read."""
        part, *rest = parts
        if "**" in part:
            yield from super()._reached(folder, parts)
            return
        named = [part]
        if IS_GLOB.search(part):
            named = [*filter(glob(part), self.names(folder or "."))]
        for path in (f"{folder}{name}" for name in named):
            if self._disk.is_folder(path):
                if rest:
                    yield from self._reached(f"{path}/", rest)
            elif not rest and (found := self.info(path)):
                yield found

    def sync(self, folder: str) -> None:
        self._disk.sync(folder)
