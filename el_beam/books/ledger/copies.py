"""Whether what a file holds is elsewhere, too: only then it may be put away.

An event is known by its uuid, a line of the raw archive by its origin and its bytes.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from el_beam.advice import command, typed
from el_beam.books.ledger.model import Ledger, LedgerFile, Trouble
from schemas import strict_json
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.layout import ARCHIVE, JSON_LINES, FileName, Partition

_ROWS = 10_000  # of a file that are in memory at once
_FAULTS = (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error, pa.ArrowException)
_ORIGIN = ("line", "kind", "name", "offset")


class DataFile(NamedTuple):
    """A file of events or of lines."""

    path: str  # where it is
    ending: str  # of its name, or of the name that it is to get


def rows_only_in(file: DataFile, others: Iterable[DataFile]) -> int | None:
    """How many rows of a file are in none of the others; None where it can't be read, so that
    nobody knows."""
    try:
        left = set(_rows(file))
    except _FAULTS:
        return None
    unknown = None in left  # rows by which nothing can be found
    for other in others:
        if not left:
            break
        if other.ending == file.ending:
            try:
                for row in _rows(other):
                    left.discard(row)
            except _FAULTS:
                continue  # what was read of it by then is there
    return len(left | {None}) if unknown else len(left)


def _rows(file: DataFile) -> Iterator[Any]:
    """What each row is known by; None for one without a uuid."""
    with filesystem.open_file(file.path) as content:
        if file.ending == JSON_LINES:
            for line in gzip.GzipFile(fileobj=content):
                yield strict_json.loads(line).get("uuid") or None
            return
        columns = [*_ORIGIN] if file.ending == ARCHIVE else ["uuid"]
        for batch in pq.ParquetFile(content).iter_batches(_ROWS, columns=columns):
            rows = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
            yield from rows if file.ending == ARCHIVE else (uuid or None for (uuid,) in rows)


def in_partition(ledger: Ledger, path: str) -> list[DataFile]:
    """The files of the ledger that are there, of the schema and hour of a path."""
    gone = {each.what for each in ledger.troubles if each.kind in ("lost", "damaged")}
    place = Partition.parse(path)
    return [DataFile(f"{ledger.root}/{each}", name.ending) for each in sorted(ledger.files)
            if each not in gone and Partition.parse(each) == place
            and (name := FileName.parse(each))]  # fmt: skip


def _is_whole(root: str, file: LedgerFile) -> bool:
    """Whether a file has the bytes that were written; those of a size may be others."""
    try:
        return filesystem.digest(f"{root}/{file.path}") == file.sha256
    except FileAway:
        raise
    except OSError:
        return False


def why_it_stays(ledger: Ledger, unknown: Trouble, made: Iterable[DataFile] = ()) -> str:
    """Why an unknown file can't be put away: it may have what nothing else has. `made` are files
    that are about to be there. A sentence for people; '' where it can go. Raises OSError."""
    path = f"{ledger.root}/{unknown.what}"
    digest = filesystem.digest(path)
    gone = {each.what: each.hour for each in ledger.troubles if each.kind in ("lost", "damaged")}
    for file in (each for entry in ledger.entries for each in entry.files):
        if file.sha256 != digest:
            continue
        if file.path in gone or (file.path in ledger.files and not _is_whole(ledger.root, file)):
            return f"{path} is the {file.path} that is missing or damaged: move it to there"
        if file.path in ledger.files:
            return ""  # a copy
        hour = [each for each in ledger.files.values() if each.hour == file.hour]
        if file.hour not in gone.values() and all(_is_whole(ledger.root, each) for each in hour):
            return ""  # what a change has replaced, and nothing of that is missing
    keep = command("ledger", typed(ledger.root), accept=unknown.what, why="WHY IT STAYS SO")
    keep = f"`{keep}` keeps it"
    name = FileName.parse(unknown.what)
    if name is None:
        return f"{path} is not a file of events: move it out of {ledger.root} yourself, or {keep}"
    only = rows_only_in(DataFile(path, name.ending), [*in_partition(ledger, unknown.what), *made])
    if only == 0:
        return ""
    what = "nobody can read it" if only is None else f"nothing else here has {only:,} of its rows"
    return (
        f"{path} stays, for {what}: if a run or an import that died has made it, start that again; "
        f"if an archive has its hour, make that again with `el backfill`; then put it away. {keep}"
    )
