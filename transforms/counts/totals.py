"""CountsTotals: absolute totals of a counts topic, right whatever happened to its job.

The algebra. A record says of the lines first..last of a split how many were what. What becomes of
a line does not depend on who reads it, so any records that don't overlap and together hold lines
0..n of a split add up to the same. After a kill lines are read again, and their records come again
with other last offsets; what has to be found is records that fit together, end to end.

- The records that count never overlap. An offset that none of them straddles is a *boundary*.
- A record between two boundaries takes the place of all that counts between them. So does a chain
  of records of which each begins where the one before ends. What is beyond all that counts, or in
  a gap, is between boundaries: its records are added.
- A chain that has begun at a boundary and not come to one yet waits. Nothing is missing meanwhile:
  what it will take the place of counts until then.
- What had to make place waits in turn: others may go on from where it ends.

Bundles end at checkpoints and jobs go on from checkpoints, so what is read again begins where some
earlier record began, be it after a kill, after many, with other workers, or at offset 0. Whose
records they are, and in which order attempts wrote them, is of no interest: a worker that was cut
off and still writes says the same of the same lines. Where a verdict did change (a schema that the
registry didn't have yet), the record that completed its chain last is believed.

A worker's records follow each other: offsets that it goes over hold no lines (transactions leave
such gaps in a topic).

What doesn't fit: a job that was started at an arbitrary offset, in the middle of a record, or at
one so old that its boundary is forgotten. Such records count from the first boundary on that they
come to; what counts already stays. The one that reaches beyond it can't be cut: its new lines are
left out, and `uncertain` says how many, until a chain that fits takes their place.

Records of a split must come in the order of the log, those of different splits in any order. It
takes one job to write a topic: two that read the same splits would be taken for one that repeats.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.durable import Document, DocumentFormat
from transforms.counts.count import CountKey, Counts
from transforms.io.kafka.cluster import KafkaCluster

_KEPT = 1_000  # records of a split that a replay may go back: some minutes in a busy job
_WORKERS = 100  # of a split, whose last record is remembered


@dataclass(frozen=True)
class KafkaMetrics:
    """A counts topic. It belongs to one job: two that read the same splits can't share it.

    It is made where it isn't there, with as many partitions as the brokers' default. How long its
    records stay is the brokers' business too, and how far back totals can be made of them."""

    cluster: KafkaCluster
    topic: str
    shown: str

    def __str__(self) -> str:
        return self.shown


class CountRecord(NamedTuple):
    """A record of a counts topic."""

    worker: str  # the process that counted
    counts: Counts

    def to_document(self) -> Document:
        """{"split", "first", "last", "lines", "worker", "columns": ["minute", "schema", "revision",
        "reason", "lines"], "counts": [[…], …]}: a record may have thousands of these, so their
        columns are named once."""
        plain = self.counts._asdict() | {"worker": self.worker, "columns": _COLUMNS}
        plain["counts"] = [[*key, count] for key, count in plain.pop("sums")]
        return plain

    @classmethod
    def from_document(cls, document: Document) -> CountRecord:
        """What such plain values are of."""
        places = [document["columns"].index(name) for name in _COLUMNS]
        rows = ([row[place] for place in places] for row in document["counts"])
        sums = tuple((CountKey(*key), lines) for *key, lines in rows)
        plain = {name: document[name] for name in ("split", "first", "last", "lines")}
        return cls(document["worker"], Counts(**plain, sums=sums))


_COLUMNS = (*CountKey._fields, "lines")
COUNTS = DocumentFormat("counts", CountRecord, 2, {1: lambda plain: {**plain, "columns": _COLUMNS}})


class _Span(NamedTuple):
    """A record, or several merged."""

    first: int
    last: int
    sums: Mapping[CountKey, int]
    joined: bool = False  # no line is between it and the span before
    missing: int = 0  # lines that are in no sums


