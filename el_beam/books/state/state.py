"""The state of increments: what was read, what is being done, who does it. Files in a folder.

    STATE/source.json                      the cluster that it is about
    STATE/lease/00000007.json              the seventh instance that has run, and its sign of life
    STATE/topics/TOPIC/00000042.00000007-000003.intent.json
                                           instance 7 does these splits as increment 42, third run
                       00000042.00000007-000003.manifest.json
                                           it has done them; their files get their names now
                       00000042.commit.json
                                           all is durable and to be seen: the next one starts there

A file is made at once and never overwritten, so of two instances that want the same number one gets
an error. What dies before its manifest has done nothing that anybody sees; what dies after it is
finished by the next instance.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from el_beam.books.imports import ImportEntry
from el_beam.books.log import KEPT, Log
from schemas.durable import Document, DocumentFormat
from schemas.errors import WrongCall
from transforms.counts.summary import Summary, migrate_summary
from transforms.io.files import filesystem
from transforms.io.world import CLOCK
from transforms.layout import check_below
from transforms.read.kafka_ranges import KafkaSplit
from transforms.read.offsets import OffsetRange


class StateError(WrongCall):
    """State that can't be used as it is; the message says what to do."""


class LeaseLost(StateError):
    """Another instance works on this state."""


@dataclass(frozen=True)
class Intent:
    """What an increment of a topic reads, noted before the first byte is."""

    topic: str
    number: int
    splits: tuple[KafkaSplit, ...]
    ends: dict[int, int]  # partition -> offset of the record after the last
    expired: tuple[OffsetRange, ...] = ()  # what nobody can read any more
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    """Split -> the folders that have it already, each as in Manifest.entries."""
    topic_id: str = ""
    registry: str = ""  # digest of the schemas
    code: str = ""  # version that was to do it
    created: float = 0.0  # unix seconds

    def __post_init__(self) -> None:
        for split in self.splits:  # files are named after them
            check_below(split.id)

    @property
    def starts(self) -> dict[int, int]:
        """partition -> the first offset, of those partitions that it has anything of."""
        ranges = [*self.expired, *(each for split in self.splits for each in split.ranges)]
        return {each.partition: each.start
                for each in sorted(ranges, key=lambda each: each.start, reverse=True)}  # fmt: skip

    @property
    def records(self) -> int:
        return sum(each.records for split in self.splits for each in split.ranges)


@dataclass(frozen=True)
class Manifest:
    """What an increment has done. Only its files wait for their names."""

    ends: dict[int, int]
    entries: dict[str, ImportEntry] = field(default_factory=dict)
    """What folders get: by the id of the folder, and the scheme of the sink."""
    topic_id: str = ""
    registry: str = ""
    code: str = ""
    # What was noted in the place of entries up to format 2
    summary: Summary = field(default_factory=Summary)
    splits: dict[str, int] = field(default_factory=dict)  # lines read of each
    missing: int = 0  # records that were to be read, and were not there
    expired: tuple[OffsetRange, ...] = ()
    starts: dict[int, int] | None = None  # None where that was not noted yet


@dataclass(frozen=True)
class Commit:
    """An increment that is done: what it did, and where the next one starts."""

    number: int
    ends: dict[int, int]  # partition -> offset of the next record
    topic_id: str = ""
    committed: float = 0.0  # unix seconds
    manifest: Manifest | None = None  # of versions that kept no entries in folders
    why: str = ""  # where no increment was done: latest (nothing before was read) | reset | held
    generation: int = 0  # how often a reset has made all records new ones


@dataclass(frozen=True)
class _Source:
    cluster: str


@dataclass(frozen=True)
class _Identity:
    id: str


def _ranges(lists: list[list[int]]) -> list[Document]:
    return [dict(zip(OffsetRange._fields, each, strict=True)) for each in lists]


