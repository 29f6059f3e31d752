"""ReadEvents: lines come in, each with its origin."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, cast

import apache_beam as beam

from schemas.event import Origin, RawLine
from transforms.batches import Batch, BatchedFn
from transforms.read.collecting import without_collecting
from transforms.read.files import SPLIT_BYTES, FileSplit, cut_lines, find_splits, read_split

_BATCH_BYTES = 4 * 1024 * 1024  # of lines in a batch: hostile ones are long


class Source(Protocol):
    """What a job reads, and how people see it."""

    @property
    def bounded(self) -> bool:
        """Whether it has an end."""

    def lines(self) -> beam.PTransform:
        """A transform from nothing to RawLines. Raises UnreadableInput where nothing is there."""

    def __str__(self) -> str: ...


class _ReadFn(BatchedFn):
    """Reads a split whole, in one call."""

    def __init__(self, lines_of: Callable[[Any], Iterator[RawLine]], batch: int) -> None:
        self._lines_of, self._batch = lines_of, batch

    def setup(self) -> None:
        without_collecting()

    @beam.DoFn.yields_batches
    def process(self, split: Any) -> Iterator[Batch]:
        batch, size = Batch(), 0
        for line in self._lines_of(split):
            batch.append(line)
            size += len(line.data)
            if len(batch) >= self._batch or size >= _BATCH_BYTES:
                yield batch
                batch, size = Batch(), 0
        if batch:
            yield batch


def read_splits(lines_of: Callable[[Any], Iterator[RawLine]], batch: int = 1000) -> beam.PTransform:
    """split -> RawLine, handed on some at a time."""
    return beam.ParDo(_ReadFn(lines_of, batch))


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
        return _ReadFiles(self.splits())

    def __str__(self) -> str:
        return "file:" + ",".join(self.patterns)


class _ReadFiles(beam.PTransform):
    def __init__(self, splits: list[FileSplit]) -> None:
        super().__init__()
        self._splits = splits

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            root
            # Which shuffles them: splits go round the workers, events never.
            | "Splits" >> beam.Create(self._splits)
            | "Lines" >> read_splits(read_split)
        )


class StdinSource:
    """Standard input until its end: one split, read by the one worker that shares our process."""

    bounded = True

    def lines(self) -> beam.PTransform:
        return _ReadStdin()

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


class _ReadStdin(beam.PTransform):
    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        # One by one: whoever types or tails wants to see each line's event at once.
        return root | beam.Create([None]) | "Lines" >> read_splits(read_stdin, batch=1)


class ReadEvents(beam.PTransform):
    """Nothing -> RawLine: every line of the source, once."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        return root | "Source" >> self._source.lines()
