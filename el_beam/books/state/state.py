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

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from schemas.durable import Document, DocumentFormat
from schemas.errors import WrongCall
from transforms.counts.summary import Summary, migrate_summary
from transforms.io.files import filesystem
from transforms.read.kafka_ranges import KafkaSplit, OffsetRange

T = TypeVar("T")
_KEPT = 500  # commits that have a file of their own; older ones share one


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
    topic_id: str = ""
    registry: str = ""  # digest of the schemas
    code: str = ""  # version that was to do it
    created: float = 0.0  # unix seconds

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

    summary: Summary
    ends: dict[int, int]
    splits: dict[str, int] = field(default_factory=dict)  # lines read of each
    missing: int = 0  # records that were to be read, and were not there
    expired: tuple[OffsetRange, ...] = ()
    starts: dict[int, int] | None = None  # None where that was not noted yet
    topic_id: str = ""
    registry: str = ""
    code: str = ""


@dataclass(frozen=True)
class Commit:
    """An increment that is done: what it did, and where the next one starts."""

    number: int
    ends: dict[int, int]  # partition -> offset of the next record
    topic_id: str = ""
    committed: float = 0.0  # unix seconds
    manifest: Manifest | None = None  # None where no increment was done
    why: str = ""  # then: latest (nothing before was read) | reset


@dataclass(frozen=True)
class _Source:
    cluster: str


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
INTENT = DocumentFormat("intent", Intent, 2, {1: _migrate_intent})
MANIFEST = DocumentFormat("manifest", Manifest, 2, {1: _migrate_manifest})
COMMIT = DocumentFormat("commit", Commit, 2, {1: _migrate_commit})


class Gap(NamedTuple):
    """Increments whose commits are missing."""

    first: int
    last: int
    before: Commit | None
    after: Commit


class State:
    """The folder at a path of any file system, but gs://, which can't tell who was first."""

    def __init__(self, path: str, *, kept: int = _KEPT) -> None:
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

    def topics(self) -> list[str]:
        """Those that anything is known of."""
        return filesystem.names(f"{self.path}/topics")

    def topic(self, name: str) -> TopicState:
        return TopicState(f"{self.path}/topics/{name}", name, self._kept)


class TopicState:
    """What is known of one topic. It is read once: there is one instance that changes it."""

    def __init__(self, path: str, topic: str, kept: int) -> None:
        self._path, self.topic, self._kept = path, topic, kept
        self._names = [name for name in filesystem.names(path) if name[0] != "_"]
        self._content: dict[str, bytes] = {}  # of files at the end; none ever changes

    def last(self) -> Commit | None:
        commits = [name for name in self._names if name.endswith(".commit.json")]
        return self._read(commits[-1], COMMIT) if commits else None

    def history(self, since: float = 0.0) -> Iterator[Commit]:
        """All commits, in order; at least those that were made since then (unix seconds)."""
        names = [name for name in sorted(self._names)
                 if name.endswith((".commit.json", ".commits.jsonl"))]  # fmt: skip
        done = 0
        for name in names[bisect_left(names, since, key=lambda name: self._last(name).committed) :]:
            for line in self._lines(name):
                commit = COMMIT.load(line, f"{self._path}/{name}")
                if commit.number > done:
                    yield commit
                    done = commit.number

    def _lines(self, name: str) -> list[bytes]:
        return filesystem.read(f"{self._path}/{name}").splitlines()

    def _last(self, name: str) -> Commit:
        return COMMIT.load(self._lines(name)[-1], f"{self._path}/{name}")

    def gap(self) -> Gap | None:
        """The first commits that are missing, among those that have a file of their own."""
        before = 0
        for name in self._names:
            if name.endswith((".commit.json", ".commits.jsonl")):
                number = int(name.partition(".")[0])
                if number > before + 1 and name.endswith(".commit.json"):
                    earlier = f"{before:08d}.commit"
                    last = next((self._last(each) for each in self._names
                                 if each.startswith(earlier)), None)  # fmt: skip
                    return Gap(before + 1, number - 1, last, self._last(name))
                before = number
        return None

    def pending(self) -> tuple[Intent | None, Manifest | None]:
        """(intent, manifest) of the increment that comes next, or is missing: of the newest
        attempt."""
        gap, last = self.gap(), self.last()
        prefix = f"{gap.first if gap else (last.number if last else 0) + 1:08d}."
        intents = [name for name in self._names
                   if name.startswith(prefix) and name.endswith(".intent.json")]  # fmt: skip
        if not intents:
            return None, None
        newest = intents[-1]
        manifest = newest.replace(".intent.", ".manifest.")
        found = self._read(manifest, MANIFEST) if manifest in self._names else None
        return self._read(newest, INTENT), found

    def intend(self, intent: Intent, attempt: str) -> None:
        """Note what will be done now. Names of attempts are in order. Raises LeaseLost."""
        self._create(f"{intent.number:08d}.{attempt}.intent.json", INTENT.dump(intent))

    def prepare(self, number: int, attempt: str, manifest: Manifest) -> None:
        """From here on it is done, whatever dies. Raises LeaseLost."""
        self._create(f"{number:08d}.{attempt}.manifest.json", MANIFEST.dump(manifest))

    def commit(self, commit: Commit) -> None:
        """All is durable and to be seen. Raises LeaseLost."""
        self._create(f"{commit.number:08d}.commit.json", COMMIT.dump(commit))
        done = [name for name in self._names
                if name.endswith((".intent.json", ".manifest.json"))
                and int(name.partition(".")[0]) <= commit.number]  # fmt: skip
        self._forget(done)
        self._fold()
        self._content = {name: text for name, text in self._content.items()
                         if name == self._names[-1]}  # fmt: skip

    def _fold(self) -> None:
        """Many old commits go into one file: a NameNode suffers from small ones."""
        commits = [name for name in self._names if name.endswith(".commit.json")]
        if len(commits) < 2 * self._kept:
            return
        old = commits[: self._kept]
        lines = [filesystem.read(f"{self._path}/{name}") for name in old]
        name = old[-1].replace(".commit.json", ".commits.jsonl")
        filesystem.create(f"{self._path}/{name}", b"\n".join(lines))
        self._names = sorted([*self._names, name])
        self._forget(old)

    def _forget(self, names: list[str]) -> None:
        for name in names:
            filesystem.remove(f"{self._path}/{name}")
        self._names = [name for name in self._names if name not in names]

    def _read(self, name: str, format_: DocumentFormat[T]) -> T:
        if name not in self._content:
            self._content[name] = filesystem.read(f"{self._path}/{name}")
        return format_.load(self._content[name], f"{self._path}/{name}")

    def _create(self, name: str, content: bytes) -> None:
        filesystem.make_folder(self._path)
        if not filesystem.create(f"{self._path}/{name}", content):
            raise LeaseLost(f"{self._path}/{name} is there already: another instance works here")
        self._content[name] = content
        self._names = sorted([*self._names, name])


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


def reset(state: State, topic: str, ends: dict[int, int]) -> Commit:
    """Make a topic go on from these offsets; whatever was pending is given up. Its lease must be
    held. Raises StateError where files of the pending increment wait for their names."""
    known = state.topic(topic)
    last = known.last()
    if known.pending()[1] is not None:
        raise StateError(f"{topic}: an increment waits to be finished; run `el run` once first")
    number, before = (last.number, last.ends) if last else (0, {})
    # Without a topic's id: it may be another topic of the same name from here on.
    commit = Commit(number + 1, {**before, **ends}, "", time.time(), why="reset")
    known.commit(commit)
    return commit
