"""The ledger of a folder of files: what was written into it, and what of that is there.

    ROOT/_ledger/run-3f2a….json      a bounded run: what it read, and its files
                 state-77b0….json    a state, whose commits say the same of each increment

Nothing in it is ever overwritten, and an import leaves nothing there but the name of its state: its
commits are entries already. What the ledger knows is compared with what is in the folder.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from el_beam.state import State
from el_beam.summary import HourKey, Summary, plain, summary_of
from transforms import filesystem
from transforms.write.files import FileSink

if TYPE_CHECKING:
    from transforms.write import Sink

FOLDER = "_ledger"
CHANGE, RUN, STATE = "change-", "run-", "state-"
DONE = ".done.json"
Wanted = Callable[[str], bool]  # of an hour, as 2019-03-10T07
ALL = "*_0"  # the schema of files that hold the lines of all schemas


class LedgerError(Exception):
    """A folder without a ledger, or with one that can't be read; the message is for people."""


class Part(NamedTuple):
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
    of: tuple[Part, ...]  # that it is made of


@dataclass(frozen=True)
class Entry:
    """What one run, one increment of a topic, or one change did."""

    name: str  # for people
    at: float  # unix seconds
    counts: dict[HourKey, int]  # lines
    files: tuple[LedgerFile, ...]
    removed: frozenset[str] = frozenset()  # paths of other entries' files
    instead_of: frozenset[tuple[str, str]] = frozenset()  # (entry, hour) whose counts don't count


@dataclass
class HourBook:
    """What is known of the events of one schema in one hour."""

    hour: str
    schema: str
    valid: int = 0  # lines
    bad: int = 0
    rows: int = 0  # in files, as they were written
    missing: int = 0  # rows of files that aren't there, or not whole
    files: int = 0


class Trouble(NamedTuple):
    """Something that isn't as the ledger has it."""

    kind: str  # lost | damaged | unknown | gap
    what: str  # a path below the root, or an increment
    hour: str  # '' where it concerns none
    sentence: str


@dataclass
class Ledger:
    """All entries of a root, and what is wrong with them."""

    root: str
    entries: list[Entry] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)

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
        return [books[key] for key in sorted(books)]

    @property
    def totals(self) -> dict[str, int]:
        """Of all hours and schemas."""
        hours = self.hours()
        return {
            "read": sum(each.valid + each.bad for each in hours),
            "valid": sum(each.valid for each in hours),
            "bad": sum(each.bad for each in hours),
            "rows": sum(each.rows for each in hours),
            "missing": sum(each.missing for each in hours),
            "files": sum(each.files for each in hours),
        }


def enter_run(sinks: Iterable[Sink], source: str, summary: Summary) -> None:
    """Note what a bounded run has written, once its files have their names. The same run again
    finds its entry there."""
    for sink in sinks:
        if not isinstance(sink, FileSink):
            continue
        mine = Summary(summary.read, summary.size, summary.counts, files={
            name: receipt for name, receipt in summary.files.items() if receipt.sink == str(sink)
        })  # fmt: skip
        told = {"root": sink.root, "source": source, "at": time.time(), **plain(mine)}
        identity = sorted((file.path, file.sha256) for receipt in mine.files.values()
                          if (file := receipt.file))  # fmt: skip
        _enter(sink.root, f"{RUN}{_digest(source, identity)}", told)


def enter_state(sinks: Iterable[Sink], state_path: str) -> None:
    """Note in the folders that an import writes where its commits are."""
    local = filesystem.is_local(state_path)
    for sink in sinks:
        if isinstance(sink, FileSink):
            path = str(Path(state_path).absolute()) if local else state_path
            told = {"root": sink.root, "sink": str(sink), "state": path}
            _enter(sink.root, f"{STATE}{_digest(told)}", told)


