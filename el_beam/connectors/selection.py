"""Which of the stored events a command is to read: of some hours, schemas, or one by its uuid."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.errors import WrongCall

_HOUR = re.compile(r"\d{4}-\d\d-\d\d(T\d\d)?", re.ASCII)


class StoredError(WrongCall):
    """A store can't be read, or a command asks for what can't be; the message is for people."""


@dataclass(frozen=True)
class Selection:
    """Which events to read: by default all."""

    first: str = ""  # hour, as 2019-03-10T07, or day
    last: str = ""  # the same; all of it is selected
    schemas: re.Pattern[str] | None = None  # matched against Schema_revision from its start
    uuid: str = ""

    def hour(self, hour: str) -> bool:
        """Whether an hour is selected; or whether any may be that begins like this, as 2019-03."""
        first, last = self.first[: len(hour)], self.last[: len(hour)]
        return first <= hour and (not last or hour[: len(last)] <= last)

    def all_hours(self) -> list[str]:
        """All hours from the first to the last, which must be given."""
        first, last = self.times()
        assert first and last
        count = int((last - first) / timedelta(hours=1)) + 1
        return [(first + timedelta(hours=each)).isoformat()[:13] for each in range(count)]

    def schema(self, schema: str) -> bool:
        return self.schemas is None or self.schemas.match(schema) is not None

    def times(self) -> tuple[datetime | None, datetime | None]:
        """The first moment of the first hour, the last one of the last; None for no bound."""
        first = datetime.fromisoformat(self.first) if self.first else None
        if not self.last:
            return first, None
        whole = timedelta(hours=1) if "T" in self.last else timedelta(days=1)
        return first, datetime.fromisoformat(self.last) + (whole - timedelta.resolution)


def selection_of(first: str | None, last: str | None, schemas: str | None) -> Selection:
    """What the options --from, --to and --schema ask for. Raises StoredError."""
    first, last = checked_hour("--from", first), checked_hour("--to", last)
    if first and last and first[: len(last)] > last[: len(first)]:
        raise StoredError(f"--from {first} is after --to {last}")
    try:
        return Selection(first, last, re.compile(schemas) if schemas else None)
    except re.error as error:
        raise StoredError(f"--schema {schemas!r} is not a regular expression: {error}") from error


def checked_hour(option: str, hour: str | None) -> str:
    """An hour or a day as an option gives it; empty for none. Raises StoredError."""
    if hour is not None and not _is_hour(hour):
        raise StoredError(f"{option} {hour!r} is not an hour: write 2019-03-10T07, or a day")
    return hour or ""


def _is_hour(text: str) -> bool:
    if not _HOUR.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


class ReadCounter:
    """Counts the events that were read so far, for a person who waits."""

    def __init__(self) -> None:
        self.events = 0

    def __call__(self) -> None:
        """One more."""
        self.events += 1

    def __str__(self) -> str:
        return f"read {self.events:,} events"
