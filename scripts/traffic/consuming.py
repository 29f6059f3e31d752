"""Consuming: `el run` by increments from topics of schemas into tables of MariaDB, events for it at
a steady rate, and what must be in the tables."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pymysql
from confluent_kafka import Producer

from schemas.capsule import scid_of
from schemas.event import Destination
from schemas.registry import open_registry
from schemas.storage.sql_rows import DoesNotFit, row
from traffic.corpus import events
from traffic.database import Database
from traffic.feed import Stream, make_topic, producer_of, send
from traffic.started import Started, start

_UUID = b"0" * 31 + b"u"
_EACH = 200  # templates of a table
TABLES = (
    *("VirtualPageView_17780078", "Popups_17807993", "SearchSatisfaction_18700292"),
    *("ReadingDepth_18201205", "NavigationTiming_15033442", "NavigationTiming_18988839"),
    *("Edit_13457736", "Edit_17541122", "QuickSurveyInitiation_18397510"),
    *("UploadWizardFlow_11772725", "CentralNoticeBannerHistory_14321636", "PrefUpdate_5563398"),
    *("ServerSideAccountCreation_5487345", "Echo_7731316", "TemplateWizard_18446732"),
)
"""Fifteen, those with most events first."""
_BROKEN_EACH, _TWICE_EACH = 97, 50


@cache
def templates(tables: tuple[str, ...]) -> dict[str, list[bytes]]:
    """Events of the corpus for each table, as JSON with `_UUID` in it; all of them fit."""
    registry, found = open_registry(None), dict[str, list[bytes]]((name, []) for name in tables)
    rows: dict[Destination, Any] = {}
    for event in events():
        to = Destination(*(scid_of(event) or ("", 0)))
        made = found.get(str(to))
        if made is None or len(made) == _EACH:
            continue
        if to not in rows:
            rows[to] = row(registry.get(*to), strict=True)
        with suppress(DoesNotFit):
            rows[to](event)
            text = json.dumps(event | {"uuid": _UUID.decode()}, sort_keys=True)
            made.append(text.encode())
    return found


class Steady(Stream):
    """`rate` events a second into the topics PREFIX.TABLE, in turn, while the block runs. Some are
    sent twice; with `broken` some are not JSON."""

    def __init__(self, job: Consuming, rate: int, *, broken: bool = True) -> None:
        super().__init__(job.kafka, rate)
        self._job, self._broken = job, broken
        self.history: dict[str, list[tuple[int, float]]] = {name: [] for name in job.tables}

    def lag(self, table: str, rows: int) -> float:
        """Seconds for which the first event has been waiting that isn't among so many rows."""
        now, history = time.monotonic(), self.history[table]
        place = bisect.bisect_left(history, rows + 1, key=lambda entry: entry[0])
        return now - history[place][1] if place < len(history) else 0.0

    def lags(self, tables: Sequence[str], seconds: float, every: float) -> list[float]:
        """How late these tables are, looked at each `every` seconds for so long; in order."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(every)
            found += [self.lag(*table) for table in self._job.counts(tables).items()]
        return sorted(found)

    def _send(self, producer: Producer, due: int) -> None:
        while self.sent < due:
            self._job.produce(producer, broken=self._broken)
            self.sent += 1
        now = time.monotonic()
        for table, history in self.history.items():
            history.append((self._job.sent[table], now))


@dataclass
class Consuming:
    """A consumer of a group of its own, from the topics NAME.TABLE into a database."""

    kafka: str  # brokers
    database: Database
    name: str
    folder: Path
    tables: tuple[str, ...] = TABLES
    partitions: int = 2
    sent: Counter[str] = field(default_factory=Counter)  # different events, by table
    broken: int = 0  # records that were sent and are no events

    def __post_init__(self) -> None:
        self._templates = templates(self.tables)
        self._number = 0
        for table in self.tables:
            make_topic(self.kafka, f"{self.name}.{table}", self.partitions)

    def produce(self, producer: Producer, *, broken: bool = True) -> None:
        """Send the next event to the next table's topic; some twice, some broken."""
        number, self._number = self._number, self._number + 1
        turn, place = divmod(number, len(self.tables))
        table = self.tables[place]
        made = self._templates[table]
        text = made[turn % len(made)].replace(_UUID, b"%032x" % number)
        topic, partition = f"{self.name}.{table}", turn // 20 % self.partitions
        send(producer, topic, text, partition)
        self.sent[table] += 1
        if broken and number % _TWICE_EACH == 0:
            send(producer, topic, text, partition)
        if broken and number % _BROKEN_EACH == 0:
            send(producer, topic, text[:-30], partition)
            self.broken += 1

    def put(self, number: int, *, broken: bool = True) -> None:
        """So many events, as fast as they go."""
        producer = producer_of(self.kafka)
        for _ in range(number):
            self.produce(producer, broken=broken)
        assert producer.flush(120) == 0

    @contextmanager
    def running(self, *options: str, every: str = "1s") -> Iterator[Run]:
        """The consumer, while the block runs; then it is asked to end. Raises AssertionError where
        it has reported more than trouble."""
        run = Run(self, "--every", every, *options)
        try:
            yield run
            run.end()
        finally:
            run.kill()

    def counts(self, tables: Iterable[str] = ()) -> dict[str, int]:
        """Rows of these tables, or of all; none where a table isn't there yet."""
        names = [*(tables or self.tables)]
        with closing(self.database.connect(read_timeout=30)) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW TABLES")
            found = {name: 0 for (name,) in cursor.fetchall()}
            for table in found.keys() & {*names}:
                cursor.execute(f"SELECT COUNT(*) FROM {table}")
                found[table] = int(cursor.fetchall()[0][0])
        return {table: found.get(table, 0) for table in names}

    def wait_for(self, least: dict[str, int], seconds: float = 90) -> None:
        """Wait until tables have so many rows. Raises AssertionError."""
        end = time.monotonic() + seconds
        found: dict[str, int] = {}
        while time.monotonic() < end:
            with suppress(pymysql.Error, OSError):
                found = self.counts(least)
                if all(found[table] >= number for table, number in least.items()):
                    return
            time.sleep(0.2)
        missing = {table: number - found.get(table, 0) for table, number in least.items()}
        raise AssertionError(f"not there after {seconds:.0f} s: {missing}")

    def check(self) -> int:
        """Each event is a row of its table, once, and each broken record an EventError; how many
        rows there are. Raises AssertionError."""
        for place, table in enumerate(self.tables):
            found = [int(uuid, 16) for (uuid,) in self.database.ask(f"SELECT uuid FROM {table}")]
            wanted = {*range(place, self._number, len(self.tables))}
            assert len(wanted) == self.sent[table]
            assert len(found) == len({*found}), f"{table}: uuids are there twice"
            assert {*found} == wanted, f"{table}: {len(wanted - {*found})} of {len(wanted)} missing"
        errors = "SELECT COUNT(*), COUNT(DISTINCT event_origin) FROM EventError_14035058"
        if self.broken:
            assert self.database.ask(errors) == [(self.broken, self.broken)]
        return sum(self.sent.values()) + self.broken


class Run:
    """A consumer's process, and the next ones after a kill."""

    def __init__(self, job: Consuming, *options: str) -> None:
        self._job, self._options = job, options
        self.reports: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        """Start it, after a kill."""
        job, database = self._job, self._job.database.uri
        self._errors = (job.folder / "consumer.log").open("ab")
        self.process = start(
            *("run", f"kafka://{job.kafka}/?pattern=^{job.name}[.].*&group={job.name}", database),
            *("--format", "json", "--state", f"{job.folder}/state", "--json", *self._options),
            env={}, stderr=self._errors,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: Started) -> None:
        for line in process.stdout or ():
            with suppress(ValueError):
                self.reports.append(json.loads(line))

    def kill(self) -> None:
        """kill -9 of the driver alone, if it runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self._errors.close()

    def end(self) -> None:
        """Ask it to end, after its increment."""
        self.process.terminate()
        told = self.process.wait(120)
        assert told == 0, (self._job.folder / "consumer.log").read_text()[-2000:]
        assert "Traceback" not in (self._job.folder / "consumer.log").read_text()
