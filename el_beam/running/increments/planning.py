"""What an increment of a topic is to read, from what was read before and what there is.

`plan` says it; the other functions are its rules.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import NamedTuple

from el_beam.books.log import KEPT
from el_beam.books.state.state import Commit, Intent, StateError, TopicState
from transforms.line_time import NEWEST_RULE
from transforms.read.kafka_ranges import KafkaSplit, splits_of
from transforms.read.offsets import OffsetRange, Ranges, common, united, without

MOST_RECORDS = 5_000_000  # of a topic in one increment; what is left comes with the next one
_LONGEST_PAUSE = 600.0  # seconds until a topic that fails is tried again


class IncrementsOptions(NamedTuple):
    """How increments follow each other, and where it is noted which were done."""

    state: str  # path of a folder
    every: float | None = None  # seconds from one to the next; None: read what is there, then end
    skip_expired: bool = False  # records that are gone hold up nothing
    most_records: int = MOST_RECORDS  # of a topic in one increment
    kept: int = KEPT  # newest commits of a topic that have a file of their own
    previous: bool = False  # a new state is written as the release before reads it
    patience: float = 3600.0  # seconds for which hours wait for a transaction that is open


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

    @property
    def name(self) -> str:
        return self.state.topic

    def fail(self, problem: str, now: float) -> None:
        """It is tried again, each time later. `now` is in monotonic seconds."""
        self.failures += 1
        self.not_before = now + min(_LONGEST_PAUSE, 2.0 ** min(self.failures, 12))
        self.problem = problem


def reached(topics: Iterable[ImportedTopic]) -> dict[tuple[str, int], int]:
    """(topic, partition) -> where the next increment starts."""
    commits = [(topic.name, topic.state.last()) for topic in topics]
    return {(name, each): end for name, last in commits if last for each, end in last.ends.items()}


class TopicPlan(NamedTuple):
    """What a topic shall do now."""

    intent: Intent | None = None  # None: there is nothing to read
    ends: dict[int, int] | None = None  # where it is then, though nothing was read
    skipped: Ranges = ()  # what all folders have already, whatever the state knows
    lacking: Mapping[str, Ranges] = MappingProxyType({})
    """What folders don't have of what the state takes for done."""


def plan(
    state: TopicState, there: TopicFacts, held: Mapping[str, Ranges],
    *, skip: bool, most: int, all_keep_books: bool,
) -> TopicPlan:  # fmt: skip
    """What a topic shall do now: what it had intended before, or what is new, `most` records of it.
    `held` says what each folder has of the topic; what all of them have is not read again, if each
    sink of the job has a folder that keeps books.

    Raises StateError where records that must be read can't be."""
    last, before = state.last(), state.pending()[0]
    wanted = _ends(each for split in before.splits for each in split.ranges) if before else {}
    if before and (before.topic_id not in ("", there.id) or _lost(wanted, there)):
        before = None  # that topic is gone, or its end is, with what was to be read of it
    done = last.ends if last else _reached(held) if all_keep_books else {}
    found = intend(
        state.next, done, before, there, held, skip=skip, most=most, all_keep_books=all_keep_books,
    )  # fmt: skip
    if last:
        return found._replace(lacking=_lacking(last.ends, held))
    known = (OffsetRange(each, there.bounds[each][0], end) for each, end in done.items()
             if each in there.bounds)  # fmt: skip
    return found._replace(skipped=united((*found.skipped, *known)))


def _ends(ranges: Iterable[OffsetRange]) -> dict[int, int]:
    """To where each partition is in some ranges."""
    return {each.partition: each.end for each in sorted(ranges, key=lambda each: each.end)}


def _reached(held: Mapping[str, Ranges]) -> dict[int, int]:
    """Where a state that knows nothing goes on: all folders have what is before."""
    firsts = [{each.partition: each.end for each in reversed(ranges)} for ranges in held.values()]
    in_all = set[int].intersection(*map(set[int], firsts)) if firsts else set[int]()
    return {each: min(first[each] for first in firsts) for each in sorted(in_all)}


