"""The ledger of a folder of files: what was written into it.

    ROOT/_ledger/run-3f2a….json      a split that a bounded run has read, and the files made of it
                 imports/            what imports say of the same: see imports.py
                 state-77b0….json    a state that imports into the folder
                 change-….json       files that took the place of others: see changes.py
                 naming-….json       a bounded run gives these files their names now
                 accepted-….json     a trouble that is as it is for good

But for that, nothing in it is ever overwritten or removed. See entries.py for who writes and reads
it, audit.py for what of it is there.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

from el_beam.books.folder import is_previous
from schemas.durable import Document, DocumentFormat
from schemas.errors import WrongCall
from schemas.event import Destination
from transforms.counts.summary import HourKey, SinkBook, Summary, migrate_summary, previous_summary
from transforms.io.files import filesystem
from transforms.layout import LEDGER, check_below
from transforms.read.offsets import Ranges

T = TypeVar("T")

DONE: Final = ".done.json"
STRAYS: Final = "strays-"
"""How changes are called that put files away which nobody knew."""

MARK: Final = b"{}"
"""The content of files whose names say all."""

RAW = "raw:"  # how sinks begin that keep lines as they are
HourFilter = Callable[[str], bool]  # of an hour, as 2019-03-10T07


class LedgerError(WrongCall):
    """A folder without a ledger, or with one that can't be read; the message is for people."""


class FilePart(NamedTuple):
    """Lines that a file is made of: those of a split that are of an hour of the raw archive."""

    split: str
    hour: str


class EntryHour(NamedTuple):
    """What an entry counts of an hour."""

    entry: str  # its id, or its name where that is its id; older changes have all by name
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

    @property
    def destination(self) -> Destination:
        schema, _, revision = self.schema.rpartition("_")
        return Destination(schema, int(revision))


@dataclass(frozen=True)
class Entry:
    """What one run, one increment of a topic, or one change did."""

    name: str  # for people
    at: float  # unix seconds
    counts: dict[HourKey, int]  # lines
    files: tuple[LedgerFile, ...]
    sink: SinkBook | None = None  # what its sink was given, where it was
    repeated: tuple[tuple[str, str, int], ...] = ()  # hour, schema, rows that it left out
    lines: int = 0  # of all hours
    written: int = 0  # rows that these became
    removed: frozenset[str] = frozenset()  # paths of other entries' files
    instead_of: frozenset[EntryHour] = frozenset()  # whose counts don't count
    id: str = ""  # that no other entry has; '' where the name is that


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

    kind: str  # lost | damaged | unknown | nested | unfinished | gap | surplus | away
    what: str  # a path below the root, or an entry
    hour: str  # '' where it concerns none
    sentence: str


@dataclass(frozen=True)
class AcceptedTrouble:
    """A trouble that somebody has found to be as it is for good."""

    kind: str
    what: str
    sentence: str
    why: str
    at: float  # unix seconds


@dataclass
class Ledger:
    """All entries of a root, and what is wrong with them."""

    root: str
    entries: list[Entry] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    marks: dict[tuple[str, str], str] = field(default_factory=dict)  # (hour, schema) -> its mark
    naming: set[str] = field(default_factory=set)  # paths of files that are about to be there
    accepted: list[AcceptedTrouble] = field(default_factory=list)
    expired: dict[str, Ranges] = field(default_factory=dict)
    """Topic -> records that nobody could read any more."""
    holes: dict[str, int] = field(default_factory=dict)
    """Topic -> offsets without a record: a compacted topic has such, or one with transactions."""
    sinks: set[str] = field(default_factory=set)  # what writes here, as parquet:ROOT
    archives: set[str] = field(default_factory=set)  # raw:ROOT that have the same lines
    options: tuple[str, ...] = ()  # of the format and the schemas of what was written here

    @property
    def files(self) -> dict[str, LedgerFile]:
        """Those that are to be there, by their paths."""
        removed = {path for entry in self.entries for path in entry.removed}
        removed |= {each.what for each in self.accepted if each.kind in ("lost", "damaged")}
        return {file.path: file for entry in self.entries for file in entry.files
                if file.path not in removed}  # fmt: skip

    def received(self) -> dict[str, float]:
        """When the lines of each file came into the folder, by our clock (unix seconds). What a
        change has made instead of others of its folder has the time of the latest of them. Files
        are left out of which nobody has noted it."""
        found: dict[str, float] = {}
        for entry in sorted(self.entries, key=lambda each: each.at):
            before: dict[str, float] = {}  # folder -> time
            for path in entry.removed & found.keys():
                folder = path.rpartition("/")[0]
                before[folder] = max(before.get(folder, 0.0), found[path])
            for file in entry.files:
                if at := before.get(file.path.rpartition("/")[0]) or entry.at:
                    found[file.path] = at
        return found

    def hours(self) -> list[HourBook]:
        """A book for each hour and schema, in order."""
        books: dict[tuple[str, str], HourBook] = {}

        def book(hour: str, schema: str) -> HourBook:
            mark = self.marks.get((hour, schema), "")
            return books.setdefault((hour, schema), HourBook(hour, schema, mark=mark))

        replaced = {each for entry in self.entries for each in entry.instead_of}
        for entry in self.entries:
            for key, count in entry.counts.items():
                if not replaced.isdisjoint([(entry.id, key.hour), (entry.name, key.hour)]):
                    continue
                if key.reason:
                    book(key.hour, key.schema).bad += count
                else:
                    book(key.hour, key.schema).valid += count
            for hour, schema, rows in entry.repeated:
                book(hour, schema).repeated += rows
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
        sums = ("read", "valid", "bad", "rows", "repeated", "missing", "files")
        sinks = [entry.sink for entry in self.entries if entry.sink]
        return {
            **{name: sum(getattr(each, name) for each in hours) for name in sums},
            "rejected": sum(each.rejected for each in sinks),
            "filtered": sum(each.filtered for each in sinks),
        }


