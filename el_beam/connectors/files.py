"""Files: logs are read, events are written below a folder by schema and hour and read back.

Paths are local, hdfs:// or gs://.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import IO, Any, Final

from el_beam.connectors.contract import (
    ROWS,
    Connector,
    Faults,
    Fields,
    NothingStored,
    Role,
    Selection,
    Store,
    StoredError,
    StoredEvent,
    Use,
    value_at,
    values_of,
)
from el_beam.uris import Uri, UriError, at_home, path_of, size
from schemas import strict_json
from schemas.registry import Registry
from schemas.storage.columns import RESCUED
from schemas.storage.table_names import known
from transforms.errors import UnreadableInput
from transforms.io.files import filesystem
from transforms.io.files.base import escaped
from transforms.layout import JSON_LINES, PARQUET, deeper, is_hidden, is_hour, schema_in
from transforms.read.lines import FileSource, Source
from transforms.write.files import Encoding, FileSink
from transforms.write.sink import Sink

_COMMA: Final = re.compile(r",(?![^\[\]]*\])")  # between paths: not in a glob's brackets


class FilesConnector(Connector):
    uses = (
        Use("source", "file", "PATH", "a log, or several with commas between: globs, .gz .bz2 .zst",
            {"split": "how much of a plain file is read in one go, as 64MiB (the default)"}),
        Use("sink", "parquet", "PATH", "typed columns, in files by schema and hour"),
        Use("sink", "jsonl", "PATH", "gzipped JSON lines, in files by schema and hour"),
        Use("sink", "raw", "PATH", "the lines themselves, good and bad, to be read again"),
        Use("store", "parquet", "ROOT", "files, as the sink writes them"),
        Use("store", "jsonl", "ROOT", "files, as the sink writes them"),
    )  # fmt: skip

    def check(self, role: Role, uri: Uri) -> None:
        path_of(uri), _split_bytes(uri)

    def source(self, uri: Uri) -> Source:
        source = FileSource(_patterns(uri), **_split_bytes(uri))
        source.splits()  # refuses what isn't there
        return source

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding

        encodings: dict[str, Callable[[], Encoding]] = {
            "parquet": partial(ParquetEncoding, registry),
            "jsonl": JsonLinesEncoding,
            "raw": RawEncoding,
        }
        encoding = encodings[uri.scheme]()
        shown, schemas = str(uri).rstrip("/"), known(registry) if encoding.by_schema else ()
        return FileSink(uri.scheme, path_of(uri), encoding, job_id, shown, schemas)

    def store(self, uri: Uri) -> Store:
        path = path_of(uri)
        if not filesystem.exists(path):
            raise NothingStored(f"{uri}: nothing is there")
        return _FileStore(str(uri), path, uri.scheme)

    def place(self, uri: Uri) -> tuple[str, ...] | None:
        path = path_of(uri)
        return uri.scheme, path if "://" in path else os.path.realpath(path)


def _patterns(uri: Uri) -> tuple[str, ...]:
    """The paths of a source, with commas between: a file may have one in its name. Raises
    UriError."""
    path = path_of(uri)
    parts = tuple(map(at_home, _COMMA.split(path)))
    with suppress(OSError):  # the whole may not be a path at all
        if len(parts) > 1 and filesystem.exists(path):
            if not any(filesystem.find(part) for part in parts if part):
                return (escaped(path),)
            what = f"{path} is the name of a file, and of several"
            raise UriError(f"{what}: write [,] for a comma of a name")
    return parts


def _split_bytes(uri: Uri) -> dict[str, int]:
    split = {"split_bytes": size(uri.parameters["split"])} if "split" in uri.parameters else {}
    if split.get("split_bytes", 1) < 1:
        raise UriError("split must be 1 byte or more")
    return split


class _FileStore(Store):
    def __init__(self, shown: str, root: str, scheme: str) -> None:
        super().__init__(shown)
        self.root = root
        self._suffix, self._rows = _FORMATS[scheme]

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for name in filesystem.names(self.root):
            schema = str(schema_in(name) or "")
            if not schema or not selection.schema(schema):
                continue
            for hour, path in hour_files(f"{self.root}/{name}", self._suffix, selection):
                for number, (uuid, *values) in enumerate(self._file(path, ("uuid", *fields))):
                    yield StoredEvent(schema, hour, path, number, str(uuid or ""), tuple(values))

    def _file(self, path: str, fields: Fields) -> Iterator[list[Any]]:
        try:
            with filesystem.open_file(path) as file:
                yield from self._rows(file, fields)
        except self.faults() as error:
            raise StoredError(f"cannot read {path}: {error}") from error

    def faults(self) -> Faults:
        return file_faults()


def file_faults() -> Faults:
    """What may be raised where a file of ours can't be read."""
    import pyarrow as pa

    return (OSError, EOFError, ValueError, zlib.error, pa.ArrowException, UnreadableInput)


def hour_files(
    folder: str, suffix: str, selection: Selection, hour: str = ""
) -> Iterator[tuple[str, str]]:
    """(hour, path) of the data files that end like this in a folder of hours, in order. Hours that
    aren't selected are not looked at. Raises OSError."""
    for name in filesystem.names(folder):
        path = f"{folder}/{name}"
        if is_hour(hour):
            if name.endswith(suffix) and not is_hidden(name):
                yield hour, path
        elif (longer := deeper(hour, name)) and selection.hour(longer):
            yield from hour_files(path, suffix, selection, longer)


def _parquet_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file)
    if "uuid" not in parquet.schema_arrow.names:
        raise ValueError("it has no column uuid, so it has no events")
    for batch in parquet.iter_batches(ROWS, columns=[*fields, RESCUED], use_threads=False):
        for row in batch.to_pylist():
            yield values_of(fields, partial(value_at, row), row.get(RESCUED))


def _json_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    for line in gzip.GzipFile(fileobj=file):
        yield values_of(fields, partial(value_at, strict_json.loads(line)))


_FORMATS: Final[dict[str, tuple[str, Callable[[IO[bytes], Fields], Iterator[list[Any]]]]]] = {
    "parquet": (PARQUET, _parquet_rows),
    "jsonl": (JSON_LINES, _json_rows),
}
