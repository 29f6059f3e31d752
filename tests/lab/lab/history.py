"""Histories: what processes, machines, brokers and people do, step by step; and what must hold.

A step is a tuple that prints as what it does. Who has a part in it is named by a slot: a process is
started there if none runs. A step that can't be done now does nothing, so any steps of a history
make a history: a failing one is made shorter by leaving steps out.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import random
import re
import tempfile
import threading
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import pyarrow.parquet as pq
from run_configs import run_config

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing, put_away_untracked
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import passed
from el_beam.books.ledger.model import LedgerError
from el_beam.books.state.acts import reset
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State
from el_beam.config.assemble import assemble
from el_beam.job import Execution, Job
from el_beam.running.increments.increments import Increments
from el_beam.running.increments.planning import IncrementsOptions
from el_beam.running.increments.report import Report
from el_beam.upkeep.compaction import compact, hours
from el_beam.upkeep.retention.keep_list import Keep
from el_beam.upkeep.retention.purge import left_over, purge, steps
from lab.broker import LabBroker, Record
from lab.plain_runner import run
from lab.sim import ROOT, Process, World
from schemas.errors import ElBeamError
from transforms.io.files import filesystem
from transforms.io.kafka.broker import standing_in
from transforms.layout import hour_in

Step = tuple[Any, ...]
_CLUSTERS: Final = {"one": "one:1", "two": "two:1"}
_IMPORTS: Final = {  # slot: machine, cluster, topics, state
    "A": (0, "one", "raw,side", "state"),
    "A2": (1, "one", "raw,side", "state"),
    "B": (1, "two", "raw", "state2"),
}
_CHANGES: Final = {"C": 0, "C2": 1, "P": 0, "U": 1}
_MOST: Final = 6  # records of a topic in one increment
_SCHEMAS: Final = str(Path(__file__).parent / "schemas")


class Sent(NamedTuple):
    """An event, as it was sent."""

    topic: str  # with its cluster
    hour: str  # of the event
    time: float  # of the record, in unix seconds


class Violation(AssertionError):
    """Something that must hold doesn't."""


