"""What an end gives back: events, one by one, with the fields that were asked for."""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import hdfs
import pyarrow as pa
import sqlalchemy as sa

from el_beam.connectors.selection import Selection, StoredError
from el_beam.uris import Uri
from transforms.errors import UnreadableInput
from transforms.io.kafka.topics import KafkaAway
from transforms.io.mysql.client import MysqlFault, reason

ROWS: Final = 1_000  # that are in memory at once: bad events may have 64 KiB each
FAULTS = (
    *(OSError, EOFError, zlib.error, hdfs.HdfsError, pa.ArrowException, ValueError),
    *(sa.exc.SQLAlchemyError, MysqlFault, UnreadableInput, KafkaAway),
)

Json = dict[str, Any]
Fields = tuple[str, ...]  # paths in the event, as `event.reason`


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

    topics = False  # then an event may be there twice, and nothing is wrong
    tables = False  # then schemas have the names of tables

    def __init__(self, uri: Uri) -> None:
        self.root, self._shown = uri.rest, str(uri)
        self.without_bots = uri.parameters.get("bots") == "drop"

    def events(self, wanted: Selection, fields: Fields = ()) -> Iterator[StoredEvent]:
        """All wanted events, with these fields of each. Raises StoredError."""
        try:
            for found in self._events(wanted, fields):
                if not wanted.uuid or found.uuid == wanted.uuid:
                    yield found
        except FAULTS as error:
            raise StoredError(f"{self}: {reason(error)}") from error

    @abstractmethod
    def _events(self, wanted: Selection, fields: Fields) -> Iterator[StoredEvent]: ...

    def __str__(self) -> str:
        return self._shown


def picked(fields: Fields, at: Callable[[str], Any], rescued: str | None = None) -> list[Any]:
    """The values of these fields: what was rescued of an event is its value, not the column's."""
    more: Json = json.loads(rescued) if rescued else {}
    return [more[path] if path in more else at(path) for path in fields]
