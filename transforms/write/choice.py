"""Choice: which outcomes a sink is given."""

import re
from dataclasses import dataclass

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination


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

    def wants(self, destination: Destination) -> bool:
        if self.except_ and _names(self.except_, destination):
            return False
        if destination == EVENT_ERROR:
            return self.errors
        return self.events and (self.only is None or _names(self.only, destination))


def _names(pattern: re.Pattern[str], destination: Destination) -> bool:
    return any(map(pattern.match, (destination.schema, str(destination))))
