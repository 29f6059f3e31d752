"""Steps hand elements on in batches of some hundred; the PCollections stay the same.

If Beam hands over single elements, that costs a microsecond or two for each element and step, in
all as much as parsing. Its batched DoFns hand over lists. A step defines what becomes of one
element (`EachFn`) and takes both: a runner or source without batches gives single elements.
docs/decisions/009-batched-dofns.md says why we have a batch type of our own.
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
    """Tells Beam how to make batches of elements, and elements of batches."""

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
        return 0  # serves a runner's statistics alone; measuring costs more than the batch saves


class BatchedFn(beam.DoFn):
    """A DoFn that takes batches, and gives batches, except in finish_bundle."""

    def get_input_batch_type(self, _: Any) -> type[Batch]:
        return Batch

    def get_output_batch_type(self, _: Any) -> type[Batch]:
        return Batch


class EachFn(BatchedFn):
    """A DoFn that turns each element into one element: a subclass defines `each`."""

    def each(self, element: Any) -> Any:
        """Returns what becomes of an element."""
        raise NotImplementedError

    def process(self, element: Any) -> tuple[Any]:
        return (self.each(element),)

    def process_batch(self, batch: Batch) -> Iterator[Batch]:
        yield Batch(map(self.each, batch))
