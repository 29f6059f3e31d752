"""What is stored: events read back from any end, one by one.

    parquet:ROOT jsonl:ROOT       folders by Schema_revision and hour, as the file sinks write them
    sqlite:PATH                   tables, as the table sinks write them
    mysql://USER@HOST/DATABASE    the same
    kafka://BROKERS/?topics=a,b   topics of JSON events, from their oldest record to their end as it
    kafka://BROKERS/?pattern=^…   is when they are asked

Memory is the same however much there is. What starts with `_` or `.` is no data.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, Final
from urllib.parse import unquote

import pyarrow.parquet as pq

from el_beam.connectors.ends import brokers_of, checked_path, drops_bots, mysql_of
from el_beam.connectors.selection import Selection, StoredError
from el_beam.connectors.stored_base import FAULTS, ROWS, Fields, Json, Store, StoredEvent, picked
from el_beam.connectors.stored_tables import Tables, sqlite_engine
from el_beam.uris import Uri, UriError, parse_uri
from schemas import strict_json
from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.capsule import BadIdentity, check_scid, event_time, scid_of
from schemas.event import RawLine
from schemas.storage.columns import RESCUED
from transforms.errors import UnreadableInput
from transforms.io.files import filesystem
from transforms.io.kafka.cluster import SETTINGS, KafkaCluster
from transforms.io.kafka.topics import KafkaTopics, matching
from transforms.io.mysql.client import engine
from transforms.io.mysql.server import SETTINGS as OF_MYSQL
from transforms.parse import parse_json_event
from transforms.read.kafka_ranges import KafkaSplit, OffsetRange, read_ranges
from transforms.write.files import hour_name

STORES: Final[dict[str, frozenset[str]]] = {
    **{scheme: frozenset() for scheme in ("jsonl", "parquet", "sqlite")},
    "kafka": frozenset({"topics", "pattern"}) | SETTINGS,
    "mysql": OF_MYSQL | {"bots"},
}
_SILENT = 3600.0  # seconds that a database may take to find rows
_NAME = re.compile(r".+_\d{1,18}")  # of a folder
_PARTS = (("year", ""), ("month", "-"), ("day", "-"), ("hour", "T"))


def hour_files(
    folder: str, suffix: str, wanted: Selection, hour: str = "", depth: int = 0
) -> Iterator[tuple[str, str]]:
    """(hour, path) of the data files that end like this in a folder of hours, in order. Hours that
    aren't wanted are not looked at. Raises OSError."""
    for name in filesystem.names(folder):
        path = f"{folder}/{name}"
        if depth < len(_PARTS):
            part, before = _PARTS[depth]
            key, _, number = name.partition("=")
            longer = f"{hour}{before}{number:0>2}"
            if key == part and number.isdecimal() and wanted.hour(longer):
                yield from hour_files(path, suffix, wanted, longer, depth + 1)
        elif name.endswith(suffix) and name[0] not in "_.":
            yield hour, path


def store_of(text: str) -> Store:
    """The end of a URI. Raises StoredError for one that is wrong, or where nothing is."""
    try:
        uri = parse_uri(text, STORES, "end")
        if uri.scheme == "kafka":
            return _Topics(uri, brokers_of(text))
        if uri.scheme == "mysql":
            drops_bots(uri)
            return Tables(uri, engine(mysql_of(uri), answer=_SILENT))
        path = checked_path(uri.rest.removeprefix("//") if uri.rest[:3] == "///" else uri.rest)
        if not path:
            raise UriError(f"{uri} has no path: write {uri.scheme}:PATH")
        if "://" in path and uri.scheme == "sqlite":
            raise UriError(f"{uri}: a database is a local file")
        if not filesystem.exists(path):
            raise UriError(f"{uri}: nothing is there")
    except (UriError, OSError) as error:
        raise StoredError(str(error)) from error
    return Tables(uri, sqlite_engine(path)) if uri.scheme == "sqlite" else _Files(uri, path)


