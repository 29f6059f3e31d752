"""The steps that read: the splits of a bounded source, or KafkaIO's records, become lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, cast

import apache_beam as beam
from apache_beam.io.kafka import ReadFromKafka
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.event import Origin, RawLine
from schemas.times import record_time
from transforms.batches import Batch, BatchedFn
from transforms.read.receipt import ReadReceipt, Rest

_GLOBAL = (GlobalWindow(),)
_BATCH_BYTES = 4 * 1024 * 1024  # of lines in a batch: hostile ones are long
_RECEIPTS = "receipts"
Lines = Iterator[RawLine] | Generator[RawLine, None, Rest]
"""Lines of a split; of offsets, a generator that returns what else is to be said of them."""
LinesOf = Callable[[Any], Lines]


class _ReadFn(BatchedFn):
    """Reads a split whole, in one call, and gives a ReadReceipt for it."""

    def __init__(self, lines_of: LinesOf, batch: int) -> None:
        self._lines_of, self._batch = lines_of, batch

    @beam.DoFn.yields_batches
    def process(self, split: Split | None) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        lines = Reading(self._lines_of(split))
        batch, size, count, total = Batch(), 0, 0, 0
        id_ = split.id if split else ""
        for line in lines:
            batch.append(line)
            size += len(line.data)
            if len(batch) >= self._batch or size >= _BATCH_BYTES:
                count, total, id_ = count + len(batch), total + size, line.origin.split
                yield batch
                batch, size = Batch(), 0
        if batch:
            count, total, id_ = count + len(batch), total + size, batch[0].origin.split
            yield batch
        if count or lines.rest.holes:
            receipt = ReadReceipt(id_, count, total, *lines.rest)
            yield beam.pvalue.TaggedOutput(_RECEIPTS, Batch([receipt]))


class Reading:
    """Lines, and at their end what else is to be said of them."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.rest = Rest()

    def __iter__(self) -> Iterator[RawLine]:
        lines = cast("Generator[RawLine, None, Rest | None]", self._lines)
        self.rest = (yield from lines) or Rest()


class Split(Protocol):
    """A part of a source that one reader reads."""

    @property
    def id(self) -> str: ...


class ReadSplits(beam.PTransform):
    """Nothing -> (RawLine, ReadReceipt), `batch` of a split's lines at a time at most. `lines_of`
    reads a split; without splits there is one that has no name yet, None."""

    def __init__(
        self, splits: Sequence[Split | None], lines_of: LinesOf, batch: int = 1000
    ) -> None:
        super().__init__()
        self._splits, self._lines_of, self._batch = splits, lines_of, batch

    def expand(self, root: beam.pvalue.PBegin) -> tuple[beam.PCollection, beam.PCollection]:
        # Which shuffles them: splits go round the workers, events never.
        splits = root | "Splits" >> beam.Create(self._splits)
        read = splits | "Lines" >> beam.ParDo(_ReadFn(self._lines_of, self._batch)).with_outputs(
            _RECEIPTS, main="lines"
        )
        return read["lines"], read[_RECEIPTS]


class ReadKafka(beam.PTransform):
    """Nothing -> RawLine, for as long as the job runs."""

    def __init__(self, consumer: dict[str, str], topics: tuple[str, ...], expansion: Any) -> None:
        """`consumer` is the Java consumer's configuration; `expansion` is Beam's expansion service,
        which tells it how KafkaIO is made."""
        super().__init__()
        self._consumer, self._topics, self._expansion = consumer, topics, expansion

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        records = root | "Records" >> ReadFromKafka(
            self._consumer,
            list(self._topics),
            with_metadata=True,
            commit_offset_in_finalize=True,
            expansion_service=self._expansion,
        )
        return records | "Lines" >> beam.ParDo(_LinesFn())


def line_of(record: Any) -> RawLine:
    """A record of KafkaIO's as a line. Its split is its partition, its offset the record's."""
    partition = f"{record.topic}/{record.partition}"
    origin = Origin("kafka", partition, record.offset, record_time(record.timestamp), partition)
    return RawLine((record.value or b"").removesuffix(b"\n"), origin)


class _LinesFn(beam.DoFn):
    """Each record has a time of its own. Lines get one that is the same for all, so that they go on
    in batches; none is kept for finish_bundle, whose elements Beam gives to a step that takes
    batches no sooner than with its next bundle."""

    def process(self, record: Any) -> tuple[WindowedValue]:
        return (WindowedValue(line_of(record), MIN_TIMESTAMP, _GLOBAL),)
