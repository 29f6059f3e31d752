"""CountLines, CountEvents: how many lines were read, how many of what happened in which minute.

A bundle's counts leave it as partial sums, one `Counts` a split. Nothing is added up across
bundles here: that would be state that grows for as long as a job runs, and is gone when the job
starts again without it. A bounded job adds them up in its summary; a continuous one writes them to
a counts topic (metrics.py), where `totals.py` makes absolute totals of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.bad_event import BadEvent, Reason
from schemas.event import Destination, RawLine
from transforms.batches import Batch, BatchedFn
from transforms.counts.progress import ProgressFile
from transforms.route import Routed
from transforms.window import MINUTE, outcome_time

MOST_KEYS = 4_000  # of a Counts, or a slice more: a key takes up to 150 bytes of a record
_TOGETHER = 500  # lines in a slice: they are summed up together
_SCHEMA_IS_KNOWN = (Reason.SCHEMA_VIOLATION, Reason.ROW_REJECTED)
_UNKNOWN = Destination("unknown", -1)
_Brief = tuple[float, Destination, str]


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


class Counts(NamedTuple):
    """What became of the lines of a split from offset `first` to `last`, both included.

    A partial sum, of one bundle. Bundles don't overlap while all goes well; after a failure lines
    are read again, in other bundles, and their counts come again."""

    split: str
    first: int
    last: int
    lines: int
    sums: tuple[tuple[CountKey, int], ...]  # each key once


def count_key(routed: Routed) -> CountKey:
    """The key that an outcome counts for: bad ones under the schema they break."""
    return _key(*_brief(routed))


def _brief(routed: Routed) -> _Brief:
    """All that a key is made of, in a form that is quickly made."""
    destination, outcome = routed
    if not isinstance(outcome, BadEvent):
        return outcome_time(outcome), destination, ""
    known = outcome.reason in _SCHEMA_IS_KNOWN and outcome.revision > 0
    broken = Destination(outcome.schema, outcome.revision) if known else _UNKNOWN
    return outcome_time(outcome), broken, outcome.reason.value


def _key(seconds: float, destination: Destination, reason: str) -> CountKey:
    return CountKey(int(seconds // MINUTE) * MINUTE, *destination, reason)


class _CountLinesFn(BatchedFn):
    def start_bundle(self) -> None:
        self._read: dict[str, tuple[int, int]] = {}

    def process(self, line: RawLine) -> None:
        self.process_batch(Batch([line]))

    @beam.DoFn.yields_elements
    def process_batch(self, batch: Batch) -> None:
        for split, lines in groupby(batch, lambda line: line.origin.split):
            sizes = [len(line.data) for line in lines]
            count, size = self._read.get(split, (0, 0))
            self._read[split] = count + len(sizes), size + sum(sizes)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for split, (lines, size) in self._read.items():
            yield _in_no_window(ReadReceipt(split, lines, size))


def _in_no_window(value: object) -> WindowedValue:
    """What leaves a bundle at its end, so that nothing can take it for late."""
    return WindowedValue(value, MIN_TIMESTAMP, [GlobalWindow()])


class CountLines(beam.PTransform):
    """RawLine -> a ReadReceipt for each split: counted as read, before anything can happen."""

    def expand(self, lines: beam.PCollection) -> beam.PCollection:
        return lines | "Count" >> beam.ParDo(_CountLinesFn())


class _Tally:
    """What has become of a split's lines so far. The last ones are summed up together: a few keys
    for many lines."""

    def __init__(self, split: str, offset: int) -> None:
        self._split, self._first, self._last = split, offset, offset
        self._sums: Counter[CountKey] = Counter()
        self.offsets: list[int] = []
        self.briefs: list[_Brief] = []

    def add_up(self) -> int:
        """Sum up the lines that came last. Returns how many keys there are."""
        self._first = min((self._first, *self.offsets))
        self._last = max((self._last, *self.offsets))
        for brief, count in Counter(self.briefs).items():
            self._sums[_key(*brief)] += count
        self.offsets, self.briefs = [], []
        return len(self._sums)

    def counts(self) -> Counts:
        self.add_up()
        sums = tuple(self._sums.items())
        return Counts(self._split, self._first, self._last, self._sums.total(), sums)


class _CountFn(BatchedFn):
    def __init__(self, progress: str | None) -> None:
        self._progress_folder = progress
        self._valid = Metrics.counter("el_beam", "valid")
        self._bad = Metrics.counter("el_beam", "bad")

    def setup(self) -> None:
        self._progress = ProgressFile(self._progress_folder) if self._progress_folder else None

    def start_bundle(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def process(self, routed: Routed) -> tuple[WindowedValue, ...]:
        outcome = routed[1]
        _, _, offset, _, split = outcome.line.origin
        tally = self._tallies.get(split)
        if tally is None:
            tally = self._tallies[split] = _Tally(split, offset)
        tally.offsets.append(offset)
        tally.briefs.append(_brief(routed))
        if self._progress:
            self._progress.one(bad=isinstance(outcome, BadEvent))
        if len(tally.briefs) < _TOGETHER or tally.add_up() <= MOST_KEYS:
            return ()
        # hostile times: a record must be able to hold them all
        return (self._leaving(self._tallies.pop(split)),)

    @beam.DoFn.yields_elements
    def process_batch(self, batch: Batch) -> Iterator[WindowedValue]:
        for routed in batch:
            yield from self.process(routed)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for tally in self._tallies.values():
            yield self._leaving(tally)

    def _leaving(self, tally: _Tally) -> WindowedValue:
        counts = tally.counts()
        bad = sum(count for key, count in counts.sums if key.reason)
        self._bad.inc(bad)
        self._valid.inc(counts.lines - bad)
        return _in_no_window(counts)


class _Counting(beam.ParDo):
    """Its input is in minutes; what comes out is in no window, so nothing waits for one."""

    def get_windowing(self, _: Any) -> Windowing:
        return Windowing(GlobalWindows())


class CountEvents(beam.PTransform):
    """(Destination, outcome) -> the Counts of each bundle and split.

    A split's lines must come to it in order of offset, one bundle after the other, as they do
    where nothing stands between reading and counting. `progress` is a folder of this machine in
    which each worker says how far it is. For a runner's own page there are the counters `valid`
    and `bad`."""

    def __init__(self, progress: str | None = None) -> None:
        super().__init__()
        self._progress = progress

    def expand(self, routed: beam.PCollection) -> beam.PCollection:
        return routed | "Count" >> _Counting(_CountFn(self._progress))
