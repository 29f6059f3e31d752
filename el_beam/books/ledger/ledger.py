"""The ledger of a folder of files: what was written into it.

    ROOT/_ledger/run-3f2a….json      a split that a bounded run has read, and the files made of it
                 state-77b0….json    a state, whose commits say the same of each increment
                 change-….json       files that took the place of others: see changes.py
                 naming-….json       a bounded run gives these files their names now

But for that, nothing in it is ever overwritten or removed. An import leaves nothing there but the
name of its state: its commits are entries already. See entries.py for who writes it, inventory.py
for what of it is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from el_beam.books.state.state import State
from schemas.errors import WrongCall
from transforms.counts.summary import HourKey, SinkBook, summary_of
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway

FOLDER = "_ledger"
CHANGE, NAMING, RUN, STATE = "change-", "naming-", "run-", "state-"
RAW = "raw:"  # how sinks begin that keep lines as they are
DONE = ".done.json"
HourFilter = Callable[[str], bool]  # of an hour, as 2019-03-10T07
_AT_ONCE = 8  # files that are read together
_LONGEST_NAMING = 3600.0  # seconds: then a run is dead that gives its files their names
ALL = "*_0"  # the schema of files that hold the lines of all schemas


class LedgerError(WrongCall):
    """A folder without a ledger, or with one that can't be read; the message is for people."""


class FilePart(NamedTuple):
    """Lines that a file is made of: those of a split that are of an hour of the raw archive."""

    split: str
    hour: str


class LedgerFile(NamedTuple):
    """A file as it was written."""

    path: str  # below the root
    schema: str  # Schema_revision
    hour: str  # 2019-03-10T07
    rows: int
    size: int  # bytes
    sha256: str
    of: tuple[FilePart, ...]  # that it is made of


@dataclass(frozen=True)
class Entry:
    """What one run, one increment of a topic, or one change did."""

    name: str  # for people
    at: float  # unix seconds
    counts: dict[HourKey, int]  # lines
    files: tuple[LedgerFile, ...]
    sink: SinkBook | None = None  # what its sink was given, where it was
    repeated: tuple[tuple[str, str, int], ...] = ()  # hour, schema, rows that it left out
    removed: frozenset[str] = frozenset()  # paths of other entries' files
    instead_of: frozenset[tuple[str, str]] = frozenset()  # (entry, hour) whose counts don't count


@dataclass
class HourBook:
    """What is known of the events of one schema in one hour."""

    hour: str
    schema: str
    valid: int = 0  # lines
    bad: int = 0  # lines; they are rows of EventError's
    rows: int = 0  # in files, as they were written
    repeated: int = 0  # rows that a compaction found twice
    missing: int = 0  # rows of files that aren't there, or not whole
    files: int = 0
    mark: str = ""  # complete | reopened; '' for an hour that nobody has said to be complete yet

    @property
    def read(self) -> int:
        """Lines."""
        return self.valid + self.bad


class Trouble(NamedTuple):
    """Something that isn't as the ledger has it."""

    kind: str  # lost | damaged | unknown | unfinished | gap
    what: str  # a path below the root, or an increment
    hour: str  # '' where it concerns none
    sentence: str


@dataclass
class Ledger:
    """All entries of a root, and what is wrong with them."""

    root: str
    entries: list[Entry] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    marks: dict[tuple[str, str], str] = field(default_factory=dict)  # (hour, schema) -> its mark
    naming: set[str] = field(default_factory=set)  # paths of files that are about to be there
    sinks: set[str] = field(default_factory=set)  # what writes here, as parquet:ROOT
    archives: set[str] = field(default_factory=set)  # raw:ROOT that have the same lines

    @property
    def files(self) -> dict[str, LedgerFile]:
        """Those that are to be there, by their paths."""
        removed = {path for entry in self.entries for path in entry.removed}
        return {file.path: file for entry in self.entries for file in entry.files
                if file.path not in removed}  # fmt: skip

    def hours(self) -> list[HourBook]:
        """A book for each hour and schema, in order."""
        books: dict[tuple[str, str], HourBook] = {}

        def book(hour: str, schema: str) -> HourBook:
            return books.setdefault((hour, schema), HourBook(hour, schema))

        replaced = {each for entry in self.entries for each in entry.instead_of}
        for entry in self.entries:
            for key, count in entry.counts.items():
                if (entry.name, key.hour) in replaced:
                    continue
                if key.reason:
                    book(key.hour, key.schema).bad += count
                else:
                    book(key.hour, key.schema).valid += count
        gone = {each.what for each in self.troubles if each.kind in ("lost", "damaged")}
        for file in self.files.values():
            found = book(file.hour, file.schema)
            found.rows += file.rows
            found.files += 1
            found.missing += file.rows if file.path in gone else 0
        for entry in self.entries:
            for hour, schema, rows in entry.repeated:
                book(hour, schema).repeated += rows
        for place, its in books.items():
            its.mark = self.marks.get(place, "")
        return [books[key] for key in sorted(books)]

    @property
    def totals(self) -> dict[str, int]:
        """Of all hours and schemas."""
        hours = self.hours()
        sums = ("read", "valid", "bad", "rows", "repeated", "missing", "files")
        sinks = [entry.sink for entry in self.entries if entry.sink]
        return {
            **{name: sum(getattr(each, name) for each in hours) for name in sums},
            "rejected": sum(each.rejected for each in sinks),
            "filtered": sum(each.filtered for each in sinks),
        }


