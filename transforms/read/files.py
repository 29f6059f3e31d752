"""Reading files: fixed-size splits of plain files, compressed ones and archives whole.

A split is what one reader call reads: its boundaries depend on the file alone, and output files are
named after it. A line belongs to the split in which it starts. Lines end as the original's do: at
LF, CR or CR LF.
"""

import bz2
import gzip
import hashlib
import os
import posixpath
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard

from schemas.event import LONGEST_EVENT, Origin, RawLine
from transforms.errors import UnreadableInput
from transforms.io.files import filesystem
from transforms.io.files.base import FileInfo
from transforms.layout import ARCHIVE, RESERVED, file_split

Read = Callable[[int], bytes]  # some bytes of a stream, of so many at most; none at its end
SPLIT_BYTES = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
_HEAD = 4096  # bytes at a file's beginning that tell it from others
_COMPRESSED_CHUNK = 1024  # a hostile frame may unpack to 30,000 times as much
_COMPRESSED = (".gz", ".bz2", ".zst")
_OF_PROCESSES = ("/dev/", "/proc/")


class FileSplit(NamedTuple):
    """A part of a file: the lines that start in [start, end)."""

    id: str  # safe as a file name; a function of path and start
    path: str
    start: int  # bytes
    end: int | None  # bytes; None: the whole file
    receipt: float  # unix seconds: the file's last modification


def find_splits(patterns: tuple[str, ...], size: int = SPLIT_BYTES) -> list[FileSplit]:
    """The splits of all files that match the patterns (globs of any file system), in order:
    each file once, whatever names it has.

    Raises UnreadableInput where a pattern matches nothing, or what isn't a file."""
    files: dict[object, FileInfo] = {}  # by what is the same for all names of one
    for pattern in patterns:
        try:
            there = filesystem.find(pattern) if pattern else []
        except PermissionError as error:
            raise UnreadableInput(
                f"cannot look for {pattern}: no permission to look into {error.filename}: let this "
                "user read it, or write patterns that leave it out"
            ) from error
        except OSError as error:
            raise UnreadableInput(f"cannot look for {pattern}: {error}") from error
        ours = RESERVED.difference(pattern.split("/"))  # what we keep for ourselves beside events
        found = [each for each in there if ours.isdisjoint(each.path.split("/"))]
        if not found:
            raise UnreadableInput(f"no file matches {pattern}")
        for each in found:
            key, path = _named(each.path)
            file = each._replace(path=path)
            files[key] = min(files[key], file, key=_by_a_link) if key in files else file
    splits = (split for each in files.values() for split in _splits_of(each, size))
    return sorted(splits, key=lambda split: (split.path, split.start))


def _by_a_link(file: FileInfo) -> tuple[bool, str]:
    """What orders the names of a file: the first is that of its own folder, not of a link to it."""
    folder = posixpath.dirname(file.path)
    return filesystem.real(folder) != folder, file.path


def _named(path: str) -> tuple[object, str]:
    """What is the same for all names of a file; and its path, by which its lines are known. Raises
    UnreadableInput."""
    if not path.isprintable():
        raise UnreadableInput(f"{path!r} is not a file name that a message can show: rename it")
    if not filesystem.is_local(path):
        return posixpath.normpath(path), path
    # A line's identity may be its place: the same from any folder.
    whole = os.path.normpath(filesystem.absolute(path))
    try:
        known = Path(path).stat()
    except FileNotFoundError:  # it is mounted; or gone, which its reader finds out
        return whole, whole
    except OSError as error:
        raise UnreadableInput(f"cannot read {path}: {error.strerror}") from error
    if stat.S_ISDIR(known.st_mode):
        raise UnreadableInput(f"{path} is a folder: write {path}/* for the files in it")
    if not stat.S_ISREG(known.st_mode):
        raise UnreadableInput(
            f"{path} is not a file, but a pipe or device, which can be read only once: give what "
            "comes from it as stdin:"
        )
    if path.startswith(_OF_PROCESSES):  # a shell has given us an open file
        whole = os.path.realpath(path)
    return (known.st_dev, known.st_ino), whole


def _splits_of(file: FileInfo, size: int) -> Iterator[FileSplit]:
    whole = file.path.lower().endswith((*_COMPRESSED, ARCHIVE))
    for start in [0] if whole else range(0, max(file.size, 1), size):
        end = None if whole else start + size
        yield FileSplit(file_split(file.path, start), file.path, start, end, file.updated)


def split_of(path: str) -> FileSplit:
    """The only split of a whole file that is there, such as one of the raw archive. Raises
    UnreadableInput."""
    try:
        found = filesystem.info(path)
    except OSError as error:
        raise UnreadableInput(f"cannot look for {path}: {error}") from error
    if found is None:
        raise UnreadableInput(f"there is no file {path}")
    (split,) = _splits_of(found._replace(path=_named(path)[1]), SPLIT_BYTES)
    return split


