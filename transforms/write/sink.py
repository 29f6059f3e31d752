"""What a sink is: a description that travels to workers, a writer on each, bundles of events, and
receipts, which say what a sink was given and what became of it. The books must balance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.event import Destination, Event
from transforms.layout import TEMPORARY, check_below, check_hour


class NewFile(NamedTuple):
    """A file that is complete but for its name: see `files.publish`."""

    temporary: str  # where it is
    path: str  # where it is to be
    hour: str  # that its events are of, as 2019-03-10T07
    sha256: str  # of its content

    @property
    def root(self) -> str:
        """Of its sink: temporary files are in a folder there."""
        return self.temporary.rpartition(f"/{TEMPORARY}/")[0]

    def below_root(self) -> NewFile:
        """The same with paths below the root, wherever that is by now. Raises ValueError where they
        lead out of it, or the hour is not one."""
        check_hour(self.hour)
        root = self.root and f"{self.root}/"
        temporary, path = (each.removeprefix(root) for each in self[:2])
        check_below(temporary)
        check_below(path)
        return self._replace(temporary=temporary, path=path)


def by_root(files: Iterable[NewFile]) -> dict[str, list[NewFile]]:
    """Files by the folders of their sinks."""
    found: dict[str, list[NewFile]] = {}
    for file in files:
        found.setdefault(file.root, []).append(file)
    return found


class Receipt(NamedTuple):
    """One durable write, or what was left out: given = written + rejected + repeated + filtered.
    Where a split is deferred its books don't count: it will be written again."""

    sink: str
    split: str
    schema: str
    revision: int
    where: str = ""  # the file or table
    given: int = 0  # events
    written: int = 0
    rejected: int = 0  # became EventErrors, which have receipts of their own
    repeated: int = 0  # had been written before
    filtered: int = 0  # not chosen
    size: int = 0  # bytes of the file, 0 for tables
    deferred: str = ""  # why a part of the split can't be written now
    file: NewFile | None = None


class Rejected(Exception):
    """A sink can't hold this event, and never will; `path` is where in the event."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class RejectedEvent(NamedTuple):
    """An event that a bundle took, before it turned out that the sink can't hold it."""

    destination: Destination
    event: Event
    error: Rejected


class Bundle(ABC):
    """The events of one bundle, on their way."""

    @abstractmethod
    def add(self, destination: Destination, event: Event) -> None:
        """Take an event. Raises Rejected, or SinkError."""

    def settle(self) -> None:
        """Wait until it is known of each event taken whether the sink can hold it.

        Only for sinks that learn it late. Raises SinkError."""
        return

    def rejected(self) -> Iterable[RejectedEvent]:
        """The events that the bundle took and that the sink, as it knows by now, can't hold. Each
        is given once, and is in no receipt. Other events, such as their EventErrors, may be added
        meanwhile."""
        return ()

    @abstractmethod
    def commit(self) -> Iterable[Receipt]:
        """Make all events durable and say so. Doing it again for the same events changes nothing.

        Called once, when `rejected` gives nothing more. Raises SinkError."""


class Tally:
    """Counts, for a bundle, what never reaches the sink itself."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._filtered: Counter[tuple[str, Destination]] = Counter()
        self._rejected: Counter[tuple[str, Destination]] = Counter()

    def filtered(self, split: str, destination: Destination) -> None:
        self._filtered[split, destination] += 1

    def rejected(self, split: str, destination: Destination) -> None:
        self._rejected[split, destination] += 1

    def receipts(self) -> Iterator[Receipt]:
        for (split, destination), count in self._filtered.items():
            yield Receipt(self._sink, split, *destination, given=count, filtered=count)
        for (split, destination), count in self._rejected.items():
            yield Receipt(self._sink, split, *destination, given=count, rejected=count)


class Writer(ABC):
    """A sink on one worker: connections, compiled encoders."""

    @abstractmethod
    def bundle(self) -> Bundle:
        """A new, empty bundle."""

    def close(self) -> None:
        """Let go of connections."""
        return


class Sink(ABC):
    """Where events go, as a picklable description without connections.

    What a sink is able to do is said here: nobody asks for the class of a sink."""

    shown: str
    """Its URI without secrets, as people see it."""
    root: str = ""
    """The folder that its files are below, which has a ledger; empty for a sink without files."""
    temporary: str = ""
    """A folder below `root`, for files that nobody is to see yet."""
    ending: str = ""
    """What the names of its files end with: a folder has files of one kind. Empty if that may be
    anything."""
    progress: str | None = None
    """A folder of this machine in which is noted how far it is, for a person who watches."""
    has_rows: bool = False
    """Whether it keeps events as rows of tables, which `delete_rows` can take out again."""
    drops_bots: bool = False
    """Whether it leaves out the events of bots."""
    continuous: bool = False
    """Whether a continuous job may write to it. Such a job has no splits, so a sink can't name
    files after them, nor tell rows that come again from new ones."""

    @abstractmethod
    def writer(self) -> Writer:
        """Called once on each worker."""

    def prepare(self) -> None:
        """Called once where the job is started, before it: refuse what can't work, sweep away what
        an attempt of the same job left half done. Raises SinkError."""
        return

    def attempt(self, name: str, like: Iterable[str] = ()) -> Sink:
        """This sink for one of several attempts, which must not meet: each has a name, which is a
        path. To finish it finishes all below it. Those may use a new file who may use the files
        that it is `like`: those of these paths, below the root, that are in its folder."""
        return self

    def deferring(self) -> Sink:
        """This sink, but a table that can't be written now doesn't fail the job: a Receipt says
        which splits are `deferred`, and why. The caller tries those again later, each by itself,
        while all others have gone on."""
        return self

    def delete_rows(self, rows: Iterable[tuple[str, str]]) -> int:
        """Delete rows (table, uuid), which come in the order of tables, and return how many were
        there. Doing it again does no harm. Only for a sink that `has_rows`. Raises SinkError."""
        raise NotImplementedError(f"{self} has no rows")

    def finish(self) -> None:
        """Called once after the job has succeeded, or failed: remove what was left half done."""
        return

    def __str__(self) -> str:
        return self.shown
