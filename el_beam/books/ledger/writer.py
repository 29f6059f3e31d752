"""Writing a ledger: a run or an import that writes files notes what they are. See model.py."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from el_beam.books.ledger.files import (
    CHANGE,
    FOLDER,
    NAMING,
    NAMING_NOTE,
    RUN,
    RUN_NOTE,
    STATE,
    STATE_NOTE,
    NamingNote,
    RunNote,
    StateNote,
)
from el_beam.books.ledger.model import RAW
from el_beam.books.ledger.reader import read_ledger
from transforms.counts.summary import Summary
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.write.receipt import NewFile

if TYPE_CHECKING:
    from transforms.write.sink import Sink


@contextmanager
def naming(files: Iterable[NewFile]) -> Iterator[None]:
    """While the block runs files get their names, of which no entry says anything yet: they are not
    untracked files. Where it fails, or is killed, the same run again finishes it. Raises
    OSError."""
    notes = []
    for root, paths in _by_root(files).items():
        below = sorted(file.path.removeprefix(f"{root}/") for file in paths)
        notes.append(f"{root}/{FOLDER}/{NAMING}{_digest(below)}.json")
        filesystem.remove(notes[-1])
        filesystem.make_folder(f"{root}/{FOLDER}")
        filesystem.create(notes[-1], NAMING_NOTE.dump(NamingNote(time.time(), tuple(below))))
    yield
    for note in notes:
        filesystem.remove(note)


def enter_run(sinks: Iterable[Sink], source: str, summaries: Mapping[str, Summary]) -> None:
    """Note what a bounded run has written, split by split, once its files have their names. The
    same run again finds its entries there; one over a split that has grown makes another, which
    counts instead. Raises OSError."""
    sinks = list(sinks)
    archives = tuple(str(sink) for sink in sinks if str(sink).startswith(RAW))
    for sink in sinks:
        if not sink.root:
            continue
        for split, summary in summaries.items():
            name = str(sink)
            sinks_ = {name: summary.sinks[name]} if name in summary.sinks else {}
            files = {key: each for key, each in summary.files.items() if each.sink == name}
            mine = Summary(summary.read, summary.size, summary.counts, sinks_, files)
            note = RunNote(sink.root, name, split, source, time.time(), mine, archives)
            made = sorted((file.path, file.sha256) for each in mine.files.values()
                          if (file := each.file))  # fmt: skip
            _enter(
                sink.root,
                f"{RUN}{_digest(name, split)}-{_digest(made, summary.read)}",
                RUN_NOTE.dump(note),
            )


def enter_state(sinks: Iterable[Sink], state_path: str) -> None:
    """Note in the folders that an import writes where its commits are. Raises OSError."""
    for sink in sinks:
        if sink.root:
            note = StateNote(sink.root, str(sink), filesystem.absolute(state_path))
            # The name is that of the note without its format: a newer one finds it there.
            _enter(sink.root, f"{STATE}{_digest(asdict(note))}", STATE_NOTE.dump(note))


def _enter(root: str, name: str, content: bytes) -> None:
    folder = f"{root}/{FOLDER}"
    filesystem.make_folder(folder)
    filesystem.create(f"{folder}/{name}.json", content)


def _digest(*what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _by_root(files: Iterable[NewFile]) -> dict[str, list[NewFile]]:
    found: dict[str, list[NewFile]] = {}
    for file in files:
        found.setdefault(file.root, []).append(file)
    return found


def not_replaced(files: Iterable[NewFile]) -> Iterator[NewFile]:
    """Those of some files that no change has taken out of their folder: a run that is made again
    doesn't bring back what a backfill, a compaction or a purge has replaced.

    Raises SinkError where such a file would have other content than it had, LedgerError, OSError.
    """
    for root, mine in _by_root(files).items():
        if not any(name.startswith(CHANGE) for name in filesystem.names(f"{root}/{FOLDER}")):
            yield from mine
            continue
        ledger = read_ledger(root, selected={file.hour for file in mine}.__contains__)
        removed = {path for entry in ledger.entries for path in entry.removed}
        digests = {file.path: file.sha256 for entry in ledger.entries for file in entry.files}
        for file in mine:
            path = file.path.removeprefix(f"{root}/")
            if path not in removed:
                yield file
            elif digests.get(path) != file.sha256:
                raise SinkError(
                    f"{file.path} was there, and has been replaced; the same input gives other "
                    "content now: write it to another place, or `el backfill` its hours"
                )