def _enter(root: str, name: str, told: dict[str, Any]) -> None:
    folder = f"{root}/{FOLDER}"
    filesystem.make_folder(folder)
    filesystem.create(f"{folder}/{name}.json", json.dumps(told).encode())


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def read_ledger(root: str, *, wanted: Wanted = lambda _: True) -> Ledger:
    """The ledger of a folder: what is of hours that are `wanted`, or made of their lines.

    Raises LedgerError, OSError."""
    root = root.rstrip("/")
    ledger = Ledger(root)
    names = [each for each in filesystem.names(f"{root}/{FOLDER}")
             if each.startswith((CHANGE, RUN, STATE)) and not each.endswith(DONE)]  # fmt: skip
    if not names:
        raise LedgerError(f"{root} has no ledger: nothing was written there by `el run`")
    for name in names:
        told = json.loads(filesystem.read(f"{root}/{FOLDER}/{name}"))
        if name.startswith(STATE):
            _read_state(ledger, told, wanted)
        else:
            entry = _entry(name.removesuffix(".json"), told["at"], told, told["root"], wanted)
            ledger.entries.append(entry)
    ledger.entries.sort(key=lambda entry: entry.at)
    return ledger


def _read_state(ledger: Ledger, told: dict[str, Any], wanted: Wanted) -> None:
    state = State(told["state"])
    for topic in state.topics():
        before = 0
        for commit in state.topic(topic).history():
            for number in range(before + 1, commit.number):
                ledger.troubles.append(
                    Trouble("gap", f"{topic} {number}", "",
                            f"increment {number} of {topic} is not in {state.path}")
                )  # fmt: skip
            before = commit.number
            about = commit.about
            if "files" not in about:  # a reset, or a start at the end
                continue
            mine = [each for each in about["files"] if each[0] == told["sink"]]
            name = f"increment {commit.number} of {topic} ({state.path})"
            ledger.entries.append(
                _entry(name, commit.committed, {**about, "files": mine}, told["root"], wanted)
            )


def _entry(name: str, at: float, told: dict[str, Any], root: str, wanted: Wanted) -> Entry:
    summary, of = summary_of(told), told.get("of", {})
    files = []
    for receipt in summary.files.values():
        if file := receipt.file:
            path = _below(file.path, root)
            parts = tuple(Part(*each) for each in of.get(path, ((receipt.split, file.hour),)))
            if wanted(file.hour) or any(wanted(part.hour) for part in parts):
                schema = f"{receipt.schema}_{receipt.revision}"
                files.append(
                    LedgerFile(
                        path, schema, file.hour, receipt.written, receipt.size, file.sha256, parts
                    )
                )
    counts = {key: count for key, count in summary.counts.items() if wanted(key.hour)}
    instead_of = frozenset((entry, hour) for entry, hour in told.get("instead_of", ()))
    return Entry(name, at, counts, tuple(files), frozenset(told.get("removed", ())), instead_of)


def _below(path: str, root: str) -> str:
    return path.removeprefix(f"{root}/")


def compare(ledger: Ledger, *, content: bool = False, wanted: Wanted = lambda _: True) -> None:
    """Look at what is in the folder, and note what isn't as it should be: files that are lost, not
    of their size, or unknown; with `content` also those of other bytes. Raises OSError."""
    known = ledger.files
    present = dict(_present(ledger.root))
    for path, file in sorted(known.items()):
        where = f"{path}, {file.rows:,} rows of {file.schema}"
        if path not in present:
            trouble = Trouble("lost", path, file.hour, f"{where}: is not there")
        elif present[path] != file.size:
            told = f"{where}: has {present[path]:,} bytes, not {file.size:,}"
            trouble = Trouble("damaged", path, file.hour, told)
        elif content and filesystem.digest(f"{ledger.root}/{path}") != file.sha256:
            trouble = Trouble("damaged", path, file.hour, f"{where}: has other content")
        else:
            continue
        ledger.troubles.append(trouble)
    for path in sorted(present.keys() - known.keys()):
        if not wanted(hour_in(path)):
            continue
        told = f"{path}: no run has written it under this name"
        ledger.troubles.append(Trouble("unknown", path, hour_in(path), told))


def _present(root: str) -> Iterator[tuple[str, int]]:
    for found in filesystem.below(root):
        path = _below(found.path, root)
        if not any(part.startswith("_") for part in path.split("/")):
            yield path, found.size


def hour_in(path: str) -> str:
    """`…/year=2019/month=03/day=10/hour=07/…` -> 2019-03-10T07."""
    parts = dict(part.partition("=")[::2] for part in path.split("/") if "=" in part)
    try:
        return f"{parts['year']}-{parts['month']}-{parts['day']}T{parts['hour']}"
    except KeyError:
        return ""
