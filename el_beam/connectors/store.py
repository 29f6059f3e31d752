"""Store: what a connector gives back, events one by one with the fields that are asked for.

Memory is the same however much is stored. What starts with `_` or `.` is not data.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from el_beam.connectors.selection import Selection, StoredError

ROWS: Final = 1_000  # that are in memory at once: bad events may have 64 KiB each

Json = dict[str, Any]
Fields = tuple[str, ...]  # paths in the event, as `event.reason`
Faults = tuple[type[Exception], ...]


class NothingStored(StoredError):
    """Nothing is at the place that a URI names."""


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
