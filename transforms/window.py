"""WindowEvents stamps outcomes with their time, and puts them into the window of its minute.

A batch stays whole, as its files and counts go by what each outcome says itself: it has the time of
its first one. No event is dropped for being late, because no window ever closes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import apache_beam as beam
from apache_beam.transforms import trigger, window
from apache_beam.transforms.core import Windowing
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import HomogeneousWindowedBatch, WindowedValue

from transforms.batches import Batch, BatchedFn
from transforms.route import MINUTE, Routed, outcome_time

_FOREVER = 100 * 365 * 24 * 3600  # seconds of allowed lateness
_EARLIEST, _LATEST = MIN_TIMESTAMP.seconds() + 2 * MINUTE, MAX_TIMESTAMP.seconds() - 2 * MINUTE


@lru_cache(maxsize=65536)
def _place_of(seconds: float) -> tuple[Timestamp, list[window.IntervalWindow]]:
    seconds = min(max(seconds, _EARLIEST), _LATEST)
    minute = int(seconds // MINUTE) * MINUTE
    return Timestamp.of(seconds), [window.IntervalWindow(minute, minute + MINUTE)]


def in_minute(value: object, seconds: float) -> WindowedValue:
    """Stamps a value with a time, in the window of its minute."""
    timestamp, windows = _place_of(seconds)
    return WindowedValue(value, timestamp, windows)


class _IntoMinutes(beam.ParDo):
    """Stamps and windows in one step: beam.WindowInto after a stamping step costs a third of the
    whole hot path, because it calls the same window function again for each event."""

    def __init__(self) -> None:
        super().__init__(_MinuteFn())

    def get_windowing(self, _: Sequence[Any]) -> Windowing:
        return Windowing(
            window.FixedWindows(MINUTE),
            triggerfn=trigger.Repeatedly(trigger.AfterCount(1)),
            accumulation_mode=trigger.AccumulationMode.DISCARDING,
            allowed_lateness=_FOREVER,
        )


class _MinuteFn(BatchedFn):
    def process(self, routed: Routed) -> tuple[WindowedValue]:
        return (in_minute(routed, outcome_time(routed[1])),)

    def process_batch(self, batch: Batch) -> Iterator[HomogeneousWindowedBatch]:
        if batch:
            yield HomogeneousWindowedBatch(in_minute(batch, outcome_time(batch[0][1])))


class WindowEvents(beam.PTransform):
    """(Destination, outcome) -> the same, stamped with a time, in windows of a minute."""

    def expand(self, routed: beam.PCollection) -> beam.PCollection:
        return routed | "Minutes" >> _IntoMinutes()
