"""Compaction: the many small files of an hour become few large ones, sorted by time, each event
once.

The rows stay what they were, so whatever was made of them can be made again: the ledger notes of a
new file what all those were made of whose place it takes. New files say in their names what they
are (`…-c0123456789ab.parquet`): an hour that has no others is left alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from el_beam.books.ledger.changes import Changing, finish, prepare, written
from el_beam.books.ledger.model import Change, Ledger, LedgerFile
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.layout import PARQUET, FileName

LARGE: Final = 64 * 1024 * 1024  # bytes of files that become one
MEMORY: Final = 256 * 1024 * 1024  # of their rows, decompressed; some of it is held twice
Read = TypeVar("Read")
_EVENT, _LINE = ("uuid",), ("kind", "name", "offset", "receipt")  # columns that tell rows apart


def name_of(path: str) -> FileName | None:
    """A Parquet file's name; None of others."""
    name = FileName.parse(path)
    return name if name and name.ending.endswith(PARQUET) else None


@dataclass(frozen=True)
class Hour:
    """The files of one schema and hour, in the order of their names, which is that of time."""

    schema: str
    hour: str
    files: tuple[LedgerFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def groups(self, large: int) -> Iterator[list[LedgerFile]]:
        """Neighbours, up to `large` bytes together."""
        together: list[LedgerFile] = []
        for file in self.files:
            if together and sum(each.size for each in together) + file.size > large:
                yield together
                together = []
            together.append(file)
        yield together


@dataclass
class Compacted:
    """What became of an hour."""

    files: int = 0  # that there are now
    repeated: int = 0  # rows that were there again
    problems: dict[str, str] = field(default_factory=dict)  # files that stay as they are: why


def closed(hour: str, now: datetime, age: timedelta) -> bool:
    """Whether an hour, as 2019-03-10T07, has ended so long ago; what is not an hour has not."""
    try:
        return start_of(hour) <= now - age - timedelta(hours=1)
    except (ValueError, OverflowError):  # or no time has ever been so long ago
        return False


def start_of(hour: str) -> datetime:
    """Raises ValueError where it is not an hour."""
    return datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC)


def hours(ledger: Ledger) -> list[Hour]:
    """Those of which there is something to do, in order."""
    by_hour: dict[tuple[str, str], list[LedgerFile]] = defaultdict(list)
    for file in sorted(ledger.files.values()):
        if name_of(file.path):
            by_hour[file.hour, file.schema].append(file)
    return [Hour(schema, hour, tuple(files)) for (hour, schema), files in sorted(by_hour.items())
            if any(not _is_done([file]) for file in files)]  # fmt: skip


def _is_done(files: list[LedgerFile]) -> bool:
    """Whether there is nothing to do: one file, which a compaction has made."""
    name = name_of(files[0].path)
    return len(files) == 1 and name is not None and name.compacted != ""


def compact(
    hour: Hour, changing: Changing, *, large: int = LARGE, memory: int = MEMORY
) -> Compacted:
    """Make few files of an hour's, each of neighbours that have the same types of columns. Of
    repeated rows the one in an earlier compaction's file stays, else the first one.

    Raises FileAway, SinkError, LeaseLost; what else can't be read is one of its problems, and left
    as it is."""
    root, done = changing.root, Compacted(len(hour.files))
    compacted = [file.path for file in hour.files if _is_done([file])]
    for group in hour.groups(large):
        if _is_done(group):
            continue
        for files, tables in _readable(root, group, memory, done.problems):
            if _is_done(files):
                continue
            paths = {file.path for file in files}
            compacted = [path for path in compacted if path not in paths]
            table = _once(tables, _keys(root, compacted, done.problems))
            repeated = sum(file.rows for file in files) - len(table)
            compacted.append(_replace(files, table, repeated, changing))
            del table  # before the next ones are read
            done.repeated += repeated
            done.files -= len(files) - 1
    return done


def attempt(what: Callable[[], Read], path: str, problems: dict[str, str]) -> Read | None:
    """What is read of a file. One that can't be read is a problem; a file system that is away is
    FileAway, which is raised."""
    try:
        return what()
    except FileAway:
        raise
    except FileNotFoundError:
        problems[path] = "it is not there"
    except (OSError, ValueError, pa.ArrowException) as error:
        problems[path] = str(error)
    return None


def _readable(
    root: str, group: Iterable[LedgerFile], memory: int, problems: dict[str, str]
) -> Iterator[tuple[list[LedgerFile], list[pa.Table]]]:
    """Files with their rows, as many together as may be in memory and have the same types. The
    lists are empty afterwards."""
    files: list[LedgerFile] = []
    tables: list[pa.Table] = []
    for file in group:
        table = attempt(partial(_whole, root, file), file.path, problems)
        if table is None:
            continue
        size = sum(each.nbytes for each in (*tables, table))
        if tables and (size > memory or not _alike([*tables, table])):
            yield files, tables
            files, tables = [], []
        files.append(file)
        tables.append(table)
        del table
    if files:
        yield files, tables


