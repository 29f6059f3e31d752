"""Retention: what is older than it may be is removed, but for the fields that may stay.

Addresses and user agents of people are in the raw archive, in EventErrors and in most tables. A
list says which fields of which tables stay for good (see keep_list.py); all others become null. A
table that it doesn't name goes as a whole, and so does the archive.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain, groupby, zip_longest
from math import inf

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from el_beam.books.imports import all_unfinished, in_root
from el_beam.books.ledger.changes import Changing, finish, prepare, written
from el_beam.books.ledger.model import STATES, Change, Ledger, LedgerFile
from el_beam.books.state.state import State
from el_beam.upkeep.compaction import attempt, closed, name_of, start_of
from el_beam.upkeep.retention.keep_list import (
    Keep,
    KeepError,
    check,
    fields_of,
    leading_to,
    names_of,
    rescued,
    resolved,
)
from schemas.registry import Registry, SchemaError
from schemas.registry.base import Json
from schemas.storage.columns import RESCUED
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.files.base import FileInfo
from transforms.layout import ALL, LEDGER, REPLACED, TEMPORARY, hour_in, schema_in

Documents = Callable[[str], Json | None]
"""Returns the schema of a Schema_revision, or None if nobody knows it."""
_AT_WORK = timedelta(days=1)  # what was written since then may be of a run that hasn't ended


def unknown(_: str) -> None:
    """No schema is known: properties are called as their columns."""


@dataclass(frozen=True)
class Step:
    """Files of an hour and table that go, or that keep some fields. They change together."""

    files: tuple[LedgerFile, ...]
    keep: frozenset[str] | None


@dataclass(frozen=True)
class TooOld:
    """What has been here for longer than it may be: by the events' hour; and where that was still
    to come when they came in (somebody's clock was wrong), by the time when they came in."""

    now: datetime
    age: timedelta

    def hour(self, hour: str) -> bool:
        return closed(hour, self.now, self.age)

    def came(self, hour: str, at: float) -> bool:
        """Whether lines of this hour that came `at` a time (unix seconds) are too old."""
        if self.hour(hour):
            return True
        try:
            was_to_come = start_of(hour).timestamp() > at
        except ValueError:
            return False
        return was_to_come and self.now.timestamp() - at >= self.age.total_seconds()

    def files(self, ledger: Ledger) -> Iterator[LedgerFile]:
        received = ledger.received()
        for file in ledger.files.values():
            if self.came(file.hour, received.get(file.path, inf)):
                yield file


def steps(ledger: Ledger, keep: Keep, old: TooOld) -> Iterator[Step]:
    """What there is to do, in the order of the hours."""

    def group(file: LedgerFile) -> tuple[str, str, bool]:
        return file.hour, file.schema, name_of(file.path) is None

    for (_, schema, other), files in groupby(sorted(old.files(ledger), key=group), group):
        fields = None if other or schema == str(ALL) else keep.of(schema)
        left = tuple(file for file in sorted(files) if not _has_only(file, fields))
        if left:
            yield Step(left, fields)


def _has_only(file: LedgerFile, fields: frozenset[str] | None) -> bool:
    name = name_of(file.path)
    return fields is not None and name is not None and name.kept == kept_mark(fields)


def purge(step: Step, changing: Changing, documents: Documents = unknown) -> dict[str, str]:
    """Do it; the old files are gone for good then, here at least. Returns which could not be read,
    and why: they stay as they are.

    Raises FileAway, SinkError, LeaseLost."""
    root = changing.root
    problems: dict[str, str] = {}
    made, of, removed = Summary(), {}, []
    for file in step.files:
        if step.keep is not None:
            document = documents(file.schema)
            whole = partial(_cut, f"{root}/{file.path}", step.keep, document)
            table = attempt(whole, file.path, problems)
            if table is None:
                continue
            name = name_of(file.path)
            assert name is not None  # only tables have fields
            path = name._replace(kept=kept_mark(step.keep)).beside(file.path)
            receipt = written(changing, path, [file], table)
            made.files[receipt.where] = receipt
            of[path] = list(file.of)
        removed.append(file.path)
    if removed:
        kept = "nothing" if step.keep is None else ", ".join(sorted({"uuid", "dt"} | step.keep))
        identity = json.dumps([sorted(removed), kept])
        change = f"purge-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        prepare(Change(change, f"too old: {kept} stays", made, of, tuple(removed)), changing)
        finish(change, changing)
        filesystem.remove(f"{root}/{REPLACED}/{change}")
    return problems


def _cut(path: str, keep: frozenset[str], document: Json | None) -> pa.Table:
    return cut(filesystem.read(path), keep, document)


def left_over(root: str, old: TooOld) -> Iterator[str]:
    """Paths of what is beside the tables and may go, of folders where all in them may: what
    changes have put away and is too old, and what runs that were killed left so long ago. Raises
    OSError."""

    def is_fresh(found: FileInfo) -> bool:
        return old.now.timestamp() - found.updated < max(old.age, _AT_WORK).total_seconds()

    def is_old(found: FileInfo) -> bool:
        hour = hour_in(found.path)
        return old.came(hour, found.updated) if hour else not is_fresh(found)

    yield from _all_in(f"{root}/{REPLACED}", is_old)
    waiting = {*_awaited(root)}
    yield from _all_in(f"{root}/{TEMPORARY}",
                       lambda found: not (found.path in waiting or is_fresh(found)))  # fmt: skip
    for name in filesystem.names(f"{root}/{LEDGER}"):
        found = filesystem.info(f"{root}/{LEDGER}/{name}") if name[0] == "_" else None
        if found and not is_fresh(found):
            yield found.path


def _all_in(folder: str, may_go: Callable[[FileInfo], bool]) -> Iterator[str]:
    for name in filesystem.names(folder):
        found = [*filesystem.below(f"{folder}/{name}")]
        if not found and (alone := filesystem.info(f"{folder}/{name}")):
            found = [alone]
        go = [each.path for each in found if may_go(each)]
        yield from [f"{folder}/{name}"] if go and len(go) == len(found) else go


def _awaited(root: str) -> Iterator[str]:
    """What imports that were killed will give its name when they go on."""
    yield from (file.temporary for files in all_unfinished(root) for file in files)
    for name in STATES.names(root):
        state = State(STATES.read(root, name).state)
        for topic in state.topics():
            _, manifest = state.topic(topic).pending()
            yield from manifest.summary.files if manifest else ()
            for entry in (manifest.entries or {}).values() if manifest else ():
                yield from (file.temporary for file in in_root(entry.summary, root))


_NUMBERED = re.compile(r"(.+)_[1-9]\d*", re.DOTALL)
_ALWAYS = frozenset({"uuid", "dt"})  # which tell of nobody, and without which rows are no rows
_ROWS = 10_000  # that are cut at once


def documents_of(registry: Registry) -> Documents:
    """The schemas of a registry. Raises RegistryError, RegistryUnavailable."""

    @cache
    def document(name: str) -> Json | None:
        schema = schema_in(name)
        with suppress(SchemaError):
            return registry.get(*schema) if schema else None
        return None

    return document


def check_files(keep: Keep, ledger: Ledger, documents: Documents = unknown) -> None:
    """Raises KeepError where the list names what no Parquet file of a folder has, or what nobody
    can tell from another property; OSError."""
    tables: dict[str, list[LedgerFile]] = defaultdict(list)
    for file in sorted(ledger.files.values()):
        if name_of(file.path) and file.schema != str(ALL):
            tables[file.schema].append(file)

    def fields_of_files(names: list[str], named: frozenset[str]) -> set[str]:
        """Of as many files as it takes to find those that are named."""
        has: set[str] = set()
        problems: dict[str, str] = {}
        for name in names:
            has |= fields_of(document) if (document := documents(name)) else set()
        files = zip_longest(*(tables[name] for name in names))  # the first of each table first
        for file in filter(None, chain.from_iterable(files)):
            if has and named <= has:
                break
            schema = attempt(partial(_schema, f"{ledger.root}/{file.path}"), file.path, problems)
            found = {*_paths(schema or ())}
            if not documents(file.schema) and (alike := sorted(_alike(named, found))):
                raise KeepError(
                    f"no registry has {file.schema}, and without its schema nobody can tell which "
                    f"properties {', '.join(alike)} are: --schemas names a registry"
                )
            has |= found
        if not has:
            path, why = next(iter(problems.items()))
            raise KeepError(f"{path}: {why}")
        return has

    check(keep, tables, fields_of_files)


def _alike(named: Iterable[str], columns: Collection[str]) -> set[str]:
    """Fields that may be of several properties: columns whose names would be the same end with a
    number."""
    found = {match[1] for each in columns if (match := _NUMBERED.fullmatch(each))}
    families = {each for each in found if each in columns}
    return {each for each in named for above in leading_to(each)
            if (_NUMBERED.fullmatch(above) or [above, above])[1] in families}  # fmt: skip


def _schema(path: str) -> pa.Schema:
    with filesystem.open_file(path) as file:
        return pq.ParquetFile(file).schema_arrow


def _paths(fields: Iterable[pa.Field], above: str = "") -> Iterator[str]:
    for field in fields:
        yield above + field.name
        if pa.types.is_struct(field.type):
            yield from _paths(field.type, f"{above}{field.name}.")


def kept_mark(fields: frozenset[str]) -> str:
    """What the names of files say that have what this leaves, and no more."""
    return hashlib.sha256(json.dumps(sorted(fields)).encode()).hexdigest()[:8]


def cut(content: bytes, keep: frozenset[str], document: Json | None = None) -> pa.Table:
    """A Parquet file's rows, of whose columns only these have values, and `uuid` and `dt`; the
    document of their schema says which properties the columns are of. A name that no column has is
    passed over: revisions differ. Raises OSError, ValueError, ArrowException."""
    parquet = pq.ParquetFile(pa.BufferReader(content))
    schema = parquet.schema_arrow
    paths = names_of(document) if document else {}
    fields = (resolved(document, keep) if document else keep) | _ALWAYS

    def column(found: pa.Array, name: str) -> pa.Array:
        if name == RESCUED and name not in fields:
            texts = (rescued(text, fields) if text else None for text in found.to_pylist())
            return pa.array(texts, found.type)
        return _kept(found, name, fields, paths)

    batches = [
        pa.RecordBatch.from_arrays(
            [column(batch[name], name) for name in schema.names], schema=schema
        )
        for batch in parquet.iter_batches(_ROWS)
    ]
    return pa.Table.from_batches(batches, schema)


def _kept(
    column: pa.Array, name: str, fields: frozenset[str], paths: Mapping[str, str]
) -> pa.Array:
    """What fields leave of a column. A property of no known schema is called as its column."""
    path = paths.get(name, name)
    if path in fields:
        return column
    within = any(each.startswith(f"{path}.") for each in fields)
    if not within or not pa.types.is_struct(column.type):
        return pa.nulls(len(column), column.type)
    children = [
        _kept(pc.struct_field(column, field.name), f"{name}.{field.name}", fields, paths)
        for field in column.type
    ]
    return pa.StructArray.from_arrays(children, fields=[*column.type], mask=pc.is_null(column))
