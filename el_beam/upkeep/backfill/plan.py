"""The plan of a backfill: which hours of a raw archive are made again, of which files.

ROOT/_ledger/plan-NAME.json         begun
             plan-NAME.done.json    and done: else the same call takes it up again
"""

import hashlib
import json
import posixpath
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import is_prepared
from el_beam.books.ledger.files import DONE, FOLDER, parts_by_name
from el_beam.books.ledger.model import FilePart, LedgerError
from el_beam.books.ledger.reader import read_ledger
from el_beam.connectors.selection import Selection as Hours
from schemas.durable import Document, DocumentFormat
from transforms.io.files import filesystem
from transforms.read.files import find_splits
from transforms.read.lines import FileSource
from transforms.write.choice import Choice
from transforms.write.sink import Sink

_PLAN = "plan-"


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

    @property
    def choice(self) -> Choice:
        return Choice(only=re.compile(self.schema) if self.schema else None)

    @property
    def lines(self) -> int:
        return sum(hour.lines for hour in self.hours)

    def source(self, hour: HourPlan) -> FileSource:
        """The files of an hour."""
        return FileSource(tuple(posixpath.join(self.raw, path) for path in hour.files))


def _migrate(old: Document) -> Document:
    """Format 1 had whole paths; where the archive's root was a relative one, they stay."""
    for hour in old["hours"]:
        hour["files"] = [path.removeprefix(f"{old['raw']}/") for path in hour["files"]]
        hour["parts"] = {split: parts_by_name(parts) for split, parts in hour["parts"].items()}
    return old


PLAN = DocumentFormat("plan", Plan, 2, {1: _migrate})


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
    if under_way := _under_way(home_of(raw, sinks), new):
        return under_way

    new.hours = _hours(raw, Hours(first, last).all_hours())
    identity = json.dumps([asdict(new), time.time()])
    return replace(new, name=hashlib.sha256(identity.encode()).hexdigest()[:12])


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
    return f"{home}/{FOLDER}/tables-{name}-{hour}.json"


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
        (split,) = find_splits((f"{archive.root}/{file.path}",))
        hour.files.append(file.path)
        hour.parts[split.id] = list(file.of)
        hour.lines += file.rows
    return [hours[hour] for hour in sorted(hours)]


def plan_path(root: str, name: str) -> str:
    """Where a plan is noted."""
    return f"{root}/{FOLDER}/{_PLAN}{name}.json"


def _under_way(root: str, new: Plan) -> Plan | None:
    """A plan for the same that was begun and has not come to its end."""
    names = filesystem.names(f"{root}/{FOLDER}")
    for name in names:
        if name.startswith(_PLAN) and not name.endswith(DONE):
            if name.replace(".json", DONE) in names:
                continue
            path = f"{root}/{FOLDER}/{name}"
            found = PLAN.load(filesystem.read(path), path)
            if replace(found, name="", hours=[], raw=filesystem.absolute(found.raw)) == new:
                return found
    return None
