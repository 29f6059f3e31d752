"""Choice: which outcomes a sink is given."""

from __future__ import annotations

import re

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination


class Choice:
    """Which outcomes a sink is given: by schema name, and whether EventErrors too.

    `only` and `except_` are matched against the schema's name from its start, as the original's
    blacklist was, or against Schema_revision. EventErrors are left out by `errors=False` or by an
    `except_` that matches them: choosing some schemas doesn't hide bad lines. An event that the
    sink itself rejects leaves its EventError in that sink whatever the choice: it alone knows of
    it."""

    def __init__(
        self, only: str | None = None, except_: str | None = None, *, events: bool = True,
        errors: bool = True,
    ) -> None:  # fmt: skip
        self.only, self.except_, self.events, self.errors = only, except_, events, errors
        self._only = re.compile(only) if only else None
        self._except = re.compile(except_) if except_ else None

    def wants(self, destination: Destination) -> bool:
        if self._except and _names(self._except, destination):
            return False
        if destination == EVENT_ERROR:
            return self.errors
        return self.events and (self._only is None or _names(self._only, destination))


def _names(pattern: re.Pattern[str], destination: Destination) -> bool:
    return any(map(pattern.match, (destination.schema, str(destination))))
