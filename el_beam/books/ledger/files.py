"""The files of a ledger: their names, and what is in them."""

from dataclasses import dataclass
from typing import Any, Final

from el_beam.books.ledger.model import EntryHour, FilePart
from schemas.durable import Document, DocumentFormat
from transforms.counts.summary import Summary, migrate_summary
from transforms.layout import LEDGER

FOLDER: Final = LEDGER
CHANGE, NAMING, RUN, STATE = "change-", "naming-", "run-", "state-"
DONE: Final = ".done.json"
MARK: Final = b"{}"
"""The content of files whose names say all."""


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


@dataclass(frozen=True)
class StateNote:
    """A state whose commits say what a sink has made of each increment."""

    root: str
    sink: str
    state: str  # path


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
    root: str = ""
    at: float = 0.0  # unix seconds


def _migrate_change(old: Document) -> Document:
    of = {path: parts_by_name(parts) for path, parts in old["of"].items()}
    pairs = [dict(zip(EntryHour._fields, each, strict=True)) for each in old["instead_of"]]
    return migrate_summary(old) | {"name": "", "of": of, "instead_of": pairs}


def parts_by_name(parts: list[Any]) -> list[Document]:
    """Parts of files as format 2 holds them, of how format 1 did."""
    return [dict(zip(FilePart._fields, each, strict=True)) for each in parts]


RUN_NOTE = DocumentFormat("run", RunNote, 2, {1: migrate_summary})
STATE_NOTE = DocumentFormat("state", StateNote)
NAMING_NOTE = DocumentFormat("naming", NamingNote)
CHANGE_NOTE = DocumentFormat("change", Change, 2, {1: _migrate_change})
