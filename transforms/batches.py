"""Elements in batches: the same PCollections, handed from step to step some hundred at a time.

Beam's element-wise hand-over costs a microsecond or two for each element and step, as much in all
as parsing. Its batched DoFns hand over lists. A step that handles each element by itself says so
once (`Each`), and works both ways: a runner, or a source, that has no batches gives elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.typehints.batch import BatchConverter


class Batch(list[Any]):
    """Some elements with the same timestamp and windows, in order."""


@BatchConverter.register(name="el_beam")
class _BatchOfAny(BatchConverter):
    """How Beam makes batches of elements, and elements of batches."""

    @staticmethod
    def from_typehints(element_type: type, batch_type: type) -> _BatchOfAny:
        if batch_type is not Batch:
            raise TypeError("the batch type must be Batch")
        return _BatchOfAny(batch_type, element_type)

    def produce_batch(self, elements: Iterable[Any]) -> Batch:
        return Batch(elements)

    def explode_batch(self, batch: Batch) -> Iterator[Any]:
        return iter(batch)

    def combine_batches(self, batches: Iterable[Batch]) -> Batch:
        return Batch(element for batch in batches for element in batch)

    def get_length(self, batch: Batch) -> int:
        return len(batch)

    def estimate_byte_size(self, batch: Batch) -> int:
        return 0  # only for a runner's statistics; measuring would cost more than the batch saves


class BatchedFn(beam.DoFn):
    """A DoFn that takes batches, and gives batches where it gives anything but at the end."""

    def get_input_batch_type(self, _: Any) -> type[Batch]:
        return Batch

    def get_output_batch_type(self, _: Any) -> type[Batch]:
        return Batch


class EachFn(BatchedFn):
    """One element in, one out: a subclass says what becomes of each."""

    def each(self, element: Any) -> Any:
        """What becomes of an element."""
        raise NotImplementedError

    def process(self, element: Any) -> tuple[Any]:
        return (self.each(element),)

    def process_batch(self, batch: Batch) -> Iterator[Batch]:
        yield Batch(map(self.each, batch))
