"""The steps that count. Each bundle's counts leave it as partial sums, one `Counts` a split: a
bounded job adds them up in its summary, a continuous one writes them to a counts topic.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue
from confluent_kafka import KafkaError, Message

from schemas.bad_event import BadEvent
from schemas.event import RawLine
from transforms.batches import Batch, BatchedFn, GraphStep
from transforms.counts.count import MOST_KEYS, SLICE, Counts, SplitTally, brief_of
from transforms.counts.definitions import BAD, VALID
from transforms.counts.summary import SUMMARIES, SplitSummaries, Summary, SummaryPart, total
from transforms.counts.totals import COUNTS, CountRecord, KafkaMetrics
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.io.kafka.producer import KafkaProducer, make_topic
from transforms.progress import ProgressFile
from transforms.read.receipt import ReadReceipt
from transforms.route import Routed

_TOPIC: Final = {"cleanup.policy": "delete"}  # sums are added up: compaction would lose them
_WORKERS: Final[dict[int, str]] = {}  # process -> its name: what is forked is another worker


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


class CountLines(GraphStep):
    """RawLine -> a ReadReceipt for each split, where its reader gives none: counted as read, before
    anything can happen."""

    def __init__(self) -> None:
        super().__init__("Count", beam.ParDo(_CountLinesFn()))


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
        if self._progress:
            self._progress.note()

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


class CountEvents(GraphStep):
    """(Destination, outcome) -> the Counts of each bundle and split.

    A split's lines must come to it in order of offset, one bundle after the other, as they do
    where nothing stands between reading and counting. `progress` is a folder of this machine in
    which each worker says how far it is. For a runner's own page there are the counters `valid`
    and `bad`."""

    def __init__(self, progress: str | None = None) -> None:
        super().__init__("Count", _Counting(_CountFn(progress)))


class _MetricsFn(beam.DoFn):
    def __init__(self, target: KafkaMetrics) -> None:
        self._target = target

    def setup(self) -> None:
        self._worker = _WORKERS.setdefault(os.getpid(), uuid.uuid4().hex)
        self._producer = KafkaProducer(self._target.cluster)
        self._is_there = False

    def start_bundle(self) -> None:
        self._fault: SinkError | None = None

    def process(self, counts: Counts) -> None:
        topic = self._target.topic
        if not self._is_there:
            make_topic(self._target.cluster, topic, config=_TOPIC)
            self._is_there = True
        value = COUNTS.dump(CountRecord(self._worker, counts))
        self._producer.send(topic, value, counts.split.encode(), self._told)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._fault = self._producer.trouble(self._target.topic, error)

    def finish_bundle(self) -> None:
        self._producer.flush()
        if self._fault:
            raise self._fault

    def teardown(self) -> None:
        if producer := getattr(self, "_producer", None):
            producer.close()


class WriteMetrics(GraphStep):
    """Counts -> nothing: each is a record of a counts topic when its bundle ends.

    A record is a partial sum that is never changed, keyed by its split, so that the records of a
    split stay in order. totals.py says what they add up to, whatever happened to the job."""

    def __init__(self, target: KafkaMetrics) -> None:
        super().__init__("Write", beam.ParDo(_MetricsFn(target)))


class _SumUp(beam.CombineFn):
    """Parts -> one Summary. A runner lifts it: each worker adds up what it has, and the minutes of
    the counts go no further than that."""

    def create_accumulator(self) -> Summary:
        return Summary()

    def add_input(self, summary: Summary, part: SummaryPart) -> Summary:
        summary.add(part)
        return summary

    def merge_accumulators(self, summaries: Iterable[Summary]) -> Summary:
        return total(summaries, ())

    def extract_output(self, summary: Summary) -> Summary:
        return summary


class WriteSummary(beam.PTransform):
    """(reads, counts, receipts…) -> one JSON file, in the place that the driver named: a summary of
    each split. It is written for no lines at all, too."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, parts: tuple[beam.PCollection, ...]) -> beam.PCollection:
        path = self._path

        def write(summaries: dict[str, Summary]) -> None:
            filesystem.write(path, SUMMARIES.dump(SplitSummaries(dict(sorted(summaries.items())))))

        return (
            parts
            | "Together" >> beam.Flatten()
            | "By split" >> beam.Map(lambda part: (part.split, part))
            | "Sum up" >> beam.CombinePerKey(_SumUp())
            | "Collect" >> beam.CombineGlobally(beam.combiners.ToDictCombineFn())
            | "Write" >> beam.Map(write)
        )
