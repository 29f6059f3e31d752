"""What is stored: events read back from any end, one by one.

    parquet:ROOT jsonl:ROOT       folders by Schema_revision and hour, as the file sinks write them
    sqlite:PATH                   tables, as the table sinks write them
    kafka://BROKERS/?topics=a,b   topics of JSON events, from their oldest record to their end as it
    kafka://BROKERS/?pattern=^…   is when they are asked

Memory is the same however much there is. What starts with `_` or `.` is no data.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote, unquote

import hdfs
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from el_beam.ends import brokers_of, checked_path
from el_beam.uris import Uri, UriError, parse_uri
from schemas import strict_json
from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.capsule import BadIdentity, check_scid, event_time, scid_of
from schemas.columns import RESCUED
from schemas.event import Destination, RawLine
from schemas.sql import column_name, table_name
from transforms import filesystem
from transforms.kafka import SETTINGS, KafkaCluster
from transforms.parse import parse_json_event
from transforms.read.files import UnreadableInput
from transforms.read.kafka_ranges import KafkaSplit, OffsetRange, read_ranges
from transforms.read.kafka_topics import KafkaAway, KafkaTopics, matching
from transforms.write.files import hour_name

ENDS: Final[dict[str, frozenset[str]]] = {
    **{scheme: frozenset() for scheme in ("jsonl", "parquet", "sqlite")},
    "kafka": frozenset({"topics", "pattern"}) | SETTINGS,
}
_ROWS = 1_000  # that are in memory at once: bad events may have 64 KiB each
_HOUR = re.compile(r"\d{4}-\d\d-\d\d(T\d\d)?")
_NAME = re.compile(r"(?P<schema>.+)_(?P<revision>\d{1,18})", re.DOTALL)  # of a folder or a table
_PARTS = (("year", ""), ("month", "-"), ("day", "-"), ("hour", "T"))
_UUID = re.compile("[0-9a-f]{32}")
_FAULTS = (
    *(OSError, EOFError, zlib.error, hdfs.HdfsError, pa.ArrowException, ValueError),
    *(sa.exc.SQLAlchemyError, UnreadableInput, KafkaAway),
)

Json = dict[str, Any]
Fields = tuple[str, ...]  # paths in the event, as `event.reason`


class StoredError(Exception):
    """An end that can't be read, or isn't there; the message is for people."""


class Stored(NamedTuple):
    """An event where it is stored."""

    schema: str  # Schema_revision; for tables the table's name
    hour: str  # 2019-03-10T07; empty for a row of a table without a time
    where: str  # the file, the table, or topic/partition
    number: int  # there: a file's row, from 0; a row's id; an offset
    uuid: str
    values: tuple[Any, ...]  # of the fields that were asked for, None where there is none

    @property
    def place(self) -> str:
        """`where@number`."""
        return f"{self.where}@{self.number}"


@dataclass(frozen=True)
class Wanted:
    """Which events to read: by default all."""

    first: str = ""  # hour, as 2019-03-10T07, or day
    last: str = ""  # the same; all of it is wanted
    schemas: re.Pattern[str] | None = None  # matched against Schema_revision from its start
    uuid: str = ""

    def hour(self, hour: str) -> bool:
        """Of an hour, or the beginning of one, as 2019-03."""
        size = len(hour)
        return self.first[:size] <= hour and (not self.last or hour[: len(self.last)] <= self.last)

    def schema(self, schema: str) -> bool:
        return self.schemas is None or self.schemas.match(schema) is not None


def wanted_of(first: str | None, last: str | None, schemas: str | None, uuid: str = "") -> Wanted:
    """What the options --from, --to and --schema ask for. Raises StoredError."""
    for option, hour in (("--from", first), ("--to", last)):
        if hour and not _is_hour(hour):
            raise StoredError(f"{option} {hour!r} is no hour: write 2019-03-10T07, or a day")
    if first and last and first[: len(last)] > last[: len(first)]:
        raise StoredError(f"--from {first} is after --to {last}")
    try:
        return Wanted(first or "", last or "", re.compile(schemas) if schemas else None, uuid)
    except re.error as error:
        raise StoredError(f"--schema {schemas!r} is no regular expression: {error}") from error


def _is_hour(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return _HOUR.fullmatch(text, re.ASCII) is not None


def hour_folders(
    folder: str, wanted: Wanted, hour: str = "", depth: int = 0
) -> Iterator[tuple[str, str]]:
    """(folder, hour) of each wanted hour in a folder of hours, in order. Others are not looked at.
    Raises OSError."""
    if depth == len(_PARTS):
        yield folder, hour
        return
    part, before = _PARTS[depth]
    for name in filesystem.names(folder):
        key, _, number = name.partition("=")
        longer = f"{hour}{before}{number:0>2}"
        if key == part and number.isdecimal() and wanted.hour(longer):
            yield from hour_folders(f"{folder}/{name}", wanted, longer, depth + 1)


def data_files(folder: str, suffix: str) -> Iterator[str]:
    """The files in a folder that are data and end like this, in order. Raises OSError."""
    for name in filesystem.names(folder):
        if name.endswith(suffix) and not name.startswith(("_", ".")):
            yield f"{folder}/{name}"


class End(ABC):
    """Where events are stored. `str()` of it is safe to show."""

    topics = False  # then an event may be there twice, and nothing is wrong
    tables = False  # then schemas have the names of tables

    def __init__(self, uri: Uri) -> None:
        self.scheme, self._shown = uri.scheme, str(uri)

    def events(self, wanted: Wanted, fields: Fields = ()) -> Iterator[Stored]:
        """All wanted events, with these fields of each. Raises StoredError."""
        try:
            for found in self._events(wanted, fields):
                if not wanted.uuid or found.uuid == wanted.uuid:
                    yield found
        except _FAULTS as error:
            told = getattr(error, "orig", None) or error
            raise StoredError(f"{self}: {str(told) or type(told).__name__}") from error

    @abstractmethod
    def _events(self, wanted: Wanted, fields: Fields) -> Iterator[Stored]: ...

    def __str__(self) -> str:
        return self._shown


def end_of(text: str) -> End:
    """The end of a URI. Raises StoredError for one that is wrong, or where nothing is."""
    try:
        uri = parse_uri(text, ENDS, "end")
        if uri.scheme == "kafka":
            return _Topics(uri, brokers_of(text))
        path = checked_path(uri.rest.removeprefix("//") if uri.rest[:3] == "///" else uri.rest)
        if not path:
            raise UriError(f"{uri} has no path: write {uri.scheme}:PATH")
        if "://" in path and uri.scheme == "sqlite":
            raise UriError(f"{uri}: a database is a local file")
        if not filesystem.exists(path):
            raise UriError(f"{uri}: nothing is there")
    except (UriError, OSError) as error:
        raise StoredError(str(error)) from error
    return _Tables(uri, path) if uri.scheme == "sqlite" else _Files(uri, path)


class _Files(End):
    def __init__(self, uri: Uri, root: str) -> None:
        super().__init__(uri)
        self.root = root
        self._suffix, self._rows = _FORMATS[uri.scheme]

    def _events(self, wanted: Wanted, fields: Fields) -> Iterator[Stored]:
        for name in filesystem.names(self.root):
            schema = unquote(name)
            if name[0] in "_." or not _NAME.fullmatch(name) or not wanted.schema(schema):
                continue
            for folder, hour in hour_folders(f"{self.root}/{name}", wanted):
                for path in data_files(folder, self._suffix):
                    for number, (uuid, *values) in enumerate(self._file(path, ("uuid", *fields))):
                        yield Stored(schema, hour, path, number, uuid or "", tuple(values))

    def _file(self, path: str, fields: Fields) -> Iterator[list[Any]]:
        try:
            with filesystem.open_file(path) as file:
                yield from self._rows(file, fields)
        except _FAULTS as error:
            raise StoredError(f"cannot read {path}: {error}") from error


def _parquet_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    parquet = pq.ParquetFile(file)
    if "uuid" not in parquet.schema_arrow.names:
        raise ValueError("it has no column uuid: these are no events")
    columns = [*fields, RESCUED]
    for batch in parquet.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False):
        for row in batch.to_pylist():
            yield _picked(fields, partial(_at, row), row.get(RESCUED))


def _json_rows(file: IO[bytes], fields: Fields) -> Iterator[list[Any]]:
    for line in gzip.GzipFile(fileobj=file):
        yield _picked(fields, partial(_at, strict_json.loads(line)))


_FORMATS: Final[dict[str, tuple[str, Callable[[IO[bytes], Fields], Iterator[list[Any]]]]]] = {
    "parquet": (".parquet", _parquet_rows),
    "jsonl": (".jsonl.gz", _json_rows),
}


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _picked(fields: Fields, at: Callable[[str], Any], rescued: str | None = None) -> list[Any]:
    """The values of these fields: what was rescued of an event is its value, not the column's."""
    more: Json = json.loads(rescued) if rescued else {}
    return [more[path] if path in more else at(path) for path in fields]


