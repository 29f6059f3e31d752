"""The topics of an import's source, as the brokers have them, and what people should know of it."""

from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from el_beam.advice import command, typed
from el_beam.books.ledger.hours import source_time
from el_beam.books.state.transactions import Transactions
from el_beam.running.increments.planning import ImportedTopic, IncrementsOptions, TopicFacts, places
from schemas.times import record_time
from transforms.errors import UnreadableInput
from transforms.io.kafka.broker import broker_of, matching
from transforms.io.kafka.errors import KafkaAway, KafkaDenied
from transforms.read.kafka import KafkaSource
from transforms.read.kafka_ranges import LONG_TRANSACTION, records_at, unread
from transforms.read.offsets import UnreadPlace
from transforms.read.receipt import LastRecord

Partitions = Mapping[str, int]  # how many each topic has


class Seen(NamedTuple):
    """A source before it is planned what is read of it: what comes after that completes no hour,
    nor does a transaction that ends after it."""

    at: float  # unix seconds
    times: tuple[float, ...]  # of the newest record of each partition
    awaited: tuple[float, ...]  # since when transactions are open that hours wait for
    given_up: tuple[UnreadPlace, ...]  # those that none waits for
    ended: tuple[UnreadPlace, ...]  # those that were open before

    def reached(self, topics: Iterable[ImportedTopic]) -> float:
        """The time of the source, once all is read that it had (unix seconds)."""
        commits = [last for topic in topics if (last := topic.state.last())]
        # The brokers' newest record may be one of a time to come: what was read last isn't then.
        times = [*self.times, *(record_time(its.time) for each in commits for its in each.last)]
        came = max((each.committed for each in commits if not each.why), default=0.0)
        return min([source_time(times, self.at, came), *self.awaited])


