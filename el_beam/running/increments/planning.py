"""What an increment of a topic is to read, from what was read before and what there is.

`plan` says it; the other functions are its rules.
"""

from dataclasses import dataclass
from typing import NamedTuple

from el_beam.books.state.state import Commit, Gap, Intent, StateError, TopicState
from transforms.read.kafka_ranges import OffsetRange, splits_of

MOST_RECORDS = 5_000_000  # of a topic in one increment; what is left comes with the next one
_LONGEST_PAUSE = 600.0  # seconds until a topic that fails is tried again


class IncrementsOptions(NamedTuple):
    """How increments follow each other, and where it is noted which were done."""

    state: str  # path of a folder
    every: float | None = None  # seconds from one to the next; None: read what is there, then end
    skip_expired: bool = False  # records that are gone hold up nothing
    most_records: int = MOST_RECORDS  # of a topic in one increment


class TopicFacts(NamedTuple):
    """A topic as the brokers have it."""

    name: str
    id: str  # another one, if it is made anew
    bounds: dict[int, tuple[int, int]]  # partition -> (oldest offset, offset after the newest)


@dataclass
class ImportedTopic:
    """A topic on its way: what the state knows of it, and how it goes."""

    state: TopicState
    failures: int = 0
    not_before: float = 0.0  # monotonic seconds
    problem: str = ""  # why it waits until then
    prepared: bool = False  # files wait for their names

    @property
    def name(self) -> str:
        return self.state.topic

    def fail(self, problem: str, now: float) -> None:
        """It is tried again, each time later. `now` is in monotonic seconds."""
        self.failures += 1
        self.not_before = now + min(_LONGEST_PAUSE, 2.0 ** min(self.failures, 12))
        self.problem = problem


def plan(
    state: TopicState, there: TopicFacts, advice: str, *, skip: bool, most: int
) -> Intent | None:
    """What a topic shall do now: what it had intended before, what lies in a gap of its commits,
    or what is new, `most` records of it; None where nothing is.

    Raises StateError, which ends with `advice`, where records that must be read can't be."""
    last, before, gap = state.last(), state.pending()[0], state.gap()
    check(last, there, advice)
    if gap:
        return again(gap, before, there)
    return intend(last, before, there, skip=skip, most=most)


def check(last: Commit | None, there: TopicFacts, advice: str) -> None:
    """Raises StateError where the offsets that we know are those of another time."""
    if last is None:
        return
    if last.topic_id not in ("", there.id):
        raise StateError(
            f"{there.name} is not the topic that was read before, but a new one: {advice}"
        )
    for partition, end in last.ends.items():
        high = there.bounds.get(partition, (0, end))[1]
        if high < end:
            raise StateError(
                f"{there.name}/{partition} ends at {high}, but was read to {end}: a broker has "
                f"lost records; {advice}"
            )


def intend(
    last: Commit | None,
    before: Intent | None,
    there: TopicFacts,
    *,
    skip: bool,
    most: int = MOST_RECORDS,
) -> Intent | None:
    """What to do now: the intent `before` again, which was never done, or what is new since the
    `last` commit; None where nothing is. With `skip` it begins with what is left of records that
    have expired.

    Raises StateError where any have, without."""
    number, done = (last.number + 1, last.ends) if last else (1, {})
    if before:
        wanted = [each for split in before.splits for each in split.ranges]
    else:
        wanted = _new(done, there, most)
    expired = _expired(wanted, done, there)
    if expired and not skip:
        told = ", ".join(f"{start} to {end - 1} of {there.name}/{partition}"
                         for partition, start, end in expired)  # fmt: skip
        raise StateError(
            f"offsets {told} expired before they were read; --on-expired skip goes on without "
            "them, and the books say so"
        )
    if before and not expired:
        splits = before.splits
    else:
        cut = (each._replace(start=max(each.start, there.bounds[each.partition][0]))
               for each in wanted)  # fmt: skip
        wanted = [each for each in cut if each.records > 0]
        splits = tuple(splits_of(there.name, number, wanted))
    if not wanted and not expired:
        return None
    ends = {each.partition: each.end for each in (*expired, *sorted(wanted))}
    return Intent(there.name, number, splits, {**done, **ends}, expired, there.id)


def again(gap: Gap, before: Intent | None, there: TopicFacts) -> Intent:
    """What increments did whose commits are missing: all between their neighbours, which becomes
    one increment. `before` is an earlier attempt at it.

    Raises StateError where that is unknown, or gone."""
    which = f"increment {gap.first} of {there.name}"
    manifest = gap.after.manifest
    if manifest is None or manifest.starts is None:
        raise StateError(f"{which} is missing, and what it read is unknown: bring it back")
    starts = gap.after.ends | manifest.starts
    ends = gap.before.ends if gap.before else {}
    ranges = [OffsetRange(partition, ends.get(partition, 0), start)
              for partition, start in sorted(starts.items())]  # fmt: skip
    ranges = [each for each in ranges if each.records > 0]
    for each in ranges:
        if each.start < there.bounds.get(each.partition, (each.start, 0))[0]:
            raise StateError(
                f"{which} is missing, and offsets from {each.start} of {there.name}/"
                f"{each.partition}, which it read, have expired: bring it back from a copy"
            )
    splits = before.splits if before else tuple(splits_of(there.name, gap.first, ranges))
    return Intent(there.name, gap.first, splits, starts, (), there.id)


def _new(done: dict[int, int], there: TopicFacts, most: int) -> list[OffsetRange]:
    share = most // max(1, len(there.bounds))
    found = []
    for partition, (low, high) in sorted(there.bounds.items()):
        start = max(low, done.get(partition, low))
        found.append(OffsetRange(partition, start, min(high, start + share)))
    return [each for each in found if each.records > 0]


def _expired(
    wanted: list[OffsetRange], done: dict[int, int], there: TopicFacts
) -> tuple[OffsetRange, ...]:
    """What was to be read, or comes after what was, and isn't there any more."""
    starts = {**{each.partition: each.start for each in reversed(wanted)}, **done}
    gone = (OffsetRange(partition, start, there.bounds.get(partition, (start, 0))[0])
            for partition, start in sorted(starts.items()))  # fmt: skip
    return tuple(each for each in gone if each.records > 0)
