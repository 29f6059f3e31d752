"""The entries of a ledger. A run or an import writes a note of its files; the notes say what each
file and hour holds. See model.py.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from el_beam.advice import command, typed
from el_beam.books.folder import is_previous
from el_beam.books.imports import logs, scheme_of, unfinished
from el_beam.books.ledger.accepted import settle_accepted
from el_beam.books.ledger.model import (
    CHANGES,
    DONE,
    NAMINGS,
    RAW,
    RUNS,
    STATES,
    STRAYS,
    Change,
    Entry,
    FilePart,
    HourFilter,
    Ledger,
    LedgerError,
    LedgerFile,
    NamingNote,
    Notes,
    RunNote,
    StateNote,
    Trouble,
    note_name,
)
from el_beam.books.state.state import State, StateError
from schemas.durable import DocumentFormat
from transforms.counts.summary import HourKey, Summary
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.io.world import CLOCK
from transforms.layout import LEDGER
from transforms.line_time import NEWEST
from transforms.read.files import FileMark
from transforms.read.offsets import united
from transforms.write.sink import NewFile, Receipt, Sink, by_root

T = TypeVar("T")
_LONGEST_NAMING = 3600.0  # seconds: then a run is dead that gives its files their names


@contextmanager
def naming(files: Iterable[NewFile]) -> Iterator[None]:
    """While the block runs files get their names, of which no entry says anything yet: they are not
    untracked files. Where it fails, or is killed, the same run again finishes it. Raises
    OSError."""
    notes = []
    for root, paths in by_root(files).items():
        below = sorted(file.path.removeprefix(f"{root}/") for file in paths)
        notes.append(NAMINGS.path(root, note_name(below)))
        filesystem.remove(notes[-1])
        _enter(root, NAMINGS, note_name(below), NamingNote(CLOCK.time(), tuple(below)))
    yield
    for note in notes:
        filesystem.remove(note)


def enter_run(
    sinks: Iterable[Sink], source: str, summaries: Mapping[str, Summary],
    options: tuple[str, ...] = (), marks: Mapping[str, FileMark] = MappingProxyType({}),
    rules: Callable[[str], int] = NEWEST.of,
) -> None:  # fmt: skip
    """Note what a bounded run has written, split by split, once its files have their names. The
    same run again finds its entries there; one over a split that has grown makes another, which
    counts instead. `options` are those of its format and schemas, `marks` tell by split which file
    was read, and `rules` the rule of its bad lines' times. Raises OSError."""
    sinks = list(sinks)
    archives = archives_of(sinks)
    for sink in sinks:
        if not sink.root:
            continue
        for split, summary in summaries.items():
            name = str(sink)
            sinks_ = {name: summary.sinks[name]} if name in summary.sinks else {}
            files = {key: each for key, each in summary.files.items() if each.sink == name}
            mine = Summary(summary.read, summary.size, summary.counts, sinks_, files)
            head = marks[split].head if split in marks else ""
            note = RunNote(
                sink.root, name, split, source, CLOCK.time(), mine, archives, options, head,
                rules(split),
            )  # fmt: skip
            made = sorted((file.path, file.sha256) for each in mine.files.values()
                          if (file := each.file))  # fmt: skip
            begin = run_name(name if is_previous(sink.root) else scheme_of(sink), split)
            digests = f"{begin}-{note_name(made, summary.read)}"
            _enter(sink.root, RUNS, digests, note)


def run_name(sink: str, split: str) -> str:
    """How the names of a run's notes of a split begin. `sink` is how its URI begins, wherever its
    folder is; earlier notes have the whole of it."""
    return note_name(sink, split)


def runs_of(sink: Sink, splits: Collection[str]) -> Iterator[RunNote]:
    """What earlier runs have noted of splits. Raises LedgerError, OSError."""
    known: dict[str, list[str]] = {}
    for name in RUNS.names(sink.root) if sink.root and splits else ():
        known.setdefault(name.partition("-")[0], []).append(name)
    for split in splits:
        for mine in (scheme_of(sink), str(sink)):
            for name in known.get(run_name(mine, split), ()):
                yield RUNS.read(sink.root, name)


