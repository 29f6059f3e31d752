"""Receipts: what a sink was given and what became of it. The books must balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from schemas.event import Destination


class Receipt(NamedTuple):
    """One durable write, or what was left out: given = written + rejected + repeated + filtered."""

    sink: str
    schema: str
    revision: int
    where: str = ""  # the file or table
    given: int = 0  # events
    written: int = 0
    rejected: int = 0  # became EventErrors, which have receipts of their own
    repeated: int = 0  # had been written before
    filtered: int = 0  # not chosen
    size: int = 0  # bytes of the file, 0 for tables


class Tally:
    """Counts, for a bundle, what never reaches the sink itself."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._filtered: Counter[Destination] = Counter()
        self._rejected: Counter[Destination] = Counter()

    def filtered(self, destination: Destination) -> None:
        self._filtered[destination] += 1

    def rejected(self, destination: Destination) -> None:
        self._rejected[destination] += 1

    def receipts(self) -> Iterator[Receipt]:
        for destination, count in self._filtered.items():
            yield Receipt(self._sink, *destination, given=count, filtered=count)
        for destination, count in self._rejected.items():
            yield Receipt(self._sink, *destination, given=count, rejected=count)
