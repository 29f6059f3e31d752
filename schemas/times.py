"""Unix seconds that have a date, whatever a line, a record or a file says."""

from typing import Final

EARLIEST: Final = -62135596800.0  # the first second of the year 1
LATEST: Final = 253402300799.0  # the last one of the year 9999


def in_calendar(seconds: float) -> float:
    """Returns unix seconds that have a date, the nearest ones; 1970 for what is not a number."""
    if EARLIEST <= seconds <= LATEST:
        return seconds
    return min(max(seconds, EARLIEST), LATEST) if seconds == seconds else 0.0


def record_time(milliseconds: float) -> float:
    """Returns the unix seconds of a record's time, which Kafka takes as the producer gives it: 0 if
    there is none; in a finer unit if it would be beyond the calendar in milliseconds (producers
    that count nanoseconds)."""
    seconds = max(milliseconds, 0) / 1000
    while seconds > LATEST:
        seconds /= 1000
    return seconds
