"""Who works in histories: imports of three states, and what changes folders. Each is known by a
slot: a process is started there if none runs."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from run_configs import run_config

from el_beam.books.ledger.changes import changing, put_away_untracked
from el_beam.books.ledger.entries import read_ledger
from el_beam.config.assemble import assemble
from el_beam.job import Execution, Job, Rules
from el_beam.running.increments.increments import Increments
from el_beam.running.increments.planning import IncrementsOptions
from el_beam.running.increments.report import Report
from el_beam.upkeep.backfill.apply import apply
from el_beam.upkeep.backfill.plan import plan
from el_beam.upkeep.compaction import compact, hours
from el_beam.upkeep.retention.keep_list import Keep
from el_beam.upkeep.retention.purge import TooOld, left_over, purge, steps
from lab import plain_runner
from lab.disk import ROOT
from lab.expected import CLUSTERS, Expected
from lab.sim import Process
from transforms.counts.summary import Summary
from transforms.io.files import filesystem

IMPORTS: Final = {  # slot: machine, cluster, topics, state
    "A": (0, "one", "raw,side", "state"),
    "A2": (1, "one", "raw,side", "state"),
    "B": (1, "two", "raw", "state2"),
    "D": (1, "one", "raw,side", "copy"),  # of A's, where people have made one
}
CHANGES: Final = {"C": 0, "C2": 1, "P": 0, "U": 1, "F": 0, "F2": 1}
_HOURS: Final = {"F": ("2019-03-10T08", "2019-03-10T23"), "F2": ("2019-03-10T10", "2019-03-10T10")}
"""That are backfilled: one of the two plans may be older than the other, and be taken up again."""
_MOST: Final = 6  # records of a topic in one increment
_SCHEMAS: Final = str(Path(__file__).parent / "schemas")


@dataclass(frozen=True)
class _OldHour(TooOld):
    """One hour is too old, whatever the time is."""

    its: str

    def hour(self, hour: str) -> bool:
        return hour == self.its


@cache
def _job(slot: str, base: str, folders: str, only: str | None = None) -> tuple[Job, Execution]:
    _, cluster, topics, state = IMPORTS[slot]
    sinks = (f"{'raw' if name == 'r' else 'parquet'}:{base}/{name}" for name in folders)
    config = run_config(
        source=f"kafka://{CLUSTERS[cluster]}/?topics={topics}&group=g", sinks=(*sinks,),
        schemas=_SCHEMAS, format="json", state=f"{base}/{state}", every="60s", only=only,
    )  # fmt: skip
    return assemble(config, tempfile.gettempdir())


class _Reports(list[Report]):
    def working(self) -> nullcontext[None]:
        return nullcontext()

    def waiting(self, left: Callable[[], float]) -> nullcontext[None]:
        return nullcontext()

    def done(self, report: Report, seconds: float) -> None:
        self.append(report)


@dataclass
class Actors(Expected):
    """Processes, where they work, and how."""

    states: str = ""  # the folder of states, where they are not in `base`
    slots: dict[str, Process] = field(default_factory=dict)
    skip_expired: bool = True
    sinks: str = "pr"  # of A's import, from its next start
    loses: bool = False  # whether the next job loses a line

    def run(self, job: Job, execution: Execution) -> dict[str, Summary]:
        """A job."""
        loses, self.loses = self.loses, False
        return plain_runner.run(job, execution, loses=loses, worked=self.world.worked)

    def state_of(self, slot: str) -> str:
        """The path of an import's state."""
        return f"{self.states or self.base}/{IMPORTS[slot][-1]}"

    def go(self, slot: str, operations: int) -> None:
        """Let the process of a slot do so many operations."""
        process = self.slots.get(slot)
        if process is None or not process.alive:
            process = self.slots[slot] = self._start(slot)
        self.world.go(process, operations)

    def _start(self, slot: str) -> Process:
        if slot in IMPORTS:
            return self.world.start(slot, IMPORTS[slot][0], partial(self._import, slot))
        return self.world.start(slot, CHANGES[slot], self._change_of(slot))

    def _change_of(self, slot: str) -> Callable[[], None]:
        if slot.startswith("F"):
            return partial(self._backfill, *_HOURS[slot])
        work = {"C": self._compact, "C2": self._compact, "P": self._purge, "U": self._put_away}
        return work[slot]

    def until(self, slot: str, pattern: str) -> None:
        """Let a process work until there is something whose path below ROOT has this in it, as a
        regex finds it."""
        self.go(slot, 0)
        process, found = self.slots[slot], re.compile(pattern)
        while not any(found.search(path) for path, _ in self.world.disk.files(ROOT)):
            assert process.alive and not process.working.asleep, (
                f"{pattern} doesn't come: {process.error}"
            )
            self.world.go(process, 1)
        self.look(("until", slot, pattern))

    def imported(self, slot: str = "A") -> list[Report]:
        """What an import says that reads what is there now, and ends."""
        reports: list[Report] = self.finish(slot, partial(self._import, slot, once=True))
        return reports

    def changed(self, slot: str) -> None:
        """Let a change come to its end."""
        self.finish(slot, self._change_of(slot))

    def finish(self, name: str, work: Callable[[], Any]) -> Any:
        """What a process gives that comes to its end while nobody else works. Raises its error."""
        process = self.world.start(name, 0, work)
        self.world.finish(process)
        self.look(("finish", name))
        if process.error:
            raise process.error
        return process.result

    def stop_all(self) -> None:
        for process in self.world.processes:
            process.kill()

    def _import(self, slot: str, *, once: bool = False) -> list[Report]:
        if slot.startswith("A"):
            job, execution = _job(slot, self.base, self.sinks, self.only)
        else:
            job, execution = _job(slot, self.base, "pr")
        options = IncrementsOptions(
            self.state_of(slot), None if once else 60.0, self.skip_expired, _MOST, 2
        )
        reports = _Reports()
        Increments(
            job, execution, options, clock=self.world.clock, processes=self.world.tables,
            run=self.run,
        ).work(reports, threading.Event())  # fmt: skip
        return reports

    def _compact(self) -> None:
        root = f"{self.base}/p"
        with changing(root, self.world.tables) as change:
            for hour in hours(read_ledger(root)):
                compact(hour, change)

    def _purge(self) -> None:
        root = f"{self.base}/p"
        keep = Keep({"Lab": frozenset({"event.n"}), "EventError": frozenset({"event.rawEvent"})})
        with changing(root, self.world.tables) as change:
            for step in steps(
                read_ledger(root), keep, _OldHour(datetime.now(UTC), timedelta.max, "2019-03-10T10")
            ):
                purge(step, change)

    def purge_rest(self) -> None:
        """What `el purge` does beside the tables, when nothing that was put away is to be kept."""
        for name in self.folders():
            root, now = f"{self.base}/{name}", datetime.fromtimestamp(self.world.now, UTC)
            for path in left_over(root, _OldHour(now, timedelta(days=1), "")):
                filesystem.remove(path)

    def _backfill(self, first: str, last: str, everything: bool = False) -> None:
        """As `el backfill apply` of hours of r into p."""
        job, execution = _job("A", self.base, "pr")
        sink = job.sinks[0][0]
        made = plan(f"{self.base}/r", [sink], first, last, everything=everything)
        rules = Rules(job.format, job.registry)
        apply(made, {str(sink): sink}, rules, execution, lambda *_: None)

    def _put_away(self) -> None:
        for name in self.folders():
            put_away_untracked(f"{self.base}/{name}", lambda _: True, self.world.tables)
