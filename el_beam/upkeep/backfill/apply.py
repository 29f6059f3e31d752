"""Backfill: hours are made again from the raw archive, and take the place of what was there.

What an hour's tables hold is known by the ledger, file by file, with the lines that each was made
of. So just what is made again is replaced: lines that have come since the plan was made, and those
that the archive doesn't have, stay as they are.

Tables get the rows that they lack, each uuid once; those that they have stay as they are. What was
an EventError there and is an event now is no longer an EventError.
"""

import gc
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from el_beam.books.folder import check_apart
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.beginning import check_files
from el_beam.books.ledger.changes import changing, finish, prepare
from el_beam.books.ledger.copies import DataFile, why_it_stays
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import MARK, Change
from el_beam.connectors.contract import Selection
from el_beam.job import Execution, Job, Rules
from el_beam.running.bounded import run
from el_beam.upkeep.backfill.plan import (
    PLANS,
    BackfillTarget,
    HourPlan,
    Plan,
    home_of,
    is_done,
    tables_path,
    targets_of,
)
from el_beam.upkeep.replay.replay import replay
from schemas.registry import Registry
from transforms.counts.summary import Summary, total
from transforms.io.files import filesystem
from transforms.layout import LEDGER, FileName
from transforms.line_time import OfHour
from transforms.write.sink import Sink


def apply(
    plan: Plan, sinks: Mapping[str, Sink], rules: Rules, execution: Execution,
    report: Callable[[HourPlan, Summary], None],
) -> None:  # fmt: skip
    """Make the hours again, one after the other, for sinks by their URIs; `report` is called after
    each. Killed, and started again, it goes on where it was.

    Raises BackfillError, NestedFolders, JobFailed, SinkError, StateError, LedgerError, StoredError,
    OSError."""
    files = [sink for sink in sinks.values() if sink.root]
    tables = {uri: sink for uri, sink in sinks.items() if not sink.root}
    home = home_of(plan.raw, files)
    for sink in files:
        check_apart(sink.root)
        check_files(sink)
    with ExitStack() as held:
        leases = {sink.root: held.enter_context(changing(sink.root)) for sink in files}
        PLANS.create(home, plan.name, plan)
        # Anew, for other changes may have been made since the plan was.
        targets = {sink.root: targets_of(plan, sink.root) for sink in files}
        for number, hour in enumerate(plan.hours):
            name = f"{plan.name}-{hour.hour}"
            left = [sink for sink in sinks.values() if not is_done(plan, hour, sink, home)]
            if not left:
                continue
            theirs = [
                sink.attempt(leases[sink.root].attempt(hour.hour),
                             targets[sink.root][number].removed)
                if sink.root else sink.attempt(f"{plan.name}/{hour.hour}")
                for sink in left
            ]  # fmt: skip
            job = Job(plan.source(hour), tuple((sink, plan.choice) for sink in theirs),
                      *rules, f"{home}/{LEDGER}/books-{name}.json",
                      times=OfHour(hour.hour))  # fmt: skip
            summary = _run(job, execution)
            for uri, sink in tables.items():
                if sink in left:
                    rows = _of(plan, hour, rules.registry)
                    replay(uri, {uri: sink}, rows, None, rules, execution, apply=True)
            filesystem.create(tables_path(home, plan.name, hour.hour), MARK)
            for sink in files:
                if sink not in left:
                    continue
                target = targets[sink.root][number]
                change = _change(name, plan, hour, sink, target, summary)
                prepare(change, leases[sink.root])
                finish(name, leases[sink.root])
            for sink in theirs:
                sink.finish()
            report(hour, summary)
            gc.collect()  # a pipeline that has run is one large cycle, and collecting is rare here
        PLANS.finish(home, plan.name)
        for hour in plan.hours:
            filesystem.remove(tables_path(home, plan.name, hour.hour))


def _of(plan: Plan, hour: HourPlan, registry: Registry) -> Selection:
    """The EventErrors that may be events now: their lines have been written."""
    if not plan.schema:
        return Selection(hour.hour, hour.hour)
    chosen = [re.escape(str(each)) for each in registry.list() if plan.choice.wants(each)]
    return Selection(hour.hour, hour.hour, re.compile(f"(?:{'|'.join(chosen)})\\Z"))


def _run(job: Job, execution: Execution) -> Summary:
    summaries = run(job, execution)
    filesystem.remove(job.summary or "")
    return total(summaries.values(), [str(sink) for sink, _ in job.sinks])


def _change(
    name: str, plan: Plan, hour: HourPlan, sink: Sink, target: BackfillTarget, summary: Summary
) -> Change:
    """The files that a job has made for a sink, under names that were never used before."""
    made, of = Summary(summary.read, summary.size, summary.counts), {}
    for temporary, receipt in summary.files.items():
        if receipt.sink != str(sink) or receipt.file is None:
            continue
        folder, _, last = receipt.file.path.rpartition("/")
        path = f"{folder}/{plan.name}-{last}"
        made.files[temporary] = receipt._replace(where=path, file=receipt.file._replace(path=path))
        of[path.removeprefix(f"{sink.root}/")] = hour.parts[receipt.split]
    untracked = _elsewhere(sink.root, hour.hour, target, made) if target.untracked else ()
    return Change(
        name, f"backfill of {hour.hour} from {plan.raw}", made, of,
        (*target.removed, *untracked), tuple(target.instead_of),
    )  # fmt: skip


def _elsewhere(root: str, hour: str, target: BackfillTarget, made: Summary) -> list[str]:
    """The unknown files of an hour all of whose rows are in others, new ones too: the others
    stay."""
    ledger = read_ledger(root, selected=hour.__eq__)
    compare(ledger, selected=hour.__eq__, hours=[hour])
    new = [DataFile(each.file.temporary, name.ending) for each in made.files.values()
           if each.file and (name := FileName.parse(each.file.path))]  # fmt: skip
    return [each.what for each in ledger.troubles
            if each.kind == "unknown" and each.what in target.untracked
            and not why_it_stays(ledger, each, new)]  # fmt: skip
