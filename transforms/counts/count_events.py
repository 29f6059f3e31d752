"""CountLines, CountEvents: each bundle's counts leave it as partial sums, one `Counts` a split."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.bad_event import BadEvent
from schemas.event import RawLine
from transforms.batches import Batch, BatchedFn
from transforms.counts.count import MOST_KEYS, SLICE, ReadReceipt, SplitTally, brief_of
from transforms.counts.definitions import BAD, VALID
from transforms.counts.progress import ProgressFile
from transforms.route import Routed


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


class _CountFn(BatchedFn):
    def __init__(self, progress: str | None) -> None:
        self._progress_folder = progress
        self._valid = Metrics.counter("el_beam", VALID.name)
        self._bad = Metrics.counter("el_beam", BAD.name)

    def setup(self) -> None:
        self._progress = ProgressFile(self._progress_folder) if self._progress_folder else None

    def start_bundle(self) -> None:
        self._tallies: dict[str, SplitTally] = {}

    def process(self, routed: Routed) -> tuple[WindowedValue, ...]:
        outcome = routed[1]
        _, _, offset, _, split = outcome.line.origin
        tally = self._tallies.get(split)
        if tally is None:
            tally = self._tallies[split] = SplitTally(split, offset)
        tally.offsets.append(offset)
        tally.briefs.append(brief_of(routed))
        if self._progress:
            self._progress.one(bad=isinstance(outcome, BadEvent))
        if len(tally.briefs) < SLICE or tally.add_up() <= MOST_KEYS:
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

    def _leaving(self, tally: SplitTally) -> WindowedValue:
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
