"""What must hold: what was sent is in the folders, each event once.

Nothing here asks the books of states and folders: what was sent, what the brokers still have, and
what readers of the folders see say all. Where an event need not come into a folder, `may_miss` has
its number; one that has come once must stay.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow.parquet as pq

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import passed
from el_beam.books.ledger.model import LedgerError
from lab.broker import LabBroker
from lab.disk import ROOT
from lab.remote import LabHdfs
from lab.sim import World
from transforms.layout import hour_in

CLUSTERS: Final = {"one": "one:1", "two": "two:1"}
FOLDERS: Final = {"p": ("one", "two"), "q": ("one",), "r": ("one", "two")}  # whose events they get
Step = tuple[Any, ...]
Partition = tuple[str, int]  # id of its topic, number
_NUMBER: Final = re.compile(rb'"n": (\d+)')


class Place(NamedTuple):
    """Where the brokers put an event."""

    topic_id: str
    partition: int
    offset: int


class Sent(NamedTuple):
    """An event, as it was sent."""

    topic: str  # with its cluster
    hour: str  # of the event
    time: float  # of the record, in unix seconds
    place: Place

    @property
    def cluster(self) -> str:
        return self.topic.partition(" ")[0]


class Violation(AssertionError):
    """Something that must hold doesn't."""