def _whole(root: str, file: LedgerFile) -> pa.Table:
    """The rows of a file that is as it was written. Raises OSError, ValueError."""
    content = filesystem.read(f"{root}/{file.path}")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError("it has other content than was written")
    return pq.ParquetFile(pa.BufferReader(content)).read()


def _alike(tables: Iterable[pa.Table]) -> bool:
    """Whether a file can have the rows of all: a column may be in some of them only."""
    try:
        _wide(tables)
    except pa.ArrowException:
        return False
    return True


def _wide(tables: Iterable[pa.Table]) -> pa.Schema:
    """The columns of all, also of their structs: a schema may get a property without a new
    revision. Raises ArrowException where a column has different types."""
    return pa.unify_schemas([each.schema for each in tables], promote_options="default")


def _widened(array: pa.Array, to: pa.DataType) -> pa.Array:
    """A column with the fields of `to`, which may have more in its structs."""
    if not pa.types.is_struct(to) or not pa.types.is_struct(array.type):
        return array.cast(to)
    there = {field.name for field in array.type}
    children = [
        _widened(pc.struct_field(array, field.name), field.type)
        if field.name in there
        else pa.nulls(len(array), field.type)
        for field in to
    ]
    return pa.StructArray.from_arrays(children, fields=[*to], mask=pc.is_null(array))


def _whole_table(tables: list[pa.Table]) -> pa.Table:
    """The rows of all. Empties the list."""
    wide, columns = _wide(tables), []
    for to in wide:
        chunks: list[pa.Array] = []
        for table in tables:
            found = table[to.name].chunks if to.name in table.column_names else []
            chunks += [_widened(each, to.type) for each in found]
            chunks += [] if found else [pa.nulls(len(table), to.type)]
        columns.append(pa.chunked_array(chunks, to.type))
    tables.clear()
    return pa.Table.from_arrays(columns, schema=wide)


def _replace(files: list[LedgerFile], table: pa.Table, repeated: int, changing: Changing) -> str:
    """Put a table in the place of files. Returns its path below the root."""
    identity = "\n".join(f"{file.path} {file.sha256}" for file in files)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    names = [name for file in files if (name := name_of(file.path))]
    kept = {name.kept for name in names}
    name = names[0]._replace(compacted=digest, kept=kept.pop() if len(kept) == 1 else "")
    path = name.beside(files[0].path)
    receipt = written(changing, path, files, table)
    parts = sorted({part for file in files for part in file.of})
    change = Change(
        f"compact-{digest}", f"{len(files)} files made one",
        Summary(files={receipt.where: receipt}), {path: parts},
        tuple(file.path for file in files), repeated=repeated,
    )  # fmt: skip
    prepare(change, changing)
    finish(change.name, changing)
    return path


def _keys(root: str, paths: list[str], problems: dict[str, str]) -> Iterator[pa.Table]:
    """What tells rows apart, of each file."""
    for path in paths:
        table = attempt(partial(_key_columns, f"{root}/{path}"), path, problems)
        if table is not None:
            yield table


def _key_columns(path: str) -> pa.Table:
    with filesystem.open_file(path) as file:
        parquet = pq.ParquetFile(file)
        return parquet.read([*_key_of(parquet.schema_arrow)])


def _key_of(schema: pa.Schema) -> tuple[str, ...]:
    return _EVENT if _EVENT[0] in schema.names else _LINE


def _once(tables: list[pa.Table], others: Iterable[pa.Table]) -> pa.Table:
    """The rows of some tables by their time, each once, and none that `others` have. A row that
    nothing tells from another stays. Empties the list."""
    table = _whole_table(tables)
    key = _key_of(table.schema)
    time = "dt" if key == _EVENT else "receipt"
    rows = table.select([*{time: 0, **dict.fromkeys(key)}])
    rows = rows.append_column("place", pa.array(np.arange(len(rows))))
    nameless = rows.filter(pc.is_null(rows[key[0]]))["place"]
    first = rows.group_by([*key]).aggregate([("place", "min")])
    for other in others:
        first = first.join(other, [*key], join_type="left anti")
    places = pa.array(np.union1d(first["place_min"], nameless))
    order = [(each, "ascending") for each in dict.fromkeys((time, *key, "place"))]
    return table.take(places.take(pc.sort_indices(rows.take(places), order)))
