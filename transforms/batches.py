"""Steps hand elements on in batches of some hundred; the PCollections stay the same.

If Beam hands over single elements, that costs a microsecond or two for each element and step, in
all as much as parsing. Its batched DoFns hand over lists. A step has a function of one element
(`EachFn`) and takes both: a runner or source without batches gives single elements.
docs/decisions/009-batched-dofns.md says why we have a batch type of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.typehints.batch import BatchConverter, ListBatchConverter


class Batch(list[Any]):
    """Some elements with the same timestamp and windows, in order."""


@BatchConverter.register(name="el_beam")
class _BatchOfAny(ListBatchConverter):
    """Tells Beam how to make batches of elements, and elements of batches."""

    @staticmethod
    def from_typehints(element_type: type, batch_type: type) -> _BatchOfAny:
        if batch_type is not Batch:
            raise TypeError("the batch type must be Batch")
        return _BatchOfAny(batch_type, element_type)

    def estimate_byte_size(self, batch: Batch) -> int:
        return 0  # serves a runner's statistics alone; measuring costs more than the batch saves


class BatchedFn(beam.DoFn):
    """A DoFn that takes batches, and gives batches, except in finish_bundle."""

    def get_input_batch_type(self, _: Any) -> type[Batch]:
        return Batch

    def get_output_batch_type(self, _: Any) -> type[Batch]:
        return Batch


class EachFn(BatchedFn):
    """A DoFn that turns each element into one element, by the function that `make` gives each
    worker."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        self._make = make

    def setup(self) -> None:
        self._each = self._make()

    def process(self, element: Any) -> tuple[Any]:
        return (self._each(element),)

    def process_batch(self, batch: Batch) -> Iterator[Batch]:
        yield Batch(map(self._each, batch))


class GraphStep(beam.PTransform):
    """A step of the graph around one transform, which has a label of its own: savepoints know it by
    both labels, so neither may change."""

    def __init__(self, label: str, transform: beam.PTransform) -> None:
        super().__init__()
        self._inner = label >> transform

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        return elements | self._inner
