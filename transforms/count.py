"""CountLines, CountEvents: how many lines were read, how many of what happened in which minute.

A bundle's counts leave it as a few partial sums. They are summed up in the global window, where no
count can come too late; what comes out are absolute totals, right after any repeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import apache_beam as beam
from apache_beam.transforms import trigger
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.bad_event import BadEvent, Reason
from schemas.event import RawLine
from transforms.batches import Batch, BatchedFn
from transforms.progress import ProgressFile
from transforms.route import Routed
from transforms.window import MINUTE, in_minute, outcome_time

_MOST_KEYS = 50_000  # a bundle's sums leave it early where hostile times make more
_SCHEMA_IS_KNOWN = (Reason.SCHEMA_VIOLATION, Reason.ROW_REJECTED)


class ReadReceipt(NamedTuple):
    """What was read of a split: one side of the books."""

    split: str
    lines: int
    size: int  # bytes of the lines, without line ends


class CountKey(NamedTuple):
    """What is counted apart from what. `reason` is empty for valid events."""

    minute: int  # unix seconds of its start
    schema: str  # `unknown` where the registry doesn't know it: names from clients are no keys
    revision: int
    reason: str


def count_key(routed: Routed) -> CountKey:
    """The key that an outcome counts for: bad ones under the schema they break."""
    destination, outcome = routed
    minute = int(outcome_time(outcome) // MINUTE) * MINUTE
    if not isinstance(outcome, BadEvent):
        return CountKey(minute, *destination, "")
    if outcome.reason in _SCHEMA_IS_KNOWN and outcome.revision > 0:
        return CountKey(minute, outcome.schema, outcome.revision, outcome.reason.value)
    return CountKey(minute, "unknown", -1, outcome.reason.value)


class _CountLinesFn(BatchedFn):
    def start_bundle(self) -> None:
        self._read: dict[str, tuple[int, int]] = {}

    def process(self, line: RawLine) -> None:
        self.process_batch(Batch([line]))

    @beam.DoFn.yields_elements  # type: ignore[untyped-decorator]
    def process_batch(self, batch: Batch) -> None:
        for split, lines in groupby(batch, lambda line: line.origin.split):
            sizes = [len(line.data) for line in lines]
            count, size = self._read.get(split, (0, 0))
            self._read[split] = count + len(sizes), size + sum(sizes)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for split, (lines, size) in self._read.items():
            yield WindowedValue(ReadReceipt(split, lines, size), MIN_TIMESTAMP, [GlobalWindow()])


class CountLines(beam.PTransform):  # type: ignore[misc]
    """RawLine -> a ReadReceipt for each split: counted as read, before anything can happen."""

    def expand(self, lines: beam.PCollection) -> beam.PCollection:
        return lines | "Count" >> beam.ParDo(_CountLinesFn())


class _CountFn(BatchedFn):
    def __init__(self, progress: str | None) -> None:
        self._progress_folder = progress

    def setup(self) -> None:
        self._progress = ProgressFile(self._progress_folder) if self._progress_folder else None

    def start_bundle(self) -> None:
        self._counts: Counter[CountKey] = Counter()

    def process(self, routed: Routed) -> Iterator[WindowedValue]:
        key = count_key(routed)
        self._counts[key] += 1
        if self._progress:
            self._progress.one(bad=bool(key.reason))
        if len(self._counts) > _MOST_KEYS:
            yield from self.finish_bundle()

    @beam.DoFn.yields_elements  # type: ignore[untyped-decorator]
    def process_batch(self, batch: Batch) -> Iterator[WindowedValue]:
        for routed in batch:
            yield from self.process(routed)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        counts, self._counts = self._counts, Counter()
        for key, count in counts.items():
            yield in_minute((key, count), key.minute)


class CountEvents(beam.PTransform):  # type: ignore[misc]
    """(Destination, outcome) -> (CountKey, n): absolute totals so far, the last one final.

    `progress` is a folder of this machine in which each worker says how far it is."""

    def __init__(self, progress: str | None = None) -> None:
        super().__init__()
        self._progress = progress

    def expand(self, routed: beam.PCollection) -> beam.PCollection:
        return (
            routed
            | "Partial sums" >> beam.ParDo(_CountFn(self._progress))
            | "All time"
            >> beam.WindowInto(
                GlobalWindows(),
                trigger=trigger.Repeatedly(trigger.AfterCount(1)),
                accumulation_mode=trigger.AccumulationMode.ACCUMULATING,
            )
            | "Totals" >> beam.CombinePerKey(sum)
        )
