"""ReadSplits: the splits of a bounded source become lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam

from schemas.event import RawLine
from transforms.batches import Batch, BatchedFn

_BATCH_BYTES = 4 * 1024 * 1024  # of lines in a batch: hostile ones are long
LinesOf = Callable[[Any], Iterator[RawLine]]


class _ReadFn(BatchedFn):
    """Reads a split whole, in one call."""

    def __init__(self, lines_of: LinesOf, batch: int) -> None:
        self._lines_of, self._batch = lines_of, batch

    @beam.DoFn.yields_batches
    def process(self, split: Any) -> Iterator[Batch]:
        batch, size = Batch(), 0
        for line in self._lines_of(split):
            batch.append(line)
            size += len(line.data)
            if len(batch) >= self._batch or size >= _BATCH_BYTES:
                yield batch
                batch, size = Batch(), 0
        if batch:
            yield batch


class ReadSplits(beam.PTransform):
    """Nothing -> RawLine, `batch` of a split at a time at most. `lines_of` reads a split."""

    def __init__(self, splits: Sequence[Any], lines_of: LinesOf, batch: int = 1000) -> None:
        super().__init__()
        self._splits, self._lines_of, self._batch = splits, lines_of, batch

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            root
            # Which shuffles them: splits go round the workers, events never.
            | "Splits" >> beam.Create(self._splits)
            | "Lines" >> beam.ParDo(_ReadFn(self._lines_of, self._batch))
        )
