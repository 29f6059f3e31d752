"""File sinks: a file for each split, destination and hour, complete or not there at all.

Layout: ROOT/Schema_revision/year=Y/month=M/day=D/hour=H/<split>[-part].<suffix>. What a file is
called and where one ends depends on the split alone, so the same input gives the same files
whatever runs it, and a bundle that is run again finds its files there.

Attempts write to ROOT/_temporary/<job>, which readers of tables don't see, and files are renamed
when their bundle ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from schemas.capsule import event_time
from schemas.event import Destination, Event
from transforms.write.receipt import Receipt
from transforms.write.sink import Bundle, Sink, SinkError, Writer

_ROWS_BEFORE_ENCODING: Final = 10_000  # events held as Python objects, for a split
_ROW_BYTES: Final = 2048  # a longer line counts as several rows: hostile ones have a megabyte
_PART_BYTES: Final = 128 * 1024 * 1024  # encoded bytes held in memory, for a split
_YEAR_1, _YEAR_9999 = -62135596800, 253402300799  # unix seconds


class Encoder(ABC):
    """The events of one file, becoming bytes."""

    events = 0  # taken so far

    @abstractmethod
    def add(self, event: Event) -> None:
        """Take an event."""

    @abstractmethod
    def encode(self) -> int:
        """Turn what was taken into something compact; returns about how many bytes are held."""

    @abstractmethod
    def finish(self) -> bytes:
        """The whole file. The same events give the same bytes."""


class Encoding(ABC):
    """A file format: picklable, a name's suffix, an encoder for each file."""

    suffix: str
    by_schema = True  # whether each destination has a folder of its own

    @abstractmethod
    def encoder(self, destination: Destination) -> Encoder:
        """An encoder for a new file of this destination."""


@lru_cache(maxsize=4096)
def hour_folder(hour: int) -> str:
    """The folder of an hour since 1970, as Hive names partitions."""
    seconds = min(max(hour * 3600, _YEAR_1), _YEAR_9999)
    moment = datetime.fromtimestamp(seconds, UTC)
    return (
        f"year={moment.year:04}/month={moment.month:02}/day={moment.day:02}/hour={moment.hour:02}"
    )


def schema_folder(destination: Destination) -> str:
    """A folder name for a destination: one level deep and visible, whatever the schema's name."""
    name = quote(destination.schema, safe="")
    if name[:1] in "._":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return f"{name}_{destination.revision}"


class _Written(NamedTuple):
    temporary: str
    target: str
    digest: bytes
    destination: Destination
    events: int
    size: int