def _migrate_intent(old: Document) -> Document:
    splits = [{"id": id_, "topic": topic, "ranges": _ranges(ranges)}
              for id_, topic, ranges in old["splits"]]  # fmt: skip
    return old | {"splits": splits, "expired": _ranges(old["expired"])}


def _migrate_manifest(old: Document) -> Document:
    return migrate_summary(old) | {"expired": _ranges(old.get("expired", ()))}


def _migrate_commit(old: Document) -> Document:
    about = old["about"]
    if "files" in about:
        return old | {"manifest": _migrate_manifest(about)}
    return old | {"why": "reset" if "reset" in about else about.get("start", "")}


SOURCE = DocumentFormat("source", _Source)
IDENTITY = DocumentFormat("identity", _Identity)
INTENT = DocumentFormat("intent", Intent, 3, {1: _migrate_intent, 2: dict})
MANIFEST = DocumentFormat("manifest", Manifest, 3, {1: _migrate_manifest, 2: dict})
COMMIT = DocumentFormat("commit", Commit, 2, {1: _migrate_commit})


class Attempt(NamedTuple):
    """A run of an instance; later ones are greater."""

    lease: int  # the instance's number
    run: int

    def __str__(self) -> str:
        return f"{self.lease:08d}-{self.run:06d}"


_INTENT, _MANIFEST = ".intent.json", ".manifest.json"


class _Attempt(NamedTuple):
    """An attempt at an increment, as files are named after it."""

    number: int
    lease: int
    run: int

    @classmethod
    def of(cls, name: str) -> _Attempt:
        number, attempt = name.split(".")[:2]
        lease, run = attempt.split("-")
        return cls(int(number), int(lease), int(run))

    def __str__(self) -> str:
        return f"{self.number:08d}.{Attempt(self.lease, self.run)}"


class State:
    """The folder at a path of any file system, but gs://, which can't tell who was first."""

    def __init__(self, path: str, *, kept: int = KEPT) -> None:
        self.path, self._kept = path.rstrip("/"), kept

    def bind(self, cluster_id: str) -> None:
        """Note whose offsets these are. Raises StateError if they are another cluster's."""
        path = f"{self.path}/source.json"
        if filesystem.create(path, SOURCE.dump(_Source(cluster_id))):
            return
        bound = SOURCE.load(filesystem.read(path), path).cluster
        if bound != cluster_id:
            raise StateError(
                f"{self.path} is about the Kafka cluster {bound}, these brokers are {cluster_id}: "
                "offsets of one mean nothing to another. Use another --state."
            )

    def id(self) -> str:
        """What no other state is called, wherever it is moved."""
        path = f"{self.path}/identity.json"
        if not filesystem.exists(path):
            filesystem.create(path, IDENTITY.dump(_Identity(uuid.uuid4().hex)))
        return IDENTITY.load(filesystem.read(path), path).id

    def topics(self) -> list[str]:
        """Those that anything is known of."""
        return filesystem.names(f"{self.path}/topics")

    def topic(self, name: str) -> TopicState:
        return TopicState(f"{self.path}/topics/{name}", name, self._kept)


