"""The time axis of a chart: which stretch is shown, in which steps, with which labels.

Events carry the times that their senders say. A few always are years away (a clock never set, a
line without a time), and must not squeeze all the others into one column: they are left out of the
picture, and the picture says so.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

MOST_STEPS = 150  # columns that a chart can show apart
FEWEST_STEPS = 12
HOUR, DAY = 60, 24 * 60
STEPS = (
    *(1, 2, 5, 10, 15, 30, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY, 3640 * DAY, 36400 * DAY),
)  # minutes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Minute(NamedTuple):
    """How many events of a schema a minute has."""

    minute: int | None  # since 1970; None: of events without a time
    schema: str
    valid: int
    bad: int


def minute_of(text: str | None) -> int | None:
    """Minutes since 1970 of `2019-03-10T07:09Z`; None if it is not a time."""
    try:
        return (datetime.fromisoformat(text or "") - _EPOCH) // timedelta(minutes=1)
    except ValueError:
        return None


def moment_of(minute: int) -> datetime:
    """The moment of a minute; the calendar's ends for what lies beyond them."""
    try:
        return _EPOCH + timedelta(minutes=minute)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Timeline:
    """`steps` columns of `step` minutes from the minute `start`; `outside` events are not shown."""

    start: int
    step: int
    steps: int
    outside: int

    @property
    def end(self) -> int:
        """The minute after the last one."""
        return self.start + self.step * self.steps

    def place(self, minute: int | None) -> int | None:
        """The column of a minute; None if it is outside."""
        if minute is None or not self.start <= minute < self.end:
            return None
        return (minute - self.start) // self.step

    @property
    def step_name(self) -> str:
        """`minute`, `10 minutes`, `hour`, `7 days`."""
        for length, unit in ((DAY, "day"), (HOUR, "hour"), (1, "minute")):
            if self.step % length == 0:
                number = self.step // length
                return unit if number == 1 else f"{number} {unit}s"
        raise AssertionError(self.step)

    def name(self, column: int) -> str:
        """A column in words: `10 Mar 2019, 07:09`."""
        moment = moment_of(self.start + column * self.step)
        return day_of(moment) + ("" if self.step >= DAY else f", {moment:%H:%M}")

    def name_after(self, first: int, column: int) -> str:
        """A column in words, without the date where that of the column `first` is meant."""
        name, day = self.name(column), day_of(moment_of(self.start + first * self.step))
        return name.removeprefix(f"{day}, ")

    def ticks(self, most: int) -> list[tuple[int, str, str]]:
        """(minute, label, date below it or nothing) of at most `most` round times."""
        span = self.end - self.start
        every = next((step for step in STEPS if span / step <= most), STEPS[-1])
        ticks: list[tuple[int, str, str]] = []
        last = ""
        for minute in range(-(-self.start // every) * every, self.end, every):
            moment = moment_of(minute)
            date = day_of(moment)
            if every >= DAY:
                label, below = f"{moment.day} {moment:%b}", f"{moment.year}"
            else:
                label, below = f"{moment:%H:%M}", date
            ticks.append((minute, label, "" if below == last else below))
            last = below
        return ticks


def day_of(moment: datetime) -> str:
    """`10 Mar 2019`."""
    return f"{moment.day} {moment:%b} {moment.year}"


def timeline(minutes: Iterable[Minute]) -> Timeline | None:
    """The stretch that shows what there is to see; None where no event has a time."""
    weights: Counter[int] = Counter()
    timeless = 0
    for minute, _, valid, bad in minutes:
        if minute is None:
            timeless += valid + bad
        elif valid + bad:
            weights[minute] += valid + bad
    if not weights:
        return None
    first, last = _shown(weights)
    step = next((step for step in STEPS if (last - first) // step + 2 <= MOST_STEPS), STEPS[-1])
    start = first // step * step
    steps = (last - start) // step + 1
    if steps < FEWEST_STEPS:  # a run of a minute still reads as a stretch of time
        start -= (FEWEST_STEPS - steps) // 2 * step
        steps = FEWEST_STEPS
    end = start + step * steps
    outside = sum(events for minute, events in weights.items() if not start <= minute < end)
    return Timeline(start, step, steps, outside + timeless)


def _shown(weights: Mapping[int, int]) -> tuple[int, int]:
    """First and last minute to show: all of them, unless nine tenths fill under a twelfth of it."""
    ordered = sorted(weights)
    passed = [*accumulate(weights[minute] for minute in ordered)]
    low, high = (ordered[bisect_left(passed, part * passed[-1])] for part in (0.05, 0.95))
    body = max(high - low, 10)
    if ordered[-1] - ordered[0] <= 12 * body:
        return ordered[0], ordered[-1]
    margin = body // 4 + 1
    inside = [minute for minute in ordered if low - margin <= minute <= high + margin]
    return inside[0], inside[-1]
