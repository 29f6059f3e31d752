"""WriteEvents: outcomes are made durable, bundle by bundle; a Receipt says what was.

What a bundle writes is named after its splits (files) or keyed by uuid (tables), so that a bundle
which is run again does no harm. Where and how is the business of a sink: see `sink.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, event_error
from schemas.event import Destination, Event
from transforms.batches import Batch, BatchedFn
from transforms.line_time import NEWEST, LineTimes, by_rules
from transforms.route import Choice, Routed
from transforms.window import in_minute
from transforms.write.sink import Bundle, Rejected, Sink, Tally


class _WriteFn(BatchedFn):
    def __init__(self, sink: Sink, choice: Choice, times: LineTimes = NEWEST) -> None:
        self._sink, self._choice, self._times = sink, choice, times

    def setup(self) -> None:
        self._wanted: dict[Destination, bool] = {}
        self._writer = self._sink.writer()

    def start_bundle(self) -> None:
        self._bundle: Bundle | None = self._writer.bundle()
        self._tally = Tally(str(self._sink))

    def process(self, routed: Routed) -> None:
        self._write(routed)
        self._take_back()

    @beam.DoFn.yields_elements
    def process_batch(self, batch: Batch) -> None:
        for routed in batch:
            self._write(routed)
        self._take_back()

    def _write(self, routed: Routed) -> None:
        destination, outcome = routed
        wanted = self._wanted.get(destination)
        if wanted is None:
            wanted = self._wanted[destination] = self._choice.wants(destination)
        if not wanted:
            self._tally.filtered(outcome.line.origin.split, destination)
            return
        self._put(destination, outcome)

    def _put(self, destination: Destination, outcome: Event | BadEvent) -> None:
        event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
        assert self._bundle is not None
        try:
            self._bundle.add(destination, event)
        except Rejected as error:
            self._reject(destination, event, error)

    def _take_back(self) -> bool:
        """Reject what the sink took and can't hold after all; whether there was any such event."""
        assert self._bundle is not None
        found = False
        for rejected in self._bundle.rejected():
            self._reject(*rejected)
            found = True
        return found

    def _reject(self, destination: Destination, event: Event, error: Rejected) -> None:
        self._tally.rejected(event.line.origin.split, destination)
        if destination == EVENT_ERROR:
            raise error  # it can't hold even its error: the sink is broken, not the event
        dt = self._times(event.line, by_rules(event.data))
        reason = Reason.ROW_REJECTED
        bad = BadEvent(event.line, Stage.WRITE, reason, str(error), error.path, *destination, dt)
        self._put(EVENT_ERROR, bad)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        assert self._bundle is not None
        self._bundle.settle()
        while self._take_back():
            self._bundle.settle()
        receipts = [*self._bundle.commit(), *self._tally.receipts()]
        self._bundle = None
        for receipt in receipts:
            yield in_minute(receipt, 0)

    def teardown(self) -> None:
        if writer := self.__dict__.pop("_writer", None):  # Beam keeps what it has torn down
            writer.close()


class WriteEvents(beam.PTransform):
    """(Destination, outcome) -> a Receipt for each durable write, in the global window."""

    def __init__(self, sink: Sink, choice: Choice | None = None, times: LineTimes = NEWEST) -> None:
        super().__init__()
        self._sink, self._choice, self._times = sink, choice or Choice(), times

    def expand(self, routed: beam.PCollection) -> beam.PCollection:
        receipts = routed | "Write" >> beam.ParDo(_WriteFn(self._sink, self._choice, self._times))
        return receipts | "Receipts" >> beam.WindowInto(GlobalWindows())