class _SplitFiles:
    """The files of one split. Only the split's own events decide where a file or a part ends."""

    def __init__(self, split: str, sink: FileSink, attempt: str) -> None:
        self._split, self._sink, self._attempt = split, sink, attempt
        self._files: dict[tuple[Destination, int], Encoder] = {}
        self._pending = 0
        self._part = 0

    def add(self, destination: Destination, event: Event) -> None:
        """Take an event of this split."""
        hour = int(event_time(event.data, event.line.origin.receipt) // 3600)
        encoder = self._files.get((destination, hour))
        if encoder is None:
            encoder = self._files[destination, hour] = self._sink.encoding.encoder(destination)
        encoder.add(event)
        self._pending += 1 + len(event.line.data) // _ROW_BYTES

    def is_full(self) -> bool:
        """Encode what is pending, when it is much; whether it is then time to write a part."""
        if self._pending < _ROWS_BEFORE_ENCODING:
            return False
        self._pending = 0
        return sum(encoder.encode() for encoder in self._files.values()) >= _PART_BYTES

    def write(self) -> Iterator[_Written]:
        """Write what there is under temporary names; a later event starts the next part."""
        part = f"-{self._part}" if self._part else ""
        files, self._files = self._files, {}
        self._part += 1
        self._pending = 0
        name = f"{self._split}{part}{self._sink.encoding.suffix}"
        for (destination, hour), encoder in files.items():
            content = encoder.finish()
            temporary = f"{self._attempt}-{uuid.uuid4().hex}"
            _create(temporary, content)
            yield _Written(
                temporary,
                f"{self._sink.folder(destination, hour)}/{name}",
                hashlib.sha256(content).digest(),
                destination,
                encoder.events,
                len(content),
            )


_ALL = Destination("*", 0)  # where a file holds the lines of all schemas


class _FileBundle(Bundle):
    def __init__(self, sink: FileSink) -> None:
        self._sink = sink
        self._by_schema = sink.encoding.by_schema
        self._attempt = f"{sink.temporary}/{uuid.uuid4().hex}"
        self._splits: dict[str, _SplitFiles] = {}
        self._current = ""
        self._written: list[_Written] = []

    def add(self, destination: Destination, event: Event) -> None:
        split = event.line.origin.split
        if split != self._current:  # a split is read in one go: the last one is complete
            self._seal()
            self._current = split
            if split not in self._splits:
                self._splits[split] = _SplitFiles(split, self._sink, self._attempt)
        files = self._splits[split]
        files.add(destination if self._by_schema else _ALL, event)
        if files.is_full():
            self._written.extend(files.write())

    def _seal(self) -> None:
        if self._current:
            self._written.extend(self._splits[self._current].write())

    def commit(self) -> Iterator[Receipt]:
        self._seal()
        _publish(self._written)
        for file in self._written:
            yield Receipt(
                str(self._sink),
                *file.destination,
                where=file.target,
                given=file.events,
                written=file.events,
                size=file.size,
            )


class _FileWriter(Writer):
    def __init__(self, sink: FileSink) -> None:
        self._sink = sink

    def bundle(self) -> Bundle:
        return _FileBundle(self._sink)


class FileSink(Sink):
    """Files below `root` (a path of any of Beam's file systems) in some encoding.

    `job` tells this job's temporary files from those of others, `shown` is how people see it."""

    def __init__(
        self, scheme: str, root: str, encoding: Encoding, job: str, shown: str | None = None
    ) -> None:
        self._shown = shown or f"{scheme}:{root.rstrip('/')}"
        self.root = root.rstrip("/") or "/"
        self.encoding = encoding
        self.temporary = f"{self.root}/_temporary/{job}"

    def folder(self, destination: Destination, hour: int) -> str:
        schema = f"/{schema_folder(destination)}" if self.encoding.by_schema else ""
        return f"{self.root}{schema}/{hour_folder(hour)}"

    def writer(self) -> Writer:
        return _FileWriter(self)

    def prepare(self) -> None:
        with _for_people(self.root):
            self._sweep()
            _make_folder(self.temporary)

    def finish(self) -> None:
        with _for_people(self.root):
            self._sweep()
            with contextlib.suppress(BeamIOError):  # another job's files may still be in there
                above = self.temporary.rpartition("/")[0]
                if not FileSystems.match([f"{above}/**"])[0].metadata_list:
                    FileSystems.delete([above])

    def _sweep(self) -> None:
        """Remove what an attempt of this very job left when it was killed."""
        if FileSystems.exists(self.temporary):
            FileSystems.delete([self.temporary])

    def __str__(self) -> str:
        return self._shown


@contextlib.contextmanager
def _for_people(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, BeamIOError) as error:
        cause = getattr(error, "exception_details", None) or {}
        reasons = "; ".join(str(each) for each in cause.values()) or str(error)
        raise SinkError(f"cannot write below {path}: {reasons}") from error


def _make_folder(path: str) -> None:
    if not FileSystems.exists(path):
        with contextlib.suppress(BeamIOError, OSError):  # perhaps another worker was first
            FileSystems.mkdirs(path)
        if not FileSystems.exists(path):
            FileSystems.mkdirs(path)


def _create(path: str, content: bytes) -> None:
    with (
        _for_people(path),
        FileSystems.create(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file,
    ):
        file.write(content)
        file.flush()
        if hasattr(file, "fileno"):
            with contextlib.suppress(OSError):  # only local files have one to sync
                os.fsync(file.fileno())


def _digest(path: str) -> bytes:
    hasher = hashlib.sha256()
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
    return hasher.digest()


def _publish(files: list[_Written]) -> None:
    """Rename all files to their names. One that is there already must be the same."""
    folders = {file.target.rpartition("/")[0] for file in files}
    with _for_people(next(iter(folders), "")):
        for folder in folders:
            _make_folder(folder)
        for file in files:
            if not FileSystems.exists(file.target):
                FileSystems.rename([file.temporary], [file.target])
                continue
            if _digest(file.target) != file.digest:
                raise SinkError(
                    f"{file.target} is there with other content: the same input was written with "
                    "another format, schemas or version. Write to another place, or remove it."
                )
            FileSystems.delete([file.temporary])
        for folder in folders:
            _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make renames last on a local disk; other file systems do so themselves."""
    if "://" not in folder:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
