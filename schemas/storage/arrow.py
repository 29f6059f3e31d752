"""Events as Arrow: the schema of a Parquet file, and batches of its rows.

Each kind of schemas/storage/columns.py has one type. Times stay text, because formats are never
enforced and no row may be refused for a wrong one. Every field is nullable.
"""

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

import pyarrow as pa

from schemas.storage.columns import (
    RESCUED,
    Column,
    Kind,
    is_utf8,
    json_text,
    needs_quotes,
    nested_columns,
    path_text,
)

Events = Sequence[dict[str, Any]]
_Rescue = Callable[[int, str, Any], None]  # (row, path, value)

_TYPES = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.DATETIME: pa.string(),
    Kind.JSON: pa.string(),
}
_NONE = type(None)
_FITTING: dict[Kind, frozenset[type]] = {
    Kind.BOOLEAN: frozenset({bool, _NONE}),
    Kind.INTEGER: frozenset({int, _NONE}),
    Kind.NUMBER: frozenset({int, float, _NONE}),
    Kind.STRING: frozenset({str, _NONE}),
    Kind.DATETIME: frozenset({str, _NONE}),
}
_JUDGED = frozenset({Kind.INTEGER, Kind.NUMBER})  # pyarrow itself refuses wrong values of others
_BLOCK = 250  # rows
_LISTS = frozenset({list, _NONE})
_EMPTY: dict[str, Any] = {}
_CANNOT_HOLD = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError)


def arrow_schema(document: dict[str, Any]) -> pa.Schema:
    """Makes the Arrow schema of a JSON Schema's events, with RESCUED last."""
    fields = [_field(column) for column in nested_columns(document)]
    return pa.schema([*fields, pa.field(RESCUED, pa.string())])


class ArrowTable:
    """Turns the events of one schema into Arrow batches; compiled once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.schema = arrow_schema(document)
        self._event = _Struct(nested_columns(document), ())

    def batch(self, events: Events) -> pa.RecordBatch:
        """Turns events (whole, capsule and all) into rows, in order: same events, same batch.

        No event is refused: a value that has no column, or doesn't fit its column, goes to RESCUED,
        and the column has null or the nearest value. All texts together must be below 2 GiB."""
        rescued: dict[int, dict[str, Any]] = {}

        def rescue(row: int, path: str, value: Any) -> None:
            rescued.setdefault(row, {})[path] = value

        arrays = self._event.arrays(events, rescue)
        if rescued:
            texts = [
                json_text(rescued[row]) if row in rescued else None for row in range(len(events))
            ]
            last = pa.array(texts, pa.string())
        else:
            last = pa.nulls(len(events), pa.string())
        return pa.RecordBatch.from_arrays([*arrays, last], schema=self.schema)


def _field(column: Column) -> pa.Field:
    return pa.field(column.name, _type(column))


def _type(column: Column) -> pa.DataType:
    if column.kind is Kind.STRUCT:
        return pa.struct([_field(child) for child in column.children])
    if column.item:
        return pa.list_(_TYPES[column.item])
    return _TYPES[column.kind]


class _Struct:
    """The columns of one level. It converts column by column, which is as fast as giving pyarrow
    the dicts, and checks each value: pyarrow itself cuts 1.5 to 1 and reads a string as a list."""

    def __init__(self, columns: Sequence[Column], path: tuple[str, ...]) -> None:
        self._path = path
        self._known = frozenset(column.key for column in columns)
        self._columns = [
            (column.key, path_text((*path, column.key)), _maker(column, (*path, column.key)))
            for column in columns
        ]

    def arrays(self, dicts: Sequence[dict[str, Any]], rescue: _Rescue) -> list[pa.Array]:
        """Returns an array for each column; dicts[i] is of row i."""
        arrays = [
            make(values, path, rescue)
            for values, (_, path, make) in zip(self._values(dicts), self._columns, strict=True)
        ]
        held = sum(len(array) - array.null_count for array in arrays)
        if held != sum(map(len, dicts)):  # nulls, or keys without a column
            self._rescue_unknown(dicts, rescue)
        return arrays

    def _values(self, dicts: Sequence[dict[str, Any]]) -> list[list[Any]]:
        """Returns the values of each column. A block of rows fits in the processor's cache."""
        columns: list[list[Any]] = [[] for _ in self._columns]
        for start in range(0, len(dicts), _BLOCK):
            block = dicts[start : start + _BLOCK]
            for values, (key, _, _) in zip(columns, self._columns, strict=True):
                values.extend(map(dict.get, block, repeat(key)))
        return columns

    def _rescue_unknown(self, dicts: Sequence[dict[str, Any]], rescue: _Rescue) -> None:
        known = self._known
        for row, found in enumerate(dicts):
            if not known.issuperset(found):
                for key in found.keys() - known:
                    rescue(row, path_text((*self._path, key)), found[key])