def archives_of(sinks: Iterable[Sink]) -> tuple[str, ...]:
    """The raw archives among an import's or a run's sinks, as raw:ROOT: where they are, whatever
    the folder and the environment of the next command."""
    return tuple(
        f"{RAW}{filesystem.absolute(each.root)}" for each in sinks if str(each).startswith(RAW)
    )


def enter_state(
    sinks: Iterable[Sink], state: State, token: str = "", options: tuple[str, ...] = ()
) -> None:
    """Note in the folders that an import writes into which state it has, which instance works on
    it, and the options of its format and schemas.

    Raises StateError where the state is a copy of another one, OSError."""
    sinks = [sink for sink in sinks if sink.root]
    path = filesystem.absolute(state.path)
    notes = [StateNote(sink.root, str(sink), path, state.id(), token, options) for sink in sinks]
    names = [*map(_name_of, sinks, notes)]
    for note, name in zip(notes, names, strict=True):
        if name in STATES.names(note.root):
            other = State(STATES.read(note.root, name).state)
            if other.path != path and other.known_id() == note.id and not state.is_at(other.path):
                raise StateError(
                    f"{state.path} is a copy of {other.path}, which is there too: use that one; or "
                    f"`{command('state', 'new-id', typed(state.path))}` makes the copy a state "
                    "of its own"
                )
    for note, name in zip(notes, names, strict=True):
        if state.previous:  # as the release before has it
            note = replace(note, id="", token="")
            name = note_name({"root": note.root, "sink": note.sink, "state": note.state})
        if name in STATES.names(note.root):
            if STATES.read(note.root, name) == note:
                continue
            filesystem.remove(STATES.path(note.root, name))  # it was elsewhere then
        _enter(note.root, STATES, name, note)


def instance_in(sink: Sink, state: str) -> str:
    """The token of the instance that has begun last to import into a sink's folder with the state
    of this id, or a copy of it; '' where nobody knows. Raises OSError."""
    name = _name_of(sink, StateNote("", "", "", state))
    return STATES.read(sink.root, name).token if name in STATES.names(sink.root) else ""


def _name_of(sink: Sink, note: StateNote) -> str:
    return note_name(note.id, scheme_of(sink))


def _enter(root: str, notes: Notes[T], name: str, note: T) -> None:
    filesystem.make_folder(f"{root}/{LEDGER}")
    notes.create(root, name, note)