@dataclass
class Expected:
    """What was sent so far, and where it is."""

    seed: int
    world: World = field(default_factory=World)
    base: str = f"{ROOT}/data"
    sent: dict[int, Sent] = field(default_factory=dict)  # by the events' numbers
    only: str | None = None  # the schemas that A's import takes, from its next start
    chosen: bool = False  # whether there were any: a backfill brings what had been left out
    bad: int = 0  # lines; below 0 once nobody knows how many of them folders got
    may_miss: dict[str, set[int]] = field(default_factory=lambda: {name: set() for name in FOLDERS})
    late: set[int] = field(default_factory=set)  # what complete hours may lack: a reset brings it
    reused: dict[Partition, int] = field(default_factory=dict)
    """Before which offset brokers have lost records, whose offsets others may have now."""
    stale: dict[str, dict[Partition, int]] = field(
        default_factory=lambda: {name: {} for name in FOLDERS}
    )
    """The same, of folders whose books may take others for what was lost."""
    untold: set[int] = field(default_factory=set)  # what brokers have lost since people were told
    begun: dict[Partition, int] = field(default_factory=dict)
    """The first offset that was ever seen in q."""

    def __post_init__(self) -> None:
        self.brokers = {name: LabBroker(name) for name in CLUSTERS}
        self.brokers["one"].make("raw", 2)
        self.brokers["one"].make("side", 1)
        self.brokers["two"].make("raw", 1)
        self.chance = random.Random(self.seed)
        self.world.disk.home = self.seed // 4 % 2
        if self.seed % 3:
            self.world.name_alike(contained=self.seed % 3 == 2)
        if self.seed % 4 == 3:  # all is on HDFS
            self.world.files = LabHdfs(self.world, self.seed, 0.02)
        self._cache: dict[tuple[str, bytes], tuple[int, ...]] = {}

    # What there is

    def folders(self) -> list[str]:
        """Those that are there."""
        return [name for name in FOLDERS if f"{self.base}/{name}" in self.world.disk.folders]

    def visible(self, name: str) -> Counter[int]:
        """The numbers of the events that readers of a folder see."""
        found: Counter[int] = Counter()
        for path, content in self._shown(name):
            found.update(self._numbers(path, content))
        return found

    def _shown(self, name: str) -> Iterator[tuple[str, bytes]]:
        for path, content in self.world.disk.files(f"{self.base}/{name}"):
            if not any(part[0] in "_." for part in path.split("/")):
                yield path, content

    def _replaced(self, name: str) -> set[int]:
        files = self.world.disk.files(f"{self.base}/{name}/_replaced")
        return {number for path, content in files
                for number in self._numbers(path.partition("/")[2], content)}  # fmt: skip

    def _numbers(self, path: str, content: bytes) -> tuple[int, ...]:
        key = (path.rpartition(".")[2], content)
        if key not in self._cache:
            self._cache[key] = tuple(_numbers(path, content))
        return self._cache[key]

    def at_brokers(self) -> dict[int, Place]:
        """The events that brokers have."""
        found, bad = {}, 0
        for broker in self.brokers.values():
            for topic in broker.topics.values():
                for partition, records in enumerate(topic.records):
                    for offset, record in records.items():
                        if match := _NUMBER.search(record.value):
                            found[int(match[1])] = Place(topic.id, partition, offset)
                        else:
                            bad += 1
        if bad < self.bad:
            self.bad = -1
        return found

    # What need not come

    def lost(self) -> None:
        """Brokers or folders have lost something: what is at no broker any more will come into no
        folder that doesn't have it."""
        gone = self.sent.keys() - self.at_brokers().keys()
        for name in FOLDERS:
            self.may_miss[name] |= gone - self.visible(name).keys()

    def put_back(self, name: str) -> None:
        """A folder has what it had once: what it lacks must come, and is late then. What it knows
        nothing about is as before its first import: it lacks that without knowing it."""
        seen = self.visible(name).keys()
        known = {self.sent[number].place.topic_id for number in seen}
        lacking = self.sent.keys() - seen
        self.late |= lacking
        self.may_miss[name] |= {number for number in lacking
                                if self.sent[number].place.topic_id not in known}  # fmt: skip
        self.bad = -1 if self.bad else 0
        self.stale[name] |= self.reused  # the folder may be older than a reset
        for number in lacking:
            self._may_be_stale(number, name)
        self.lost()

    def _may_be_stale(self, number: int, name: str) -> None:
        place = self.sent[number].place
        if place.offset < self.stale[name].get(place[:2], 0):
            self.may_miss[name].add(number)

    def comes(self, number: int) -> None:
        """An event has come to the brokers."""
        for name in FOLDERS:
            if self.only == "Other" and self.sent[number].cluster == "one":
                self.may_miss[name].add(number)
            self._may_be_stale(number, name)

    def choose(self, only: str | None) -> None:
        """A's import takes these schemas from now on. Where it leaves out all events, none of those
        needs to come that it hasn't brought yet."""
        self.only = only
        self.chosen |= bool(only)
        for name in FOLDERS if only == "Other" else ():
            seen = self.visible(name)
            self.may_miss[name] |= {number for number, each in self.sent.items()
                                    if each.cluster == "one" and number not in seen}  # fmt: skip

    def cut(
        self, topic_id: str, partition: int, high: int, end: int, before: dict[int, Place]
    ) -> None:
        """A broker has lost the last records of a partition, from `high` to `end`; the events that
        brokers had `before`."""
        self.untold |= {number for number, place in before.items()
                        if place[:2] == (topic_id, partition)
                        and high <= place.offset < end}  # fmt: skip
        its = topic_id, partition
        for ends in (self.reused, *self.stale.values()):
            ends[its] = max(end, ends.get(its, 0))
        self.lost()

    def asked(self, names: Iterable[str], cluster: str, topic: str, start: dict[int, int]) -> None:
        """Other records have these offsets, and a reset has told the folders so: they come."""
        its, there = self.brokers[cluster].topics[topic], self.at_brokers()
        for partition, first in start.items():
            mine = {number for number, place in there.items()
                    if place[:2] == (its.id, partition) and place.offset >= first}  # fmt: skip
            self.late |= mine
            self.untold -= {number for number, each in self.sent.items()
                            if each.place[:2] == (its.id, partition)
                            and each.place.offset >= first}  # fmt: skip
            for name in names:
                self.may_miss[name] -= set() if self.only == "Other" else mine
                if (its.id, partition) in self.stale[name]:
                    self.stale[name][its.id, partition] = first

    # What must hold

    def look(self, step: Step) -> None:
        """At each moment readers see no event twice, and nobody takes what another one has."""
        if self.world.wrong:
            raise Violation(f"{self.world.wrong[0]}, after {step}")
        for name in self.folders():
            seen = self.visible(name)
            if twice := [number for number, count in seen.items() if count > 1]:
                raise Violation(f"events {twice} are twice in {name} after {step}")
            self.may_miss[name] -= seen.keys()
            if name == "q":
                for number in seen:
                    id_, partition, offset = self.sent[number].place
                    before = self.begun.get((id_, partition), offset)
                    self.begun[id_, partition] = min(offset, before)
            self._look_at_marks(name, seen)

    def check_told(self, cluster: str) -> None:
        """No import of a cluster goes on as if nothing were the matter, while folders have more of
        a partition than there is."""
        for name in self.folders():
            for number in self.untold & self.visible(name).keys():
                id_, partition, offset = self.sent[number].place
                for topic in self.brokers[cluster].topics.values():
                    if topic.id == id_ and offset >= topic.high[partition]:
                        raise Violation(f"nobody tells that event {number} of {name} was lost")

    def check_overwritten(self) -> None:
        """Nor while other records have the offsets of what folders have: once more has come, people
        were told of all that was lost."""
        for name in self.folders():
            if numbers := sorted(self.untold & self.visible(name).keys()):
                ids = {topic.id for broker in self.brokers.values()
                       for topic in broker.topics.values()}  # fmt: skip
                if any(self.sent[number].place.topic_id in ids for number in numbers):
                    raise Violation(f"nobody tells that events {numbers} of {name} were replaced")

    def due(self, name: str) -> set[int]:
        """The events that must come into a folder."""
        return {number for number, each in self.sent.items()
                if each.cluster in FOLDERS[name] and number not in self.may_miss[name]
                and (name != "q" or self.begun.get(each.place[:2], 2**63) <= each.place.offset)
                }  # fmt: skip

    def _look_at_marks(self, name: str, seen: Counter[int]) -> None:
        """What is said to be complete is, but for the moment in which a change replaces files."""
        marked = {hour_in(path): {*json.loads(content or b'{"unread": []}')["unread"]}
                  for path, content in self.world.disk.files(f"{self.base}/{name}")
                  if path.endswith("/_SUCCESS") and path.startswith(("Lab_", "year="))}  # fmt: skip
        if not marked:
            return
        sources = {self.sent[number].topic for number in seen}
        for number in self.due(name) - seen.keys() - self.late:
            topic, hour, time, place = self.sent[number]
            lacks = hour in marked and topic in sources and not passed(hour, time)
            if (
                lacks
                and not _hidden(marked[hour], topic.partition(" ")[2], place)
                and number not in self._replaced(name)
            ):
                raise Violation(f"{hour} is complete in {name}, but has no event {number}")

    def check(self) -> None:
        """Of what was sent nothing is missing, and nothing is left over."""
        for name in self.folders():
            self._check(name)
        if any(self.due(name) for name in FOLDERS.keys() - {*self.folders()}):
            raise Violation("a folder is missing")

    def _check(self, name: str) -> None:
        seen, root = self.visible(name), f"{self.base}/{name}"
        if missing := self.due(name) - seen.keys():
            raise Violation(f"events {sorted(missing)} are missing in {name}")
        for path, _ in self.world.disk.files(root):
            if path.startswith("_") and path.partition("/")[0] not in ("_ledger", "_replaced"):
                raise Violation(f"{path} is left over in {name}")
        try:
            ledger = read_ledger(root)
            compare(ledger, content=True)
        except LedgerError as error:
            if seen:
                raise Violation(f"{name} has no ledger: {error}") from error
            return
        if ledger.troubles:
            raise Violation(f"troubles of {name}: {ledger.troubles[0].sentence}")
        totals = ledger.totals
        lines, read = len(seen) + self.bad, totals["read"] - totals["filtered"]
        unclear = self.bad < 0 or (name == "q" and self.bad) or (name == "p" and self.chosen)
        if read != lines and not unclear:
            raise Violation(f"the ledger of {name} counts {read} of {lines} lines")
        rows = sum(pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
                   for _, content in self._shown(name))  # fmt: skip
        if totals["rows"] != rows:
            raise Violation(f"the ledger of {name} has {totals['rows']} rows of {rows}")


def _hidden(unread: Iterable[str], topic: str, place: Place) -> bool:
    """Whether something is behind a transaction that an hour doesn't wait for."""
    begins = (each.rpartition("@") for each in unread)
    return any(where == f"{topic}/{place.partition}" and int(offset) <= place.offset
               for where, _, offset in begins)  # fmt: skip


def _numbers(path: str, content: bytes) -> Iterator[int]:
    if not path.startswith("EventError"):
        table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
        if "event" in table.column_names:
            yield from (event["n"] for event in table.column("event").to_pylist())
        else:
            lines = table.column("line").to_pylist()
            yield from (int(found[1]) for line in lines if (found := _NUMBER.search(line)))
