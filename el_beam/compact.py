"""Compaction: the many small files of an hour become few large ones, sorted by time, each event
once.

The rows stay what they were, so whatever was made of them can be made again: the ledger notes of a
new file what all those were made of whose place it takes.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from el_beam.changes import Change, decide, finish, written
from el_beam.lease import Lease
from el_beam.ledger import Ledger, LedgerFile
from el_beam.summary import Summary
from transforms import filesystem
from transforms.read.files import ARCHIVE

LARGE = 64 * 1024 * 1024  # bytes of files that become one; some twenty times that in memory
_PARQUET = ".parquet"
_EARLIER = re.compile(r"-c[0-9a-f]{12}$")  # of a name: an hour may be compacted again and again


@dataclass(frozen=True)
class Hour:
    """The files of one schema and hour, in the order of their names, which is that of time."""

    schema: str
    hour: str
    files: tuple[LedgerFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def groups(self, large: int) -> Iterator[tuple[LedgerFile, ...]]:
        """Neighbours, up to `large` bytes together."""
        together: list[LedgerFile] = []
        for file in self.files:
            if together and sum(each.size for each in together) + file.size > large:
                yield tuple(together)
                together = []
            together.append(file)
        if together:
            yield tuple(together)


@dataclass
class Compacted:
    """What became of an hour."""

    files: int = 0  # that there are now
    repeated: int = 0  # rows that were there again
    problem: str = ""  # why some files stay as they are


def closed(hour: str, now: datetime, age: timedelta) -> bool:
    """Whether an hour, as 2019-03-10T07, has ended so long ago."""
    start = datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)
    return start + timedelta(hours=1) + age <= now


def hours(ledger: Ledger, *, large: int = LARGE) -> list[Hour]:
    """Those of which there is something to do, in order."""
    by_hour: dict[tuple[str, str], list[LedgerFile]] = defaultdict(list)
    for file in sorted(ledger.files.values()):
        if file.path.endswith(_PARQUET):
            by_hour[file.hour, file.schema].append(file)
    found = [Hour(schema, hour, tuple(files)) for (hour, schema), files in sorted(by_hour.items())]
    return [hour for hour in found if any(len(group) > 1 for group in hour.groups(large))]


def compact(root: str, hour: Hour, lease: Lease, *, large: int = LARGE) -> Compacted:
    """Make one file of each group of an hour's files; of repeated rows the first one stays.

    Raises OSError where a file can't be read, SinkError where a new one can't be written."""
    done = Compacted()
    there: list[str] = []  # paths of what is before
    for files in hour.groups(large):
        paths = [f"{root}/{file.path}" for file in files]
        if len(files) > 1:
            try:
                table, repeated = _together(paths, there)
            except pa.ArrowException as error:  # of other types: schemas or code have changed
                done.problem = f"{files[0].path} and {len(files) - 1} more: {error}"
            else:
                paths = [f"{root}/{_replace(root, files, table, repeated, lease)}"]
                done.repeated += repeated
        there += paths
    done.files = len(there)
    return done


def _replace(
    root: str, files: tuple[LedgerFile, ...], table: pa.Table, repeated: int, lease: Lease
) -> str:  # fmt: skip
    """Put a table in the place of files. Returns its path below the root."""
    told = "\n".join(f"{file.path} {file.sha256}" for file in files)
    name = hashlib.sha256(told.encode()).hexdigest()[:12]
    first = files[0].path
    ending = ARCHIVE if first.endswith(ARCHIVE) else _PARQUET
    path = f"{_EARLIER.sub('', first.removesuffix(ending))}-c{name}{ending}"
    receipt = written(root, path, files[0], table)
    parts = sorted({part for file in files for part in file.of})
    change = Change(
        f"compact-{name}", f"{len(files)} files made one",
        Summary(files={receipt.where: receipt}), {path: parts},
        tuple(file.path for file in files), more={"repeated": repeated},
    )  # fmt: skip
    decide(root, change, lease)
    finish(root, change.name)
    return path


def _together(paths: Iterable[str], earlier: Iterable[str]) -> tuple[pa.Table, int]:
    """The rows of some files, each once and none that is in `earlier` ones, by their time; how
    many that leaves out."""
    table = pa.concat_tables(map(_read, paths), promote_options="permissive")
    found = pa.table({"key": _keys(table), "place": np.arange(table.num_rows)})
    first = found.group_by("key").aggregate([("place", "min")])
    for path in earlier:
        first = first.filter(pc.invert(pc.is_in(first["key"], _keys(_read(path)))))
    once = table.take(first["place_min"])
    time = "dt" if "dt" in table.column_names else "receipt"
    order = pc.sort_indices(once.append_column("key", _keys(once)),
                            [(time, "ascending"), ("key", "ascending")])  # fmt: skip
    return once.take(order), table.num_rows - once.num_rows


def _read(path: str) -> pa.Table:
    with filesystem.open_file(path) as file:
        return pq.read_table(file, partitioning=None)


def _keys(table: pa.Table) -> pa.ChunkedArray:
    """What tells rows apart: an event's uuid, a line's place."""
    if "uuid" in table.column_names:
        return table["uuid"]
    offset = pc.cast(table["offset"], pa.string())
    return pc.binary_join_element_wise(pc.cast(table["name"], pa.string()), offset, "@")