@dataclass(frozen=True)
class RunNote:
    """A split that a bounded run has read, and the files that its `sink` has made of it."""

    root: str
    sink: str
    split: str
    source: str
    at: float  # unix seconds
    summary: Summary
    archives: tuple[str, ...] = ()  # raw: sinks of the same run
    options: tuple[str, ...] = ()  # of its format and schemas
    head: str = ""  # of the file that was read: see FileMark
    time_rule: int = 1  # of its bad lines: see transforms/line_time.py


@dataclass(frozen=True)
class StateNote:
    """A state that imports into this folder."""

    root: str
    sink: str
    state: str  # path, where it was last seen
    id: str = ""  # '' where the state itself says what each increment has made
    token: str = ""  # of the instance that works on it
    options: tuple[str, ...] = ()  # of the import's format and schemas


@dataclass(frozen=True)
class NamingNote:
    """A bounded run gives these files their names now."""

    at: float  # unix seconds
    paths: tuple[str, ...]  # below the root


@dataclass(frozen=True)
class Change:
    """What is to be there instead of what."""

    name: str  # unique in its folder: of an attempt that is made again, the same
    why: str  # for people
    summary: Summary  # its files, which have temporary names, and the counts of their lines
    of: dict[str, list[FilePart]]  # path below the root of each new file -> what it is made of
    removed: tuple[str, ...]  # paths below the root
    instead_of: tuple[EntryHour, ...] = ()  # whose counts these replace
    repeated: int = 0  # rows that it left out
    root: str = ""  # where the folder was then
    at: float = 0.0  # unix seconds

    def __post_init__(self) -> None:
        for path in (*self.removed, *self.of):
            check_below(path)


def _migrate_change(old: Document) -> Document:
    of = {path: parts_by_name(parts) for path, parts in old["of"].items()}
    pairs = [dict(zip(EntryHour._fields, each, strict=True)) for each in old["instead_of"]]
    return migrate_summary(old) | {"name": "", "of": of, "instead_of": pairs}


def parts_by_name(parts: list[Any]) -> list[Document]:
    """Parts of files as format 2 holds them, of how format 1 did."""
    return [dict(zip(FilePart._fields, each, strict=True)) for each in parts]


def note_name(*what: object) -> str:
    """The name of the note of something: the same for the same."""
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Notes(Generic[T]):
    """The notes of one kind: files ROOT/_ledger/KIND-NAME.json. A file beside one, which ends in
    DONE, says that what is noted is done. All methods but `path` raise OSError."""

    format: DocumentFormat[T]

    def path(self, root: str, name: str, ending: str = ".json") -> str:
        return f"{root}/{LEDGER}/{self.format.kind}-{name}{ending}"

    def names(self, root: str, *, undone: bool = False) -> list[str]:
        """The names of all notes, in order; with `undone` only of those that are not done yet."""
        there, begin = filesystem.names(f"{root}/{LEDGER}"), f"{self.format.kind}-"
        names = [each.removeprefix(begin).removesuffix(".json") for each in there
                 if each.startswith(begin) and not each.endswith(DONE)]  # fmt: skip
        done = {*there} if undone else frozenset[str]()
        return [name for name in names if f"{begin}{name}{DONE}" not in done]

    def read(self, root: str, name: str) -> T:
        """Raises DocumentError, too."""
        path = self.path(root, name)
        return self.format.load(filesystem.read(path), path)

    def create(self, root: str, name: str, note: T) -> bool:
        """False where one of this name is there already, which stays."""
        content = self.format.dump(note, previous=is_previous(root))
        return filesystem.create(self.path(root, name), content)

    def finish(self, root: str, name: str) -> None:
        """Say that what is noted is done."""
        filesystem.create(self.path(root, name, DONE), MARK)


def _previous_run(note: RunNote) -> Document:
    document = vars(note) | previous_summary(note.summary)
    for name in ("summary", "options", "head", "time_rule"):
        del document[name]
    return document


def _previous_change(change: Change) -> Document:
    document = vars(change) | previous_summary(change.summary)
    for name in ("name", "summary", *(() if change.repeated else ("repeated",))):
        del document[name]
    return document


def _previous_state(note: StateNote) -> Document:
    return {"root": note.root, "sink": note.sink, "state": note.state}


RUN_NOTE = DocumentFormat("run", RunNote, 2, {1: migrate_summary}, _previous_run)
STATE_NOTE = DocumentFormat("state", StateNote, 2, {1: dict}, _previous_state)
NAMING_NOTE = DocumentFormat("naming", NamingNote)
CHANGE_NOTE = DocumentFormat("change", Change, 2, {1: _migrate_change}, _previous_change)
ACCEPTED_TROUBLE = DocumentFormat("accepted", AcceptedTrouble)
ACCEPTED = Notes(ACCEPTED_TROUBLE)
RUNS, STATES = Notes(RUN_NOTE), Notes(STATE_NOTE)
NAMINGS, CHANGES = Notes(NAMING_NOTE), Notes(CHANGE_NOTE)
