"""Says where an outcome goes (a bad event to EventError), which sinks take it, and its time."""

import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Choice:
    """Which outcomes a sink is given: by schema name, and whether EventErrors too.

    `only` and `except_` are matched against the schema's name from its start, as the original's
    blacklist was, or against Schema_revision. EventErrors are left out by `errors=False` or by an
    `except_` that matches them: choosing some schemas doesn't hide bad lines. An event that the
    sink itself rejects leaves its EventError in that sink whatever the choice: it alone knows of
    it."""

    only: re.Pattern[str] | None = None
    except_: re.Pattern[str] | None = None
    events: bool = True
    errors: bool = True

    def __str__(self) -> str:
        """For people: '' where all is chosen."""
        rules = [
            f"{name} {pattern.pattern}"
            for name, pattern in (("only", self.only), ("except", self.except_))
            if pattern
        ]
        if not self.errors:
            rules.append("no EventErrors")
        if not self.events:
            rules.append("EventErrors only")
        return ", ".join(rules)

    def wants(self, destination: Destination) -> bool:
        if self.except_ and _names(self.except_, destination):
            return False
        if destination == EVENT_ERROR:
            return self.errors
        return self.events and (self.only is None or _names(self.only, destination))


def _names(pattern: re.Pattern[str], destination: Destination) -> bool:
    return any(map(pattern.match, (destination.schema, str(destination))))
