"""Bad lines that are valid now, kept on disk while they are replayed.

Each is there with the EventError that it had, and with what it is now. Memory is the same however
many there are.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from el_beam.connectors.contract import Selection, Store, StoredError
from schemas.event import Destination, Origin, RawLine
from transforms.counts.summary import HourKey

_LINES = """
CREATE TABLE line (
    id INTEGER PRIMARY KEY, uuid TEXT, schema TEXT, revision INT, hour TEXT, timed INT,
    counted TEXT, reason TEXT, bot INT, error TEXT, error_hour TEXT, place TEXT, number INT,
    kind TEXT, name TEXT, offset INT, receipt REAL, data BLOB
)"""
_ADD = f"INSERT INTO line VALUES (NULL{', ?' * 17})"
_THERE = "CREATE TABLE there (sink INT, uuid TEXT, PRIMARY KEY (sink, uuid)) WITHOUT ROWID"
_SAW = "INSERT OR IGNORE INTO there SELECT ?, uuid FROM line WHERE uuid = ? LIMIT 1"
_HAS_ALL = "INSERT OR IGNORE INTO there SELECT DISTINCT ?, uuid FROM line"
# Of lines that are the same event one is written: the first.
_LACKED = """
INSERT INTO lacked SELECT MIN(id) FROM line
WHERE uuid NOT IN (SELECT uuid FROM there WHERE sink = ?) GROUP BY uuid"""
_OF_HOUR = """
SELECT place, data, kind, name, offset, receipt FROM line
WHERE error_hour = ? AND id IN (SELECT id FROM lacked) ORDER BY id"""
_NOW_THERE = "uuid IN (SELECT uuid FROM there WHERE sink = ?)"


class CandidateLine(NamedTuple):
    """A line that was bad, and the event that it is now."""

    uuid: str  # of the event
    to: Destination
    hour: str  # of the event: 2019-03-10T07
    timed: bool  # whether that is a time of its own, not the one at which it was received
    counted: str  # Schema_revision that the bad line is counted for: see counts/count.py
    reason: str
    bot: bool
    error: str  # uuid of the EventError
    error_hour: str
    place: str  # file or table of the EventError
    number: int  # there
    line: RawLine


@dataclass(frozen=True)
class _SomeHours(Selection):
    """Events of some hours, whether they follow each other or not."""

    hours: frozenset[str] = frozenset()  # and their beginnings: 2019, 2019-03, 2019-03-10

    def hour(self, hour: str) -> bool:
        return hour in self.hours


class Candidates:
    """Such lines, and which sinks have their events. A sink is known by a number.

    All methods raise sqlite3.Error where there is no room."""

    def __init__(self, path: str, *, whole: bool = True) -> None:
        """A new file at this path; not `whole`, it has no lines to be replayed."""
        self._database = sqlite3.connect(path, isolation_level=None)
        self._whole = whole
        for setting in ("journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(_LINES)
        self._database.execute(_THERE)
        self._database.execute("CREATE TABLE lacked (id INTEGER PRIMARY KEY)")

    def fill(self, lines: Iterable[CandidateLine]) -> None:
        rows = (
            (each.uuid, *each.to, *each[2:11], *each.line.origin[:4],
             each.line.data if self._whole else b"")
            for each in lines
        )  # fmt: skip
        self._changed(_ADD, rows)
        self._database.execute("CREATE INDEX line_uuid ON line (uuid)")
        self._database.execute("CREATE INDEX line_hour ON line (error_hour)")

    def _changed(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")

    def saw(self, sink: int, uuids: Iterable[str]) -> None:
        """A sink has events of these uuids, whether they are ours or not."""
        self._changed(_SAW, ((sink, uuid) for uuid in uuids))

    def leaves_out_bots(self, sink: int) -> None:
        """A sink has all of bots that it will ever have."""
        self._database.execute(f"{_HAS_ALL} WHERE bot", (sink,))

    def wrote(self, sink: int) -> None:
        """A sink has all of them now."""
        self._database.execute(_HAS_ALL, (sink,))

    def counts(self) -> list[tuple[Destination, str, int]]:
        """(schema, hour, lines), in order."""
        rows = self._database.execute(
            "SELECT schema, revision, hour, COUNT(*) FROM line GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return [(Destination(*to), hour, lines) for *to, hour, lines in rows]

    def selection(self, store: Store) -> Selection:
        """Which events of a store may be those of these lines. Raises StoredError."""
        counts = self.counts()
        try:
            names = {store.called(to) for to, _, _ in counts}
        except store.faults() as error:
            raise StoredError(f"{store}: {store.describe(error)}") from error
        schemas = re.compile(f"(?:{'|'.join(map(re.escape, sorted(names)))})\\Z")
        hours = sorted({hour for _, hour, _ in counts})
        if not store.tables:
            beginnings = {hour[:length] for hour in hours for length in (4, 7, 10, 13)}
            return _SomeHours(schemas=schemas, hours=frozenset(beginnings))
        if self._number("SELECT COUNT(*) FROM line WHERE NOT timed"):  # rows without a time
            return Selection(schemas=schemas)
        return Selection(hours[0], hours[-1], schemas)

    def there(self, sink: int) -> int:
        """Events that a sink has."""
        return self._number("SELECT COUNT(*) FROM there WHERE sink = ?", sink)

    def lack(self, sink: int) -> int:
        """Events that a sink lacks; `lacked` gives their lines then."""
        self._database.execute("DELETE FROM lacked")
        self._database.execute(_LACKED, (sink,))
        return self._number("SELECT COUNT(*) FROM lacked")

    def error_hours(self) -> list[str]:
        """Of EventErrors, in order."""
        rows = self._database.execute("SELECT DISTINCT error_hour FROM line ORDER BY 1")
        return [hour for (hour,) in rows]

    def lacked(self, error_hour: str) -> Iterator[tuple[str, RawLine]]:
        """(file or table of its EventError, line) of one hour's EventErrors, in their order."""
        for place, data, *origin in self._database.execute(_OF_HOUR, (error_hour,)):
            yield place, RawLine(data, Origin._make([*origin, ""]))

    def errors(self, sink: int) -> Iterator[tuple[str, int, str]]:
        """(place, number, uuid) of EventErrors whose events a sink has, by their places."""
        yield from self._database.execute(
            f"SELECT place, number, error FROM line WHERE {_NOW_THERE} ORDER BY 1, 2", (sink,)
        )

    def error_counts(self, sink: int) -> list[tuple[str, HourKey, int]]:
        """(place, what they were counted for, lines) of these EventErrors."""
        rows = self._database.execute(
            "SELECT place, error_hour, counted, reason, COUNT(*) FROM line "
            f"WHERE {_NOW_THERE} GROUP BY 1, 2, 3, 4", (sink,)
        )  # fmt: skip
        return [(place, HourKey(*key), lines) for place, *key, lines in rows]

    def _number(self, question: str, *values: object) -> int:
        return int(self._database.execute(question, values).fetchone()[0])

    def close(self) -> None:
        self._database.close()
