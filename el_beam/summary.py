"""The books of a bounded run: what was read, what became of it, what each sink was given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems

from schemas.bad_event import sentence_of
from transforms.count import Counts, ReadReceipt
from transforms.write import Receipt

Part = ReadReceipt | Counts | Receipt


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
        for column in ("given", "written", "rejected", "repeated", "filtered", "size"):
            setattr(self, column, getattr(self, column) + getattr(other, column))
        self.files += other.files if isinstance(other, SinkBook) else other.size > 0

    @property
    def balanced(self) -> bool:
        return self.given == self.written + self.rejected + self.repeated + self.filtered


@dataclass
class Summary:
    """What a run did, or a part of it: parts add up, in any order, and what is kept of them is as
    small for a million minutes as for one. No `imbalances` is the promise that nothing was lost."""

    read: int = 0  # lines
    size: int = 0  # bytes of the lines
    valid: int = 0
    bad: int = 0
    schemas: dict[str, list[int]] = field(default_factory=dict)  # name -> [valid, bad]
    reasons: dict[str, int] = field(default_factory=dict)
    sinks: dict[str, SinkBook] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Enter what a step said of some lines. No part may come twice: a bounded run gives those
        of bundles that have succeeded."""
        if isinstance(part, ReadReceipt):
            self.read += part.lines
            self.size += part.size
        elif isinstance(part, Counts):
            self._count(part)
        else:
            self.sinks.setdefault(part.sink, SinkBook()).add(part)

    def _count(self, counts: Counts) -> None:
        for key, count in counts.sums:
            of_schema = self.schemas.setdefault(f"{key.schema}_{key.revision}", [0, 0])
            of_schema[bool(key.reason)] += count
            if key.reason:
                self.bad += count
                self.reasons[key.reason] = self.reasons.get(key.reason, 0) + count
            else:
                self.valid += count

    def merge(self, other: Summary) -> None:
        """Enter all that another summary says."""
        self.read += other.read
        self.size += other.size
        self.valid += other.valid
        self.bad += other.bad
        for name, (valid, bad) in other.schemas.items():
            ours = self.schemas.setdefault(name, [0, 0])
            ours[0] += valid
            ours[1] += bad
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        for sink, book in other.sinks.items():
            self.sinks.setdefault(sink, SinkBook()).add(book)

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


def summarize(parts: Iterable[Part], sinks: Sequence[str]) -> Summary:
    """Add up what the steps of a run said. Each of `sinks` has a book, in this order."""
    summary = Summary(sinks={name: SinkBook() for name in sinks})
    for part in parts:
        summary.add(part)
    return summary


def load_summary(path: str, sinks: Sequence[str]) -> Summary:
    """What WriteSummary left at `path`. Each of `sinks` has a book, in this order."""
    with FileSystems.open(path) as file:
        plain = json.loads(file.read())
    books = {name: SinkBook(**book) for name, book in plain.pop("sinks").items()}
    summary = summarize((), sinks)
    summary.merge(Summary(**plain, sinks=books))
    return summary


class _SumUp(beam.CombineFn):  # type: ignore[misc]
    """Parts -> one Summary. A runner lifts it: each worker adds up what it has, and the minutes of
    the counts go no further than that."""

    def create_accumulator(self) -> Summary:
        return Summary()

    def add_input(self, summary: Summary, part: Part) -> Summary:
        summary.add(part)
        return summary

    def merge_accumulators(self, summaries: Iterable[Summary]) -> Summary:
        merged = Summary()
        for summary in summaries:
            merged.merge(summary)
        return merged

    def extract_output(self, summary: Summary) -> Summary:
        return summary


class WriteSummary(beam.PTransform):  # type: ignore[misc]
    """(reads, counts, receipts…) -> one small JSON file, in the place that the driver named. It is
    written for no lines at all, too."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, parts: tuple[beam.PCollection, ...]) -> beam.PCollection:
        path = self._path

        def write(summary: Summary) -> None:
            if FileSystems.exists(path):
                FileSystems.delete([path])
            with FileSystems.create(path) as file:
                file.write(json.dumps(asdict(summary)).encode())

        return (
            parts
            | "Together" >> beam.Flatten()
            | "Sum up" >> beam.CombineGlobally(_SumUp())
            | "Write" >> beam.Map(write)
        )