def not_replaced(files: Iterable[NewFile]) -> Iterator[NewFile]:
    """Those of some files that no change has taken out of their folder: a run that is made again
    doesn't bring back what a backfill, a compaction or a purge has replaced.

    Raises SinkError where such a file would have other content than it had, LedgerError, OSError.
    """
    for root, mine in by_root(files).items():
        if not CHANGES.names(root):
            yield from mine
            continue
        ledger = read_ledger(root, selected={file.hour for file in mine}.__contains__)
        stray = f"{CHANGES.format.kind}-{STRAYS}"  # what nobody knew may come again
        removed = {path for entry in ledger.entries if not entry.name.startswith(stray)
                   for path in entry.removed}  # fmt: skip
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
    ledger, folder = Ledger(root), f"{root}/{LEDGER}"
    formats = (each.format for each in (CHANGES, NAMINGS, RUNS, STATES))
    kinds: dict[str, DocumentFormat[Any]] = {f"{each.kind}-": each for each in formats}
    there = filesystem.names(folder)
    names = [each for each in there if each.startswith((*kinds,)) and not each.endswith(DONE)]
    known = read_imports(ledger, selected)
    if not names and not ledger.entries:
        raise LedgerError(f"{root} has no ledger: nothing was written there by `el run`")
    runs: dict[tuple[str, str], list[tuple[float, str, RunNote]]] = {}
    contents = filesystem.at_once(root, lambda name: filesystem.read(f"{folder}/{name}"), names)
    for name, content in zip(names, contents, strict=True):
        note = kinds[f"{name.partition('-')[0]}-"].load(content, f"{folder}/{name}")
        stem = name.removesuffix(".json")
        if isinstance(note, StateNote):
            ledger.sinks.add(f"{note.sink.partition(':')[0]}:{root}")
            ledger.options = note.options or ledger.options
            if not note.id and f"{stem}{DONE}" not in there:
                _read_old_state(ledger, note, selected, known)
        elif isinstance(note, NamingNote):
            _read_naming(ledger, name, note)
        elif isinstance(note, Change):
            ledger.entries.append(_change_entry(stem, note, selected))
        else:
            scheme = note.sink.partition(":")[0]
            ledger.sinks.add(f"{scheme}:{root}")
            ledger.options = note.options or ledger.options
            ledger.archives.update(note.archives)
            known_as = note.at, stem.rpartition("-")[0], note
            runs.setdefault((scheme, note.split), []).append(known_as)
    for notes in runs.values():  # of a split that has grown the last one counts, by its first name
        notes.sort(key=lambda each: each[0])
        (_, name, _), (at, _, note) = notes[0], notes[-1]
        ledger.entries.append(_entry(name, at, note.summary, note.sink, selected))
    ledger.entries.sort(key=lambda entry: entry.at)
    ledger.troubles += _surplus(ledger.entries)
    settle_accepted(ledger)
    return ledger


def _surplus(entries: Iterable[Entry]) -> Iterator[Trouble]:
    """More rows than lines, or than in the files that a change without lines has replaced."""
    rows: dict[str, int] = {}
    for entry in entries:
        most = entry.lines
        rows |= {file.path: file.rows for file in entry.files}
        if entry.removed:
            if entry.lines or not entry.removed <= rows.keys():
                continue
            most = sum(rows[path] for path in entry.removed)
        if entry.written > most:
            sentence = f"{entry.name}: wrote {entry.written:,} rows, but had {most:,}"
            yield Trouble("surplus", entry.name, "", sentence)


_Increment = tuple[str, str, int, float | str]
"""Scheme of the sink, topic, number; and the time of its commit, or its state's id."""


def read_imports(ledger: Ledger, selected: HourFilter, *, since: float = 0.0) -> set[_Increment]:
    """Enter what imports have put into a folder since then (unix seconds). Returns which increments
    these are. Raises OSError."""
    found, expired, holes = set(), ledger.expired, Counter[tuple[str, str]]()
    for log in logs(ledger.root):
        for entry in log.entries(since):
            for which in (entry.committed, entry.state):
                found.add((entry.sink, entry.topic, entry.increment, which))
            ledger.archives.update(entry.archives)
            expired[entry.topic] = united((*expired.get(entry.topic, ()), *entry.expired))
            holes[entry.sink, entry.topic] += entry.missing
            if entry.why:
                continue
            known = _entry(entry.name, entry.committed, entry.summary, "", selected)
            # An increment whose number was given up after one folder had it, or that an older copy
            # of the state counts again, has the name of another one.
            id_ = f"{log.folder.rpartition('/')[2]} {entry.number}"
            ledger.entries.append(replace(known, id=id_))
        if last := log.last():
            waiting = unfinished(last, ledger.root)
            ledger.naming |= {_below(file.path, ledger.root) for file in waiting}
    for (_, topic), number in holes.items():  # each kind of sink has its own log
        ledger.holes[topic] = max(number, ledger.holes.get(topic, 0))
    return found


