"""What may stay for good: a list of fields, by schema, and what a table is without all others.

    Edit: [wiki, event.action]       # of every revision; of a struct all, or parts
    NavigationTiming_18988839: []    # of this one: the rows, and no field

What nobody has is a mistake, for it would make null what was meant.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from el_beam.books.ledger.model import Ledger, LedgerError, LedgerFile
from el_beam.upkeep.compaction import attempt, name_of
from schemas.storage.columns import RESCUED, json_text
from transforms.io.files import filesystem
from transforms.layout import ALL

_ALWAYS = frozenset({"uuid", "dt"})  # which tell of nobody, and without which rows are no rows
_ROWS = 10_000  # that are cut at once
_SHOWN = 30  # names of what there is


class KeepError(LedgerError):
    """A list of fields that can't be used; the message says why."""


@dataclass(frozen=True)
class Keep:
    """Which fields stay: schema, or Schema_revision -> paths, as `event.action`."""

    fields: dict[str, frozenset[str]]

    def of(self, table: str) -> frozenset[str] | None:
        """Of a table: what is said of the revision, else what is said of the schema. None where
        nothing is said: then the rows themselves may not stay."""
        return self.fields.get(table, self.fields.get(table.rpartition("_")[0]))


class _Loader(yaml.BaseLoader):
    """Takes all for text, as `on` and `null` may be names, and no name twice: of two lists of
    fields the first would be forgotten."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep=deep)
        if len(found) != len(node.value):
            raise yaml.YAMLError("a name is there twice")
        return found


def read_keep(path: str | None) -> Keep:
    """The list in a YAML file, `Schema: [field, …]`; without one nothing stays.

    Raises KeepError."""
    if path is None:
        return Keep({})
    try:
        told = yaml.load(Path(path).read_text(), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise KeepError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict) or not all(
        isinstance(fields, list) and all(isinstance(each, str) for each in fields)
        for fields in told.values()
    ):
        raise KeepError(f"{path} must have lists of fields as `Schema: [event.action, wiki]`")
    return Keep({str(name): frozenset(fields) for name, fields in told.items()})


def check(keep: Keep, ledger: Ledger) -> None:
    """Raises KeepError where the list names what nothing in a folder has, OSError."""
    tables: dict[str, list[LedgerFile]] = defaultdict(list)
    for file in sorted(ledger.files.values()):
        if name_of(file.path) and file.schema != str(ALL):
            tables[file.schema].append(file)
    mistakes = []
    for name, fields in sorted(keep.fields.items()):
        mine = [tables[table] for table in tables if name in (table, table.rpartition("_")[0])]
        if not mine:
            mistakes.append(f"there is no Parquet table {name}, there are {_shown(tables)}")
            continue
        there, problems = _there(fields, ledger.root, mine)
        if not there:
            path, why = next(iter(problems.items()))
            mistakes.append(f"cannot tell what {name} has: {path}: {why}")
        elif missing := sorted(fields - there):
            near = chain.from_iterable(difflib.get_close_matches(each, there) for each in missing)
            has = dict.fromkeys([*near, *sorted(there)])
            mistakes.append(f"{name} has no {', '.join(missing)}, it has {_shown(has)}")
    if mistakes:
        raise KeepError("; ".join(["the list names what isn't there", *mistakes]))


def _there(
    fields: frozenset[str], root: str, tables: list[list[LedgerFile]]
) -> tuple[set[str], dict[str, str]]:
    """The fields that files have, as many files as it takes to find these; and what went wrong."""
    there: set[str] = set()
    problems: dict[str, str] = {}
    for file in filter(None, chain.from_iterable(zip_longest(*tables))):
        schema = attempt(partial(_schema, f"{root}/{file.path}"), file.path, problems)
        there.update(_paths(schema or ()))
        if there and fields <= there:
            break
    return there, problems


def _schema(path: str) -> pa.Schema:
    with filesystem.open_file(path) as file:
        return pq.ParquetFile(file).schema_arrow


def _paths(fields: Iterable[pa.Field], above: str = "") -> Iterator[str]:
    for field in fields:
        yield above + field.name
        if pa.types.is_struct(field.type):
            yield from _paths(field.type, f"{above}{field.name}.")


def _shown(names: Iterable[str]) -> str:
    first, rest = [*names][:_SHOWN], [*names][_SHOWN:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "") or "none"


def kept_mark(fields: frozenset[str]) -> str:
    """What the names of files say that have what this leaves, and no more."""
    return hashlib.sha256(json.dumps(sorted(fields)).encode()).hexdigest()[:8]


def cut(content: bytes, keep: frozenset[str]) -> pa.Table:
    """A Parquet file's rows, of whose columns only these have values, and `uuid` and `dt`. What
    was rescued of a field that stays is its value, and stays. A name that no column has is passed
    over: revisions differ. Raises OSError, ValueError, ArrowException."""
    parquet = pq.ParquetFile(pa.BufferReader(content))
    schema = parquet.schema_arrow
    keep |= _ALWAYS
    kept = {path for path in _paths(schema) if keep.intersection(_leading_to(path))}

    def column(found: pa.Array, name: str) -> pa.Array:
        if name == RESCUED and name not in keep:
            return _rescued(found, kept)
        return _kept(found, name, keep)

    batches = [
        pa.RecordBatch.from_arrays(
            [column(batch[name], name) for name in schema.names], schema=schema
        )
        for batch in parquet.iter_batches(_ROWS)
    ]
    return pa.Table.from_batches(batches, schema)


def _leading_to(path: str) -> Iterator[str]:
    """a.b.c -> a, a.b, a.b.c"""
    return accumulate(path.split("."), "{}.{}".format)


def _kept(column: pa.Array, name: str, keep: frozenset[str]) -> pa.Array:
    if name in keep:
        return column
    within = any(each.startswith(f"{name}.") for each in keep)
    if not within or not pa.types.is_struct(column.type):
        return pa.nulls(len(column), column.type)
    children = [
        _kept(pc.struct_field(column, field.name), f"{name}.{field.name}", keep)
        for field in column.type
    ]
    return pa.StructArray.from_arrays(children, fields=[*column.type], mask=pc.is_null(column))


def _rescued(column: pa.Array, kept: set[str]) -> pa.Array:
    """Of JSON objects from path to value: those that are of fields that stay."""

    def left(text: str | None) -> str | None:
        found = json.loads(text) if text else {}
        stays = {path: value for path, value in found.items() if path in kept}
        return json_text(stays) if stays else None

    return pa.array([left(text) for text in column.to_pylist()], column.type)
