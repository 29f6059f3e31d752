"""What imports have put into a folder, as the folder itself knows it.

    ROOT/_ledger/imports/TOPIC-0f3a…/    a log for each topic, by the ids of cluster and topic

An entry says which records of the topic came with it. What came before is in it too (`held`): the
last entry knows all. A range that is held never enters again, whatever a state has forgotten, and
whichever other import reads the same topic: the log has one entry after the other.

An entry is made before its files get their names; these are finished before the next one is made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from el_beam.books.folder import folder_id
from el_beam.books.log import KEPT, Log
from schemas.durable import DocumentFormat
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.world import CLOCK
from transforms.layout import LEDGER, safe_name
from transforms.read.offsets import OffsetRange, Ranges, common, united, within
from transforms.read.receipt import LastRecord, newest
from transforms.route import Choice
from transforms.write.sink import NewFile, Sink


@dataclass(frozen=True)
class ImportEntry:
    """What an increment has put into a folder by one of its sinks. Paths are below the folder."""

    name: str  # for people, and for changes that count its lines anew
    sink: str  # how its URI begins
    cluster: str
    topic: str
    topic_id: str
    summary: Summary
    ranges: Ranges  # whose records are in its files, or were bad, or left out by the choice
    expired: Ranges = ()  # that nobody could read any more
    missing: int = 0  # records that were to be read, and were not there
    choice: str = ""  # which events it takes
    why: str = ""  # where no increment has made it: begin | reset
    archives: tuple[str, ...] = ()  # raw: sinks of the same import
    state: str = ""  # id
    increment: int = 0  # there
    number: int = 0  # here
    held: Ranges = ()  # all that is here of this topic, with this entry
    passed: Ranges = ()  # what nobody wants here: it was before the import began, or before a reset
    committed: float = 0.0  # unix seconds
    last: tuple[LastRecord, ...] = ()
    """Of each partition, what tells the last record of it that is here from others."""
    time_rule: int = 1  # of its bad lines: see transforms/line_time.py


IMPORT = DocumentFormat("import", ImportEntry)
_OF_TOPIC = re.compile(r".+-[0-9a-f]{12}")


def scheme_of(sink: Sink) -> str:
    """How a sink's URI begins."""
    return str(sink).partition(":")[0]


class Overlap(Exception):
    """A part of what was to come in is there already; it must be planned anew."""


def logs(root: str, kept: int = KEPT) -> Iterator[Log[ImportEntry]]:
    """All logs of a folder. Raises OSError."""
    names = filesystem.names(f"{root}/{LEDGER}/imports")
    for name in filter(_OF_TOPIC.fullmatch, names):
        yield Log(f"{root}/{LEDGER}/imports/{name}", IMPORT, kept)


Change = Callable[[Ranges, Ranges], tuple[Ranges, Ranges]]
"""Of (held, passed)."""


@dataclass
class ImportLog:
    """What a sink's folder has of a topic."""

    sink: Sink
    key: str  # of the folder and the kind of sink: what a manifest calls it
    choice: str
    topic_id: str
    log: Log[ImportEntry] = field(repr=False)
    finish: Callable[[list[NewFile]], object] = field(repr=False)  # gives files their names

    @classmethod
    def of(
        cls, sink: Sink, choice: Choice, cluster: str, topic: str, topic_id: str,
        finish: Callable[[list[NewFile]], object], kept: int = KEPT,
    ) -> ImportLog:  # fmt: skip
        """Raises OSError."""
        scheme = scheme_of(sink)
        identity = json.dumps([cluster, topic, topic_id, scheme])
        key = f"{safe_name(topic)}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        log = Log(f"{sink.root}/{LEDGER}/imports/{key}", IMPORT, kept)
        return cls(sink, f"{folder_id(sink.root)} {scheme}", str(choice), topic_id, log, finish)

    def has(self, entry: ImportEntry) -> bool:
        """Whether an entry is the last one here."""
        last = self.log.last()
        mine = entry.state, entry.increment, entry.ranges, entry.expired
        return last is not None and mine == (
            last.state, last.increment, last.ranges, last.expired
        )  # fmt: skip

    @property
    def held(self) -> Ranges:
        """The records that are here, or that nobody wants here."""
        last = self.log.last()
        return united((*last.held, *last.passed)) if last else ()

    def enter(self, entry: ImportEntry) -> None:
        """Let what an increment has made be of the folder: from here on it is, whatever dies. Doing
        it again does no harm.

        Raises Overlap, OSError."""
        self.log.look()
        brought = (*entry.ranges, *entry.expired)
        while not self.has(entry):
            if common(self.held, brought):
                raise Overlap
            if self._add(entry, lambda held, passed: ((*held, *brought), passed)):
                return
            self.log.look()

    def declare(self, entry: ImportEntry, change: Change) -> None:
        """Enter what no increment has made: it changes what is held, and what is passed. Raises
        OSError."""
        self.log.look()
        while not self._add(entry, change):
            self.log.look()

    def _add(self, entry: ImportEntry, change: Change) -> bool:
        last = self.log.last()
        if last and (waiting := unfinished(last, self.sink.root)):
            filesystem.sync(self.log.folder)
            self.finish(waiting)
        number = last.number + 1 if last else 1
        held, passed = map(united, change(*((last.held, last.passed) if last else ((), ()))))
        known = (*(last.last if last else ()), *entry.last)
        here = (each for each in known if within(held, each.partition, each.offset))
        entry = replace(
            entry, number=number, held=held, passed=passed, committed=CLOCK.time(),
            last=newest(here),
        )  # fmt: skip
        return self.log.add(entry)


def in_root(summary: Summary, root: str) -> list[NewFile]:
    """The files that an entry or a change has for its folder, which is at `root` now, wherever it
    was when that was written."""
    below = (each.file.below_root() for each in summary.files.values() if each.file)
    return [file._replace(temporary=f"{root}/{file.temporary}", path=f"{root}/{file.path}")
            for file in below]  # fmt: skip


def below_root(summary: Summary, sink: str) -> Summary:
    """What a summary says of one sink, with paths that are below its root."""
    files = {}
    for each in summary.files.values():
        if each.sink == sink and each.file:
            file = each.file.below_root()
            files[file.temporary] = each._replace(sink="", where="", file=file)
    sinks = {"": summary.sinks[sink]} if sink in summary.sinks else {}
    return Summary(summary.read, summary.size, summary.counts, sinks, files)


def unfinished(entry: ImportEntry, root: str) -> list[NewFile]:
    """The files of the last entry of a log that don't have their names yet. Raises OSError."""
    files = in_root(entry.summary, root)
    folders = {file.temporary.rpartition("/")[0] for file in files}
    there = {f"{folder}/{name}" for folder in folders for name in filesystem.names(folder)}
    return [file for file in files if file.temporary in there]


def all_unfinished(root: str) -> Iterator[list[NewFile]]:
    """The files that imports have put into a folder and that don't have their names yet, import by
    import. Their entries last then, though who has made them may have died before that. Raises
    OSError."""
    for log in logs(root):
        if (last := log.last()) and (files := unfinished(last, root)):
            filesystem.sync(log.folder)
            yield files


def offsets(ranges: Iterable[OffsetRange]) -> str:
    """Ranges for people: raw/0 17 to 42, …"""
    return ", ".join(f"{each.start} to {each.end - 1} of partition {each.partition}"
                     for each in ranges)  # fmt: skip
