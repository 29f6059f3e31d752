"""What a connector is: one file that knows one system, from its URIs to what is read and written.

A connector declares the schemes that people write, with their parameters and a sentence each, and
makes of a URI what a job reads (a source), what it writes to (a sink), and what is read back (a
store, which gives the events of a selection one by one: memory is the same however much is stored).
Help texts, errors and the tests of the docs take the schemes from there. `registry.py` knows which
connectors there are.

A connector knows nothing of those who use it. It imports client libraries where it uses them:
commands that need none of them must not wait for them.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from el_beam.uris import Uri
from schemas.errors import WrongCall
from schemas.event import Destination
from schemas.registry import Registry
from schemas.storage.table_names import table_name
from transforms.counts.totals import KafkaMetrics
from transforms.read.lines import Source
from transforms.write.sink import Sink

Role = Literal["source", "sink", "store", "metrics"]
ROWS: Final = 1_000  # of a store that are in memory at once: bad events may have 64 KiB each
Json = dict[str, Any]
Fields = tuple[str, ...]  # paths in the event, as `event.reason`
Faults = tuple[type[Exception], ...]
_HOUR = re.compile(r"\d{4}-\d\d-\d\d(T\d\d)?", re.ASCII)


class StoredError(WrongCall):
    """A store can't be read, or a command asks for what can't be; the message is for people."""


class NothingStored(StoredError):
    """Nothing is at the place that a URI names."""


@dataclass(frozen=True)
class Selection:
    """Which events to read: by default all."""

    first: str = ""  # hour, as 2019-03-10T07, or day
    last: str = ""  # the same; all of it is selected
    schemas: re.Pattern[str] | None = None  # matched against Schema_revision from its start
    uuid: str = ""

    def hour(self, hour: str) -> bool:
        """Whether an hour is selected; or whether any may be that begins like this, as 2019-03."""
        first, last = self.first[: len(hour)], self.last[: len(hour)]
        return first <= hour and (not last or hour[: len(last)] <= last)

    def all_hours(self) -> list[str]:
        """All hours from the first to the last, which must be given."""
        first, last = self.times()
        assert first and last
        count = int((last - first) / timedelta(hours=1)) + 1
        return [(first + timedelta(hours=each)).isoformat()[:13] for each in range(count)]

    def schema(self, schema: str) -> bool:
        return self.schemas is None or self.schemas.match(schema) is not None

    def times(self) -> tuple[datetime | None, datetime | None]:
        """The first moment of the first hour, the last one of the last; None for no bound."""
        first = datetime.fromisoformat(self.first) if self.first else None
        if not self.last:
            return first, None
        whole = timedelta(hours=1) if "T" in self.last else timedelta(days=1)
        return first, datetime.fromisoformat(self.last) + (whole - timedelta.resolution)


def selection_of(first: str | None, last: str | None, schemas: str | None) -> Selection:
    """What the options --from, --to and --schema ask for. Raises StoredError."""
    first, last = checked_hour("--from", first), checked_hour("--to", last)
    if first and last and first[: len(last)] > last[: len(first)]:
        raise StoredError(f"--from {first} is after --to {last}")
    try:
        return Selection(first, last, re.compile(schemas) if schemas else None)
    except re.error as error:
        raise StoredError(f"--schema {schemas!r} is not a regular expression: {error}") from error


def checked_hour(option: str, hour: str | None) -> str:
    """An hour or a day as an option gives it; empty for none. Raises StoredError."""
    with suppress(ValueError):
        if hour is None or (_HOUR.fullmatch(hour) and datetime.fromisoformat(hour)):
            return hour or ""
    raise StoredError(f"{option} {hour!r} is not an hour: write 2019-03-10T07, or a day")


class StoredEvent(NamedTuple):
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


class Store(ABC):
    """Where events are stored. `str()` of it is safe to show."""

    root: str = ""
    """The folder that its files are below; empty for a store without files."""
    tables: bool = False
    """Whether its events are rows of tables, whose names stand for those of schemas."""
    at_least_once: bool = False
    """Whether an event may be there twice, and nothing is wrong."""
    without_bots: bool = False
    """Whether events of bots were left out."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def events(self, selection: Selection, fields: Fields = ()) -> Iterator[StoredEvent]:
        """All selected events, with these fields of each. Raises StoredError."""
        try:
            for event in self.read(selection, fields):
                if not selection.uuid or event.uuid == selection.uuid:
                    yield event
        except self.faults() as error:
            raise StoredError(f"{self}: {self.describe(error)}") from error

    @abstractmethod
    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        """The selected events; those of other uuids may be among them. Raises StoredError, and
        what `faults` names."""

    def called(self, schema: Destination) -> str:
        """What a schema's events are stored under: their `StoredEvent.schema`. Raises what `read`
        does."""
        return table_name(*schema) if self.tables else str(schema)

    def schema_of(self, name: str) -> Destination | None:
        """The schema whose events are stored under a name; None if nothing says so. Raises what
        `read` does."""
        schema, _, revision = name.rpartition("_")
        if self.tables or not schema or not revision.isdecimal() or len(revision) > 18:
            return None
        return Destination(schema, int(revision))

    def faults(self) -> Faults:
        """What `read` may raise where the store can't be read."""
        return (OSError, ValueError)

    def describe(self, error: Exception) -> str:
        """One of these faults in a line for people."""
        return " ".join(str(error).split()) or type(error).__name__

    def __str__(self) -> str:
        return self._shown