class TopicState:
    """What is known of one topic. It is read once: there is one instance that changes it."""

    def __init__(self, path: str, topic: str, kept: int) -> None:
        self._path, self.topic = path, topic
        self._log = Log(path, COMMIT, kept)
        names = filesystem.names(path)
        self._intents = {_Attempt.of(name) for name in names if name.endswith(_INTENT)}
        self._manifests = {_Attempt.of(name) for name in names if name.endswith(_MANIFEST)}

    def last(self) -> Commit | None:
        return self._log.last()

    def history(self, since: float = 0.0) -> Iterator[Commit]:
        """All commits, in order; at least those that were made since then (unix seconds)."""
        return self._log.entries(since)

    @property
    def next(self) -> int:
        """The number of the increment that comes next."""
        last = self.last()
        return last.number + 1 if last else 1

    def pending(self) -> tuple[Intent | None, Manifest | None]:
        """(intent, manifest) of the increment that comes next: of the newest attempt."""
        newest = self._newest()
        if newest is None:
            return None, None
        path = f"{self._path}/{newest}"
        intent = INTENT.load(filesystem.read(f"{path}{_INTENT}"), f"{path}{_INTENT}")
        if newest not in self._manifests:
            return intent, None
        content = filesystem.read(f"{path}{_MANIFEST}")
        return intent, MANIFEST.load(content, f"{path}{_MANIFEST}")

    def _newest(self) -> _Attempt | None:
        return max((each for each in self._intents if each.number == self.next), default=None)

    def intend(self, intent: Intent, attempt: Attempt) -> None:
        """Note what will be done now. Raises LeaseLost."""
        name = _Attempt(intent.number, *attempt)
        self._create(f"{name}{_INTENT}", INTENT.dump(intent))
        self._intents.add(name)

    def prepare(self, number: int, attempt: Attempt, manifest: Manifest) -> None:
        """From here on it is done, whatever dies, or it is given up. Raises LeaseLost."""
        name = _Attempt(number, *attempt)
        self._create(f"{name}{_MANIFEST}", MANIFEST.dump(manifest))
        self._manifests.add(name)

    def give_up(self) -> None:
        """What is prepared can't be finished: it will be planned anew."""
        newest = self._newest()
        assert newest is not None
        for ending, known in ((_MANIFEST, self._manifests), (_INTENT, self._intents)):
            filesystem.remove(f"{self._path}/{newest}{ending}")
            known.discard(newest)

    def commit(self, commit: Commit) -> None:
        """All is durable and to be seen. Raises LeaseLost."""
        if not self._log.add(commit):
            raise _taken(f"{self._path}/{commit.number:08d}")
        for ending, known in ((_INTENT, self._intents), (_MANIFEST, self._manifests)):
            for each in sorted(each for each in known if each.number <= commit.number):
                filesystem.remove(f"{self._path}/{each}{ending}")
                known.discard(each)

    def _create(self, name: str, content: bytes) -> None:
        filesystem.make_folder(self._path)
        if not filesystem.create(f"{self._path}/{name}", content):
            raise _taken(f"{self._path}/{name}")


def _taken(path: str) -> LeaseLost:
    return LeaseLost(f"{path} is there already: another instance works here")


def show(state: State) -> dict[str, Any]:
    """All that people want to know of a state, as plain values."""
    return {"state": state.path, "topics": [_shown(state.topic(each)) for each in state.topics()]}


def _shown(topic: TopicState) -> dict[str, Any]:
    last = topic.last()
    intent, manifest = topic.pending()
    pending = None
    if intent:
        pending = {"number": intent.number, "records": intent.records, "since": intent.created,
                   "decided": manifest is not None}  # fmt: skip
    return {
        "topic": topic.topic,
        "number": last.number if last else 0,
        "committed": last.committed if last else None,
        "offsets": {str(key): value for key, value in (last.ends if last else {}).items()},
        "pending": pending,
    }


def reset(state: State, topic: str, ends: dict[int, int], *, again: bool = False) -> Commit:
    """Make a topic go on from these offsets; whatever was pending is given up. What folders hold of
    it enters them `again` only if the caller says so: then what is read from here on counts as
    records that nobody has seen. Its lease must be held.

    Raises StateError where files of the pending increment wait for their names."""
    known = state.topic(topic)
    last = known.last()
    if known.pending()[1] is not None:
        raise StateError(f"{topic}: an increment waits to be finished; run `el run` once first")
    before, generation = (last.ends, last.generation) if last else ({}, 0)
    # Without a topic's id: it may be another topic of the same name from here on.
    commit = Commit(known.next, {**before, **ends}, "", CLOCK.time(), why="reset",
                    generation=generation + again)  # fmt: skip
    known.commit(commit)
    return commit