def read_ledger(root: str, *, wanted: HourFilter = lambda _: True) -> Ledger:
    """The ledger of a folder: what is of hours that are `wanted`, or made of their lines.

    Raises LedgerError, OSError."""
    for left in (2, 1, 0):
        try:
            return _read_ledger(root.rstrip("/"), wanted)
        except OSError as error:  # a writer has just replaced what was to be read: look again
            if isinstance(error, FileAway) or not left:
                raise
    raise AssertionError


def _read_ledger(root: str, wanted: HourFilter) -> Ledger:
    ledger = Ledger(root)
    kinds = (CHANGE, NAMING, RUN, STATE)
    names = [each for each in filesystem.names(f"{root}/{FOLDER}")
             if each.startswith(kinds) and not each.endswith(DONE)]  # fmt: skip
    if not names:
        raise LedgerError(f"{root} has no ledger: nothing was written there by `el run`")
    runs: dict[str, Entry] = {}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        contents = threads.map(lambda name: filesystem.read(f"{root}/{FOLDER}/{name}"), names)
        for name, content in zip(names, contents, strict=True):
            told = json.loads(content)
            if name.startswith(STATE):
                read_state(ledger, told, wanted)
                continue
            if name.startswith(NAMING):
                _read_naming(ledger, name, told)
                continue
            ledger.sinks.update(filter(None, [told.get("sink")]))
            ledger.archives.update(told.get("archives", ()))
            stem = name.removesuffix(".json")
            stem = stem.rpartition("-")[0] if name.startswith(RUN) else stem
            entry = _entry(stem, told["at"], told, told["root"], wanted)
            if stem not in runs or runs[stem].at <= entry.at:  # the same split, which has grown
                runs[stem] = entry
    ledger.entries += runs.values()
    ledger.entries.sort(key=lambda entry: entry.at)
    return ledger


def read_state(
    ledger: Ledger, told: dict[str, str], wanted: HourFilter, *, since: float = 0.0
) -> None:
    """Enter the commits of an import that were made since then (unix seconds). `told` names its
    `state`, the `root` of a sink, and the `sink`. Raises OSError."""
    state = State(told["state"])
    ledger.sinks.add(told["sink"])
    for topic in state.topics():
        known, before = state.topic(topic), 0
        if waiting := known.pending()[1]:
            files = (each.file for each in summary_of(waiting).files.values())
            ledger.naming |= {_below(file.path, told["root"]) for file in files if file}
        for commit in known.history(since):
            for number in range(before + 1, commit.number) if before or not since else ():
                ledger.troubles.append(
                    Trouble("gap", f"{topic} {number}", "",
                            f"increment {number} of {topic} is not in {state.path}: the next round "
                            "of its `el run` reads it again")
                )  # fmt: skip
            before = commit.number
            about = commit.about
            if "files" not in about:  # a reset, or a start at the end
                continue
            ledger.archives.update(each for each in about["sinks"] if each.startswith(RAW))
            mine = [each for each in about["files"] if each[0] == told["sink"]]
            name = f"increment {commit.number} of {topic} ({state.path})"
            ledger.entries.append(
                _entry(name, commit.committed, {**about, "files": mine, "sink": told["sink"]},
                       told["root"], wanted)
            )  # fmt: skip


def _read_naming(ledger: Ledger, name: str, told: dict[str, Any]) -> None:
    if told["at"] + _LONGEST_NAMING > time.time():
        ledger.naming.update(told["paths"])
    else:
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(told["at"]))
        sentence = f"a run that wrote {len(told['paths']):,} files here at {began} has not come to "
        ledger.troubles.append(
            Trouble("unfinished", f"{FOLDER}/{name}", "",
                    f"{sentence}its end: start it again, or put its files away")
        )  # fmt: skip


def _entry(name: str, at: float, told: dict[str, Any], root: str, wanted: HourFilter) -> Entry:
    summary, of = summary_of(told), told.get("of", {})
    files = []
    for receipt in summary.files.values():
        if file := receipt.file:
            path = _below(file.path, root)
            parts = tuple(FilePart(*each) for each in of.get(path, ((receipt.split, file.hour),)))
            if wanted(file.hour) or any(wanted(part.hour) for part in parts):
                schema = f"{receipt.schema}_{receipt.revision}"
                files.append(
                    LedgerFile(
                        path, schema, file.hour, receipt.written, receipt.size, file.sha256, parts
                    )
                )
    counts = {key: count for key, count in summary.counts.items() if wanted(key.hour)}
    instead_of = frozenset((entry, hour) for entry, hour in told.get("instead_of", ()))
    repeated: tuple[tuple[str, str, int], ...] = ()
    if files and told.get("repeated"):
        repeated = ((files[0].hour, files[0].schema, told["repeated"]),)
    return Entry(name, at, counts, tuple(files), summary.sinks.get(told.get("sink", "")),
                 repeated, frozenset(told.get("removed", ())), instead_of)  # fmt: skip


def _below(path: str, root: str) -> str:
    return path.removeprefix(f"{root}/")