@cache
def _job(cluster: str, topics: str, state: str, base: str) -> tuple[Job, Execution]:
    config = run_config(
        source=f"kafka://{_CLUSTERS[cluster]}/?topics={topics}&group=g",
        sinks=(f"parquet:{base}/p", f"raw:{base}/r"), schemas=_SCHEMAS, format="json",
        state=f"{base}/{state}", every="60s",
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
class History:
    """What has happened so far."""

    seed: int
    world: World = field(default_factory=World)
    base: str = f"{ROOT}/data"
    states: str = ""  # the folder of states, where they are not in `base`
    sent: dict[int, Sent] = field(default_factory=dict)  # by the events' numbers
    bad: int = 0  # lines
    may_miss: set[int] = field(default_factory=set)  # expired before anybody had them
    slots: dict[str, Process] = field(default_factory=dict)
    skip_expired: bool = True
    moved: int = 0
    backed_up: bool = False

    def __post_init__(self) -> None:
        self.brokers = {name: LabBroker(name) for name in _CLUSTERS}
        self.brokers["one"].make("raw", 2)
        self.brokers["one"].make("side", 1)
        self.brokers["two"].make("raw", 1)
        self.chance = random.Random(self.seed)
        self._cache: dict[tuple[str, bytes], tuple[int, ...]] = {}

    # Steps

    def do(self, step: Step) -> None:
        getattr(self, f"_{step[0]}")(*step[1:])
        self.look(step)

    def _go(self, slot: str, operations: int) -> None:
        process = self.slots.get(slot)
        if process is None or not process.alive:
            process = self.slots[slot] = self._start(slot)
        self.world.go(process, operations)

    def _start(self, slot: str) -> Process:
        if slot in _IMPORTS:
            machine, *rest = _IMPORTS[slot]
            return self.world.start(slot, machine, lambda: self._import(*rest))
        return self.world.start(slot, _CHANGES[slot], self._change_of(slot))

    def _change_of(self, slot: str) -> Callable[[], None]:
        work = {"C": self._compact, "C2": self._compact, "P": self._purge, "U": self._put_away}
        return work[slot]

    def until(self, slot: str, pattern: str) -> None:
        """Let a process work until there is something whose path below ROOT has this in it, as a
        regex finds it."""
        self._go(slot, 0)
        process, found = self.slots[slot], re.compile(pattern)
        while not any(found.search(path) for path, _ in self.world.disk.files(ROOT)):
            assert process.alive and not process.asleep, f"{pattern} doesn't come: {process.error}"
            self.world.go(process, 1)
        self.look(("until", slot, pattern))

    def imported(self, slot: str = "A") -> list[Report]:
        """What an import says that reads what is there now, and ends."""
        _, cluster, topics, state = _IMPORTS[slot]
        reports: list[Report] = self._finish(
            slot, partial(self._import, cluster, topics, state, once=True)
        )
        return reports

    def changed(self, slot: str) -> None:
        """Let a change come to its end."""
        self._finish(slot, self._change_of(slot))

    def _import(self, cluster: str, topics: str, state: str, *, once: bool = False) -> Any:
        job, execution = _job(cluster, topics, state, self.base)
        options = IncrementsOptions(f"{self.states or self.base}/{state}", None if once else 60.0,
                                    self.skip_expired, _MOST, 2)  # fmt: skip
        reports = _Reports()
        Increments(
            job, execution, options, clock=self.world.clock, processes=self.world.tables, run=run
        ).work(reports, threading.Event())
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
            for step in steps(read_ledger(root), keep, hours="2019-03-10T10".__eq__):
                purge(step, change)

    def _purge_rest(self) -> None:
        """What `el purge` does beside the tables, when nothing that was put away is to be kept."""
        for name in ("p", "r"):
            root, now = f"{self.base}/{name}", datetime.fromtimestamp(self.world.now, UTC)
            for path in left_over(root, hours=lambda _: False, now=now, age=timedelta(days=1)):
                filesystem.remove(path)

    def _put_away(self) -> None:
        for name in ("p", "r"):
            put_away_untracked(f"{self.base}/{name}", lambda _: True, self.world.tables)

    def _kill(self, slot: str) -> None:
        if process := self.slots.get(slot):
            process.kill()

    def _pause(self, slot: str) -> None:
        if process := self.slots.get(slot):
            process.paused = True

    def _wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    def _skew(self, machine: int, seconds: float) -> None:
        self.world.machines[machine].skew = seconds

    def _power(self, machine: int) -> None:
        self.world.power_cut(machine, self.chance)

    def _put(self, cluster: str, topic: str, partition: int, count: int, hour: int) -> None:
        for _ in range(count):
            number = len(self.sent)
            moment = datetime.fromtimestamp(self.world.now - 3600 * hour, UTC).isoformat()
            self.sent[number] = Sent(f"{cluster} {topic}", moment[:13], self.world.now)
            event = {
                "schema": "Lab", "revision": 1, "wiki": "w", "webHost": "h", "seqId": number,
                "recvFrom": cluster, "dt": f"{moment[:19]}Z",
                "event": {"n": number},
            }  # fmt: skip
            line = json.dumps(event).encode()
            self.brokers[cluster].put(topic, partition, Record(line, self.world.now))

    def _bad(self, cluster: str, topic: str, partition: int) -> None:
        self.bad += 1
        line = b"no JSON %d" % self.bad
        self.brokers[cluster].put(topic, partition, Record(line, self.world.now))

    def _expire(self, cluster: str, topic: str, partition: int, before: int) -> None:
        there = {number for number, _ in self.visible("p").items()}
        for record in self.brokers[cluster].expire(topic, partition, before):
            found = re.search(rb'"n": (\d+)', record.value)
            if found and (number := int(found[1])) not in there:
                self.may_miss.add(number)
            elif not found:
                self.bad = -abs(self.bad)  # they are no longer counted

    def _remake(self, cluster: str, topic: str) -> None:
        """A topic is deleted and made anew: what nobody had read is lost."""
        for partition, records in enumerate(self.brokers[cluster].topics[topic].records):
            self._expire(cluster, topic, partition, len(records) + 10**6)
        self.brokers[cluster].make(topic, 1)

    def stop_all(self) -> None:
        for process in self.world.processes:
            process.kill()

    def _move(self) -> None:
        """People stop all, move state and folders together, and start again there."""
        self.stop_all()
        self.moved += 1
        old, self.base = self.base, f"{ROOT}/data{self.moved}"
        if old in self.world.disk.folders:
            self.world.disk.copy(old, self.base)
            self.world.disk.drop(old)

    def _backup(self) -> None:
        state = f"{self.base}/state"
        if state in self.world.disk.folders:
            if self.backed_up:
                self.world.disk.drop(f"{ROOT}/backup")
            self.world.disk.copy(state, f"{ROOT}/backup")
            self.backed_up = True

    def _restore(self) -> None:
        """The state alone comes from a backup."""
        if not self.backed_up:
            return
        self.stop_all()
        if f"{self.base}/state" in self.world.disk.folders:
            self.world.disk.drop(f"{self.base}/state")
        self.world.disk.copy(f"{ROOT}/backup", f"{self.base}/state")

    def _lose(self) -> None:
        """The state is gone."""
        self.stop_all()
        if f"{self.base}/state" in self.world.disk.folders:
            self.world.disk.drop(f"{self.base}/state")

    # What must hold

    def visible(self, name: str) -> Counter[int]:
        """The numbers of the events that readers of a folder see."""
        found: Counter[int] = Counter()
        for path, content in self.world.disk.files(f"{self.base}/{name}"):
            if not any(part[0] in "_." for part in path.split("/")):
                found.update(self._numbers(path, content))
        return found

    def _numbers(self, path: str, content: bytes) -> tuple[int, ...]:
        key = (path.rpartition(".")[2], content)
        if key not in self._cache:
            self._cache[key] = tuple(_numbers(path, content))
        return self._cache[key]

    def look(self, step: Step) -> None:
        """At each moment readers see no event twice."""
        for name in ("p", "r"):
            twice = [number for number, count in self.visible(name).items() if count > 1]
            if twice:
                raise Violation(f"events {twice} are twice in {name}")
            self._look_at_marks(name)

    def _look_at_marks(self, name: str) -> None:
        """What is said to be complete is."""
        marked = {hour_in(path) for path, _ in self.world.disk.files(f"{self.base}/{name}")
                  if path.endswith("/_SUCCESS") and path.startswith(("Lab_", "year="))}  # fmt: skip
        if not marked:
            return
        seen = self.visible(name)
        sources = {self.sent[number].topic for number in seen}
        for number, (topic, hour, time) in self.sent.items():
            lacks = topic in sources and number not in seen and number not in self.may_miss
            if hour in marked and not passed(hour, time) and lacks:
                raise Violation(f"{hour} is complete in {name}, but has no event {number}")

    def end(self) -> None:
        """All stop; then all that was under way is done, and nothing may be missing."""
        self.stop_all()
        self.world.wait(7200)
        for machine in self.world.machines:
            machine.skew = 0.0
        self._recover()
        for cluster, broker in self.brokers.items():  # all is able to go on
            for topic, count in broker.partitions().items():
                for partition in range(count):
                    self._put(cluster, topic, partition, 1, 1)
        self._recover()
        self.changed("C")
        self.world.wait(3 * 86_400)
        self._finish("P", self._purge_rest)
        self.check()

    def _finish(self, name: str, work: Callable[[], Any]) -> Any:
        process = self.world.start(name, 0, work)
        self.world.finish(process)
        self.look(("finish", name))
        if process.error:
            raise process.error
        return process.result

    def _recover(self) -> None:
        for slot in ("A", "B"):
            state = _IMPORTS[slot][-1]
            for left in range(5, -1, -1):
                try:
                    problems = [str(each.text) for each in self.imported(slot)[-1].problems]
                except (ElBeamError, OSError) as error:
                    problems = [str(error)]
                if not problems:
                    break
                if not left or not [each for each in problems if self._follow(each, state)]:
                    raise Violation(f"{slot} doesn't go on: {problems}")
                self.world.wait(700)

    def _follow(self, message: str, state: str) -> bool:
        """Do what a message advises. False where it advises nothing."""
        command = r"`el state reset \S+ --topic (\S+) --to (\S+)( --again)? --yes`"
        if found := re.search(command, message):
            pairs = (each.split(":") for each in found[2].split(","))
            ends = {int(partition): int(offset) for partition, offset in pairs}
            self._finish("reset", partial(self._reset, state, found[1], ends, bool(found[3])))
            return True
        return "try again" in message or "stays open" in message

    def _reset(self, state: str, topic: str, ends: dict[int, int], again: bool) -> None:
        held = State(f"{self.base}/{state}")
        with Lease(held, self.world.clock, self.world.tables):
            reset(held, topic, ends, again=again)

    def check(self) -> None:
        """Of what was sent nothing is missing, and nothing is left over."""
        for name in ("p", "r"):
            seen = self.visible(name)
            missing = self.sent.keys() - seen.keys() - self.may_miss
            if missing:
                raise Violation(f"events {sorted(missing)} are missing in {name}")
            root = f"{self.base}/{name}"
            for path, _ in self.world.disk.files(root):
                if path.startswith("_") and path.partition("/")[0] not in ("_ledger", "_replaced"):
                    raise Violation(f"{path} is left over in {name}")
            try:
                ledger = read_ledger(root)
                compare(ledger, content=True)
            except LedgerError as error:
                if seen:
                    raise Violation(f"{name} has no ledger: {error}") from error
                continue
            if ledger.troubles:
                raise Violation(f"troubles of {name}: {ledger.troubles[0].sentence}")
            lines = len(self.sent) - len(self.sent.keys() - seen.keys()) + max(self.bad, 0)
            totals = ledger.totals
            if self.bad >= 0 and totals["read"] != lines:
                raise Violation(f"the ledger of {name} counts {totals['read']} of {lines} lines")
            if totals["rows"] + totals["repeated"] - totals["repeated"] != _rows(self, name):
                raise Violation(f"the ledger of {name} has {totals['rows']} rows")


def _rows(history: History, name: str) -> int:
    rows = 0
    for path, content in history.world.disk.files(f"{history.base}/{name}"):
        if any(part[0] in "_." for part in path.split("/")):
            continue
        rows += pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    return rows


def _numbers(path: str, content: bytes) -> Iterator[int]:
    if not path.startswith("EventError"):
        table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
        if "event" in table.column_names:
            yield from (event["n"] for event in table.column("event").to_pylist())
        else:
            lines = table.column("line").to_pylist()
            yield from (
                int(found[1]) for line in lines if (found := re.search(rb'"n": (\d+)', line))
            )


@contextmanager
def in_world(history: History) -> Iterator[None]:
    """While the block runs all that files and brokers are is the history's."""
    uuids = random.Random(history.seed)
    with ExitStack() as stack:
        stack.enter_context(history.world.there())
        for name, broker in history.brokers.items():
            stack.enter_context(standing_in(_CLUSTERS[name], broker))
        stack.enter_context(
            mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=uuids.getrandbits(128)))
        )
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is said of what goes wrong on purpose, and garbage is what histories make."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.unfreeze()
        logging.disable(before)