_Maker = Callable[[list[Any], str, _Rescue], pa.Array]


def _maker(column: Column, path: tuple[str, ...]) -> _Maker:
    """Returns the function from a column's values, a row each, to its array."""
    if column.kind is Kind.STRUCT:
        return _structs(column, path)
    if column.kind is Kind.JSON:
        return _json_texts
    if column.item:
        return _lists(column.item)
    return _scalars(column.kind)


def _scalars(kind: Kind) -> _Maker:
    arrow_type, fitting, judged = _TYPES[kind], _FITTING[kind], kind in _JUDGED

    def make(values: list[Any], path: str, rescue: _Rescue) -> pa.Array:
        if not judged or fitting.issuperset(map(type, values)):
            try:
                return pa.array(values, arrow_type)
            except _CANNOT_HOLD:
                pass
        shown = [_fitted(kind, value) for value in values]
        for row, (value, nearest) in enumerate(zip(values, shown, strict=True)):
            if value != nearest:
                rescue(row, path, value)
        return pa.array(shown, arrow_type)

    return make


def _fitted(kind: Kind, value: Any) -> Any:
    """Returns the value as a column of that kind can hold it, else the nearest, else None."""
    if type(value) not in _FITTING[kind]:
        return None
    try:
        if kind is Kind.NUMBER and value is not None:
            return float(value)
        return pa.scalar(value, _TYPES[kind]).as_py()
    except _CANNOT_HOLD:
        return None


def _lists(item: Kind) -> _Maker:
    item_type, fitting = _TYPES[item], _FITTING[item]
    arrow_type = pa.list_(item_type)

    def fits(values: list[Any]) -> bool:
        return _LISTS.issuperset(map(type, values)) and fitting.issuperset(
            map(type, chain.from_iterable(filter(None, values)))
        )

    def make(values: list[Any], path: str, rescue: _Rescue) -> pa.Array:
        if fits(values):
            try:
                return pa.array(values, arrow_type)
            except _CANNOT_HOLD:
                pass
        shown = list(values)
        for row, value in enumerate(values):
            try:
                if not fits([value]):
                    raise OverflowError
                pa.array([value], arrow_type)
            except _CANNOT_HOLD:
                shown[row] = None
                rescue(row, path, value)
        return pa.array(shown, arrow_type)

    return make


def _json_texts(values: list[Any], path: str, rescue: _Rescue) -> pa.Array:
    shown: list[str | None] = []
    for row, value in enumerate(values):
        text = value
        if type(value) is str:
            if needs_quotes(value):
                rescue(row, path, value)
            elif not value.isascii() and not is_utf8(value):
                rescue(row, path, value)
                text = None
        elif value is not None:
            text = json_text(value)
        shown.append(text)
    return pa.array(shown, pa.string())


def _structs(column: Column, path: tuple[str, ...]) -> _Maker:
    struct = _Struct(column.children, path)
    fields = [_field(child) for child in column.children]

    def each(values: list[Any], path: str, rescue: _Rescue) -> pa.Array:
        if set(map(type, values)) == {dict}:
            return pa.StructArray.from_arrays(struct.arrays(values, rescue), fields=fields)
        dicts = [value if type(value) is dict else _EMPTY for value in values]
        absent = pa.array([type(value) is not dict for value in values], pa.bool_())
        for row, value in enumerate(values):
            if value is not None and type(value) is not dict:
                rescue(row, path, value)
        arrays = struct.arrays(dicts, rescue)
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=absent)

    def shared(values: list[Any], path: str, rescue: _Rescue) -> pa.Array:
        """Converts each dict only once: the parser gives all events of a user agent one dict."""
        numbers: dict[int, int] = {}
        indices = [numbers.setdefault(id(value), len(numbers)) for value in values]
        if len(numbers) == len(values):
            return each(values, path, rescue)
        found: dict[int, list[tuple[str, Any]]] = {}
        different = list({id(value): value for value in values}.values())
        array = each(
            different, path, lambda row, at, it: found.setdefault(row, []).append((at, it))
        )
        for row, number in enumerate(indices) if found else ():
            for at, value in found.get(number, ()):
                rescue(row, at, value)
        return array.take(pa.array(indices, pa.int32()))

    return shared if path == ("userAgent",) else each
