"""Backfill: hours are made again from the raw archive, and take the place of what was there.

What an hour's tables hold is known by the ledger, file by file, with the lines that each was made
of. So just what is made again is replaced: lines that have come since the plan was made, and those
that the archive doesn't have, stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from el_beam.changes import Change, changing, decide, finish, is_decided
from el_beam.execute import run
from el_beam.job import Job
from el_beam.ledger import (
    DONE,
    FOLDER,
    Ledger,
    LedgerError,
    Part,
    Wanted,
    compare,
    read_ledger,
)  # fmt: skip
from el_beam.summary import Summary, total
from el_beam.wanted import Wanted as Hours
from schemas.registry import Registry
from transforms import filesystem
from transforms.read import FileSource
from transforms.read.files import find_splits
from transforms.write import Choice
from transforms.write.files import FileSink

_PLAN = "plan-"


class BackfillError(LedgerError):
    """Hours that can't be made again; the message says why, and what to do."""


class How(NamedTuple):
    """How the graph is run."""

    format: str
    registry: Registry
    runner: str = "direct"
    workers: int = 1
    beam: tuple[str, ...] = ()


@dataclass
class Target:
    """What an hour's backfill does to one sink's folder."""

    root: str
    removed: list[str] = field(default_factory=list)  # paths of files that are replaced
    rows: int = 0  # in them
    damaged: int = 0  # of these files, those that are lost or not as they were written
    kept: int = 0  # rows of other lines, which stay
    strays: list[str] = field(default_factory=list)  # files that nobody knows, put away
    instead_of: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class HourPlan:
    """What is to be done for an hour of the archive."""

    hour: str  # 2019-03-10T07
    files: list[str] = field(default_factory=list)  # of the archive, whole paths
    parts: dict[str, list[Part]] = field(default_factory=dict)  # split of a file -> its lines
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

    @property
    def lines(self) -> int:
        return sum(hour.lines for hour in self.hours)


def plan(
    raw: str, sinks: Iterable[FileSink], first: str, last: str, *, everything: bool = False
) -> Plan:
    """What making the hours `first` to `last` again would do. An earlier one for the same that has
    not come to its end is taken up again. With `everything` all files of these hours are replaced,
    whatever they were made of.

    Raises BackfillError, LedgerError, OSError."""
    sinks = list(sinks)
    new = Plan("", raw, [str(sink) for sink in sinks], first, last, [], everything)
    if under_way := _under_way(sinks[0].root, new):
        return under_way

    new.hours = _hours(raw, Hours(first, last).hour)
    identity = json.dumps([asdict(new), time.time()])
    return replace(new, name=hashlib.sha256(identity.encode()).hexdigest()[:12])


def targets_of(plan: Plan, root: str) -> list[Target]:
    """What each hour of a plan does to a folder, as that is now.

    Raises BackfillError where that can't be told, LedgerError, OSError."""
    hours = {hour.hour for hour in plan.hours}
    ledger = _ledger_of(root, lambda hour: hour in hours)
    return [_target(hour, ledger, everything=plan.everything) for hour in plan.hours]


def is_done(plan: Plan, hour: HourPlan, root: str) -> bool:
    """Whether a plan that is taken up again has done this hour."""
    return is_decided(root, f"{plan.name}-{hour.hour}")


def _hours(raw: str, wanted: Wanted) -> list[HourPlan]:
    """What the archive has of each hour. Raises BackfillError where that isn't all there."""
    archive = read_ledger(raw, wanted=wanted)
    compare(archive, wanted=wanted)
    if archive.troubles:
        told = "; ".join(each.sentence for each in archive.troubles[:3])
        raise BackfillError(f"the archive itself is not whole: {told}")
    hours: dict[str, HourPlan] = {}
    for file in sorted(archive.files.values()):
        hour = hours.setdefault(file.hour, HourPlan(file.hour))
        (split,) = find_splits((f"{archive.root}/{file.path}",))
        hour.files.append(split.path)
        hour.parts[split.id] = list(file.of)
        hour.lines += file.rows
    return [hours[hour] for hour in sorted(hours)]


def _ledger_of(root: str, wanted: Wanted) -> Ledger:
    if not filesystem.names(f"{root}/{FOLDER}"):
        return Ledger(root)  # nothing was ever written there
    ledger = read_ledger(root, wanted=wanted)
    compare(ledger, wanted=wanted)
    return ledger


