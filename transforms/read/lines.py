"""Sources, as descriptions; Beam is imported when one is asked for its transform."""

from __future__ import annotations

import copy
import io
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from schemas.event import Origin, RawLine
from transforms.errors import UnreadableInput
from transforms.read.files import (
    SPLIT_BYTES,
    FileMark,
    FileSplit,
    cut_lines,
    find_splits,
    mark_of,
    read_split,
)

if TYPE_CHECKING:
    import apache_beam as beam


class Source(ABC):
    """What a job reads, and how people see it."""

    shown: str
    """Its URI without secrets, as people see it."""
    bounded: bool = True
    """Whether a job that reads it ends by itself."""
    repeatable: bool = False
    """Whether `read` can be called again, and gives the same lines."""

    @abstractmethod
    def lines(self) -> beam.PTransform:
        """A transform from nothing to RawLines, of a bounded source to (RawLines, ReadReceipts).
        Raises UnreadableInput where nothing is there."""

    def read(self) -> Iterator[RawLine]:
        """All lines, read by this process without a job. Raises UnreadableInput."""
        raise UnreadableInput(f"{self} can only be read by a job")

    def marks(self) -> dict[str, FileMark]:
        """By split, the file that it is of: another one may be there later, under the same name.
        Raises UnreadableInput."""
        return {}

    def listed(self) -> Source:
        """This source, of what is there now: it does not look again."""
        return self

    def details(self) -> str:
        """What a job would read, for people; empty where there is no more to say."""
        return ""

    def __str__(self) -> str:
        return self.shown


class FileSource(Source):
    """Files by path or glob on any of Beam's file systems."""

    repeatable = True

    def __init__(self, patterns: tuple[str, ...], split_bytes: int = SPLIT_BYTES) -> None:
        self.patterns = patterns
        self.split_bytes = split_bytes
        self.shown = "file:" + ",".join(patterns)
        self._listed: list[FileSplit] = []

    def splits(self) -> list[FileSplit]:
        """All splits in order. Raises UnreadableInput where a pattern matches nothing."""
        return self._listed or find_splits(self.patterns, self.split_bytes)

    def listed(self) -> FileSource:
        now = copy.copy(self)
        now._listed = self.splits()
        return now

    def lines(self) -> beam.PTransform:
        from transforms.read.stages import ReadSplits

        return ReadSplits(self.splits(), read_split)

    def read(self) -> Iterator[RawLine]:
        return (line for split in self.splits() for line in read_split(split))

    def marks(self) -> dict[str, FileMark]:
        splits = self.splits()
        paths = sorted({split.path for split in splits})
        marks = {path: mark_of(path) for path in paths}
        return {split.id: marks[split.path] for split in splits}

    def details(self) -> str:
        splits = self.splits()
        return f"{len({split.path for split in splits})} file(s) in {len(splits)} split(s)"


class StdinSource(Source):
    """Standard input until its end: one split, read by the one worker that shares our process."""

    shown = "stdin:"

    def lines(self) -> beam.PTransform:
        from transforms.read.stages import ReadSplits

        # One by one: whoever types or tails wants to see each line's event at once.
        return ReadSplits([None], read_stdin, batch=1)

    def read(self) -> Iterator[RawLine]:
        return read_stdin(None)


def read_stdin(_: object) -> Iterator[RawLine]:
    name = f"stdin-{time.time():.6f}"
    position = 0
    stdin = cast(io.BufferedReader, sys.stdin.buffer)
    try:
        for length, data in cut_lines(stdin.read1):  # what is there, instead of waiting for more
            yield RawLine(data, Origin("stdin", name, position, time.time(), name))
            position += length
    except OSError as error:  # as where the caller has closed it
        raise UnreadableInput(f"cannot read standard input: {error.strerror}") from error