def _read_old_state(
    ledger: Ledger, note: StateNote, selected: HourFilter, known_before: set[_Increment]
) -> None:
    """Enter the commits of a state whose folders keep no books of imports: each once, by whatever
    paths the state is known. Raises OSError."""
    state = State(note.state)
    if not filesystem.exists(note.state):
        ledger.troubles.append(
            Trouble("away", note.state, "",
                    f"the state {note.state}, whose import wrote here, is not there: nobody knows "
                    "what it wrote; put it back, or start that import with the state where it is")
        )  # fmt: skip
    for topic in state.topics():
        known, before = state.topic(topic), 0
        if waiting := known.pending()[1]:
            files = (each.file for each in waiting.summary.files.values())
            ledger.naming |= {_below(file.path, note.root) for file in files if file}
        for commit in known.history():
            for number in range(before + 1, commit.number):
                ledger.troubles.append(
                    Trouble("gap", f"{topic} {number}", "",
                            f"increment {number} of {topic} is not in {state.path}: its `el run` "
                            "tells what of it is lacking here")
                )  # fmt: skip
            before = commit.number
            increment = note.sink.partition(":")[0], topic, commit.number, commit.committed
            manifest = commit.untold
            if manifest is None or increment in known_before:
                continue
            if any((*increment[:3], each.state) in known_before
                   for each in (manifest.entries or {}).values()):  # fmt: skip
                continue
            known_before.add(increment)
            summary = manifest.summary
            ledger.archives.update(each for each in summary.sinks if each.startswith(RAW))
            name = f"increment {commit.number} of {topic} ({state.path})"
            ledger.entries.append(_entry(name, commit.committed, summary, note.sink, selected))


def _read_naming(ledger: Ledger, name: str, note: NamingNote) -> None:
    if note.at + _LONGEST_NAMING > CLOCK.time():
        ledger.naming.update(note.paths)
    else:
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(note.at))
        sentence = f"a run that wrote {len(note.paths):,} files here at {began} has not come to "
        ledger.troubles.append(
            Trouble("unfinished", f"{LEDGER}/{name}", "",
                    f"{sentence}its end: start it again, or put its files away")
        )  # fmt: skip


def _entry(name: str, at: float, summary: Summary, sink: str, selected: HourFilter) -> Entry:
    """What a run or an increment did, of one of its sinks and of `selected` hours."""
    mine = [each for each in summary.files.values() if each.sink == sink]
    files = tuple(_files(mine, {}, selected))
    return Entry(name, at, _counts(summary, selected), files, summary.sinks.get(sink),
                 lines=summary.read, written=sum(each.written for each in mine))  # fmt: skip


def _change_entry(name: str, change: Change, selected: HourFilter) -> Entry:
    files = tuple(_files(change.summary.files.values(), change.of, selected))
    repeated = ((files[0].hour, files[0].schema, change.repeated),) if files else ()
    written = sum(each.written for each in change.summary.files.values())
    return Entry(name, change.at, _counts(change.summary, selected), files, None,
                 repeated if change.repeated else (), change.summary.read, written,
                 frozenset(change.removed), frozenset(change.instead_of))  # fmt: skip


def _files(
    receipts: Iterable[Receipt], of: Mapping[str, list[FilePart]], selected: HourFilter
) -> Iterator[LedgerFile]:
    """The files of `selected` hours, or made of lines of these. `of`: path -> parts, for files that
    are made of other lines than those of their note's split and hour."""
    for receipt in receipts:
        if file := receipt.file:
            path = file.below_root().path
            parts = tuple(of.get(path, ())) or (FilePart(receipt.split, file.hour),)
            if selected(file.hour) or any(selected(part.hour) for part in parts):
                schema = f"{receipt.schema}_{receipt.revision}"
                yield LedgerFile(path, schema, file.hour, receipt.written, receipt.size,
                                 file.sha256, parts)  # fmt: skip


def _counts(summary: Summary, selected: HourFilter) -> dict[HourKey, int]:
    return {key: count for key, count in summary.counts.items() if selected(key.hour)}


def _below(path: str, root: str) -> str:
    return path.removeprefix(f"{root}/")
