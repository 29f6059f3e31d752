"""What a Parquet file is with nothing but the fields that a keep list names."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate, chain, zip_longest

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from el_beam.books.ledger.model import Ledger, LedgerFile
from el_beam.upkeep.compaction import attempt, name_of
from el_beam.upkeep.retention.keep_list import Keep, KeepError, check
from schemas.storage.columns import RESCUED, json_text
from transforms.io.files import filesystem
from transforms.layout import ALL

_ALWAYS = frozenset({"uuid", "dt"})  # which tell of nobody, and without which rows are no rows
_ROWS = 10_000  # that are cut at once


def check_files(keep: Keep, ledger: Ledger) -> None:
    """Raises KeepError where the list names what no Parquet file of a folder has, OSError."""
    tables: dict[str, list[LedgerFile]] = defaultdict(list)
    for file in sorted(ledger.files.values()):
        if name_of(file.path) and file.schema != str(ALL):
            tables[file.schema].append(file)

    def fields_of(names: list[str], named: frozenset[str]) -> set[str]:
        has, problems = _fields(named, ledger.root, [tables[name] for name in names])
        if not has:
            path, why = next(iter(problems.items()))
            raise KeepError(f"{path}: {why}")
        return has

    check(keep, tables, fields_of)


def _fields(
    fields: frozenset[str], root: str, tables: list[list[LedgerFile]]
) -> tuple[set[str], dict[str, str]]:
    """The fields that files have, as many files as it takes to find these; and what went wrong."""
    has: set[str] = set()
    problems: dict[str, str] = {}
    for file in filter(None, chain.from_iterable(zip_longest(*tables))):
        schema = attempt(partial(_schema, f"{root}/{file.path}"), file.path, problems)
        has.update(_paths(schema or ()))
        if has and fields <= has:
            break
    return has, problems


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
