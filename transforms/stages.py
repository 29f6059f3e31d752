"""The steps from source to sinks as transforms of Beam. A step's work on an element is a plain
function in the module of the step's name: code that needs only the function imports no Beam.
"""

from __future__ import annotations

import apache_beam as beam

from schemas.bad_event import BadEvent
from schemas.event import Event, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import Registry
from transforms.batches import EachFn
from transforms.parse import line_parser
from transforms.read.lines import Source
from transforms.route import Routed, route
from transforms.validate import event_validator


class ReadEvents(beam.PTransform):
    """Nothing -> RawLine: every line of the source, once."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        return root | "Source" >> self._source.lines()


class _ParseFn(EachFn):
    def __init__(self, format_: str) -> None:
        self._format = format_

    def setup(self) -> None:
        self._parse = line_parser(self._format)

    def each(self, line: RawLine) -> Event | BadEvent:
        return self._parse(line)


class ParseEvents(beam.PTransform):
    """RawLine -> Event | BadEvent, by a format string or `json`.

    Raises FormatError when the pipeline is built with a wrong format."""

    def __init__(self, format_: str = DEFAULT_FORMAT) -> None:
        super().__init__()
        line_parser(format_)  # refuses a wrong format now, not on a worker
        self._format = format_

    def expand(self, lines: beam.PCollection) -> beam.PCollection:
        return lines | "Parse" >> beam.ParDo(_ParseFn(self._format))


class _ValidateFn(EachFn):
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def setup(self) -> None:
        self._validate = event_validator(self._registry)

    def each(self, outcome: Event | BadEvent) -> Event | BadEvent:
        return outcome if isinstance(outcome, BadEvent) else self._validate(outcome)


class ValidateEvents(beam.PTransform):
    """Event | BadEvent -> Event | BadEvent, by the schemas of a registry; a BadEvent passes."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return outcomes | "Validate" >> beam.ParDo(_ValidateFn(self._registry))


class _RouteFn(EachFn):
    def each(self, outcome: Event | BadEvent) -> Routed:
        return route(outcome)


class RouteBySchema(beam.PTransform):
    """Event | BadEvent -> (Destination, Event | BadEvent)."""

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return outcomes | "Route" >> beam.ParDo(_RouteFn())