def _lacking(ends: Mapping[int, int], held: Mapping[str, Ranges]) -> dict[str, Ranges]:
    """Of what was read, what is in no entry of a folder: it was restored from an older copy, or was
    left out of the import for a while."""
    found = {}
    for folder, ranges in held.items():
        begin = {each.partition: each.start for each in reversed(ranges)}
        read = [OffsetRange(partition, begin.get(partition, 0), end)
                for partition, end in ends.items()]  # fmt: skip
        if lacks := without(read, ranges):
            found[folder] = lacks
    return found


Cuts = Callable[[Mapping[int, int]], Mapping[int, int]]
"""Returns from where on partitions have other records than were read, for those that end before
what was read: their ends, where nothing has come since."""


def check(last: Commit | None, there: TopicFacts, reset: str, cuts: Cuts = dict) -> None:
    """Raises StateError where the offsets that we know are those of another time; `reset` is how
    the command begins that it advises then."""
    if last is None:
        return
    if last.topic_id not in ("", there.id):
        starts = dict.fromkeys(last.ends, 0)  # of partitions that it doesn't have, too
        starts |= {partition: low for partition, (low, _) in there.bounds.items()}
        raise StateError(
            f"{there.name} is not the topic that was read before, but a new one: "
            f"`{reset} --to {places(starts)} --yes` reads it from its start"
        )
    _check_ends(last.ends, there, reset, last.number, cuts)


def check_held(
    held: Mapping[str, Ranges], there: TopicFacts, reset: str, number: int,
    bounds: Callable[[], Mapping[tuple[str, int], tuple[int, int]]], cuts: Cuts = dict,
) -> None:  # fmt: skip
    """Raises StateError where folders have more than there is, whatever the state knows. The last
    increment is `number`, 0 before the first. `bounds` asks the brokers anew: another import may
    have brought it since they were asked."""
    ends = _ends(each for ranges in held.values() for each in ranges)
    if _lost(ends, there):
        now = {partition: its for (_, partition), its in bounds().items()}
        _check_ends(ends, there._replace(bounds=now), reset, number, cuts)


def _check_ends(
    read: Mapping[int, int], there: TopicFacts, reset: str, number: int, cuts: Cuts
) -> None:
    if lost := _lost(read, there):
        starts = cuts(lost)
        told = (
            f"{there.name}/{partition} ends at {high}, but was read to {read[partition]}"
            + (f", and others came from {starts[partition]} on" if starts[partition] < high else "")
            for partition, high in lost.items()
        )
        raise StateError(
            f"{'; '.join(told)}: a broker has lost records; "
            f"`{reset} --to {places(starts)} --again --after {number} --yes` goes on with those "
            "that came since"
        )


def overwritten(name: str, cuts: Mapping[int, int], reset: str, number: int) -> str:
    """What people should know of a topic in which other records are from some offsets on than were
    read."""
    where = ", ".join(f"{name}/{each} from {cut} on" for each, cut in sorted(cuts.items()))
    return (
        f"other records than were read are in {where}: a broker has lost records, and others have "
        f"their offsets now; `{reset} --to {places(cuts)} --again --after {number} --yes` goes on "
        "with these"
    )


def _lost(read: Mapping[int, int], there: TopicFacts) -> dict[int, int]:
    """Where partitions end now that were read further."""
    ends = {each: high for each, (_, high) in sorted(there.bounds.items()) if each in read}
    return {each: high for each, high in ends.items() if high < read[each]}


