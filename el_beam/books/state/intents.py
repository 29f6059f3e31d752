"""What an increment of a topic is to read, from what was read before and what there is."""

from __future__ import annotations

from typing import NamedTuple

from el_beam.books.state.state import Commit, Gap, Intent, StateError
from transforms.read.kafka_ranges import OffsetRange, splits_of

MOST_RECORDS = 5_000_000  # of a topic in one increment; what is left comes with the next one


class TopicFacts(NamedTuple):
    """A topic as the brokers have it."""

    name: str
    id: str  # another one, if it is made anew
    bounds: dict[int, tuple[int, int]]  # partition -> (oldest offset, offset after the newest)


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
    last: Commit | None, before: Intent | None, there: TopicFacts, *, skip: bool
) -> Intent | None:
    """What to do now: the intent `before` again, which was never done, or what is new since the
    `last` commit; None where nothing is. With `skip` it begins with what is left of records that
    have expired.

    Raises StateError where any have, without."""
    number, done = (last.number + 1, last.ends) if last else (1, {})
    wanted = _ranges(before) if before else _new(done, there)
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

    Raises StateError where that can't be told, or read any more."""
    which = f"increment {gap.first} of {there.name}"
    if "starts" not in gap.after.about:
        raise StateError(f"{which} is missing, and what it read can't be told: bring it back")
    starts = gap.after.ends | {int(key): at for key, at in gap.after.about["starts"].items()}
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


def _ranges(intent: Intent) -> list[OffsetRange]:
    return [each for split in intent.splits for each in split.ranges]


def _new(done: dict[int, int], there: TopicFacts) -> list[OffsetRange]:
    share = MOST_RECORDS // max(1, len(there.bounds))
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
