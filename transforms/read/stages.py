"""The steps that read: the splits of a bounded source, or batches of records, become lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, cast

import apache_beam as beam
from apache_beam.transforms.external import ExternalTransform, NamedTupleBasedPayloadBuilder

from schemas.event import RawLine
from transforms.batches import Batch, BatchedFn
from transforms.read.kafka_batch import READ, KafkaRead, lines_of
from transforms.read.receipt import ReadReceipt, Rest

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
        which tells it how our read of KafkaIO's is made."""
        super().__init__()
        self._wanted, self._expansion = KafkaRead(consumer, list(topics)), expansion

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        wanted = NamedTupleBasedPayloadBuilder(self._wanted)
        batches = root | "Records" >> ExternalTransform(READ, wanted, self._expansion)
        return batches | "Lines" >> beam.ParDo(_LinesFn())


class _LinesFn(BatchedFn):
    """Opens a batch of records as it comes. None is kept for finish_bundle: what is given there, a
    step that takes batches gets no sooner than with its next bundle."""

    @beam.DoFn.yields_batches
    def process(self, batch: bytes) -> tuple[Batch]:
        return (Batch(lines_of(batch)),)
