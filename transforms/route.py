"""RouteBySchema: each outcome gets the name of what holds it; bad events go to EventError."""

from __future__ import annotations

import apache_beam as beam

from schemas.bad_event import EVENT_ERROR, BadEvent
from schemas.capsule import scid_of
from schemas.event import Destination, Event
from transforms.batches import EachFn

Routed = tuple[Destination, Event | BadEvent]


def route(outcome: Event | BadEvent) -> Routed:
    """An outcome with its destination: its schema and revision. Its topic is never asked."""
    if isinstance(outcome, BadEvent):
        return EVENT_ERROR, outcome
    scid = scid_of(outcome.data)
    assert scid is not None, "only validated events are routed"
    return Destination(*scid), outcome


class _RouteFn(EachFn):
    def each(self, outcome: Event | BadEvent) -> Routed:
        return route(outcome)


class RouteBySchema(beam.PTransform):
    """Event | BadEvent -> (Destination, Event | BadEvent)."""

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        return outcomes | "Route" >> beam.ParDo(_RouteFn())
