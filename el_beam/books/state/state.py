"""The state of increments: what was read, what is being done, who does it. Files in a folder.

    STATE/identity.json                    the state's own id, wherever it is moved
    STATE/cluster.json                     the cluster that it is about
    STATE/source.json                      the same, for the release before; or why it can't go on
    STATE/lease/00000007.json              the seventh instance that has run, and its sign of life
    STATE/topics/TOPIC/00000042.00000007-000003.intent.json
                                           instance 7 does these splits as increment 42, third run
                       00000042.00000007-000003.manifest.json
                                           it has done them; their files get their names now
                       00000042.commit.json
                                           all is durable and to be seen: the next one starts there

A file is made at once and never overwritten: of two that want the same number one gets an error.
What dies before its manifest has done nothing that anybody sees; else the next one finishes it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from el_beam.books.imports import ImportEntry
from el_beam.books.log import KEPT, Log
from schemas.durable import Document, DocumentFormat, by_name
from schemas.errors import WrongCall
from transforms.counts.summary import Summary, migrate_summary, previous_summary
from transforms.io.files import filesystem
from transforms.layout import check_below
from transforms.read.kafka_ranges import KafkaSplit
from transforms.read.offsets import OffsetRange
from transforms.read.receipt import LastRecord


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
    time_rule: int = 1  # of its bad lines: see transforms/line_time.py

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
    entries: dict[str, ImportEntry] | None = None
    """What folders get: by the id of the folder, and the scheme of the sink. None in format 2."""
    topic_id: str = ""
    registry: str = ""
    code: str = ""
    # What was noted in the place of entries up to format 2, and what the release before reads
    summary: Summary = field(default_factory=Summary)
    splits: dict[str, int] = field(default_factory=dict)  # lines read of each
    missing: int = 0  # records that were to be read, and were not there
    expired: tuple[OffsetRange, ...] = ()
    starts: dict[int, int] | None = None  # None where that was not noted yet
    # What the release before doesn't read
    last: tuple[LastRecord, ...] = ()  # of each partition that anything was read of


@dataclass(frozen=True)
class Commit:
    """An increment that is done: what it did, and where the next one starts."""

    number: int
    ends: dict[int, int]  # partition -> offset of the next record
    topic_id: str = ""
    committed: float = 0.0  # unix seconds
    manifest: Manifest | None = None  # of versions that kept no entries in folders
    why: str = ""  # where no increment was done: latest (nothing before was read) | reset | held
    reset: dict[int, int] = field(default_factory=dict)  # of `ends` what a reset has given
    again: bool = False  # folders forget what they hold from these offsets on
    last: tuple[LastRecord, ...] = ()
    """Of each partition, what tells the last record that was read from others."""

    @property
    def untold(self) -> Manifest | None:
        """Where its folders may know nothing of it: the release before made it, perhaps of what
        this one had begun."""
        return self.manifest if self.manifest and self.manifest.entries != {} else None


@dataclass(frozen=True)
class _Source:
    cluster: str


@dataclass(frozen=True)
class _Cluster:
    id: str


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
    why = next((each for each in ("reset", "held") if each in about), about.get("start", ""))
    given = about.get("reset", {})
    reset = given if isinstance(given, dict) else old["ends"]
    return old | {"why": why, "reset": reset, "again": about.get("again", False)}


def _previous_intent(intent: Intent) -> Document:
    return {name: its for name, its in vars(intent).items() if name not in ("held", "time_rule")}


def _previous_manifest(manifest: Manifest) -> Document:
    document = vars(manifest) | previous_summary(manifest.summary)
    del document["summary"], document["entries"], document["last"]
    return document | ({} if manifest.entries is None else {"entries": by_name(manifest.entries)})


def _previous_commit(commit: Commit) -> Document:
    about: Document = {}
    if commit.manifest:
        about = _previous_manifest(commit.manifest)
    elif commit.why == "latest":
        about = {"start": commit.why}
    elif commit.why:
        about = {commit.why: True}
    if commit.reset:
        about = {"reset": commit.reset, "again": commit.again}
    kept = ("number", "ends", "topic_id", "committed")
    return {name: getattr(commit, name) for name in kept} | {"about": about}


_FENCE = "that a newer el_beam reads from, which alone may go on with it (see its docs/upgrade.md)"
SOURCE = DocumentFormat("source", _Source)
CLUSTER = DocumentFormat("cluster", _Cluster)
IDENTITY = DocumentFormat("identity", _Identity)
INTENT = DocumentFormat("intent", Intent, 3, {1: _migrate_intent, 2: dict}, _previous_intent)
MANIFEST = DocumentFormat(
    "manifest", Manifest, 3, {1: _migrate_manifest, 2: dict}, _previous_manifest
)
COMMIT = DocumentFormat("commit", Commit, 2, {1: _migrate_commit}, _previous_commit)


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
    def all_of(cls, names: Iterable[str], ending: str) -> set[_Attempt]:
        """Those that there is such a file of; other files are passed over."""
        pattern = re.compile(rf"(\d+)\.(\d+)-(\d+){re.escape(ending)}")
        return {cls(*map(int, match.groups()))
                for name in names if (match := pattern.fullmatch(name))}  # fmt: skip

    def __str__(self) -> str:
        return f"{self.number:08d}.{Attempt(self.lease, self.run)}"


class State:
    """The folder at a path of any file system, but gs://, which can't tell who was first."""

    def __init__(self, path: str, *, kept: int = KEPT, previous: bool = False) -> None:
        """A new one is written as the release before reads it if `previous` says so."""
        self.path, self._kept = path.rstrip("/"), kept
        self._source, self._new_as_before = f"{self.path}/source.json", previous

    @cached_property
    def previous(self) -> bool:
        """Whether it is written as the release before reads it: see upgrade."""
        known = self._source_cluster()
        return known != _FENCE if known else self._new_as_before

    def _source_cluster(self) -> str:
        if not filesystem.exists(self._source):
            return ""
        return SOURCE.load(filesystem.read(self._source), self._source).cluster

    def upgrade(self) -> None:
        """Let it be written as this release has it from here on: the release before can't go on
        with it any more. Its lease must be held."""
        self._bound(self._source_cluster())
        filesystem.remove(self._source)
        filesystem.create(self._source, SOURCE.dump(_Source(_FENCE)))
        self.__dict__.pop("previous", None)

    def cluster(self) -> str:
        """The cluster that it is about; '' where nobody knows, or it isn't there."""
        path, known = f"{self.path}/cluster.json", self._source_cluster()
        if filesystem.exists(path):
            return CLUSTER.load(filesystem.read(path), path).id
        return "" if known == _FENCE else known

    def _bound(self, cluster_id: str) -> str:
        """The cluster that it is about: if it wasn't known, this one."""
        path = f"{self.path}/cluster.json"
        if not filesystem.exists(path):
            filesystem.create(path, CLUSTER.dump(_Cluster(cluster_id)))
        return CLUSTER.load(filesystem.read(path), path).id

    def bind(self, cluster_id: str) -> None:
        """Note whose offsets these are. Raises StateError if they are another cluster's."""
        previous, known = self.previous, self._source_cluster()
        bound = self._bound(cluster_id if known in ("", _FENCE) else known)
        if not known:
            known = cluster_id if previous else _FENCE
            filesystem.create(self._source, SOURCE.dump(_Source(known)))
        if bound != cluster_id:
            raise StateError(
                f"{self.path} is about the Kafka cluster {bound}, these brokers are {cluster_id}: "
                "offsets of one mean nothing to another. Use another --state."
            )

    def id(self) -> str:
        """What no other state is called, wherever it is moved."""
        if not self.known_id():
            new = IDENTITY.dump(_Identity(uuid.uuid4().hex))
            filesystem.create(f"{self.path}/identity.json", new)
        return self.known_id()

    def known_id(self) -> str:
        """As `id`; '' where it has none, or isn't there."""
        path = f"{self.path}/identity.json"
        there = filesystem.exists(path)
        return IDENTITY.load(filesystem.read(path), path).id if there else ""

    def new_id(self) -> None:
        """Let it be a state of its own, if it was a copy. Its lease must be held."""
        filesystem.remove(f"{self.path}/identity.json")
        self.id()

    def is_at(self, path: str) -> bool:
        """Whether it is there, too: another name of the same folder."""
        probe = f"_probe.{uuid.uuid4().hex}"
        filesystem.write(f"{self.path}/{probe}", b"")
        found = filesystem.exists(f"{path}/{probe}")
        filesystem.remove(f"{self.path}/{probe}")
        return found

    def topics(self) -> list[str]:
        """Those that anything is known of."""
        return filesystem.names(f"{self.path}/topics")

    def folders(self) -> list[str]:
        """All folders that it has."""
        topics = (f"topics/{name}" for name in self.topics())
        return [self.path, *(f"{self.path}/{each}" for each in ("lease", *topics))]

    def topic(self, name: str) -> TopicState:
        return TopicState(f"{self.path}/topics/{name}", name, self._kept, self.previous)


class TopicState:
    """What is known of one topic. It is read once: there is one instance that changes it."""

    def __init__(self, path: str, topic: str, kept: int, previous: bool) -> None:
        self._path, self.topic, self._previous = path, topic, previous
        self._log = Log(path, COMMIT, kept, previous=previous)
        names = filesystem.names(path)
        self._intents = _Attempt.all_of(names, _INTENT)
        self._manifests = _Attempt.all_of(names, _MANIFEST)

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
        for later in sorted(each for each in self._intents
                            if each.number == name.number and each > name):  # fmt: skip
            # The lease has been lost, and begins anew: that attempt is dead, and would count.
            filesystem.remove(f"{self._path}/{later}{_INTENT}")
            self._intents.discard(later)
        self._create(f"{name}{_INTENT}", INTENT.dump(intent, previous=self._previous))
        self._intents.add(name)

    def prepare(self, number: int, attempt: Attempt, manifest: Manifest) -> None:
        """From here on it is done, whatever dies, or it is given up. Raises LeaseLost."""
        name = _Attempt(number, *attempt)
        self._create(f"{name}{_MANIFEST}", MANIFEST.dump(manifest, previous=self._previous))
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
