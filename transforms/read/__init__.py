"""ReadEvents: lines come in, each with its origin."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import apache_beam as beam

from schemas.event import Origin, RawLine
from transforms.read.files import SPLIT_BYTES, FileSplit, cut_lines, find_splits, read_split


class ReadReceipt(NamedTuple):
    """What was read of a split: the other side of the books."""

    split: str
    lines: int
    size: int  # bytes of the lines, without line ends


class Source(Protocol):
    """What a job reads: a transform from nothing to RawLines, and how people see it."""

    def read(self) -> beam.PTransform:
        """Gives a PCollection of RawLines with, tagged `READ`, a ReadReceipt for each split.

        Raises UnreadableInput where there is nothing to read."""

    def __str__(self) -> str: ...


READ = "read"


def without_collecting() -> None:
    """Let this process look for garbage less often. Events are trees, which go when their bundle
    lets go of them; looking for cycles among the thousands in flight costs a tenth of the time."""
    gc.freeze()
    gc.set_threshold(10_000, 50, 1_000)


class _ReadFn(beam.DoFn):  # type: ignore[misc]
    """Reads a split whole, in one call, and says how much it was."""

    def __init__(self, lines_of: Callable[[Any], Iterator[RawLine]]) -> None:
        self._lines_of = lines_of

    def setup(self) -> None:
        without_collecting()

    def process(self, split: Any) -> Iterator[RawLine | beam.pvalue.TaggedOutput]:
        lines = size = 0
        for line in self._lines_of(split):
            lines += 1
            size += len(line.data)
            yield line
        name = getattr(split, "id", "stdin")
        yield beam.pvalue.TaggedOutput(READ, ReadReceipt(name, lines, size))


def read_splits(lines_of: Callable[[Any], Iterator[RawLine]]) -> beam.PTransform:
    """split -> RawLine, and tagged `READ` a ReadReceipt."""
    return beam.ParDo(_ReadFn(lines_of)).with_outputs(READ, main="lines")


class FileSource:
    """Files by path or glob on any of Beam's file systems."""

    def __init__(self, patterns: tuple[str, ...], split_bytes: int = SPLIT_BYTES) -> None:
        self.patterns = patterns
        self.split_bytes = split_bytes

    def splits(self) -> list[FileSplit]:
        """All splits in order. Raises UnreadableInput where a pattern matches nothing."""
        return find_splits(self.patterns, self.split_bytes)

    def read(self) -> beam.PTransform:
        return _ReadFiles(self.splits())

    def __str__(self) -> str:
        return "file:" + ",".join(self.patterns)


class _ReadFiles(beam.PTransform):  # type: ignore[misc]
    def __init__(self, splits: list[FileSplit]) -> None:
        super().__init__()
        self._splits = splits

    def expand(self, root: beam.pvalue.PBegin) -> beam.pvalue.DoOutputsTuple:
        return (
            root
            | "Splits" >> beam.Create(self._splits)
            | "Spread" >> beam.Reshuffle()  # splits go round the workers, events never
            | "Lines" >> read_splits(read_split)
        )


class StdinSource:
    """Standard input until its end: one split, read by the one worker that shares our process."""

    def read(self) -> beam.PTransform:
        return _ReadStdin()

    def __str__(self) -> str:
        return "stdin:"


def _read_stdin(_: object) -> Iterator[RawLine]:
    started = time.time()
    split = f"stdin-{int(started)}"
    position = 0
    for length, data in cut_lines(sys.stdin.buffer):
        yield RawLine(data, Origin("stdin", f"stdin-{started:.6f}", position, time.time(), split))
        position += length


class _ReadStdin(beam.PTransform):  # type: ignore[misc]
    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        return root | "Stdin" >> beam.Create([None]) | "Lines" >> read_splits(_read_stdin)


class ReadEvents(beam.PTransform):  # type: ignore[misc]
    """Nothing -> (RawLine: every line of the source, once; ReadReceipt: how many they were)."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    def expand(self, root: beam.pvalue.PBegin) -> tuple[beam.PCollection, beam.PCollection]:
        outputs = root | "Source" >> self._source.read()
        return outputs.lines, outputs[READ]