class _Files(Store):
    def __init__(self, uri: Uri, root: str) -> None:
        super().__init__(uri)
        self.root = root
        self._suffix, self._rows = _FORMATS[uri.scheme]

    def _events(self, wanted: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for name in filesystem.names(self.root):
            schema = unquote(name)
            if name[0] in "_." or not _NAME.fullmatch(name) or not wanted.schema(schema):
                continue
            for hour, path in hour_files(f"{self.root}/{name}", self._suffix, wanted):
                for number, (uuid, *values) in enumerate(self._file(path, ("uuid", *fields))):
                    yield StoredEvent(schema, hour, path, number, str(uuid or ""), tuple(values))

    def _file(self, path: str, fields: Fields) -> Iterator[list[Any]]:
        try:
            with filesystem.open_file(path) as file:
                yield from self._rows(file, fields)
        except FAULTS as error:
            raise StoredError(f"cannot read {path}: {error}") from error


def _parquet_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    parquet = pq.ParquetFile(file)
    if "uuid" not in parquet.schema_arrow.names:
        raise ValueError("it has no column uuid: these are no events")
    for batch in parquet.iter_batches(ROWS, columns=[*fields, RESCUED], use_threads=False):
        for row in batch.to_pylist():
            yield picked(fields, partial(_at, row), row.get(RESCUED))


def _json_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    for line in gzip.GzipFile(fileobj=file):
        yield picked(fields, partial(_at, strict_json.loads(line)))


_FORMATS: Final[dict[str, tuple[str, Callable[[IO[bytes], Fields], Iterator[list[Any]]]]]] = {
    "parquet": (".parquet", _parquet_rows),
    "jsonl": (".jsonl.gz", _json_rows),
}


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


class _Topics(Store):
    topics = True

    def __init__(self, uri: Uri, cluster: KafkaCluster) -> None:
        """Raises UriError."""
        super().__init__(uri)
        self._cluster = cluster
        given = uri.parameters
        self._names = tuple(filter(None, given.get("topics", "").split(",")))
        self._pattern = given.get("pattern")
        if bool(self._names) == (self._pattern is not None):
            raise UriError(f"{uri} must have topics=a,b or pattern=^REGEX, one of them")
        try:
            re.compile(self._pattern or "")
        except re.error as error:
            raise UriError(f"{uri}: pattern is no regular expression: {error}") from error

    def _events(self, wanted: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for split in self._splits():
            for line in read_ranges(self._cluster, split):
                schema, data = _event_of(line)
                hour = hour_name(int(event_time(data, line.origin.receipt) // 3600))
                if wanted.schema(schema) and wanted.hour(hour):
                    values = tuple(picked(fields, partial(_at, data)))
                    where, number = line.origin.name, line.origin.offset
                    yield StoredEvent(schema, hour, where, number, str(data["uuid"]), values)

    def _splits(self) -> Iterator[KafkaSplit]:
        """A split for each topic, up to its end as it is now."""
        kafka = KafkaTopics(self._cluster)
        counts = kafka.partitions()
        names = self._names if self._pattern is None else matching(counts, self._pattern)
        missing = ", ".join(name for name in names if name not in counts)
        if missing or not names:
            raise UnreadableInput(f"there is no topic {missing or self._pattern} at the brokers")
        bounds = kafka.bounds({name: counts[name] for name in names})
        for name in names:
            ranges = tuple(OffsetRange(each, *bounds[name, each]) for each in range(counts[name]))
            yield KafkaSplit(name, name, ranges)


def _event_of(line: RawLine) -> tuple[str, Json]:
    """What an import makes of a record: its Schema_revision and the event. One that is none, or
    names no schema, is an EventError, the same as the import's."""
    outcome = parse_json_event(line)
    if not isinstance(outcome, BadEvent):
        schema, revision = scid_of(outcome.data) or (None, None)
        try:
            check_scid(schema, revision)
        except BadIdentity as error:
            dt = outcome.data.get("dt")
            dt = dt if isinstance(dt, str) else None
            outcome = BadEvent(line, Stage.VALIDATE, Reason.NO_SCHEMA, str(error), dt=dt)
        else:
            return f"{schema}_{revision}", outcome.data
    data = event_error(outcome).data
    return f"{data['schema']}_{data['revision']}", data


__all__ = ["FAULTS", "STORES", "Fields", "Store", "StoredEvent", "hour_files", "store_of"]
