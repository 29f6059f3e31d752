"""Two stores compared: by schema and hour, whether the same events are there, and which are not.

The uuids of both go into a temporary database, which sorts them on disk: memory is the same however
many there are. From it come the counts of every schema and hour, and then, of those alone that
differ, the uuids with their places.
"""

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from el_beam.connectors.contract import Selection, Store, StoredError

_Names = dict[int, tuple[str, str]]  # number of a schema and hour -> these
_PLACES: Final = 2  # that are named of one uuid, in each store

_WRONG = "a = 0 OR b = 0 OR (a > 1 AND :a) OR (b > 1 AND :b)"  # :a, repeats in A are wrong
# Times that each uuid is in A and in B.
_EACH = """
SELECT key, uuid, SUM(side = 0) AS a, SUM(side = 1) AS b FROM seen {where} GROUP BY key, uuid"""
_COUNTS = f"""
SELECT key, SUM(a > 0), SUM(a - (a > 0)), checksum(uuid, a), SUM(b > 0), SUM(b - (b > 0)),
       checksum(uuid, b), SUM(b = 0), SUM(a = 0), SUM({_WRONG})
FROM ({_EACH.format(where="")}) GROUP BY key"""
_NAMES = f"""
CREATE TABLE named AS {_EACH.format(where="WHERE key IN (SELECT key FROM differing)")}
HAVING {_WRONG} LIMIT :most"""
_PLACES_OF = """
SELECT uuid, side, key, place, number FROM seen WHERE uuid IN (SELECT uuid FROM named)"""


class Count(NamedTuple):
    """The events of one schema and hour in one store."""

    different: int  # uuids
    repeats: int  # events whose uuid is there already
    checksum: str  # of the uuids, whatever their order: 16 hex digits


class HourPair(NamedTuple):
    """One schema and hour in both stores."""

    schema: str  # Schema_revision; the table's name where a store has tables
    hour: str  # 2019-03-10T07; empty for rows of tables without a time
    a: Count
    b: Count
    only_a: int  # uuids
    only_b: int
    wrong: int  # uuids that are in one store only, or too often in one


class Place(NamedTuple):
    """Where an event is."""

    end: str  # A or B
    schema: str
    hour: str
    place: str


class Difference(NamedTuple):
    """A uuid that is in one store only, or too often in one."""

    schema: str
    hour: str
    uuid: str
    a: int  # times that it is there, in this hour
    b: int
    places: tuple[Place, ...]  # some of them, those in other hours too


class Comparison(NamedTuple):
    """What came of it: all hours in order, and the first of the differences."""

    hours: list[HourPair]
    differences: list[Difference]

    @property
    def differing(self) -> list[HourPair]:
        return [each for each in self.hours if each.wrong]


