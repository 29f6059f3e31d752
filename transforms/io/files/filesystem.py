"""Files wherever they are: local paths, hdfs://[USER@]HOST:PORT/PATH, gs://BUCKET/PATH.

An hdfs:// path names the port of WebHDFS, 9870 if none. Faults that pass, such as a DataNode that
is away, are waited for; what is tried again after one does no harm when the first try had worked.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import hdfs
import requests
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.errors import ElBeamError
from transforms.io.files.base import FileInfo, Files
from transforms.io.files.hdfs import HdfsFiles, passes
from transforms.io.retry import retrying

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
Result = TypeVar("Result")
Item = TypeVar("Item")
_AT_ONCE = 8


class FileAway(ElBeamError, OSError):
    """A file system that doesn't answer now; the message is for people."""


class _Local(Files):
    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def make_folder(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: bytes) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def open(self, path: str) -> IO[bytes]:
        return Path(path).open("rb")

    def move(self, source: str, target: str) -> bool:
        try:
            os.link(source, target)  # a rename would put itself in the place of what is there
        except FileExistsError:
            return False
        Path(source).unlink()
        return True

    def remove(self, path: str) -> None:
        if Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(each.name for each in Path(folder).iterdir())
        except FileNotFoundError:
            return []

    def find(self, pattern: str) -> list[FileInfo]:
        # Beam finds nothing where a glob has no folder before it
        here = not pattern.startswith(("/", "."))
        found = _matched(FileSystems, f"./{pattern}" if here else pattern)
        return [each._replace(path=each.path.removeprefix("./")) if here else each
                for each in found]  # fmt: skip

    def sync(self, folder: str) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Beam(Files):
    """A file system of Beam's, gs:// above all. Objects have no folders."""

    def exists(self, path: str) -> bool:
        return bool(FileSystems.exists(path))

    def make_folder(self, path: str) -> None:
        return

    def write(self, path: str, content: bytes) -> None:
        plain = CompressionTypes.UNCOMPRESSED
        with FileSystems.create(path, "application/octet-stream", plain) as file:
            file.write(content)

    def open(self, path: str) -> IO[bytes]:
        plain = CompressionTypes.UNCOMPRESSED
        return cast("IO[bytes]", FileSystems.open(path, compression_type=plain))

    def move(self, source: str, target: str) -> bool:
        if FileSystems.exists(target):
            return False
        FileSystems.rename([source], [target])
        return True

    def remove(self, path: str) -> None:
        if found := [path, *(each.path for each in self.find(f"{path}/**"))]:
            FileSystems.delete([each for each in found if FileSystems.exists(each)])

    def names(self, folder: str) -> list[str]:
        found = (each.path.removeprefix(f"{folder}/") for each in self.find(f"{folder}/**"))
        return sorted({each.partition("/")[0] for each in found})

    def find(self, pattern: str) -> list[FileInfo]:
        return _matched(FileSystems, pattern)


def _matched(files: Any, pattern: str) -> list[FileInfo]:
    return [
        FileInfo(each.path, each.size_in_bytes, each.last_updated_in_seconds or 0.0)
        for each in files.match([pattern])[0].metadata_list
    ]


@lru_cache(maxsize=64)
def _hdfs(authority: str) -> Files:
    return HdfsFiles(authority)


_LOCAL, _BEAM = _Local(), _Beam()


def _files(path: str) -> Files:
    if path.startswith("hdfs://"):
        return _hdfs(path.removeprefix("hdfs://").partition("/")[0])
    return _BEAM if _SCHEME.match(path) else _LOCAL


def is_local(path: str) -> bool:
    """Whether only this machine has it."""
    return not _SCHEME.match(path)


def _passes(error: BaseException) -> bool:
    if isinstance(error, BeamIOError):
        return any(passes(each) for each in (error.exception_details or {}).values())
    return passes(error)


def _asked(path: str, what: Callable[[Files], Result]) -> Result:
    """What a file system gives. Raises FileAway after ten minutes, OSError for all that lasts."""

    def once() -> Result:
        try:
            return what(_files(path))
        except (BeamIOError, hdfs.HdfsError, requests.RequestException, ValueError) as error:
            told = _told(error)
            if _passes(error):
                raise FileAway(f"{path}: {told}") from error
            raise OSError(f"{path}: {told}") from error

    return retrying(once, FileAway)


def _told(error: BaseException) -> str:
    details = getattr(error, "exception_details", None)
    if isinstance(details, dict) and details:
        return "; ".join(str(each) for each in details.values())
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def at_once(call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What a call gives for each item, some together: most of it is waiting for answers."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(call, items))


def exists(path: str) -> bool:
    """Whether a file or folder is there."""
    return _asked(path, lambda files: files.exists(path))


def make_folder(path: str) -> None:
    """A folder and those above it, unless they are there."""
    _asked(path, lambda files: files.make_folder(path))


def write(path: str, content: bytes) -> None:
    """A file with this content, whatever was there; durable when this returns, but not at once: a
    reader may see a part of it."""
    _asked(path, lambda files: files.write(path, content))


def create(path: str, content: bytes) -> bool:
    """A file with this content, all at once. False where something is there already, which stays.

    On gs:// two that do this at the same time may both be told that it worked."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/_{name}.{uuid.uuid4().hex}"
    write(temporary, content)
    if move(temporary, path):
        return True
    remove(temporary)
    return False


def read(path: str) -> bytes:
    """The whole content."""

    def content(files: Files) -> bytes:
        with files.open(path) as file:
            return file.read()

    return _asked(path, content)


def digest(path: str) -> str:
    """sha256 of the whole content."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # readable


def open_file(path: str) -> IO[bytes]:
    """A seekable stream of a file's bytes."""
    return _asked(path, lambda files: files.open(path))


def move(source: str, target: str) -> bool:
    """Rename; False where something is at `target`, which stays."""
    return _asked(source, lambda files: files.move(source, target))


def remove(path: str) -> None:
    """A file, or a folder with all in it; no error where nothing is there."""
    _asked(path, lambda files: files.remove(path))


def names(folder: str) -> list[str]:
    """The names of what is in a folder, sorted; none where there is no folder."""
    return _asked(folder, lambda files: files.names(folder))


def find(pattern: str) -> list[FileInfo]:
    """The files that a glob matches. `*` stays within a folder, `**` doesn't."""
    return _asked(pattern, lambda files: files.find(pattern))


def sync(folder: str) -> None:
    """Make renames into a folder last."""
    _asked(folder, lambda files: files.sync(folder))


def below(folder: str) -> Iterator[FileInfo]:
    """All files in a folder and in those in it."""
    with suppress(FileNotFoundError):
        yield from find(f"{folder}/**")
