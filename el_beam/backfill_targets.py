"""What a backfill replaces: the files that were made of the lines which the archive has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from el_beam.backfill_plan import BackfillError, HourPlan, Plan
from el_beam.inventory import compare
from el_beam.ledger import FOLDER, Ledger, LedgerFile, Part, Wanted, read_ledger
from schemas.event import Destination
from transforms import filesystem


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


def targets_of(plan: Plan, root: str) -> list[Target]:
    """What each hour of a plan does to a folder, as that is now.

    Raises BackfillError where that can't be told, LedgerError, OSError."""
    hours = {hour.hour for hour in plan.hours}
    ledger = _ledger_of(root, hours.__contains__)
    known = {part for entry in ledger.entries for file in entry.files for part in file.of}
    files = _by_hour(ledger.files.values())
    return [_target(plan, hour, ledger, files[hour.hour], known) for hour in plan.hours]


def _ledger_of(root: str, wanted: Wanted) -> Ledger:
    if not filesystem.names(f"{root}/{FOLDER}"):
        return Ledger(root)  # nothing was ever written there
    ledger = read_ledger(root, wanted=wanted)
    compare(ledger, wanted=wanted)
    return ledger


def _by_hour(files: Iterable[LedgerFile]) -> dict[str, list[LedgerFile]]:
    """By the hour of a file, and by the hours of the lines that it is made of."""
    found = defaultdict[str, list[LedgerFile]](list)
    for file in files:
        for hour in {file.hour, *(part.hour for part in file.of)}:
            found[hour].append(file)
    return found


def _target(
    plan: Plan, hour: HourPlan, ledger: Ledger, files: list[LedgerFile], known: set[Part]
) -> Target:
    """Which of an hour's files are of the lines that the archive has; `known` are the lines of all
    files. Raises BackfillError where that can't be told."""
    target = Target(ledger.root)
    mine = {part for parts in hour.parts.values() for part in parts}
    bad = {each.what for each in ledger.troubles}
    for file in files:
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
    if target.kept and not mine <= known:
        raise BackfillError(
            f"{target.kept:,} rows of {hour.hour} in {ledger.root} were not written by the runs "
            "that wrote the archive, so they may be of lines that it has: --all replaces them too"
        )
    target.strays = [each.what for each in ledger.troubles
                     if each.kind == "unknown" and each.hour == hour.hour]  # fmt: skip
    target.instead_of = _instead_of(hour.hour, {*target.removed}, ledger)
    return target


def _destination(file: LedgerFile) -> Destination:
    schema, _, revision = file.schema.rpartition("_")
    return Destination(schema, int(revision))


def _instead_of(hour: str, removed: set[str], ledger: Ledger) -> list[tuple[str, str]]:
    """(entry, hour) of the counts that no longer count: all of an entry no file of which stays."""
    stay = ledger.files.keys() - removed
    found = []
    for entry in ledger.entries:
        paths = {file.path for file in entry.files}
        if not paths.isdisjoint(removed):
            alone = paths.isdisjoint(stay)
            hours = {key.hour for key in entry.counts} if alone else {hour}
            found += [(entry.name, each) for each in sorted(hours)]
    return found
