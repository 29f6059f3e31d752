"""Retention: what is older than it may be is removed, but for the fields that may stay.

Addresses and user agents of people are in the raw archive, in EventErrors and in most tables. A
list says which fields of which tables stay for good; all others become null. A table that it
doesn't name goes as a whole, and so does the archive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from el_beam.changes import REPLACED, Change, decide, finish, written
from el_beam.lease import Lease
from el_beam.ledger import Ledger, LedgerError, LedgerFile, Wanted, hour_in
from el_beam.summary import Summary
from transforms import filesystem

_PARQUET = ".parquet"
_ALWAYS = frozenset({"uuid", "dt"})  # which tell of nobody, and without which rows are no rows


class PurgeError(LedgerError):
    """A list of fields that can't be used; the message says why."""


@dataclass(frozen=True)
class Keep:
    """Which fields stay: schema, or Schema_revision -> paths, as `event.action`."""

    fields: dict[str, frozenset[str]]

    def of(self, table: str) -> frozenset[str]:
        """Of a table: what is said of the revision, else what is said of the schema."""
        return self.fields.get(table, self.fields.get(table.rpartition("_")[0], frozenset()))

    @property
    def digest(self) -> str:
        told = {name: sorted(fields) for name, fields in sorted(self.fields.items())}
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]


def read_keep(path: str | None) -> Keep:
    """The list in a YAML file, `Schema: [field, …]`; without one nothing stays.

    Raises PurgeError."""
    if path is None:
        return Keep({})
    try:
        told = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise PurgeError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict) or not all(
        isinstance(fields, list) and all(isinstance(each, str) for each in fields)
        for fields in told.values()
    ):
        raise PurgeError(f"{path} must have lists of fields as `Schema: [event.action, wiki]`")
    return Keep({str(name): frozenset(fields) for name, fields in told.items()})


@dataclass(frozen=True)
class Step:
    """A file that goes, or that keeps some fields."""

    file: LedgerFile
    keep: frozenset[str]


def steps(ledger: Ledger, keep: Keep, *, hours: Wanted) -> Iterator[Step]:
    """What there is to do for the files of these hours."""
    for file in sorted(ledger.files.values(), key=lambda each: (each.hour, each.path)):
        fields = keep.of(file.schema) if file.path.endswith(_PARQUET) else frozenset()
        if hours(file.hour) and not (fields and file.path.endswith(_ending(keep))):
            yield Step(file, fields)


def purge(root: str, step: Step, keep: Keep, lease: Lease) -> None:
    """Do it; the old file is gone for good then, here at least.

    Raises OSError, SinkError, PurgeError for a field that isn't there."""
    file = step.file
    name = "purge-" + hashlib.sha256(f"{keep.digest} {file.path}".encode()).hexdigest()[:12]
    made, of = Summary(), {}
    if step.keep:
        path = file.path.removesuffix(_PARQUET) + _ending(keep)
        receipt = written(root, path, file, _without(f"{root}/{file.path}", step.keep))
        made.files[receipt.where] = receipt
        of[path] = list(file.of)
    kept = ", ".join(sorted(step.keep)) or "nothing"
    decide(root, Change(name, f"too old: {kept} stays", made, of, (file.path,)), lease)
    finish(root, name)
    filesystem.remove(f"{root}/{REPLACED}/{name}")


def remove_replaced(root: str, *, hours: Wanted) -> None:
    """Remove for good what changes have put away of these hours. Raises OSError."""
    for found in list(filesystem.below(f"{root}/{REPLACED}")):
        hour = hour_in(found.path)
        if not hour or hours(hour):
            filesystem.remove(found.path)


def _ending(keep: Keep) -> str:
    """Of files that have what this list leaves, and no more."""
    return f"-kept{keep.digest}{_PARQUET}"


def _without(path: str, keep: frozenset[str]) -> pa.Table:
    """A table's rows, of whose columns only these have values. A name that no column has is passed
    over: revisions differ."""
    with filesystem.open_file(path) as file:
        table = pq.read_table(file, partitioning=None)
    columns = [
        _kept(table[name].combine_chunks(), (name,), keep | _ALWAYS) for name in table.column_names
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _kept(column: pa.Array, path: tuple[str, ...], keep: frozenset[str]) -> pa.Array:
    name = ".".join(path)
    if name in keep:
        return column
    within = any(each.startswith(f"{name}.") for each in keep)
    if not within or not pa.types.is_struct(column.type):
        return pa.nulls(len(column), column.type)
    children = [
        _kept(pc.struct_field(column, field.name), (*path, field.name), keep)
        for field in column.type
    ]
    return pa.StructArray.from_arrays(children, fields=[*column.type], mask=pc.is_null(column))
