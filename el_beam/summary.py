"""The books of a bounded run: what was read, what became of it, what each sink was given."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms import trigger
from apache_beam.transforms.window import GlobalWindows

from schemas.bad_event import sentence_of
from transforms.count import CountKey, ReadReceipt
from transforms.write import Receipt

Part = ReadReceipt | Receipt | tuple[CountKey, int]


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

    @property
    def balanced(self) -> bool:
        return self.given == self.written + self.rejected + self.repeated + self.filtered


@dataclass
class Summary:
    """What a run did. `balanced` is the promise that nothing was lost."""

    read: int = 0  # lines
    size: int = 0  # bytes of the lines
    valid: int = 0
    bad: int = 0
    schemas: dict[str, list[int]] = field(default_factory=dict)  # name -> [valid, bad]
    reasons: dict[str, int] = field(default_factory=dict)
    sinks: dict[str, SinkBook] = field(default_factory=dict)

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
                for reason, count in sorted(self.reasons.items(), key=lambda item: -item[1])
            ],
            "sinks": [{"sink": name, **vars(book)} for name, book in self.sinks.items()],
            "balanced": not self.imbalances,
        }  # fmt: skip


def summarize(parts: Iterable[Part], sinks: Sequence[str]) -> Summary:
    """Add up what the steps of a run said. Repeated bundles say the same things again: the last
    total of a count is the right one, and what reaches here comes from bundles that succeeded."""
    summary = Summary(sinks={name: SinkBook() for name in sinks})
    totals: dict[CountKey, int] = {}
    for part in parts:
        if isinstance(part, ReadReceipt):
            summary.read += part.lines
            summary.size += part.size
        elif isinstance(part, Receipt):
            _enter(summary.sinks.setdefault(part.sink, SinkBook()), part)
        else:
            key, total = CountKey(*part[0]), part[1]
            totals[key] = max(total, totals.get(key, 0))
    _count(summary, totals)
    return summary


def _enter(book: SinkBook, receipt: Receipt) -> None:
    for column in ("given", "written", "rejected", "repeated", "filtered", "size"):
        setattr(book, column, getattr(book, column) + getattr(receipt, column))
    book.files += receipt.size > 0


def _count(summary: Summary, totals: dict[CountKey, int]) -> None:
    schemas: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    reasons: Counter[str] = Counter()
    for key, total in totals.items():
        schemas[f"{key.schema}_{key.revision}"][bool(key.reason)] += total
        if key.reason:
            reasons[key.reason] += total
    summary.schemas, summary.reasons = dict(schemas), dict(reasons)
    summary.bad = sum(reasons.values())
    summary.valid = sum(valid for valid, _ in schemas.values())


_KINDS = {"read": ReadReceipt, "wrote": Receipt}


def load_parts(path: str) -> list[Part]:
    """What WriteSummary left at `path`."""
    with FileSystems.open(path) as file:
        rows = json.loads(file.read())
    return [
        _KINDS[kind](*values) if kind in _KINDS else (CountKey(*values[0]), values[1])
        for kind, *values in rows
    ]  # fmt: skip


def _row(part: Part) -> list[Any]:
    if isinstance(part, ReadReceipt):
        return ["read", *part]
    if isinstance(part, Receipt):
        return ["wrote", *part]
    return ["count", *part]


class WriteSummary(beam.PTransform):  # type: ignore[misc]
    """(reads, counts, receipts…) -> one small JSON file, in the place that the driver named."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, parts: tuple[beam.PCollection, ...]) -> beam.PCollection:
        path = self._path

        def write(rows: list[list[Any]]) -> None:
            if FileSystems.exists(path):
                FileSystems.delete([path])
            with FileSystems.create(path) as file:
                file.write(json.dumps(rows).encode())

        return (
            parts
            | "Together" >> beam.Flatten()
            | "As rows" >> beam.Map(_row)
            | "At the end"
            >> beam.WindowInto(
                GlobalWindows(),
                trigger=trigger.DefaultTrigger(),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
            )
            | "All" >> beam.combiners.ToList()
            | "Write" >> beam.Map(write)
        )
