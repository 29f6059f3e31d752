"""Retention: what is older than it may be is removed, but for the fields that may stay.

Addresses and user agents of people are in the raw archive, in EventErrors and in most tables. A
list says which fields of which tables stay for good (see keep.py); all others become null. A table
that it doesn't name goes as a whole, and so does the archive.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby

import pyarrow as pa

from el_beam.books.ledger.changes import finish, prepare, written
from el_beam.books.ledger.files import FOLDER, STATE, STATE_NOTE, Change
from el_beam.books.ledger.model import HourFilter, Ledger, LedgerFile
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State
from el_beam.upkeep.compaction import attempt, name_of
from el_beam.upkeep.retention.keep_list import Keep
from el_beam.upkeep.retention.parquet import cut, kept_mark
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.files.base import FileInfo
from transforms.layout import ALL, REPLACED, TEMPORARY, hour_in

_AT_WORK = timedelta(days=1)  # what was written since then may be of a run that hasn't ended


@dataclass(frozen=True)
class Step:
    """Files of an hour and table that go, or that keep some fields. They change together."""

    files: tuple[LedgerFile, ...]
    keep: frozenset[str] | None


def steps(ledger: Ledger, keep: Keep, *, hours: HourFilter) -> Iterator[Step]:
    """What there is to do for the files of these hours, in their order."""

    def group(file: LedgerFile) -> tuple[str, str, bool]:
        return file.hour, file.schema, name_of(file.path) is None

    for (hour, schema, other), files in groupby(sorted(ledger.files.values(), key=group), group):
        fields = None if other or schema == str(ALL) else keep.of(schema)
        left = tuple(file for file in sorted(files) if not _has_only(file, fields))
        if hours(hour) and left:
            yield Step(left, fields)


def _has_only(file: LedgerFile, fields: frozenset[str] | None) -> bool:
    name = name_of(file.path)
    return fields is not None and name is not None and name.kept == kept_mark(fields)


def purge(root: str, step: Step, lease: Lease) -> dict[str, str]:
    """Do it; the old files are gone for good then, here at least. Returns which could not be read,
    and why: they stay as they are.

    Raises FileAway, SinkError, LeaseLost."""
    problems: dict[str, str] = {}
    made, of, removed = Summary(), {}, []
    for file in step.files:
        if step.keep is not None:
            table = attempt(partial(_cut, f"{root}/{file.path}", step.keep), file.path, problems)
            if table is None:
                continue
            path = _path(file.path, step.keep)
            receipt = written(root, path, file, table)
            made.files[receipt.where] = receipt
            of[path] = list(file.of)
        removed.append(file.path)
    if removed:
        kept = "nothing" if step.keep is None else ", ".join(sorted({"uuid", "dt"} | step.keep))
        identity = json.dumps([sorted(removed), kept])
        name = f"purge-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        prepare(root, Change(name, f"too old: {kept} stays", made, of, tuple(removed)), lease)
        finish(root, name)
        filesystem.remove(f"{root}/{REPLACED}/{name}")
    return problems


def _cut(path: str, keep: frozenset[str]) -> pa.Table:
    return cut(filesystem.read(path), keep)


def _path(path: str, keep: frozenset[str]) -> str:
    name = name_of(path)
    assert name is not None  # only tables have fields
    return name._replace(kept=kept_mark(keep)).beside(path)


def left_over(root: str, *, hours: HourFilter, now: datetime, age: timedelta) -> Iterator[str]:
    """Paths of what is beside the tables and may go, of folders where all in them may: what
    changes have put away of these hours, and what runs that were killed left so long ago. Raises
    OSError."""

    def is_old(found: FileInfo) -> bool:
        hour = hour_in(found.path)
        return hours(hour) if hour else not _is_fresh(found, now, age)

    yield from _all_in(f"{root}/{REPLACED}", is_old)
    waiting = {*_awaited(root)}
    yield from _all_in(f"{root}/{TEMPORARY}",
                       lambda found: found.path not in waiting and not _is_fresh(found, now, age)
                       )  # fmt: skip
    for name in filesystem.names(f"{root}/{FOLDER}"):
        for found in filesystem.find(f"{root}/{FOLDER}/{name}") if name[0] == "_" else ():
            if not _is_fresh(found, now, age):
                yield found.path


def _all_in(folder: str, may_go: Callable[[FileInfo], bool]) -> Iterator[str]:
    for name in filesystem.names(folder):
        found = [*filesystem.below(f"{folder}/{name}")] or filesystem.find(f"{folder}/{name}")
        go = [each.path for each in found if may_go(each)]
        yield from [f"{folder}/{name}"] if go and len(go) == len(found) else go


def _awaited(root: str) -> Iterator[str]:
    """What imports that were killed will give its name when they go on."""
    for name in filesystem.names(f"{root}/{FOLDER}"):
        if name.startswith(STATE):
            path = f"{root}/{FOLDER}/{name}"
            state = State(STATE_NOTE.load(filesystem.read(path), path).state)
            for topic in state.topics():
                _, manifest = state.topic(topic).pending()
                yield from manifest.summary.files if manifest else ()


def _is_fresh(found: FileInfo, now: datetime, age: timedelta) -> bool:
    return now.timestamp() - found.updated < max(age, _AT_WORK).total_seconds()
