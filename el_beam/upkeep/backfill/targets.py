"""What a backfill replaces: the files that were made of the lines which the archive has."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.files import FOLDER
from el_beam.books.ledger.hours import open_hours
from el_beam.books.ledger.model import Entry, EntryHour, FilePart, Ledger, LedgerFile
from el_beam.books.ledger.reader import read_ledger
from el_beam.upkeep.backfill.plan import BackfillError, HourPlan, Plan
from schemas.event import Destination
from transforms.io.files import filesystem


@dataclass
class BackfillTarget:
    """What an hour's backfill does to one sink's folder."""

    root: str
    removed: list[str] = field(default_factory=list)  # paths of files that are replaced
    rows: int = 0  # in them
    damaged: int = 0  # of these files, those that are lost or not as they were written
    kept: int = 0  # rows of other lines, which stay
    mark: str = ""  # complete, or reopened: see hours.py
    untracked: list[str] = field(default_factory=list)  # files that no run knows, put away
    instead_of: list[EntryHour] = field(default_factory=list)


def targets_of(plan: Plan, root: str) -> list[BackfillTarget]:
    """What each hour of a plan does to a folder, as that is now.

    Raises BackfillError where the ledger doesn't say which files they are, LedgerError, OSError."""
    hours = {hour.hour for hour in plan.hours}
    index = _Index(_ledger_of(root, hours))
    return [_target(plan, hour, index) for hour in plan.hours]


class _Index:
    """What a ledger has, by what is asked of it for each hour."""

    def __init__(self, ledger: Ledger) -> None:
        self.root, self.troubles, self.files = ledger.root, ledger.troubles, ledger.files
        self.marks, self.open = ledger.marks, {*open_hours(ledger.root)}
        self.by_hour = defaultdict[str, list[LedgerFile]](list)
        self.made_of = Counter(part for file in self.files.values() for part in file.of)
        self.entries = defaultdict[FilePart, list[Entry]](list)
        for file in self.files.values():
            for hour in {file.hour, *(part.hour for part in file.of)}:
                self.by_hour[hour].append(file)
        for entry in ledger.entries:
            for part in _parts(entry):
                self.entries[part].append(entry)


def _parts(entry: Entry) -> set[FilePart]:
    return {part for file in entry.files for part in file.of}


def _ledger_of(root: str, hours: set[str]) -> Ledger:
    if not filesystem.names(f"{root}/{FOLDER}"):
        return Ledger(root)  # nothing was ever written there
    selected = hours.__contains__
    ledger = read_ledger(root, selected=selected)
    of_others = {file.hour for file in ledger.files.values()}  # lines that were filed elsewhere
    compare(ledger, selected=selected, hours=sorted(hours | of_others))
    return ledger


def _target(plan: Plan, hour: HourPlan, index: _Index) -> BackfillTarget:
    """Which of an hour's files are of the lines that the archive has. Raises BackfillError where
    the ledger doesn't say so."""
    target = BackfillTarget(index.root)
    mine = {part for parts in hour.parts.values() for part in parts}
    bad = {each.what for each in index.troubles}
    for file in index.by_hour[hour.hour]:
        of = {*file.of}
        if not plan.choice.wants(_destination(file)):
            continue
        if of <= mine or (plan.everything and file.hour == hour.hour):
            target.removed.append(file.path)
            target.rows += file.rows
            target.damaged += file.path in bad
        elif of & mine:
            raise BackfillError(
                f"{file.path} is also of lines that the archive doesn't have in {hour.hour}: take "
                "the hours before and after it too, or leave that hour as it is"
            )
        elif file.hour == hour.hour:
            target.kept += file.rows
    if target.kept and not mine <= index.entries.keys():
        raise BackfillError(
            f"{target.kept:,} rows of {hour.hour} in {index.root} were not written by the runs "
            "that wrote the archive, so they may be of lines that it has: --all replaces them too"
        )
    target.untracked = [each.what for each in index.troubles
                     if each.kind == "unknown" and each.hour == hour.hour]  # fmt: skip
    marks = {mark for (of, _), mark in index.marks.items() if of == hour.hour}
    if marks:
        target.mark = "reopened" if hour.hour in index.open else max(marks)
    target.instead_of = _instead_of(hour.hour, target.removed, index)
    return target


def _destination(file: LedgerFile) -> Destination:
    schema, _, revision = file.schema.rpartition("_")
    return Destination(schema, int(revision))


def _instead_of(hour: str, removed: list[str], index: _Index) -> list[EntryHour]:
    """(entry, hour) of the counts that no longer count: all of an entry of whose lines no file is
    left, of any run; else those of this hour."""
    gone = Counter(part for path in removed for part in index.files[path].of)
    found = set()
    for entry in {id(each): each for part in gone for each in index.entries[part]}.values():
        alone = all(index.made_of[part] == gone[part] for part in _parts(entry))
        hours = {key.hour for key in entry.counts} if alone else {hour}
        found |= {EntryHour(entry.name, each) for each in hours}
    return sorted(found)
