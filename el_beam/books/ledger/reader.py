"""Reading a ledger: its entries become what is known of files and hours."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from el_beam.books.ledger.files import CHANGE, DONE, FOLDER, NAMING, RUN, STATE
from el_beam.books.ledger.model import (
    RAW,
    Entry,
    FilePart,
    HourFilter,
    Ledger,
    LedgerError,
    LedgerFile,
    Trouble,
)
from el_beam.books.state.state import State
from transforms.counts.summary import summary_of
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway

_AT_ONCE = 8  # files that are read together
_LONGEST_NAMING = 3600.0  # seconds: then a run is dead that gives its files their names


def read_ledger(root: str, *, wanted: HourFilter = lambda _: True) -> Ledger:
    """The ledger of a folder: what is of hours that are `wanted`, or made of their lines.

    Raises LedgerError, OSError."""
    for left in (2, 1, 0):
        try:
            return _read_ledger(root.rstrip("/"), wanted)
        except OSError as error:  # a writer has just replaced what was to be read: look again
            if isinstance(error, FileAway) or not left:
                raise
    raise AssertionError


def _read_ledger(root: str, wanted: HourFilter) -> Ledger:
    ledger = Ledger(root)
    kinds = (CHANGE, NAMING, RUN, STATE)
    names = [each for each in filesystem.names(f"{root}/{FOLDER}")
             if each.startswith(kinds) and not each.endswith(DONE)]  # fmt: skip
    if not names:
        raise LedgerError(f"{root} has no ledger: nothing was written there by `el run`")
    runs: dict[str, Entry] = {}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        contents = threads.map(lambda name: filesystem.read(f"{root}/{FOLDER}/{name}"), names)
        for name, content in zip(names, contents, strict=True):
            told = json.loads(content)
            if name.startswith(STATE):
                read_state(ledger, told, wanted)
                continue
            if name.startswith(NAMING):
                _read_naming(ledger, name, told)
                continue
            ledger.sinks.update(filter(None, [told.get("sink")]))
            ledger.archives.update(told.get("archives", ()))
            stem = name.removesuffix(".json")
            stem = stem.rpartition("-")[0] if name.startswith(RUN) else stem
            entry = _entry(stem, told["at"], told, told["root"], wanted)
            if stem not in runs or runs[stem].at <= entry.at:  # the same split, which has grown
                runs[stem] = entry
    ledger.entries += runs.values()
    ledger.entries.sort(key=lambda entry: entry.at)
    return ledger


def read_state(
    ledger: Ledger, told: dict[str, str], wanted: HourFilter, *, since: float = 0.0
) -> None:
    """Enter the commits of an import that were made since then (unix seconds). `told` names its
    `state`, the `root` of a sink, and the `sink`. Raises OSError."""
    state = State(told["state"])
    ledger.sinks.add(told["sink"])
    for topic in state.topics():
        known, before = state.topic(topic), 0
        if waiting := known.pending()[1]:
            files = (each.file for each in summary_of(waiting).files.values())
            ledger.naming |= {_below(file.path, told["root"]) for file in files if file}
        for commit in known.history(since):
            for number in range(before + 1, commit.number) if before or not since else ():
                ledger.troubles.append(
                    Trouble("gap", f"{topic} {number}", "",
                            f"increment {number} of {topic} is not in {state.path}: the next round "
                            "of its `el run` reads it again")
                )  # fmt: skip
            before = commit.number
            about = commit.about
            if "files" not in about:  # a reset, or a start at the end
                continue
            ledger.archives.update(each for each in about["sinks"] if each.startswith(RAW))
            mine = [each for each in about["files"] if each[0] == told["sink"]]
            name = f"increment {commit.number} of {topic} ({state.path})"
            ledger.entries.append(
                _entry(name, commit.committed, {**about, "files": mine, "sink": told["sink"]},
                       told["root"], wanted)
            )  # fmt: skip


def _read_naming(ledger: Ledger, name: str, told: dict[str, Any]) -> None:
    if told["at"] + _LONGEST_NAMING > time.time():
        ledger.naming.update(told["paths"])
    else:
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(told["at"]))
        sentence = f"a run that wrote {len(told['paths']):,} files here at {began} has not come to "
        ledger.troubles.append(
            Trouble("unfinished", f"{FOLDER}/{name}", "",
                    f"{sentence}its end: start it again, or put its files away")
        )  # fmt: skip


def _entry(name: str, at: float, told: dict[str, Any], root: str, wanted: HourFilter) -> Entry:
    summary, of = summary_of(told), told.get("of", {})
    files = []
    for receipt in summary.files.values():
        if file := receipt.file:
            path = _below(file.path, root)
            parts = tuple(FilePart(*each) for each in of.get(path, ((receipt.split, file.hour),)))
            if wanted(file.hour) or any(wanted(part.hour) for part in parts):
                schema = f"{receipt.schema}_{receipt.revision}"
                files.append(
                    LedgerFile(
                        path, schema, file.hour, receipt.written, receipt.size, file.sha256, parts
                    )
                )
    counts = {key: count for key, count in summary.counts.items() if wanted(key.hour)}
    instead_of = frozenset((entry, hour) for entry, hour in told.get("instead_of", ()))
    repeated: tuple[tuple[str, str, int], ...] = ()
    if files and told.get("repeated"):
        repeated = ((files[0].hour, files[0].schema, told["repeated"]),)
    return Entry(name, at, counts, tuple(files), summary.sinks.get(told.get("sink", "")),
                 repeated, frozenset(told.get("removed", ())), instead_of)  # fmt: skip


def _below(path: str, root: str) -> str:
    return path.removeprefix(f"{root}/")
