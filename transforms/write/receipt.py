"""Receipts: what a sink was given and what became of it. The books must balance."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from schemas.event import Destination
from transforms.layout import TEMPORARY


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
