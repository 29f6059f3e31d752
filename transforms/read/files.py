"""Reading files: fixed-size splits of plain files, compressed ones and archives whole.

A split is what one reader call reads: its boundaries depend on the file alone, and output files are
named after it. A line belongs to the split in which it starts. Lines end as the original's do: at
LF, CR or CR LF.
"""

import bz2
import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import zstandard

from schemas.event import LONGEST_EVENT, Origin, RawLine
from transforms.errors import UnreadableInput
from transforms.io.files import filesystem
from transforms.layout import ARCHIVE, RESERVED, file_split

Read = Callable[[int], bytes]  # some bytes of a stream, of so many at most; none at its end
SPLIT_BYTES = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
_HEAD = 4096  # bytes at a file's beginning that tell it from others
_COMPRESSED_CHUNK = 1024  # a hostile frame may unpack to 30,000 times as much
_COMPRESSED = (".gz", ".bz2", ".zst")
_GLOB = re.compile(r"[*?\[]")


class FileSplit(NamedTuple):
    """A part of a file: the lines that start in [start, end)."""

    id: str  # safe as a file name; a function of path and start
    path: str
    start: int  # bytes
    end: int | None  # bytes; None: the whole file
    receipt: float  # unix seconds: the file's last modification


def find_splits(patterns: tuple[str, ...], size: int = SPLIT_BYTES) -> list[FileSplit]:
    """The splits of all files that match the patterns (globs of any Beam file system), in order.

    Raises UnreadableInput where a pattern matches nothing."""
    splits: dict[str, FileSplit] = {}
    for pattern in patterns:
        try:
            there = filesystem.find(pattern) if pattern else []
        except OSError as error:
            raise UnreadableInput(f"cannot look for {pattern}: {error}") from error
        found = [each for each in there if not _hidden(each.path, pattern)]
        if not found:
            raise UnreadableInput(f"no file matches {pattern}")
        for path, size_, receipt in found:
            local = filesystem.is_local(path)
            if local and Path(path).is_dir():
                raise UnreadableInput(f"{path} is a folder: write {path}/* for the files in it")
            if not path.isprintable():
                raise UnreadableInput(
                    f"{path!r} is not a file name that a message can show: rename it"
                )
            if local:  # a line's identity may be its place: the same from any folder
                path = os.path.normpath(filesystem.absolute(path))
            whole = path.lower().endswith((*_COMPRESSED, ARCHIVE))
            starts = [0] if whole else range(0, max(size_, 1), size)
            for start in starts:
                id_ = file_split(path, start)
                end = None if whole else start + size
                splits[id_] = FileSplit(id_, path, start, end, receipt)
    return sorted(splits.values(), key=lambda split: (split.path, split.start))


def _hidden(path: str, pattern: str) -> bool:
    """Whether what a glob has found is what we keep for ourselves beside events."""
    named = _GLOB.split(pattern, maxsplit=1)[0].rpartition("/")[0]
    found = path.removeprefix(named).split("/") if _GLOB.search(pattern) else []
    return path.startswith(named) and not RESERVED.isdisjoint(found)


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
            if split.path.endswith(ARCHIVE):
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
