"""What a sink is: a description that travels to workers, a writer on each, bundles of events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

from schemas.event import Destination, Event
from transforms.write.receipt import Receipt


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

    root: str = ""
    """The folder that its files are below, which has a ledger; empty for a sink without files."""
    temporary: str = ""
    """A folder below `root`, for files that nobody is to see yet."""
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

    def attempt(self, name: str) -> Sink:
        """This sink for one of several attempts, which must not meet: each has a name, which is a
        path. To finish it finishes all below it."""
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

    @abstractmethod
    def __str__(self) -> str:
        """The sink's URI, without secrets."""