class _Split:
    """The spans of one split."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._records = 0
        self._ends: dict[str, int] = {}  # worker -> last offset of its last record
        self.counted: list[_Span] = []  # in order; they never overlap
        self._waiting: list[tuple[int, list[_Span]]] = []  # (record number, chain), oldest first

    def add(self, record: CountRecord) -> tuple[list[_Span], list[_Span]]:
        """Take a record. Returns the spans that don't count any more, and those that do now."""
        worker, (_, first, last, lines, sums) = record
        self._records += 1
        while self._waiting and self._waiting[0][0] < self._records - self._kept:
            del self._waiting[0]
        before = self._ends.pop(worker, last)
        self._ends[worker] = last
        if len(self._ends) > _WORKERS:
            del self._ends[next(iter(self._ends))]
        chain = self._chain_to(first)
        if chain is None and before < first:
            chain = self._over_a_gap(before, first)
        if chain is None:
            return [], self._leave_out(first, last, lines)
        joined = bool(chain) or (before < first and self._follows(before, first))
        chain.append(_Span(first, last, dict(sums), joined))
        if not self._is_boundary(last + 1):
            self._wait(chain)
            return [], []
        return self._put(chain), chain

    def _before(self, offset: int) -> int:
        """How many counted spans begin before an offset."""
        return bisect_left(self.counted, offset, key=lambda span: span.first)

    def _is_boundary(self, offset: int) -> bool:
        before = self._before(offset)
        return before == 0 or self.counted[before - 1].last < offset

    def _chain_to(self, offset: int) -> list[_Span] | None:
        """The waiting spans that lead from a boundary to an offset; None where nothing does."""
        if self._is_boundary(offset):
            return []
        for at in reversed(range(len(self._waiting))):
            chain = self._waiting[at][1]
            length = bisect_right(chain, offset - 1, key=lambda span: span.last)
            ends = length and chain[length - 1].last == offset - 1
            if ends or (length < len(chain) and chain[length].first == offset):
                if length == len(chain):
                    del self._waiting[at]
                return chain[:length]
        return None

    def _over_a_gap(self, before: int, offset: int) -> list[_Span] | None:
        """What leads to an offset that follows `before`: there are no lines between, unless a
        record says that there are."""
        spans = [*self.counted, *(span for _, chain in self._waiting for span in chain)]
        if any(before < span.first < offset or before < span.last < offset for span in spans):
            return None
        return self._chain_to(before + 1)

    def _wait(self, chain: list[_Span]) -> None:
        if len(chain) > 2 * self._kept:
            chain = _merged(chain, self._kept)
        self._waiting.append((self._records, chain))

    def _put(self, chain: list[_Span]) -> list[_Span]:
        """Count a chain between two boundaries. Returns what counted there."""
        start, end = chain[0].first, chain[-1].last
        low, high = self._before(start), self._before(end + 1)
        taken = self.counted[low:high]
        in_place = taken and taken[0].first == start and taken[0].joined
        if in_place or self._follows(start - 1, start):
            chain[0] = chain[0]._replace(joined=True)
        self.counted[low:high] = chain
        if len(self.counted) > 2 * self._kept:
            self.counted = _merged(self.counted, self._kept)
        if taken or self._waiting:
            self._make_wait(taken, chain)
        return taken

    def _follows(self, before: int, offset: int) -> bool:
        """Whether the span that counts before an offset ends at `before`."""
        at = self._before(offset)
        return at > 0 and self.counted[at - 1].last == before

    def _make_wait(self, taken: list[_Span], chain: list[_Span]) -> None:
        """Keep what had to make place, and let those go on who have begun in it."""
        exact = all(span.joined for span in taken[1:]) and not any(span.missing for span in taken)
        waiting, self._waiting = self._waiting, []
        for number, other in waiting:
            root = other[0].first
            if self._is_boundary(root):
                self._waiting.append((number, other))
            elif taken and exact and taken[0].first < root <= taken[-1].last:
                path = [span for span in taken if span.last < root]
                if self._is_boundary(path[0].first):
                    joined = other[0]._replace(joined=True)
                    self._waiting.append((number, [*path, joined, *other[1:]]))
        more = {span.last for span in taken} - {span.last for span in chain}
        if more and exact and self._is_boundary(taken[0].first):
            self._wait(taken)

    def _leave_out(self, first: int, last: int, lines: int) -> list[_Span]:
        """Mark what nothing is known of in first..last but that there were lines."""
        holes = []
        for span in [*self.counted[max(0, self._before(first) - 1) :], None]:
            end = min(last, span.first - 1) if span else last
            if first <= end and not (span and span.joined):
                missing = min(end - first + 1, lines)
                joined = self._follows(first - 1, first)
                holes.append(_Span(first, end, {}, joined, missing))
            if span:
                first = max(first, span.last + 1)
            if first > last:
                break
        for hole in holes:
            self.counted.insert(self._before(hole.first), hole)
        self._make_wait([], holes)
        return holes


def _merged(spans: list[_Span], kept: int) -> list[_Span]:
    """The spans, as few as can be but for the last `kept`."""
    merged: list[_Span] = []
    for span in spans[:-kept]:
        if merged and span.joined:
            before = merged[-1]
            assert isinstance(before.sums, Counter)
            before.sums.update(span.sums)
            merged[-1] = before._replace(last=span.last, missing=before.missing + span.missing)
        else:
            merged.append(span._replace(sums=Counter(span.sums)))
    return merged + spans[-kept:]


class CountsTotals:
    """Absolute totals of the records so far: feed it a counts topic from its start.

    What it remembers: the totals, those of each split, and of each split the last one or two
    thousand records (`kept`), so that a replay may begin there. It grows with the minutes that
    there are; `forget` lets go of old ones."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._splits: dict[str, _Split] = {}
        self._oldest: int | None = None
        self._totals: Counter[CountKey] = Counter()
        self.uncertain = 0  # lines that are known to have been processed, and are in no total

    def add(self, value: bytes) -> set[CountKey]:
        """Take the value of the next record. Returns the keys whose totals are others now.

        Raises DocumentError for what is not a record of ours."""
        record = COUNTS.load(value, "a record of the counts topic")
        split = self._splits.setdefault(record.counts.split, _Split(self._kept))
        gone, new = split.add(record)
        changes: Counter[CountKey] = Counter()
        for span in new:
            changes.update(span.sums)
            self.uncertain += span.missing
        for span in gone:
            changes.subtract(span.sums)
            self.uncertain -= span.missing
        changed = {key for key, change in changes.items() if change and self._is_kept(key)}
        for key in changed:
            self._totals[key] += changes[key]
            if not self._totals[key]:
                del self._totals[key]
        return changed

    def totals(self) -> Mapping[CountKey, int]:
        """The totals as they are now. What isn't there is 0."""
        return self._totals

    def forget(self, before: int) -> None:
        """Let go of all minutes before this one (unix seconds), for good: what comes of them later
        changes nothing, and no total of theirs is given any more."""
        self._oldest = before if self._oldest is None else max(self._oldest, before)
        self._totals = Counter({k: n for k, n in self._totals.items() if self._is_kept(k)})
        for split in self._splits.values():
            split.counted = [
                span._replace(
                    sums=Counter({k: n for k, n in span.sums.items() if self._is_kept(k)})
                )
                for span in split.counted
            ]

    def _is_kept(self, key: CountKey) -> bool:
        return self._oldest is None or key.minute >= self._oldest
