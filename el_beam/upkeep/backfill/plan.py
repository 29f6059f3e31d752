"""The plan of a backfill: which hours of a raw archive are made again, of which files. It also says
which files are replaced: those made of lines that the archive has.

ROOT/_ledger/plan-NAME.json         begun
             plan-NAME.done.json    and done: else the same call takes it up again
"""

import hashlib
import json
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from el_beam.books.imports import in_root, logs, offsets
from el_beam.books.ledger.audit import compare, folders
from el_beam.books.ledger.changes import is_prepared
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import open_hours
from el_beam.books.ledger.model import (
    CHANGES,
    Entry,
    EntryHour,
    FilePart,
    Ledger,
    LedgerError,
    LedgerFile,
    Notes,
    parts_by_name,
)
from el_beam.connectors.contract import Selection as Hours
from schemas.durable import Document, DocumentFormat
from transforms.io.files import filesystem
from transforms.io.files.base import escaped
from transforms.io.world import CLOCK
from transforms.layout import LEDGER, check_below, check_hour
from transforms.read.files import split_of
from transforms.read.lines import FileSource
from transforms.read.offsets import OffsetRange, united, without
from transforms.route import Choice
from transforms.write.sink import Sink


class BackfillError(LedgerError):
    """Hours that can't be made again; the message says why, and what to do."""


@dataclass
class HourPlan:
    """What is to be done for an hour of the archive."""

    hour: str  # 2019-03-10T07
    files: list[str] = field(default_factory=list)  # of the archive, paths below its root
    parts: dict[str, list[FilePart]] = field(default_factory=dict)  # split of a file -> its lines
    lines: int = 0


@dataclass
class Plan:
    """Hours of an archive, and the sinks that they are made again for."""

    name: str
    raw: str
    sinks: list[str]  # URIs
    first: str
    last: str
    hours: list[HourPlan]
    everything: bool = False  # replace all files of these hours, whatever they are made of
    schema: str = ""  # pattern of those that are made again, and EventErrors with them
    older: list[str] = field(default_factory=list)  # see _remade

    def __post_init__(self) -> None:
        check_below(f"plan-{self.name}")
        for hour in self.hours:
            check_hour(hour.hour)

    @property
    def choice(self) -> Choice:
        return Choice(only=re.compile(self.schema) if self.schema else None)

    @property
    def lines(self) -> int:
        return sum(hour.lines for hour in self.hours)

    def source(self, hour: HourPlan) -> FileSource:
        paths = (posixpath.join(self.raw, path) for path in hour.files)
        return FileSource(tuple(map(escaped, paths)))


def _migrate(old: Document) -> Document:
    """Format 1 had whole paths; where the archive's root was a relative one, they stay."""
    for hour in old["hours"]:
        hour["files"] = [path.removeprefix(f"{old['raw']}/") for path in hour["files"]]
        hour["parts"] = {split: parts_by_name(parts) for split, parts in hour["parts"].items()}
    return old


def _previous(plan: Plan) -> Document:
    hours = [vars(hour) | {"files": [f"{plan.raw}/{path}" for path in hour.files]}
             for hour in plan.hours]  # fmt: skip
    document = vars(plan) | {"hours": hours}
    del document["older"]
    return document


PLAN = DocumentFormat("plan", Plan, 2, {1: _migrate}, _previous)
PLANS = Notes(PLAN)


def plan(
    raw: str, sinks: Iterable[Sink], first: str, last: str, *, everything: bool = False,
    schema: str = "",
) -> Plan:  # fmt: skip
    """What making the hours `first` to `last` again would do. An earlier one for the same that has
    not come to its end is taken up again. With `everything` all files of these hours are replaced,
    whatever they were made of; with `schema`, a pattern as of `el run --only`, those of some
    schemas alone, and of EventErrors.

    Raises BackfillError, LedgerError, OSError."""
    sinks, raw = list(sinks), filesystem.absolute(raw)
    new = Plan("", raw, [str(sink) for sink in sinks], first, last, [], everything, schema)
    if under_way := _under_way(home_of(raw, sinks), new, sinks):
        return under_way

    new.hours = _hours(raw, Hours(first, last).all_hours())
    _check_held(raw, sinks, {hour.hour for hour in new.hours}, everything)
    older = {name for sink in sinks if sink.root for name in _remade(new, sink.root)}
    identity = json.dumps([asdict(new), CLOCK.time()])
    name = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return replace(new, name=name, older=sorted(older))


def _check_held(raw: str, sinks: Iterable[Sink], hours: set[str], everything: bool) -> None:
    """Raises BackfillError where a folder lacks what its import is to bring: then it would be
    there twice; and where `everything` of an hour would go, with what no archive has."""
    brought = _brought(raw, hours)
    archived = {(last.cluster, last.topic, last.topic_id): last.held
                for log in logs(raw) if (last := log.last())}  # fmt: skip
    for root in sorted({sink.root for sink in sinks if sink.root}):
        if archived and everything:
            for key, ranges in _brought(root, hours).items():
                if lost := without(united(ranges), archived.get(key, ())):
                    raise BackfillError(
                        f"{root} has events of {offsets(lost)} of {key[1]} in these hours, and "
                        f"{raw} doesn't: --all would remove them for good"
                    )
        for log in logs(root):
            if last := log.last():
                there = brought.get((last.cluster, last.topic, last.topic_id), ())
                if lacking := without(there, (*last.held, *last.passed)):
                    raise BackfillError(
                        f"{root} lacks {offsets(lacking)} of {last.topic}: start its import, which "
                        "brings them, or says how; then backfill"
                    )


