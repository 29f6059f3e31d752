"""Swap: in a folder, events come and the EventErrors of their lines go, in one change.

A new file is noted to be made of what its lines were read from, as the ledgers know it, so that a
backfill of these lines replaces it.
"""

import gzip
import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import pyarrow.parquet as pq

from el_beam.books.ledger.model import Change, FilePart
from el_beam.connectors.contract import StoredError
from el_beam.connectors.files import file_faults
from el_beam.upkeep.replay.provenance import Provenance
from schemas.bad_event import EVENT_ERROR
from schemas.event import Event, RawLine
from transforms.counts.summary import HourKey, Summary
from transforms.io.files import filesystem
from transforms.layout import ALL, ARCHIVE, PARQUET, FileName, hour_in
from transforms.read.files import split_of
from transforms.write.encodings import RawEncoding, parquet
from transforms.write.files import for_people
from transforms.write.sink import NewFile, Receipt, Sink

_PENDING = 16 * 1024 * 1024  # bytes of lines, before they are encoded
_HELD = 64 * 1024 * 1024  # encoded bytes in memory, of a raw file
_LINE = 256  # bytes that a line takes beside its own
_GZIP_LEVEL = 6


class RawFile(NamedTuple):
    """A file of lines for the graph to read."""

    path: str
    split: str  # that it is read as
    name: str  # what the files made of it are called
    parts: frozenset[FilePart]  # what its lines were read from; empty where nobody knows


class _RawFiles:
    """Lines become files, each of which fits into memory."""

    def __init__(self, folder: str, name: str) -> None:
        self._stem, self._name = f"{folder}/{name}", name
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._encoder = RawEncoding().encoder(ALL)
        self._parts: set[FilePart] = set()
        self._pending = 0

    def add(self, line: RawLine, parts: frozenset[FilePart]) -> Iterator[RawFile]:
        """Take a line; a file that is full now is given."""
        self._encoder.add(Event({}, line))
        self._parts |= parts
        self._pending += len(line.data) + _LINE
        if self._pending >= _PENDING:
            self._pending = 0
            if self._encoder.encode() >= _HELD:
                yield from self.finish()

    def finish(self) -> Iterator[RawFile]:
        """What there is becomes a file, if anything is."""
        if self._encoder.events:
            number = f"-{self._number}" if self._number else ""
            path = f"{self._stem}{number}{ARCHIVE}"
            filesystem.write(path, self._encoder.finish())
            split = split_of(path)
            yield RawFile(path, split.id, f"{self._name}{number}", frozenset(self._parts))
            self._number += 1
            self._begin()


def raw_files(
    folder: str, hour: str, lines: Iterable[tuple[RawLine, frozenset[FilePart]]]
) -> Iterator[RawFile]:
    """The lines of an hour's EventErrors as files in a folder; those of which nobody knows what
    they were read from in files of their own. Raises OSError."""
    name = hour or "untimed"
    known = {True: _RawFiles(folder, name), False: _RawFiles(folder, f"{name}-other")}
    for line, parts in lines:
        yield from known[bool(parts)].add(line, parts)
    for files in known.values():
        yield from files.finish()


def swap(
    name: str, sink: Sink, summary: Summary, raws: Iterable[RawFile],
    gone: Iterable[tuple[str, int]], lost: Iterable[tuple[str, HourKey, int]], known: Provenance,
) -> Change:  # fmt: skip
    """A change of a sink's folder: the files that a job has made of raw files come; the EventErrors
    `gone` (file, row), in the order of files, go. `lost` says what those of a file were counted
    for, and how many they are.

    Raises StoredError, SinkError."""
    made = Summary(summary.read, summary.size, dict(_counts(summary, lost, known)))
    of: dict[str, list[FilePart]] = {}
    by_split = {raw.split: raw for raw in raws}
    for temporary, receipt in summary.files.items():
        if receipt.file is None:
            continue
        folder, _, last = receipt.file.path.rpartition("/")
        raw = by_split[receipt.split]
        path = f"{folder}/{name}-{raw.name}{last.removeprefix(raw.split)}"
        made.files[temporary] = receipt._replace(where=path, file=receipt.file._replace(path=path))
        if raw.parts:
            of[path.removeprefix(f"{sink.root}/")] = sorted(raw.parts)
    removed = []
    for place, rows in groupby(gone, lambda each: each[0]):
        removed.append(known.below(place))
        new = _rest(name, sink, place, {row for _, row in rows}, known)
        if new and new.file:
            made.files[new.file.temporary] = new
            if file := known.file(place):
                of[new.where.removeprefix(f"{sink.root}/")] = list(file.of)
    return Change(name, "bad events replayed", made, of, tuple(removed))


def _counts(
    summary: Summary, lost: Iterable[tuple[str, HourKey, int]], known: Provenance
) -> Counter[HourKey]:
    """What the books are to have more of, and less: as many lines less as there are rows less, of
    files that they know. A line was counted as a bad one; or, where its EventError came from a
    topic, as that event."""
    counts = Counter(summary.counts)
    left = {}
    for book in known.ledger.hours():
        left[book.hour, book.schema, True] = book.bad
        left[book.hour, book.schema, False] = book.valid
    for file, key, lines in lost:
        if not known.file(file):
            continue
        for counted in (key, HourKey(key.hour, str(EVENT_ERROR), "")):
            place = counted.hour, counted.schema, bool(counted.reason)
            less = max(0, min(lines, left.get(place, 0)))
            counts[counted] -= less
            left[place] = left.get(place, 0) - less
            lines -= less
    return Counter({key: lines for key, lines in counts.items() if lines})


def _rest(name: str, sink: Sink, place: str, gone: set[int], known: Provenance) -> Receipt | None:
    """A file without some rows, under a temporary name; None where none are left."""
    try:
        content, rows = _without(place, gone)
    except file_faults() as error:
        raise StoredError(f"cannot read {place}: {error}") from error
    if not rows:
        return None
    was = FileName.parse(place)
    assert was  # or no store would read it
    digest = hashlib.sha256(f"{name} {place}".encode()).hexdigest()[:12]
    path = was._replace(replayed=digest).beside(f"{sink.root}/{known.below(place)}")
    temporary = f"{sink.temporary}/{uuid.uuid4().hex}"
    new = NewFile(temporary, path, hour_in(path), hashlib.sha256(content).hexdigest())
    with for_people(sink.root):
        filesystem.write(temporary, content, path, like=[place])
    return Receipt(str(sink), "", *EVENT_ERROR, path, rows, rows, size=len(content), file=new)


def _without(path: str, gone: set[int]) -> tuple[bytes, int]:
    """The content of a file without some rows, and how many are left."""
    with filesystem.open_file(path) as file:
        if path.endswith(PARQUET):
            table = pq.ParquetFile(file).read()
            rest = table.filter([row not in gone for row in range(table.num_rows)])
            return parquet(rest), rest.num_rows
        lines = [line for row, line in enumerate(gzip.GzipFile(fileobj=file)) if row not in gone]
        return gzip.compress(b"".join(lines), _GZIP_LEVEL, mtime=0), len(lines)
