"""File sinks: a file for each split, destination and hour, complete or not there at all.

Where a file is, and what it is called, says `transforms/layout.py`. Its name and its end depend on
the split alone, so the same input gives the same files whatever runs it, and a bundle that is run
again finds its files there.

Workers write to ROOT/_temporary/<job>/<attempt>, which readers of tables don't see, and name the
files in their receipts. The process that runs the job gives them their names once all of it has
succeeded: nobody sees what a worker writes after the job has given it up.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from schemas.capsule import event_time
from schemas.event import Destination, Event
from schemas.storage.table_names import Names, Taken
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.layout import (
    ALL,
    TEMPORARY,
    FileName,
    apart_folder,
    hour_folder,
    hour_name,
    schema_folder,
    schema_in,
)
from transforms.progress import ProgressFile, progress_file
from transforms.write.sink import Bundle, NewFile, Receipt, Sink, Writer, by_root

_ROWS_BEFORE_ENCODING: Final = 10_000  # events held as Python objects, for a split
_ROW_BYTES: Final = 2048  # a longer line counts as several rows: hostile ones have a megabyte
_PART_BYTES: Final = 128 * 1024 * 1024  # encoded bytes held in memory, for a split


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
    """A file format: picklable, the ending of its names, an encoder for each file."""

    ending: str
    by_schema = True  # whether each destination has a folder of its own

    @abstractmethod
    def encoder(self, destination: Destination) -> Encoder:
        """An encoder for a new file of this destination."""


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

    def write(self) -> list[Receipt]:
        """Write what there is under temporary names; a later event starts the next part."""
        files, self._files = self._files, {}
        name = FileName(self._split, self._part, self._sink.encoding.ending)
        self._part += 1
        self._pending = 0
        receipts: list[Receipt] = []

        def encoded() -> Iterator[tuple[NewFile, bytes]]:
            for (destination, hour), encoder in files.items():
                content = encoder.finish()
                file = NewFile(
                    f"{self._attempt}-{uuid.uuid4().hex}",
                    f"{self._sink.folder(destination, hour)}/{name}",
                    hour_name(hour),
                    hashlib.sha256(content).hexdigest(),
                )
                receipts.append(Receipt(
                    str(self._sink), self._split, *destination, where=file.path,
                    given=encoder.events, written=encoder.events, size=len(content), file=file,
                ))  # fmt: skip
                yield file, content

        with for_people(self._sink.root):  # one is written while the next one is encoded
            filesystem.at_once(self._sink.root, self._write, encoded())
        return receipts

    def _write(self, item: tuple[NewFile, bytes]) -> None:
        file, content = item
        folder = file.path.rpartition("/")[0]
        others = (f"{self._sink.root}/{path}" for path in self._sink.like)
        like = [path for path in others if path.rpartition("/")[0] == folder]
        filesystem.write(file.temporary, content, file.path, self._sink.modes, like)
        progress_file(self._sink.progress, self._sink.temporary).wrote()


class _FileBundle(Bundle):
    def __init__(self, sink: FileSink) -> None:
        self._sink = sink
        self._by_schema = sink.encoding.by_schema
        self._attempt = f"{sink.temporary}/{uuid.uuid4().hex}"
        self._splits: dict[str, _SplitFiles] = {}
        self._current = ""
        self._receipts: list[Receipt] = []

    def add(self, destination: Destination, event: Event) -> None:
        split = event.line.origin.split
        if split != self._current:  # a split is read in one go: the last one is complete
            self._seal()
            self._current = split
            if split not in self._splits:
                self._splits[split] = _SplitFiles(split, self._sink, self._attempt)
        files = self._splits[split]
        files.add(destination if self._by_schema else ALL, event)
        if files.is_full():
            self._receipts.extend(files.write())

    def _seal(self) -> None:
        if self._current:
            self._receipts.extend(self._splits[self._current].write())

    def commit(self) -> list[Receipt]:
        self._seal()
        return self._receipts


class FileSink(Sink, Writer):
    """Files below `root` (a path of any of Beam's file systems) in some encoding.

    The names of folders depend on all `schemas` that there are, and on the folders that there are
    when it is prepared (schemas/storage/table_names.py).
    `job` tells this job's temporary files from those of others. It is its own writer."""

    def __init__(
        self, scheme: str, root: str, encoding: Encoding, job: str, shown: str | None = None,
        schemas: Iterable[Destination] = (),
    ) -> None:  # fmt: skip
        self.shown = shown or f"{scheme}:{root.rstrip('/')}"
        self.root = root.rstrip("/") or "/"
        self.encoding, self.ending = encoding, encoding.ending
        self.temporary = f"{self.root}/{TEMPORARY}/{job}"
        self.modes = filesystem.asked_modes()
        self.like: tuple[str, ...] = ()  # paths below the root
        self._names = Names(schemas, schema_folder, apart_folder)
        self._taken: dict[str, Taken] = {}  # folders that were there before the job
        self._folder: dict[Destination, str] = {}  # that were chosen

    def folder(self, destination: Destination, hour: int) -> str:
        below = hour_folder(hour_name(hour))
        if destination == ALL:
            return f"{self.root}/{below}"
        if destination not in self._folder:
            self._folder[destination] = self._names.choose(destination, self._look)
        return f"{self.root}/{self._folder[destination]}/{below}"

    def _look(self, name: str) -> Taken | None:
        return self._taken.get(name) or self._taken.get(name.lower())

    def writer(self) -> Writer:
        return self

    def bundle(self) -> Bundle:
        return _FileBundle(self)

    def attempt(self, name: str, like: Iterable[str] = ()) -> FileSink:
        other = copy.copy(self)
        other.temporary = f"{self.root}/{TEMPORARY}/{name}"
        other.like = tuple(like)
        return other

    def prepare(self) -> None:
        with for_people(self.root):
            there = filesystem.names(self.root) if self.encoding.by_schema else ()
            found = [Taken(name, schema_in(name)) for name in there]
            self._taken = {each.name.lower(): each for each in found}
            self._taken |= {each.name: each for each in found}
            self._folder = {}
            filesystem.remove(self.temporary)  # of an attempt of this very job that was killed
            filesystem.make_folder(self.temporary)

    def finish(self) -> None:
        below = self.temporary.removeprefix(f"{self.root}/").split("/")
        with for_people(self.root):
            filesystem.remove(self.temporary)
            for depth in range(len(below) - 1, 0, -1):
                filesystem.remove_empty("/".join([self.root, *below[:depth]]))


@contextlib.contextmanager
def for_people(path: str) -> Iterator[None]:
    """What goes wrong with files in this block becomes a SinkError."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"cannot write below {path}: {error}") from error


def publish(files: Iterable[NewFile], *, progress: str | None = None) -> None:
    """Give files their names. Doing it again, after a death in the midst of it, finishes it: one
    that is there already must be the same. Of how far it is takes note in the folder `progress`.
    Raises SinkError."""
    files = list(files)
    there: set[NewFile] = set()
    for root, its in by_root(files).items():
        with for_people(root):
            there |= _there(root, its)  # of all, before any of them has its name
    so_far = ProgressFile(progress, to_name=len(files))
    so_far.note()
    for root, its in by_root(files).items():

        def name(file: NewFile) -> None:
            _name(file, is_there=file in there)
            so_far.named()

        with for_people(root):
            filesystem.at_once(root, name, its)


def _there(root: str, files: Collection[NewFile]) -> set[NewFile]:
    """Those that have their names. All have their folders when this returns."""
    folder = {file: file.path.rpartition("/")[0] for file in files}
    known = filesystem.folders_there(root, folder.values())
    filesystem.at_once(root, filesystem.make_folder, sorted({*folder.values()}))
    old = [file for file in files if folder[file] in known]
    found = zip(old, filesystem.at_once(root, _is_there, old), strict=True)
    return {file for file, is_there in found if is_there}


def _is_there(file: NewFile) -> bool:
    """Whether a file has its name. Raises SinkError where another file has that."""
    if not filesystem.exists(file.path):
        return False
    if filesystem.digest(file.path) != file.sha256:
        raise SinkError(
            f"{file.path} is there with other content: the input has grown or changed since it was "
            "written, or it was written with another format, schemas or version. It stays as it "
            "is, and nothing was added: write to another place"
        )
    return True


def _name(file: NewFile, *, is_there: bool) -> None:
    if not is_there and filesystem.move(file.temporary, file.path):
        return
    if not is_there:
        _is_there(file)  # another process has named it just now
    filesystem.sync(file.path.rpartition("/")[0])  # who named it may not have come to that
    filesystem.remove(file.temporary)