def play(seed: int, history_steps: list[Step]) -> History:
    """Do these steps, then end. Raises Violation; the history is its `history`."""
    history = History(seed)
    with in_world(history):
        try:
            for step in history_steps:
                history.do(step)
            history.end()
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}") from error
        finally:
            history.stop_all()
    return history


def steps_of(seed: int) -> list[Step]:
    """The steps that a seed stands for."""
    chance = random.Random(seed)
    calm = chance.random() < 0.5  # nothing but kills
    found: list[Step] = [("put", "one", "raw", 0, chance.randint(1, 8), 0)]
    slots = [*chance.sample(["A", "A2", "B", "C", "C2", "P", "U"], chance.randint(2, 5)), "A"]
    for _ in range(chance.randint(5, 40)):
        kind = chance.choices(
            ["go", "put", "kill", "wait", "pause", "operate"], [50, 15, 12, 8, 5, 0 if calm else 4]
        )[0]
        slot = chance.choice(slots)
        if kind == "go":
            found.append(("go", slot, int(2 ** chance.uniform(0, 10))))
        elif kind == "put":
            place = chance.choice([("one", "raw", 0), ("one", "raw", 1), ("one", "side", 0),
                                   ("two", "raw", 0)])  # fmt: skip
            if chance.random() < 0.1:
                found.append(("bad", *place))
            else:
                found.append(("put", *place, chance.randint(1, 8), chance.randrange(2)))
        elif kind == "wait":
            found.append(("wait", chance.choice([10, 40, 70, 700, 4000])))
        elif kind in ("kill", "pause"):
            found.append((kind, slot))
        else:
            found.append(chance.choice([
                ("move",), ("backup",), ("backup",), ("restore",), ("lose",),
                ("power", chance.randrange(2)), ("power", chance.randrange(2)),
                ("skew", chance.randrange(2), chance.choice([-100, 100, 3000])),
                ("expire", "one", "raw", 0, chance.randint(1, 12)),
                ("remake", "one", "side"),
            ]))  # fmt: skip
    return found