class FileMark(NamedTuple):
    """What tells a file from another one that is at the same path later."""

    path: str
    size: int  # bytes
    head: str  # LENGTH:SHA256 of its first bytes, which don't change when it grows


def mark_of(path: str) -> FileMark:
    """Raises UnreadableInput."""
    try:
        with filesystem.open_file(path) as file:
            begin = file.read(_HEAD)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise UnreadableInput(f"cannot read {path}: {error}") from error
    return FileMark(path, size, f"{len(begin)}:{hashlib.sha256(begin).hexdigest()}")


def begins_with(path: str, head: str) -> bool:
    """Whether the file that is at a path now begins as one whose mark has this head. Raises
    UnreadableInput."""
    length, _, digest = head.partition(":")
    try:
        with filesystem.open_file(path) as file:
            return hashlib.sha256(file.read(int(length))).hexdigest() == digest
    except OSError as error:
        raise UnreadableInput(f"cannot read {path}: {error}") from error


def read_split(split: FileSplit) -> Iterator[RawLine]:
    """The lines of a split, each with its origin. Raises UnreadableInput."""
    try:
        with filesystem.open_file(split.path) as file:
            if split.path.lower().endswith(ARCHIVE):
                yield from _archived_lines(file, split)
            else:
                yield from _lines(file, split)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UnreadableInput(f"cannot read {split.path}: {error}") from error


def _lines(file: IO[bytes], split: FileSplit) -> Iterator[RawLine]:
    start = split.start
    if start:
        file.seek(start - 1)  # a line that starts at `start` follows a line end
    position = start - 1 if start else 0
    skip_first = start > 0
    _, path, _, end, receipt = split
    for length, data in cut_lines(_decompressed(file, path)):
        if end is not None and position >= end:
            return
        if not skip_first:
            yield RawLine(data, Origin("file", path, position, receipt, split.id))
        skip_first = False
        position += length


def cut_lines(read: Read) -> Iterator[tuple[int, bytes]]:
    """(bytes with line end, line without it) of each line of a stream, in constant memory: of a
    line beyond LONGEST_EVENT only one byte more is kept, which shows that it is too long."""
    rest, cut_off = b"", 0
    while chunk := read(_CHUNK):
        lines = (rest + chunk).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()  # a last CR may be half a CR LF
        for line in lines:
            yield len(line) + cut_off, line.rstrip(b"\r\n")[: LONGEST_EVENT + 1]
            cut_off = 0
        if len(rest) > LONGEST_EVENT + _CHUNK:
            kept = rest[: LONGEST_EVENT + 1] + (b"\r" if rest.endswith(b"\r") else b"")
            cut_off += len(rest) - len(kept)
            rest = kept
    for line in rest.splitlines(keepends=True):
        yield len(line) + cut_off, line.rstrip(b"\r\n")[: LONGEST_EVENT + 1]
        cut_off = 0


def _decompressed(file: IO[bytes], path: str) -> Read:
    ending = path.lower()
    if ending.endswith(_COMPRESSED):
        if not file.read(1):
            raise EOFError("it is empty, which no compressed file is that was written to its end")
        file.seek(0)
    if ending.endswith(".gz"):
        return gzip.GzipFile(fileobj=file).read
    if ending.endswith(".bz2"):
        return _Members(file, bz2.BZ2Decompressor).read
    if ending.endswith(".zst"):
        return _Members(file, lambda: zstandard.ZstdDecompressor().decompressobj()).read
    return file.read


class _Members:
    """A compressed file of one or more members, read to the end of the last. What is cut short or
    is not a member is an error, which the libraries' own files pass over in silence."""

    def __init__(self, file: IO[bytes], decompressor: Callable[[], Any]) -> None:
        self._file = file
        self._decompressor = decompressor
        self._member: Any = None
        self._input = b""

    def read(self, _: int) -> bytes:
        while True:
            if not self._input and not (data := self._file.read(_COMPRESSED_CHUNK)):
                if self._member is not None:
                    raise EOFError("compressed file ended before the end of its last member")
                return b""
            self._input, data = b"", self._input or data
            self._member = self._member or self._decompressor()
            out: bytes = self._member.decompress(data)
            if self._member.eof:
                self._input, self._member = self._member.unused_data, None
            if out:
                return out


def _archived_lines(file: IO[bytes], split: FileSplit) -> Iterator[RawLine]:
    """The lines of a raw archive: each keeps the origin that it was archived with, so that an
    event's identity is the same however often it is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        archive = pq.ParquetFile(file)
        names = ["line", *Origin._fields[:4]]
        for batch in archive.iter_batches(batch_size=10_000, columns=names):
            columns = (batch.column(name).to_pylist() for name in names)
            for data, kind, name, offset, receipt in zip(*columns, strict=True):
                yield RawLine(data, Origin(kind, name, offset, receipt, split.id))
    except (pa.ArrowException, KeyError) as error:
        raise UnreadableInput(f"cannot read {split.path}: {error}") from error