class _Tables(End):
    tables = True

    def __init__(self, uri: Uri, path: str) -> None:
        super().__init__(uri)
        address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
        self._engine = sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=sa.NullPool
        )

    def _events(self, wanted: Wanted, fields: Fields) -> Iterator[Stored]:
        inspector = sa.inspect(self._engine)
        with self._engine.connect().execution_options(yield_per=_ROWS) as connection:
            for name in sorted(inspector.get_table_names()):
                columns = {column["name"] for column in inspector.get_columns(name)}
                known = _NAME.fullmatch(name) and {"id", "uuid", "dt"} <= columns
                if not known or not wanted.schema(name):
                    continue
                for row in connection.execute(_select(name, columns, wanted, fields)):
                    id_, dt, rescued, *values = row
                    at = dict(zip(("uuid", *fields), values, strict=True)).get
                    uuid, *picked = _picked(("uuid", *fields), at, rescued)
                    hour = dt.isoformat()[:13] if dt else ""
                    yield Stored(name, hour, name, id_, uuid or "", tuple(picked))


def _select(name: str, columns: set[str], wanted: Wanted, fields: Fields) -> sa.Select[Any]:
    """The wanted rows of a table, by its indexes of dt and uuid: id, dt, RESCUED, uuid, fields."""

    def column(path: str) -> sa.ColumnElement[Any]:
        found = column_name(tuple(path.split(".")))
        return sa.column(sa.quoted_name(found, quote=True)) if found in columns else sa.null()

    dt = sa.column("dt", sa.DateTime())
    chosen = sa.select(
        sa.column("id"), dt, column(RESCUED), *(column(path) for path in ("uuid", *fields))
    ).select_from(sa.table(sa.quoted_name(name, quote=True)))
    if wanted.first:
        chosen = chosen.where(dt >= datetime.fromisoformat(wanted.first))
    if wanted.last:
        whole = timedelta(hours=1) if "T" in wanted.last else timedelta(days=1)
        chosen = chosen.where(dt - whole < datetime.fromisoformat(wanted.last))
    if _UUID.fullmatch(wanted.uuid):  # others are in the table under another one
        chosen = chosen.where(sa.column("uuid") == wanted.uuid)
    return chosen


class _Topics(End):
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

    def _events(self, wanted: Wanted, fields: Fields) -> Iterator[Stored]:
        for split in self._splits():
            for line in read_ranges(self._cluster, split):
                schema, data = _event_of(line)
                hour = hour_name(int(event_time(data, line.origin.receipt) // 3600))
                if wanted.schema(schema) and wanted.hour(hour):
                    values = tuple(_picked(fields, partial(_at, data)))
                    where, number = line.origin.name, line.origin.offset
                    yield Stored(schema, hour, where, number, str(data["uuid"]), values)

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
            ranges = (OffsetRange(each, *bounds[name, each]) for each in range(counts[name]))
            yield KafkaSplit(name, name, tuple(each for each in ranges if each.records > 0))


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


def as_table(schema: str) -> str:
    """The name of the table of a Schema_revision; a table's own name is left as it is."""
    match = _NAME.fullmatch(schema)
    return table_name(*Destination(match["schema"], int(match["revision"]))) if match else schema