def _target(hour: HourPlan, ledger: Ledger, *, everything: bool) -> Target:
    """Which files of a folder are of the lines that an hour of the archive has. Raises
    BackfillError where that can't be told."""
    target = Target(ledger.root)
    mine = {part for parts in hour.parts.values() for part in parts}
    bad = {each.what for each in ledger.troubles}
    for file in ledger.files.values():
        of = {*file.of}
        if of <= mine or (everything and file.hour == hour.hour):
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
    known = {part for entry in ledger.entries for file in entry.files for part in file.of}
    if target.kept and not mine <= known:
        raise BackfillError(
            f"{target.kept:,} rows of {hour.hour} in {ledger.root} were not written by the runs "
            "that wrote the archive, so they may be of lines that it has: --all replaces them too"
        )
    target.strays = [each.what for each in ledger.troubles
                     if each.kind == "unknown" and each.hour == hour.hour]  # fmt: skip
    target.instead_of = _instead_of(hour.hour, {*target.removed}, ledger)
    return target


def _instead_of(hour: str, removed: set[str], ledger: Ledger) -> list[tuple[str, str]]:
    """(entry, hour) of the counts that no longer count: all of an entry no file of which stays."""
    found = []
    for entry in ledger.entries:
        paths = {file.path for file in entry.files}
        if paths & removed:
            stays = paths & (ledger.files.keys() - removed)
            hours = {hour} if stays else {key.hour for key in entry.counts}
            found += [(entry.name, each) for each in sorted(hours)]
    return found


def apply(
    plan: Plan, sinks: Iterable[FileSink], how: How, tell: Callable[[HourPlan, Summary], None]
) -> None:
    """Make the hours again, one after the other; `tell` is called after each. Killed, and started
    again, it goes on where it was.

    Raises BackfillError, JobFailed, SinkError, StateError, LedgerError, OSError."""
    sinks = list(sinks)
    home = sinks[0].root
    with ExitStack() as held:
        leases = {sink.root: held.enter_context(changing(sink.root)) for sink in sinks}
        filesystem.create(_path(home, plan.name), json.dumps(asdict(plan)).encode())
        # Anew, for other changes may have been made since the plan was.
        targets = {sink.root: targets_of(plan, sink.root) for sink in sinks}
        for number, hour in enumerate(plan.hours):
            name = f"{plan.name}-{hour.hour}"
            left = [sink for sink in sinks if not is_done(plan, hour, sink.root)]
            if not left:
                continue
            theirs = [sink.attempt(f"{plan.name}/{hour.hour}") for sink in left]
            books = _run(hour, theirs, how, f"{home}/{FOLDER}/books-{name}.json")
            for sink in left:
                target = targets[sink.root][number]
                change = _change(name, plan, hour, sink, target, books)
                decide(sink.root, change, leases[sink.root])
                finish(sink.root, name)
            tell(hour, books)
        for sink in sinks:
            sink.attempt(plan.name).finish()
        filesystem.create(_path(home, plan.name).replace(".json", DONE), b"{}")


def _run(hour: HourPlan, sinks: list[FileSink], how: How, books_at: str) -> Summary:
    job = Job(FileSource(tuple(hour.files)), tuple((sink, Choice()) for sink in sinks),
              how.format, how.registry, books_at)  # fmt: skip
    books = run(job, how.runner, how.workers, how.beam)
    filesystem.remove(books_at)
    return total(books.values(), [str(sink) for sink in sinks])


def _change(
    name: str, plan: Plan, hour: HourPlan, sink: FileSink, target: Target, books: Summary
) -> Change:
    """The files that a job has made for a sink, under names that were never used before."""
    made, of = Summary(books.read, books.size, books.counts), {}
    for temporary, receipt in books.files.items():
        if receipt.sink != str(sink) or receipt.file is None:
            continue
        folder, _, last = receipt.file.path.rpartition("/")
        path = f"{folder}/{plan.name}-{last}"
        made.files[temporary] = receipt._replace(where=path, file=receipt.file._replace(path=path))
        of[path.removeprefix(f"{sink.root}/")] = hour.parts[receipt.split]
    return Change(
        name, f"backfill of {hour.hour} from {plan.raw}", made, of,
        (*target.removed, *target.strays), tuple(target.instead_of),
    )  # fmt: skip


def _path(root: str, name: str) -> str:
    return f"{root}/{FOLDER}/{_PLAN}{name}.json"


def _under_way(root: str, new: Plan) -> Plan | None:
    """A plan for the same that was begun and has not come to its end."""
    names = filesystem.names(f"{root}/{FOLDER}")
    for name in names:
        if name.startswith(_PLAN) and not name.endswith(DONE):
            if name.replace(".json", DONE) in names:
                continue
            told = json.loads(filesystem.read(f"{root}/{FOLDER}/{name}"))
            found = Plan(**{**told, "hours": [_hour_of(each) for each in told["hours"]]})
            if replace(found, name="", hours=[]) == new:
                return found
    return None


def _hour_of(told: dict[str, Any]) -> HourPlan:
    parts = {split: [Part(*part) for part in of] for split, of in told["parts"].items()}
    return HourPlan(**{**told, "parts": parts})
