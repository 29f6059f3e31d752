"""Sources, as descriptions; Beam is imported when one is asked for its transform."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from schemas.event import Origin, RawLine
from transforms.read.files import SPLIT_BYTES, FileSplit, cut_lines, find_splits, read_split

if TYPE_CHECKING:
    import apache_beam as beam


class Source(Protocol):
    """What a job reads, and how people see it."""

    @property
    def bounded(self) -> bool:
        """Whether it has an end."""

    def lines(self) -> beam.PTransform:
        """A transform from nothing to RawLines. Raises UnreadableInput where nothing is there."""

    def __str__(self) -> str: ...


class FileSource:
    """Files by path or glob on any of Beam's file systems."""

    bounded = True

    def __init__(self, patterns: tuple[str, ...], split_bytes: int = SPLIT_BYTES) -> None:
        self.patterns = patterns
        self.split_bytes = split_bytes

    def splits(self) -> list[FileSplit]:
        """All splits in order. Raises UnreadableInput where a pattern matches nothing."""
        return find_splits(self.patterns, self.split_bytes)

    def lines(self) -> beam.PTransform:
        from transforms.read.read_splits import ReadSplits

        return ReadSplits(self.splits(), read_split)

    def __str__(self) -> str:
        return "file:" + ",".join(self.patterns)


class StdinSource:
    """Standard input until its end: one split, read by the one worker that shares our process."""

    bounded = True

    def lines(self) -> beam.PTransform:
        from transforms.read.read_splits import ReadSplits

        # One by one: whoever types or tails wants to see each line's event at once.
        return ReadSplits([None], read_stdin, batch=1)

    def __str__(self) -> str:
        return "stdin:"


class _AtOnce(NamedTuple):
    """A stream whose read() gives what is there instead of waiting for more."""

    read: Callable[[int], bytes]


def read_stdin(_: object) -> Iterator[RawLine]:
    started = time.time()
    name = f"stdin-{started:.6f}"
    position = 0
    for length, data in cut_lines(_AtOnce(cast(io.BufferedReader, sys.stdin.buffer).read1)):
        yield RawLine(data, Origin("stdin", name, position, time.time(), name))
        position += length
