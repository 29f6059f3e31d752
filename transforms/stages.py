"""The steps from source to sinks as transforms of Beam. A step's work on an element is a plain
function in the module of the step's name: code that needs only the function imports no Beam.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import apache_beam as beam

from schemas.bad_event import BadEvent
from schemas.event import Event
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import Registry
from transforms.batches import EachFn, GraphStep
from transforms.line_time import NEWEST, LineTimes
from transforms.parse import line_parser
from transforms.read.lines import Source
from transforms.route import route
from transforms.validate import event_validator


class ReadEvents(GraphStep):
    """Nothing -> RawLine: every line of the source, once. Of a bounded source it is
    (RawLine, ReadReceipt): a receipt for each split."""

    def __init__(self, source: Source) -> None:
        super().__init__("Source", source.lines())


class ParseEvents(GraphStep):
    """RawLine -> Event | BadEvent, by a format string or `json`. Raises FormatError."""

    def __init__(self, format_: str = DEFAULT_FORMAT, times: LineTimes = NEWEST) -> None:
        line_parser(format_)  # refuses a wrong format now, not on a worker
        super().__init__("Parse", beam.ParDo(EachFn(partial(line_parser, format_, times))))


class ValidateEvents(GraphStep):
    """Event | BadEvent -> Event | BadEvent, by the schemas of a registry; a BadEvent passes."""

    def __init__(self, registry: Registry, times: LineTimes = NEWEST) -> None:
        make = partial(_outcome_validator, registry, times)
        super().__init__("Validate", beam.ParDo(EachFn(make)))


def _outcome_validator(
    registry: Registry, times: LineTimes
) -> Callable[[Event | BadEvent], Event | BadEvent]:
    validate = event_validator(registry, times)

    def each(outcome: Event | BadEvent) -> Event | BadEvent:
        return outcome if isinstance(outcome, BadEvent) else validate(outcome)

    return each


class RouteBySchema(GraphStep):
    """Event | BadEvent -> (Destination, Event | BadEvent)."""

    def __init__(self) -> None:
        super().__init__("Route", beam.ParDo(EachFn(lambda: route)))
