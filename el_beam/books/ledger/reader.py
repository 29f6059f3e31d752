"""Reading a ledger: its entries become what is known of files and hours."""

import time
from concurrent.futures import ThreadPoolExecutor

from el_beam.books.ledger.files import (
    CHANGE,
    CHANGE_NOTE,
    DONE,
    FOLDER,
    NAMING,
    NAMING_NOTE,
    RUN,
    RUN_NOTE,
    STATE,
    STATE_NOTE,
    Change,
    NamingNote,
    StateNote,
)
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
from transforms.counts.summary import HourKey, Summary
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.write.receipt import Receipt

_AT_ONCE = 8  # files that are read together
_LONGEST_NAMING = 3600.0  # seconds: then a run is dead that gives its files their names


def read_ledger(root: str, *, selected: HourFilter = lambda _: True) -> Ledger:
    """The ledger of a folder: what is of `selected` hours, or made of their lines.

    Raises LedgerError, OSError."""
    for left in (2, 1, 0):
        try:
            return _read_ledger(root.rstrip("/"), selected)
        except OSError as error:  # a writer has just replaced what was to be read: look again
            if isinstance(error, FileAway) or not left:
                raise
    raise AssertionError


def _read_ledger(root: str, selected: HourFilter) -> Ledger:
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
            path, stem = f"{root}/{FOLDER}/{name}", name.removesuffix(".json")
            if name.startswith(STATE):
                read_state(ledger, STATE_NOTE.load(content, path), selected)
            elif name.startswith(NAMING):
                _read_naming(ledger, name, NAMING_NOTE.load(content, path))
            elif name.startswith(CHANGE):
                change = CHANGE_NOTE.load(content, path)
                ledger.entries.append(_change_entry(stem, change, selected))
            else:
                run, stem = RUN_NOTE.load(content, path), stem.rpartition("-")[0]
                ledger.sinks.add(run.sink)
                ledger.archives.update(run.archives)
                if stem not in runs or runs[stem].at <= run.at:  # the same split, which has grown
                    runs[stem] = _entry(stem, run.at, run.summary, run.root, run.sink, selected)
    ledger.entries += runs.values()
    ledger.entries.sort(key=lambda entry: entry.at)
    return ledger


def read_state(
    ledger: Ledger, note: StateNote, selected: HourFilter, *, since: float = 0.0
) -> None:
    """Enter the commits of an import that were made since then (unix seconds). Raises OSError."""
    state = State(note.state)
    ledger.sinks.add(note.sink)
    for topic in state.topics():
        known, before = state.topic(topic), 0
        if waiting := known.pending()[1]:
            files = (each.file for each in waiting.summary.files.values())
            ledger.naming |= {_below(file.path, note.root) for file in files if file}
        for commit in known.history(since):
            for number in range(before + 1, commit.number) if before or not since else ():
                ledger.troubles.append(
                    Trouble("gap", f"{topic} {number}", "",
                            f"increment {number} of {topic} is not in {state.path}: the next round "
                            "of its `el run` reads it again")
                )  # fmt: skip
            before = commit.number
            if commit.manifest is None:  # a reset, or a start at the end
                continue
            summary = commit.manifest.summary
            ledger.archives.update(each for each in summary.sinks if each.startswith(RAW))
            name = f"increment {commit.number} of {topic} ({state.path})"
            ledger.entries.append(
                _entry(name, commit.committed, summary, note.root, note.sink, selected)
            )


def _read_naming(ledger: Ledger, name: str, note: NamingNote) -> None:
    if note.at + _LONGEST_NAMING > time.time():
        ledger.naming.update(note.paths)
    else:
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(note.at))
        sentence = f"a run that wrote {len(note.paths):,} files here at {began} has not come to "
        ledger.troubles.append(
            Trouble("unfinished", f"{FOLDER}/{name}", "",
                    f"{sentence}its end: start it again, or put its files away")
        )  # fmt: skip


def _entry(
    name: str, at: float, summary: Summary, root: str, sink: str, selected: HourFilter
) -> Entry:
    """What a run or an increment did, of one of its sinks and of `selected` hours."""
    files = []
    for receipt in summary.files.values():
        file = receipt.file
        if file and receipt.sink == sink and selected(file.hour):
            path, of = _below(file.path, root), (FilePart(receipt.split, file.hour),)
            files.append(_file(receipt, path, of))
    return Entry(name, at, _counts(summary, selected), tuple(files), summary.sinks.get(sink))


def _change_entry(name: str, change: Change, selected: HourFilter) -> Entry:
    files = []
    for receipt in change.summary.files.values():
        if file := receipt.file:
            path = _below(file.path, change.root)
            of = tuple(change.of.get(path, ())) or (FilePart(receipt.split, file.hour),)
            if selected(file.hour) or any(selected(part.hour) for part in of):
                files.append(_file(receipt, path, of))
    repeated = ((files[0].hour, files[0].schema, change.repeated),) if files else ()
    return Entry(name, change.at, _counts(change.summary, selected), tuple(files), None,
                 repeated if change.repeated else (), frozenset(change.removed),
                 frozenset(change.instead_of))  # fmt: skip


def _file(receipt: Receipt, path: str, of: tuple[FilePart, ...]) -> LedgerFile:
    assert receipt.file
    schema, file = f"{receipt.schema}_{receipt.revision}", receipt.file
    return LedgerFile(path, schema, file.hour, receipt.written, receipt.size, file.sha256, of)


def _counts(summary: Summary, selected: HourFilter) -> dict[HourKey, int]:
    return {key: count for key, count in summary.counts.items() if selected(key.hour)}


def _below(path: str, root: str) -> str:
    return path.removeprefix(f"{root}/")