def _brought(root: str, hours: set[str]) -> dict[tuple[str, str, str], list[OffsetRange]]:
    """(cluster, topic, its id) -> what imports have put into these hours of a folder, and into
    others together with them."""
    found: dict[tuple[str, str, str], list[OffsetRange]] = {}
    for log in logs(root):
        for entry in log.entries():
            if any(file.hour in hours for file in in_root(entry.summary, root)):
                key = entry.cluster, entry.topic, entry.topic_id
                found.setdefault(key, []).extend(entry.ranges)
    return found


def home_of(raw: str, sinks: Iterable[Sink]) -> str:
    """The folder where the plan is noted: that of the first sink that has one, else the archive."""
    return next((sink.root for sink in sinks if sink.root), raw)


def is_done(plan: Plan, hour: HourPlan, sink: Sink, home: str) -> bool:
    """Whether a plan that is taken up again has done this hour for a sink."""
    if sink.root:
        return is_prepared(sink.root, f"{plan.name}-{hour.hour}")
    return filesystem.exists(tables_path(home, plan.name, hour.hour))


def tables_path(home: str, name: str, hour: str) -> str:
    """Where it is noted that all tables have an hour."""
    return f"{home}/{LEDGER}/tables-{name}-{hour}.json"


def _hours(raw: str, names: list[str]) -> list[HourPlan]:
    """What the archive has of each hour. Raises BackfillError where that isn't all there."""
    selected = set(names).__contains__
    archive = read_ledger(raw, selected=selected)
    compare(archive, selected=selected, hours=names)
    if archive.troubles:
        sentences = "; ".join(each.sentence for each in archive.troubles[:3])
        raise BackfillError(f"the archive itself is not whole: {sentences}")
    hours: dict[str, HourPlan] = {}
    for file in sorted(archive.files.values()):
        hour = hours.setdefault(file.hour, HourPlan(file.hour))
        split = split_of(f"{archive.root}/{file.path}")
        hour.files.append(file.path)
        hour.parts[split.id] = list(file.of)
        hour.lines += file.rows
    return [hours[hour] for hour in sorted(hours)]


def _under_way(root: str, new: Plan, sinks: Iterable[Sink]) -> Plan | None:
    """A plan for the same that was begun and has not come to its end, if what it is to read is
    still there: a compaction of the archive may have replaced it; and no newer one was made."""
    for name in PLANS.names(root, undone=True):
        found = PLANS.read(root, name)
        if replace(found, name="", hours=[], older=[], raw=filesystem.absolute(found.raw)) == new:
            paths = [f"{found.raw}/{path}" for hour in found.hours for path in hour.files]
            roots = [sink.root for sink in sinks if sink.root]
            newer = {name for each in roots for name in _remade(found, each)} - {*found.older}
            if not newer and all(filesystem.at_once(found.raw, filesystem.exists, paths)):
                return found
    return None


def _remade(plan: Plan, root: str) -> set[str]:
    """The changes of a folder that have made lines again which the plan has, together with some
    that it doesn't have. What the plan counts is less than what it would replace of one that is
    newer."""
    hours = {hour.hour for hour in plan.hours}
    mine = {part for hour in plan.hours for parts in hour.parts.values() for part in parts}
    found = set()
    for name in CHANGES.names(root):
        change = CHANGES.read(root, name)
        theirs = {each for parts in change.of.values() for each in parts if each.hour in hours}
        if change.summary.counts and theirs & mine and not theirs <= mine:
            found.add(name)
    return found


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
    if _remade(plan, root) - {*plan.older}:
        raise BackfillError(
            f"some of these hours of {root} were made again meanwhile, of more lines: start the "
            "same command again, and it plans anew"
        )
    hours = {hour.hour for hour in plan.hours}
    index = _Index(_ledger_of(root, hours))
    return [_target(plan, hour, index) for hour in plan.hours]


class _Index:
    """What a ledger has, by what is asked of it for each hour."""

    def __init__(self, ledger: Ledger) -> None:
        self.root, self.troubles, self.files = ledger.root, ledger.troubles, ledger.files
        self.marks, self.open = ledger.marks, open_hours(ledger.root)
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
    selected = hours.__contains__
    try:
        ledger = read_ledger(root, selected=selected)
    except LedgerError:
        if any(folders(root, hour) for hour in hours):
            raise  # whose events those files have, nobody knows
        return Ledger(root)
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
        if not plan.choice.wants(file.destination):
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
            "that wrote the archive, so they may be of lines that it has: --all replaces them too, "
            "if the archive has all lines of that hour"
        )
    target.untracked = [each.what for each in index.troubles
                     if each.kind == "unknown" and each.hour == hour.hour]  # fmt: skip
    marks = {mark for (of, _), mark in index.marks.items() if of == hour.hour}
    if marks:
        target.mark = "reopened" if hour.hour in index.open else max(marks)
    target.instead_of = _instead_of(hour.hour, target.removed, index)
    return target


def _instead_of(hour: str, removed: list[str], index: _Index) -> list[EntryHour]:
    """(entry, hour) of the counts that no longer count: all of an entry of whose lines no file is
    left, of any run; else those of this hour."""
    gone = Counter(part for path in removed for part in index.files[path].of)
    found = set()
    for entry in {id(each): each for part in gone for each in index.entries[part]}.values():
        alone = all(index.made_of[part] == gone[part] for part in _parts(entry))
        hours = {key.hour for key in entry.counts} if alone else {hour}
        found |= {EntryHour(entry.id or entry.name, each) for each in hours}
    return sorted(found)
