"""Says where an outcome goes, and when it happened. A bad event goes to EventError."""

from typing import Final

from schemas.bad_event import EVENT_ERROR, BadEvent
from schemas.capsule import event_time, scid_of
from schemas.event import Destination, Event

Routed = tuple[Destination, Event | BadEvent]
MINUTE: Final = 60  # seconds: lines are counted by minute


def route(outcome: Event | BadEvent) -> Routed:
    """Returns an outcome with its destination: its schema and revision. Its topic plays no part."""
    if isinstance(outcome, BadEvent):
        return EVENT_ERROR, outcome
    scid = scid_of(outcome.data)
    assert scid is not None, "only validated events are routed"
    return Destination(*scid), outcome


def outcome_time(outcome: Event | BadEvent) -> float:
    """Returns the unix seconds of an outcome: of the line's own dt, or else of its receipt."""
    data = {"dt": outcome.dt} if isinstance(outcome, BadEvent) else outcome.data
    return event_time(data, outcome.line.origin.receipt)
