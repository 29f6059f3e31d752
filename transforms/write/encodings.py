"""The formats of file sinks: Parquet with nested structs, JSON lines, the archive of raw lines."""

import io
import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas import strict_json
from schemas.event import Destination, Event, RawLine
from schemas.registry import Registry
from schemas.storage.arrow import ArrowTable
from transforms.layout import ARCHIVE, JSON_LINES, PARQUET
from transforms.write.files import Encoder, Encoding

_GZIP_LEVEL, _GZIP_WRAPPED = 6, 31  # 31: a gzip header without a time, the same bytes always
_COMPRESSOR_BYTES = 300 * 1024  # that zlib needs for each file
_BATCH_OVERHEAD = 16 * 1024  # bytes: small batches are mostly padding
_PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 1}


def parquet(table: pa.Table) -> bytes:
    """The file of a table, as all of ours are written."""
    out = io.BytesIO()
    pq.write_table(table, out, **_PARQUET)
    return out.getvalue()


class _BatchEncoder(Encoder):
    """Gathers values of events; `batch` makes columns of some hundred or thousand at once."""

    def __init__(self, schema: pa.Schema, batch: Callable[[list[Any]], pa.RecordBatch]) -> None:
        self._schema, self._batch = schema, batch
        self._values: list[Any] = []
        self._batches: list[pa.RecordBatch] = []
        self._size = 0

    def encode(self) -> int:
        if self._values:
            self._batches.append(self._batch(self._values))
            self._size += self._batches[-1].nbytes + _BATCH_OVERHEAD
            self._values = []
        return self._size

    def finish(self) -> bytes:
        self.encode()
        return parquet(pa.Table.from_batches(self._batches, self._schema))


class _ParquetEncoder(_BatchEncoder):
    def add(self, event: Event) -> None:
        self.events += 1
        self._values.append(event.data)


class ParquetEncoding(Encoding):
    """Parquet: `event` and `userAgent` as structs, typed by the event's schema."""

    ending = PARQUET

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tables: dict[Destination, ArrowTable] = {}

    def encoder(self, destination: Destination) -> Encoder:
        table = self._tables.get(destination)
        if table is None:
            table = ArrowTable(self._registry.get(*destination))
            self._tables[destination] = table
        return _ParquetEncoder(table.schema, table.batch)

    def __getstate__(self) -> dict[str, Any]:
        return {"_registry": self._registry, "_tables": {}}


class _JsonLinesEncoder(Encoder):
    """Compresses as it goes: lines kept until the end would be most of a run's memory."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WRAPPED)
        self._compressed = io.BytesIO()

    def add(self, event: Event) -> None:
        self.events += 1
        self._lines.append(strict_json.dumps(event.data) + b"\n")

    def encode(self) -> int:
        self._compressed.write(self._gzip.compress(b"".join(self._lines)))
        self._lines = []
        return self._compressed.tell() + _COMPRESSOR_BYTES

    def finish(self) -> bytes:
        self.encode()
        self._compressed.write(self._gzip.flush())
        return self._compressed.getvalue()


class JsonLinesEncoding(Encoding):
    """An event a line as JSON with sorted keys, compressed."""

    ending = JSON_LINES

    def encoder(self, destination: Destination) -> Encoder:
        return _JsonLinesEncoder()


_RAW = pa.schema(
    [
        ("line", pa.binary()),
        ("kind", pa.string()),
        ("name", pa.string()),
        ("offset", pa.int64()),
        ("receipt", pa.float64()),
    ]
)


def _raw_batch(lines: list[RawLine]) -> pa.RecordBatch:
    rows = [(line.data, *line.origin[:4]) for line in lines]
    columns = zip(zip(*rows, strict=True), _RAW, strict=True)
    return pa.record_batch([pa.array(column, field.type) for column, field in columns], schema=_RAW)


class _RawEncoder(_BatchEncoder):
    def add(self, event: Event) -> None:
        self.events += 1
        self._values.append(event.line)


class RawEncoding(Encoding):
    """The raw lines byte for byte, each with its origin, so that what is read from the archive is
    the same event as what was read before. Parquet, because a line may hold any byte."""

    ending = ARCHIVE
    by_schema = False

    def encoder(self, destination: Destination) -> Encoder:
        return _RawEncoder(_RAW, _raw_batch)