class SourceTopics:
    """The topics of a source. Methods raise KafkaAway; `look` OSError and DocumentError, too."""

    def __init__(self, source: KafkaSource, options: IncrementsOptions) -> None:
        self.kafka = broker_of(source.cluster)
        self._source, self._options = source, options
        self._transactions = Transactions(options.state)
        self._notes: list[str] = []
        self._unclear: set[str] = set()  # of which it was said that they may be compacted
        self._named: set[tuple[bool, UnreadPlace]] = set()  # transactions, and whether given up
        self._vanished: set[str] = set()  # of which it was said that they are gone

    def notes(self) -> list[str]:
        """What was seen since this was asked last, and holds up nothing."""
        notes, self._notes = self._notes, []
        return notes

    def names(self, partitions: Partitions) -> tuple[str, ...]:
        """What is to be read, whether it is there or not."""
        pattern = self._source.pattern
        return matching(partitions, pattern) if pattern else self._source.topics

    def look(self, partitions: Partitions, now: float) -> Seen:
        """See how far the source is, and which transactions are open, and note those that don't
        end."""
        counts = {each: partitions[each] for each in self.names(partitions) if each in partitions}
        times = (*self.kafka.newest(counts).values(),)
        since, ended = self._transactions.seen(self._unread(counts), now)
        given_up = (*(each for each in since if now - since[each] >= self._options.patience),)
        self._note_unread(since, given_up, now)
        awaited = (min(each.time, since[each]) for each in since if each not in given_up)
        return Seen(now, times, (*awaited,), given_up, (*ended,))

    def forget(self, ended: Iterable[UnreadPlace]) -> None:
        """Look no more for hours that lack what these transactions had: they have it, or there is
        nothing to have. Raises OSError."""
        self._transactions.forget(ended)

    def why_absent(self, name: str) -> str:
        """Why a topic is not among those of the brokers."""
        with suppress(KafkaAway):
            try:
                self.kafka.topic_ids([name])
            except KafkaDenied as error:
                return str(error)
        return "the brokers have no such topic"

    def vanished(self, ends: Mapping[str, Mapping[int, int]], partitions: Partitions) -> None:
        """Note which topics were read, to `ends`, and are gone now. Nobody misses them who named
        their pattern only, so nothing waits for them."""
        gone = {*matching(ends, self._source.pattern or "")} - partitions.keys()
        self._notes += [
            f"{name} was read to {places(ends[name])}, and nobody can read what it had after that: "
            f"{self.why_absent(name)}"
            for name in sorted(gone - self._vanished)
        ]
        self._vanished = gone

    def facts(self, counts: Partitions) -> dict[str, TopicFacts]:
        """What there is of topics with these numbers of partitions."""
        bounds, ids = self.kafka.bounds(counts), self.kafka.topic_ids(counts)
        return {
            name: TopicFacts(name, ids[name], {each: bounds[name, each] for each in range(count)})
            for name, count in counts.items()
        }

    def whole(self, names: Iterable[str]) -> frozenset[str]:
        """Those of these topics in which a missing record is an error: in others none goes missing.
        One that may be compacted is taken for it: if it has all of its records, no harm is done."""
        compacted = self.kafka.compacted(names)
        unclear = {name for name, is_so in compacted.items() if is_so is None}
        if new := sorted(unclear - self._unclear):
            self._unclear |= unclear
            self._notes.append(
                f"this user lacks the right DescribeConfigs on topic {', '.join(new)}: it is taken "
                "for a compacted one, so it waits if records are missing from its midst"
            )
        return frozenset(name for name, is_so in compacted.items() if is_so is not False)

    def replaced(
        self, known: Mapping[str, Iterable[LastRecord]], facts: Mapping[str, TopicFacts]
    ) -> dict[str, dict[int, int]]:
        """Topic -> partition -> the first offset from which on other records are there than were
        read: a broker has lost them, and others came. Left out are those of which all `known`
        records are there, or have expired.

        Where the brokers' epochs don't say it, that is the offset of the known record."""
        found: dict[str, dict[int, int]] = {}
        for name, record, now in self._now(known, facts):
            if self._differs(name, record, now):
                cut = record.offset
                if -1 < record.epoch < now.epoch:
                    cut = self._first_later(facts[name], record, cut)
                its = found.setdefault(name, {})
                its[record.partition] = min(cut, its.get(record.partition, cut))
        return found

    def cuts(
        self, there: TopicFacts, known: Iterable[LastRecord], ends: Mapping[int, int]
    ) -> dict[int, int]:
        """From where on partitions that end before what was read have other records: their ends,
        where nothing has come since, or the brokers' epochs don't say it."""
        last = {each.partition: each for each in sorted(known)}  # the newest of each
        return {
            partition: self._first_later(there, last[partition], end) if partition in last else end
            for partition, end in ends.items()
        }

    def unchanged(self, there: TopicFacts, known: Iterable[LastRecord]) -> frozenset[int]:
        """The partitions whose known records are there."""
        now = self._now({there.name: known}, {there.name: there})
        return frozenset(was.partition for _, was, its in now if not self._differs(_, was, its))

    def _now(
        self, known: Mapping[str, Iterable[LastRecord]], facts: Mapping[str, TopicFacts]
    ) -> list[tuple[str, LastRecord, LastRecord]]:
        """Topics, records that are known of them, and what is in their place."""
        left = {
            (name, each) for name, records in known.items() for each in records
            if (bounds := facts[name].bounds.get(each.partition))
            and bounds[0] <= each.offset < bounds[1]
        }  # fmt: skip
        found = []
        while left:  # once, but where folders and state differ
            asked = {(name, each.partition): each for name, each in left}
            now = self._at({place: each.offset for place, each in asked.items()})
            found += [(place[0], each, now[place]) for place, each in asked.items() if place in now]
            left -= {(name, each) for (name, _), each in asked.items()}
        return found

    def _unread(self, counts: Partitions) -> list[UnreadPlace]:
        try:
            return unread(self._source.cluster, counts)
        except UnreadableInput as error:
            raise KafkaAway(str(error)) from error

    def _note_unread(
        self, since: Mapping[UnreadPlace, float], given_up: Container[UnreadPlace], now: float
    ) -> None:
        """Note which transactions don't end, since when each is known, and that hours don't wait
        any more for those that are `given_up`. Short ones are left out."""
        state = typed(self._options.state)
        for place, seen in since.items():
            done, age = place in given_up, now - min(seen or now, place.time or now)
            if (done, place) in self._named or (age < LONG_TRANSACTION and not done):
                continue
            self._named.add((done, place))
            partition = f"{place.topic}/{place.partition}"
            self._notes.append(
                f"a transaction that begins at {place} doesn't end: its first record is "
                f"{age / 60:,.0f} minutes old, and nobody can read what follows it; "
                + ("hours close without it, and open again for what it brings" if done else
                   f"hours wait for it, or `{command('state', 'release', state, partition)}`"
                   " closes them without it")
            )  # fmt: skip

    def _at(self, offsets: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], LastRecord]:
        try:
            return records_at(self._source.cluster, offsets)
        except UnreadableInput as error:
            raise KafkaAway(str(error)) from error

    def _differs(self, name: str, known: LastRecord, now: LastRecord) -> bool:
        if -1 in (known.epoch, now.epoch):
            now = now._replace(epoch=known.epoch)
        if now == known:
            return False
        # Of a compacted topic the record may have been removed.
        as_before = known.epoch == now.epoch or known.offset != now.offset
        return not (as_before and self.kafka.compacted([name])[name] is not False)

    def _first_later(self, there: TopicFacts, known: LastRecord, end: int) -> int:
        """The first offset before an end of a later epoch than that of a known record: each leader
        begins one, and what was lost it had not."""
        place = there.name, known.partition
        first = there.bounds[known.partition][0] if known.epoch > -1 else end
        while first < end:
            middle = (first + end) // 2
            its = self._at({place: middle}).get(place)
            if its and its.epoch <= known.epoch and its.offset < end:
                first = its.offset + 1
            else:
                end = middle
        return end
