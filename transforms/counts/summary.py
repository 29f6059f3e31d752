"""The books of a bounded run: what was read, what became of it, what each sink was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Union

from schemas.bad_event import sentence_of
from schemas.durable import Document, DocumentFormat, by_name, reader
from transforms.counts.count import Counts
from transforms.counts.definitions import SINK
from transforms.io.files import filesystem
from transforms.layout import hour_name
from transforms.read.receipt import LastRecord, ReadReceipt, newest
from transforms.write.sink import Receipt

SummaryPart = Union[ReadReceipt, Counts, Receipt, "Summary"]


@dataclass
class SinkBook:
    """One sink's side of the books."""

    given: int = 0
    written: int = 0
    rejected: int = 0
    repeated: int = 0
    filtered: int = 0
    files: int = 0
    size: int = 0  # bytes

    def add(self, other: SinkBook | Receipt) -> None:
        """Enter more of the same sink."""
        for column in (each.name for each in SINK if each.name != "files"):
            setattr(self, column, getattr(self, column) + getattr(other, column))
        self.files += other.files if isinstance(other, SinkBook) else other.size > 0

    @property
    def balanced(self) -> bool:
        return self.given == self.written + self.rejected + self.repeated + self.filtered


class HourKey(NamedTuple):
    """What the books count apart from what. `reason` is empty for valid events."""

    hour: str  # 2019-03-10T07
    schema: str  # Schema_revision, as counted: see counts/count.py
    reason: str = ""