class _Checksum:
    """Of the uuids that are there at all: the sum of their digests."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, uuid: str, times: int) -> None:
        if times:
            self._sum += int.from_bytes(blake2b(uuid.encode(), digest_size=8).digest())

    def finalize(self) -> str:
        return f"{self._sum % 2**64:016x}"


def compare(
    a: Store, b: Store, selection: Selection, most: int, heard: Callable[[], None] = lambda: None
) -> Comparison:
    """Compare all selected events of two stores, and name up to `most` differences. `heard` is
    called for each event. A repeat counts as a difference, but not in a store that has events at
    least once. Where one store is without bots, events of bots count in neither. Raises
    StoredError, also where there is no room for temporary files."""
    with tempfile.TemporaryDirectory(prefix="el-") as folder:
        try:
            with closing(sqlite3.connect(f"{folder}/seen.db", isolation_level=None)) as database:
                return _compared(database, (a, b), selection, most, heard)
        except sqlite3.Error as error:
            raise StoredError(
                f"cannot keep the uuids in {tempfile.gettempdir()}: {error}"
            ) from error


def _compared(
    database: sqlite3.Connection,
    stores: tuple[Store, Store],
    selection: Selection,
    most: int,
    heard: Callable[[], None],
) -> Comparison:
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE seen (key INT, uuid TEXT, side INT, place INT, number INT)")
    aggregate: Any = _Checksum  # typeshed knows aggregates of numbers only; SQLite takes any
    database.create_aggregate("checksum", 2, aggregate)
    keys: dict[tuple[str, str], int] = {}  # schema and hour -> number
    places: dict[str, int] = {}
    fields = ("userAgent",) if any(each.without_bots for each in stores) else ()

    def rows(side: int) -> Iterator[tuple[int, str, int, int, int]]:
        store = stores[side]
        named = _named(*stores, side)
        for found in store.events(selection, fields):
            heard()
            if fields and _is_a_bots(found.values[0]):
                continue
            key = keys.setdefault((named(found.schema), found.hour), len(keys))
            place = places.setdefault(found.where, len(places))
            yield key, found.uuid, side, place, found.number

    for side in (0, 1):
        database.execute("BEGIN")
        database.executemany("INSERT INTO seen VALUES (?, ?, ?, ?, ?)", rows(side))
        database.execute("COMMIT")
    strict = {"a": not stores[0].at_least_once, "b": not stores[1].at_least_once}
    names = dict(enumerate(keys))
    hours = _hours(database, names, strict)
    database.execute(_NAMES, {**strict, "most": most})
    return Comparison(hours, _differences(database, names, [*places]))


def _hours(database: sqlite3.Connection, names: _Names, strict: dict[str, bool]) -> list[HourPair]:
    """All hours in order; the keys of those that differ are in a table of their own then."""
    pairs = {}
    for key, *counts in database.execute(_COUNTS, strict):
        pairs[key] = HourPair(*names[key], Count(*counts[:3]), Count(*counts[3:6]), *counts[6:])
    differing = [(key,) for key, pair in pairs.items() if pair.wrong]
    database.execute("CREATE TABLE differing (key INTEGER PRIMARY KEY)")
    database.executemany("INSERT INTO differing VALUES (?)", differing)
    return sorted(pairs.values(), key=lambda pair: (pair.hour, pair.schema))


def _differences(
    database: sqlite3.Connection, names: _Names, places: list[str]
) -> list[Difference]:
    found: dict[str, list[Place]] = {}
    for uuid, side, key, place, number in database.execute(_PLACES_OF):
        its = found.setdefault(uuid, [])
        if sum(each.end == "AB"[side] for each in its) < _PLACES:
            its.append(Place("AB"[side], *names[key], f"{places[place]}@{number}"))
    differences = (
        Difference(*names[key], uuid, a, b, tuple(found[uuid]))
        for key, uuid, a, b in database.execute("SELECT * FROM named")
    )
    return sorted(differences, key=lambda each: (each.hour, each.schema, each.uuid))


def _is_a_bots(agent: Any) -> bool:
    """By a userAgent as a store has it: in tables it is JSON."""
    if isinstance(agent, str):
        with suppress(ValueError, RecursionError):
            agent = json.loads(agent)
    return isinstance(agent, dict) and agent.get("is_bot") is True


def _named(a: Store, b: Store, side: int) -> Callable[[str], str]:
    """What a name of one of two stores is in both: a schema's name in files is that of its table in
    tables, and two databases may call a schema's table differently."""
    store, other = ((a, b), (b, a))[side]
    if not other.tables or (store.tables and side):
        return str

    @cache
    def named(name: str) -> str:
        schema = store.schema_of(name)
        return other.called(schema) if schema else name

    return named


Backfill = Callable[[Store, str, str], str]
"""Returns the command that makes hours of a store again, the first and the last; '' for none."""


def advice(found: Comparison, a: Store, b: Store, backfill: Backfill) -> list[str]:
    """What to do about the differences: a sentence each."""
    differing = found.differing
    hours = sorted({each.hour for each in differing if each.hour})
    lacking = (any(each.only_b for each in differing), any(each.only_a for each in differing))
    twice = (
        any(each.a.repeats for each in found.hours),
        any(each.b.repeats for each in found.hours),
    )
    sentences = []
    for store, lacks, repeats in zip((a, b), lacking, twice, strict=True):
        if lacks:
            sentences.append(f"{store} lacks events: {_if_lacking(store, hours, backfill)}")
        if repeats and not store.at_least_once:
            sentences.append(f"{store} has events twice: {_IF_TWICE[store.tables]}")
    return sentences


_IF_TWICE = {
    False: "`el ledger` says whether there are files that no run has written",
    True: "its tables lack a unique index of uuid",
}


def _if_lacking(store: Store, hours: list[str], backfill: Backfill) -> str:
    if store.at_least_once:
        return "where they have expired, compare from a later hour on"
    if store.tables:
        return "read these hours of the raw archive again; what is in a table stays as it is"
    again = backfill(store, hours[0], hours[-1])
    return (
        "while an import is under way, compare up to an earlier hour; else make these hours again "
        + (f"from the raw archive: `{again}`" if again else "from their lines, by `el backfill`")
    )