def values_of(fields: Fields, at: Callable[[str], Any], rescued: str | None = None) -> list[Any]:
    """The values of these fields: what was rescued of an event is its value, not the column's."""
    more: Json = json.loads(rescued) if rescued else {}
    return [more[path] if path in more else at(path) for path in fields]


def value_at(data: Any, path: str) -> Any:
    """The value at a path of nested objects, None where there is none."""
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


@dataclass(frozen=True)
class Use:
    """One scheme in one role, as people write it and as help texts explain it."""

    role: Role
    scheme: str
    rest: str  # what follows the colon: PATH
    help: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # name -> what it is, a sentence
    settings: Mapping[str, str] = field(default_factory=dict)  # the same, of the connection
    one_process: bool = False  # whether it belongs to the process that runs the job

    @property
    def example(self) -> str:
        return f"{self.scheme}:{self.rest}"

    @property
    def names(self) -> frozenset[str]:
        """The names of all parameters and settings."""
        return frozenset(self.parameters) | frozenset(self.settings)


class Connector:
    """What is made of the URIs of one system.

    A method is called only with URIs whose scheme is declared for its role, and which have no
    other parameters than the declared ones; a connector overrides those of its roles."""

    uses: tuple[Use, ...] = ()

    def check(self, role: Role, uri: Uri) -> None:
        """Check all of a URI that can be checked without opening anything. Raises UriError."""

    def source(self, uri: Uri) -> Source:
        """What a job reads, of a checked URI. Raises UnreadableInput where nothing is there."""
        raise NotImplementedError

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        """What a job writes to, of a checked URI; nothing is opened yet.

        `job_id` is the same for the same job, so that it finds what a killed attempt has left."""
        raise NotImplementedError

    def store(self, uri: Uri) -> Store:
        """What is read back, of a checked URI. Raises OSError, and NothingStored where nothing
        is."""
        raise NotImplementedError

    def written(self, uri: Uri, destinations: Iterable[Destination]) -> Store | None:
        """The store that has what a sink has written of these destinations, by the sink's URI;
        None where it has written nothing yet. Raises StoredError, OSError."""
        try:
            return self.store(uri)
        except NothingStored:
            return None

    def place(self, uri: Uri) -> tuple[str, ...] | None:
        """What the URIs of a sink and of a store have in common if both name one place; None where
        nothing can be removed from it."""
        return None

    def metrics(self, uri: Uri) -> KafkaMetrics:
        """Where a continuous job counts, of a checked URI."""
        raise NotImplementedError
