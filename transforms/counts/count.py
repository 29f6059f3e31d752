"""How many lines were read, and how many of what happened in which minute.

A bundle's counts leave it as partial sums, one `Counts` a split. Nothing is added up across
bundles here: that would be state that grows for as long as a job runs, and is gone when the job
starts again without it. A bounded job adds them up in its summary; a continuous one writes them to
a counts topic (metrics.py), where `totals.py` makes absolute totals of them.
"""

from collections import Counter
from typing import NamedTuple

from schemas.bad_event import UNKNOWN, BadEvent, Reason
from schemas.event import Destination
from transforms.route import MINUTE, Routed, outcome_time

MOST_KEYS = 4_000  # of a Counts, or a slice more: a key takes up to 150 bytes of a record
SLICE = 500  # lines in a slice: they are summed up together
_SCHEMA_IS_KNOWN = (Reason.SCHEMA_VIOLATION, Reason.ROW_REJECTED)
Brief = tuple[float, Destination, str]


class CountKey(NamedTuple):
    """What is counted apart from what. `reason` is empty for valid events."""

    minute: int  # unix seconds of its start
    schema: str  # `unknown` where the registry doesn't know it: names from clients are no keys
    revision: int
    reason: str


class Counts(NamedTuple):
    """What became of the lines of a split from offset `first` to `last`, both included.

    A partial sum, of one bundle. Bundles don't overlap while all goes well; after a failure lines
    are read again, in other bundles, and their counts come again."""

    split: str
    first: int
    last: int
    lines: int
    sums: tuple[tuple[CountKey, int], ...]  # each key once


def count_key(routed: Routed) -> CountKey:
    """The key that an outcome counts for: bad ones under the schema they break."""
    return _key(*brief_of(routed))


def brief_of(routed: Routed) -> Brief:
    """All that a key is made of, in a form that is quickly made."""
    destination, outcome = routed
    if not isinstance(outcome, BadEvent):
        return outcome_time(outcome), destination, ""
    known = outcome.reason in _SCHEMA_IS_KNOWN and outcome.revision > 0
    broken = Destination(outcome.schema, outcome.revision) if known else UNKNOWN
    return outcome_time(outcome), broken, outcome.reason.value


def _key(seconds: float, destination: Destination, reason: str) -> CountKey:
    return CountKey(int(seconds // MINUTE) * MINUTE, *destination, reason)


class SplitTally:
    """What has become of a split's lines so far. The last ones are summed up together: a few keys
    for many lines."""

    def __init__(self, split: str, offset: int) -> None:
        self._split, self._first, self._last = split, offset, offset
        self._sums: Counter[CountKey] = Counter()
        self.offsets: list[int] = []
        self.briefs: list[Brief] = []

    def add_up(self) -> int:
        """Sum up the lines that came last. Returns how many keys there are."""
        self._first = min((self._first, *self.offsets))
        self._last = max((self._last, *self.offsets))
        for brief, count in Counter(self.briefs).items():
            self._sums[_key(*brief)] += count
        self.offsets, self.briefs = [], []
        return len(self._sums)

    def counts(self) -> Counts:
        self.add_up()
        sums = tuple(self._sums.items())
        return Counts(self._split, self._first, self._last, self._sums.total(), sums)