@dataclass
class Summary:
    """What a run did, or a part of it: parts add up, in any order, and what is kept of them is as
    small for a million lines as for one. No `imbalances` is the promise that nothing was lost."""

    read: int = 0  # lines
    size: int = 0  # bytes of the lines
    counts: dict[HourKey, int] = field(default_factory=dict)
    sinks: dict[str, SinkBook] = field(default_factory=dict)
    files: dict[str, Receipt] = field(default_factory=dict)  # by their temporary names
    deferred: str = ""  # why a part of it can't be written now; then all else says nothing
    holes: int = 0  # offsets without a record
    last: tuple[LastRecord, ...] = ()  # of each partition, where this is of splits of one topic

    def add(self, part: SummaryPart) -> None:
        """Enter what a step said of some lines, or all that another summary says. No part may come
        twice: a bounded run gives those of bundles that have succeeded."""
        if isinstance(part, Summary):
            self._merge(part)
        elif isinstance(part, ReadReceipt):
            self.read += part.lines
            self.size += part.size
            self.holes += part.holes
            self.last = newest((*self.last, *part.last))
        elif isinstance(part, Counts):
            for key, count in part.sums:
                hour = HourKey(
                    hour_name(key.minute // 3600), f"{key.schema}_{key.revision}", key.reason
                )
                self.counts[hour] = self.counts.get(hour, 0) + count
        else:
            self.sinks.setdefault(part.sink, SinkBook()).add(part)
            self.deferred = self.deferred or part.deferred
            if part.file:
                self.files[part.file.temporary] = part

    def _merge(self, other: Summary) -> None:
        self.read += other.read
        self.size += other.size
        self.holes += other.holes
        self.last = newest((*self.last, *other.last))
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
        for sink, book in other.sinks.items():
            self.sinks.setdefault(sink, SinkBook()).add(book)
        self.files |= other.files
        self.deferred = self.deferred or other.deferred

    @property
    def valid(self) -> int:
        return sum(count for key, count in self.counts.items() if not key.reason)

    @property
    def bad(self) -> int:
        return sum(count for key, count in self.counts.items() if key.reason)

    @property
    def schemas(self) -> dict[str, tuple[int, int]]:
        """Schema_revision -> (valid, bad)."""
        found: dict[str, tuple[int, int]] = {}
        for key, count in self.counts.items():
            valid, bad = found.get(key.schema, (0, 0))
            found[key.schema] = (valid, bad + count) if key.reason else (valid + count, bad)
        return found

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> bad lines."""
        found: Counter[str] = Counter()
        for key, count in self.counts.items():
            if key.reason:
                found[key.reason] += count
        return dict(found)

    @property
    def imbalances(self) -> list[str]:
        """What does not add up, for people; empty where the books balance."""
        found = []
        if self.read != self.valid + self.bad:
            found.append(f"{self.read} lines read, but {self.valid} valid + {self.bad} bad")
        for name, book in self.sinks.items():
            if not book.balanced:
                found.append(f"{name}: {book}")
            if book.given != self.read + book.rejected:  # a rejected event comes again as its error
                found.append(f"{name} was given {book.given} of {self.read}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json and for the report page."""
        return {
            "totals": {
                "read": self.read, "valid": self.valid, "bad": self.bad, "bytes": self.size,
            },
            "schemas": [
                {"schema": name.rpartition("_")[0], "revision": int(name.rpartition("_")[2]),
                 "valid": valid, "bad": bad}
                for name, (valid, bad) in sorted(self.schemas.items())
            ],
            "reasons": [
                {"reason": reason, "sentence": sentence_of(reason), "count": count}
                for reason, count in sorted(
                    self.reasons.items(), key=lambda item: (-item[1], item[0])
                )
            ],
            "sinks": [{"sink": name, **vars(book)} for name, book in self.sinks.items()],
            "balanced": not self.imbalances,
        }  # fmt: skip

    def to_document(self) -> Document:
        """Plain values, by name: paths of files are below the roots of their sinks."""
        files = [each for each in self.files.values() if each.file]
        plain = {
            "read": self.read,
            "size": self.size,
            "counts": [by_name(key) | {"lines": lines} for key, lines in self.counts.items()],
            "sinks": by_name(self.sinks),
            "roots": {each.sink: each.file.root for each in files if each.file},
            "files": [by_name(_below_root(each)) for each in files],
            "deferred": self.deferred,
            "holes": self.holes,
            "last": by_name(self.last),
        }
        return {name: its for name, its in plain.items() if its}

    @classmethod
    def from_document(cls, document: Document) -> Summary:
        """The summary that such plain values are of. Raises ValueError where files of it would be
        outside of their roots."""
        counts, roots = document.get("counts", ()), document.get("roots", {})
        files = reader(list[Receipt])(
            _in_root(each, roots.get(each["sink"], "")) for each in document.get("files", ())
        )
        for each in files:
            if each.file:
                each.file.below_root()
        return cls(
            document.get("read", 0),
            document.get("size", 0),
            {reader(HourKey)(each): each["lines"] for each in counts},
            reader(dict[str, SinkBook])(document.get("sinks", {})),
            {each.file.temporary: each for each in files if each.file},
            document.get("deferred", ""),
            document.get("holes", 0),
            reader(tuple[LastRecord, ...])(document.get("last", ())),
        )


def total(parts: Iterable[SummaryPart], sinks: Sequence[str]) -> Summary:
    """All parts in one summary. Each of `sinks` has its book in it, in this order."""
    summary = Summary(sinks={name: SinkBook() for name in sinks})
    for part in parts:
        summary.add(part)
    return summary


def _below_root(receipt: Receipt) -> Receipt:
    assert receipt.file
    return receipt._replace(where="", file=receipt.file.below_root())


def _in_root(plain: Document, root: str) -> Document:
    root = root and f"{root}/"
    file = plain["file"]
    path = root + file["path"]
    file = {**file, "temporary": root + file["temporary"], "path": path}
    return {**plain, "where": path, "file": file}


_RECEIPT_1 = (
    *("sink", "split", "schema", "revision", "where", "given", "written", "rejected"),
    *("repeated", "filtered", "size", "deferred", "file"),
)
_FILE_1 = ("temporary", "path", "hour", "sha256")
_SUMMARY_1 = ("read", "size", "counts", "sinks", "files", "held")


def migrate_summary(document: Document) -> Document:
    """Make format 2 of format 1, which knew the values of counts and files by their places, and had
    whole paths. A document that has a summary had it among its own names: the result has it apart,
    as `summary`."""
    files = []
    for values in document.get("files", ()):
        receipt = dict(zip(_RECEIPT_1, values, strict=True))
        files.append(receipt | {"file": dict(zip(_FILE_1, receipt["file"], strict=True))})
    summary = {
        "read": document.get("read", 0),
        "size": document.get("size", 0),
        "counts": [dict(zip(("hour", "schema", "reason", "lines"), values, strict=True))
                   for values in document.get("counts", ())],
        "sinks": document.get("sinks", {}),
        "files": files,
        "deferred": document.get("held", ""),
    }  # fmt: skip
    rest = {name: value for name, value in document.items() if name not in _SUMMARY_1}
    return rest | {"summary": summary}


def previous_summary(summary: Summary) -> Document:
    """What `migrate_summary` makes a summary of: its names beside those of its document."""
    document = {
        "read": summary.read,
        "size": summary.size,
        "counts": [[*key, lines] for key, lines in summary.counts.items()],
        "sinks": {name: vars(book) for name, book in summary.sinks.items()},
        "files": [*summary.files.values()],
    }
    return document | ({"held": summary.deferred} if summary.deferred else {})


@dataclass(frozen=True)
class SplitSummaries:
    """What became of each split that a job has read."""

    splits: dict[str, Summary]


def _migrate_splits(document: Document) -> Document:
    return {"splits": {split: migrate_summary(each)["summary"] for split, each in document.items()}}


SUMMARIES = DocumentFormat("summaries", SplitSummaries, 2, {1: _migrate_splits})


def load_summaries(path: str) -> dict[str, Summary]:
    """What WriteSummary left at `path`: a summary of each split. Raises OSError."""
    return SUMMARIES.load(filesystem.read(path), path).splits
