"""Where an event is, and which line it was made of."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

from el_beam.connectors.contract import Selection, Store, StoredError
from el_beam.connectors.files import file_faults, hour_files
from el_beam.uris import UriError, given_path
from schemas.bad_event import EVENT_ERROR
from schemas.capsule import uuid5_hex
from schemas.event import Event, RawLine
from schemas.line_format import FormatError
from schemas.times import in_calendar
from transforms.io.files import filesystem
from transforms.layout import ARCHIVE
from transforms.parse import Parse, line_parser
from transforms.read.files import FileSplit, read_split

_ORIGIN: Final = "event.origin"


class FoundEvent(NamedTuple):
    """A place of the event."""

    end: str
    schema: str
    hour: str
    place: str  # file@row, table@id or topic/partition@offset
    origin: str  # of its line, where an EventError says it; else empty


class FoundLine(NamedTuple):
    """A line that the event was made of, or may have been."""

    origin: str  # file@byte, or topic/partition@offset
    receipt: str  # ISO 8601: when it was received
    hour: str
    archive: str  # the file of the raw archive that has it
    bad: bool  # whether the event is the EventError of this line


def find(
    uuid: str, stores: Iterable[Store], selection: Selection, heard: Callable[[], None]
) -> Iterator[FoundEvent]:
    """The places of an event, in selected hours. Raises StoredError."""
    for store in stores:
        mine = replace(selection, uuid=uuid) if store.tables else selection
        for each in store.events(mine, (_ORIGIN,)):
            heard()
            if each.uuid != uuid:
                continue
            is_error = each.schema.startswith(f"{EVENT_ERROR.schema}_")
            origin = str(each.values[0] or "") if is_error else ""
            yield FoundEvent(str(store), each.schema, each.hour, each.place, origin)


class Archive:
    """A raw archive, as the raw: sink writes it, whose lines have some format."""

    def __init__(self, root: str, format_: str) -> None:
        """Raises StoredError where nothing is there, or no line could have the format."""
        try:
            self._root = given_path(root.removeprefix("raw:"))
            self._parse: Parse = line_parser(format_)
            there = filesystem.exists(self._root)
        except (UriError, OSError, FormatError) as error:
            raise StoredError(str(error)) from error
        if not there:
            raise StoredError(f"{root}: nothing is there")

    def lines(
        self, uuid: str, selection: Selection, hours: Collection[str], heard: Callable[[], None]
    ) -> Iterator[FoundLine]:
        """The lines that give an event of this uuid, valid or bad: of these hours, or of all that
        are selected where `hours` is empty. Raises StoredError."""
        span = replace(selection, first=min(hours), last=max(hours)) if hours else selection
        try:
            for hour, path in hour_files(self._root, ARCHIVE, span):
                if hours and hour not in hours:
                    continue
                for line in read_split(FileSplit(path, path, 0, None, 0.0)):
                    heard()
                    bad = uuid5_hex(f"eventerror://{line.identity}") == uuid
                    if bad or self._uuid(line) == uuid:
                        yield FoundLine(str(line.origin), _iso(line), hour, path, bad)
        except file_faults() as error:
            raise StoredError(f"raw:{self._root}: {error}") from error

    def _uuid(self, line: RawLine) -> object:
        outcome = self._parse(line)
        return outcome.data["uuid"] if isinstance(outcome, Event) else None


def _iso(line: RawLine) -> str:
    return datetime.fromtimestamp(in_calendar(line.origin.receipt), UTC).isoformat()