def places(offsets: Mapping[int, int]) -> str:
    """Offsets by partition, as commands take them."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))


def intend(
    number: int, done: dict[int, int], before: Intent | None, there: TopicFacts,
    held: Mapping[str, Ranges] = MappingProxyType({}),
    *, skip: bool, most: int = MOST_RECORDS, all_keep_books: bool = True,
) -> TopicPlan:  # fmt: skip
    """What increment `number` is to do: the intent `before` again, which was never done, or what is
    new since the offsets `done`. With `skip` it begins with what is left of records that have
    expired.

    Raises StateError where any have, without."""
    everywhere: Ranges = ()
    if held and all_keep_books:
        first, *rest = held.values()
        everywhere = reduce(common, rest, united(first))
    if before:
        wanted = united(each for split in before.splits for each in split.ranges)
    else:
        wanted = _new(done, there, most, everywhere)
    expired = without(_expired(wanted, done, there), everywhere)
    if expired and not skip:
        told = ", ".join(f"{start} to {end - 1} of {there.name}/{partition}"
                         for partition, start, end in expired)  # fmt: skip
        raise StateError(
            f"offsets {told} expired before they were read; --on-expired skip goes on without "
            "them, and the books say so"
        )
    skipped = common(wanted, everywhere)  # expired or not
    cut = (each._replace(start=max(each.start, there.bounds[each.partition][0])) for each in wanted)
    wanted = without(united(cut), everywhere)
    known = united((*skipped, *expired, *wanted))
    ends = done | {each.partition: each.end for each in known}
    if not wanted and not expired:
        return TopicPlan(None, ends if skipped else None, skipped)
    if before and not expired and not skipped and not _any_held(before, held):
        return TopicPlan(before)
    splits: list[KafkaSplit] = []
    holders: dict[str, frozenset[str]] = {}
    for folders, ranges in _by_holders(wanted, held):
        more = splits_of(there.name, number, ranges, origin=there.id, first=len(splits))
        holders |= {split.id: folders for split in more if folders}
        splits += more
    rule = before.time_rule if before else NEWEST_RULE  # a folder may have a part of it already
    intent = Intent(
        there.name, number, tuple(splits), ends, expired, holders, there.id, time_rule=rule
    )
    return TopicPlan(intent, None, skipped)


def _any_held(before: Intent, held: Mapping[str, Ranges]) -> bool:
    """Whether a folder has more of what was intended than was known then."""
    return any(
        common(split.ranges, ranges) and folder not in before.held.get(split.id, ())
        for split in before.splits
        for folder, ranges in held.items()
    )


def _by_holders(
    wanted: Ranges, held: Mapping[str, Ranges]
) -> Iterator[tuple[frozenset[str], Ranges]]:
    """What is to be read, by the folders that have it already; no folder has only a part of any."""
    parts: list[tuple[frozenset[str], Ranges]] = [(frozenset(), wanted)]
    for folder, ranges in held.items():
        parts = [
            (folders | {folder} if has else folders, some)
            for folders, part in parts
            for has, some in ((False, without(part, ranges)), (True, common(part, ranges)))
            if some
        ]
    yield from parts


def _new(done: dict[int, int], there: TopicFacts, most: int, everywhere: Ranges) -> Ranges:
    """What comes next: so many records that not all have yet, and what lies before them."""
    share = most // max(1, len(there.bounds))
    found = []
    for partition, (low, high) in sorted(there.bounds.items()):
        start = max(low, done.get(partition, low))
        left, end = share, start
        for each in without([OffsetRange(partition, start, high)], everywhere):
            end = min(each.end, each.start + left)
            left -= end - each.start
            if not left:
                break
        else:
            end = high
        found.append(OffsetRange(partition, start, end))
    return united(found)


def _expired(wanted: Ranges, done: dict[int, int], there: TopicFacts) -> Ranges:
    """What was to be read, or comes after what was, and isn't there any more. `done` is behind what
    was to be read where others have gone on there."""
    starts = {**done}
    for each in wanted:
        starts[each.partition] = min(each.start, starts.get(each.partition, each.start))
    gone = (OffsetRange(partition, start, there.bounds.get(partition, (start, 0))[0])
            for partition, start in sorted(starts.items()))  # fmt: skip
    return united(gone)
