"""Histories: what processes, machines, brokers and people do, step by step; and what must hold.

A step is a tuple that prints as what it does. Who has a part in it is named by a slot. A step that
can't be done now does nothing, so any steps of a history make a history: a failing one is made
shorter by leaving steps out.
"""

from __future__ import annotations

import gc
import json
import logging
import random
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from unittest import mock

import pyarrow as pa

from el_beam.books.ledger.model import LedgerError
from el_beam.books.state import lease
from el_beam.running.increments import increments
from el_beam.upkeep.backfill import apply
from lab.actors import IMPORTS
from lab.broker import Record
from lab.disk import ROOT
from lab.expected import CLUSTERS, Place, Sent, Step, Violation
from lab.operators import Operators
from transforms.io.kafka.broker import standing_in
from transforms.write import encodings


@dataclass
class History(Operators):
    """What has happened so far. A method `_NAME` does the step NAME."""

    moved: int = 0

    def do(self, step: Step) -> None:
        getattr(self, f"_{step[0]}")(*step[1:])
        self.look(step)

    # Processes and machines

    def _go(self, slot: str, operations: int) -> None:
        self.go(slot, operations)

    def _kill(self, slot: str) -> None:
        if process := self.slots.get(slot):
            process.kill()

    def _orphan(self, slot: str, operations: int) -> None:
        """A process is killed when its worker has done so many operations."""
        self.go(slot, 1)
        process = self.slots[slot]
        while process.goes and process.asleep <= self.world.now and process.working is process:
            self.world.go(process, 1)
        self.world.go(process, operations)
        process.kill()

    def _orphans(self, operations: int) -> None:
        """The workers of dead and of paused processes do so many operations."""
        for each in [*self.world.processes]:
            if each.orphaned:
                self.world.go(each, operations)

    def _pause(self, slot: str) -> None:
        if process := self.slots.get(slot):
            process.paused = True

    def _wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    def _skew(self, machine: int, seconds: float) -> None:
        self.world.machines[machine].skew = seconds

    def _power(self, machine: int) -> None:
        self.world.power_cut(machine, self.chance)

    # Brokers

    def _put(self, cluster: str, topic: str, partition: int, count: int, hour: int) -> None:
        if partition >= self.brokers[cluster].partitions()[topic]:
            return
        for _ in range(count):
            number = len(self.sent)
            moment = datetime.fromtimestamp(self.world.now - 3600 * hour, UTC).isoformat()
            event = {
                "schema": "Lab", "revision": 1, "wiki": "w", "webHost": "h", "seqId": number,
                "recvFrom": cluster, "dt": f"{moment[:19]}Z",
                "event": {"n": number},
            }  # fmt: skip
            record = Record(json.dumps(event).encode(), self.world.now)
            id_, offset = self.brokers[cluster].put(topic, partition, record)
            place = Place(id_, partition, offset)
            self.sent[number] = Sent(f"{cluster} {topic}", moment[:13], self.world.now, place)
            self.comes(number)

    def _bad(self, cluster: str, topic: str, partition: int) -> None:
        if partition >= self.brokers[cluster].partitions()[topic]:
            return
        record = Record(b"no JSON", self.world.now)
        id_, offset = self.brokers[cluster].put(topic, partition, record)
        if self.bad >= 0 and offset >= self.reused.get((id_, partition), 0):
            self.bad += 1
        else:
            self.bad = -1

    def _begin(self, cluster: str, topic: str, partition: int) -> None:
        """A producer begins a transaction; others go on behind it."""
        if partition < self.brokers[cluster].partitions()[topic]:
            self.brokers[cluster].begun(topic, partition)

    def _commit(self, cluster: str, topic: str, partition: int) -> None:
        self.brokers[cluster].ended(topic, partition)

    def _expire(self, cluster: str, topic: str, partition: int, before: int) -> None:
        if partition < self.brokers[cluster].partitions()[topic]:
            self.brokers[cluster].expire(topic, partition, before)
            self.lost()

    def _remake(self, cluster: str, topic: str, partitions: int = 1) -> None:
        """A topic is deleted and made anew: what nobody had read is lost."""
        self.brokers[cluster].make(topic, partitions)
        self.lost()

    def _cut(self, cluster: str, topic: str, partition: int, count: int) -> None:
        """A broker loses its newest records."""
        if partition < self.brokers[cluster].partitions()[topic]:
            its = self.brokers[cluster].topics[topic]
            end, before = its.high[partition], self.at_brokers()
            self.brokers[cluster].cut(topic, partition, count)
            self.cut(its.id, partition, its.high[partition], end, before)

    # People

    def _obey(self, slot: str) -> None:
        """People see what an import says, and do that."""
        self.obey(slot)

    def _vanish(self) -> None:
        """The next job loses a line on its way."""
        self.loses = True

    def _retype(self) -> None:
        self.retype()

    def _sinks(self, names: str) -> None:
        """People start A's import anew, into these folders."""
        for slot in ("A", "A2"):
            self._kill(slot)
        self.sinks = names

    def _choose(self, only: str) -> None:
        """People start A's import anew, with another choice; '' is all."""
        for slot in ("A", "A2"):
            self._kill(slot)
        self.choose(only or None)

    def _keep(self, name: str) -> None:
        """People copy a folder."""
        self._put_there(f"{self.base}/{name}", f"{ROOT}/kept/{name}", kept=True)

    def _back(self, name: str) -> None:
        """People put an older copy of a folder in its place."""
        if f"{ROOT}/kept/{name}" in self.world.disk.folders:
            self.stop_all()
            self._put_there(f"{ROOT}/kept/{name}", f"{self.base}/{name}", kept=True)
            self.put_back(name)

    def _copy(self) -> None:
        """People copy A's state, to go on with the copy, too."""
        self._kill("D")
        self._put_there(self.state_of("A"), self.state_of("D"), kept=True)

    def _apart(self) -> None:
        """People stop all, and move the states away from the folders."""
        self.stop_all()
        old, self.states = self.states or self.base, f"{ROOT}/states{self.moved}"
        self.moved += 1
        for _, _, _, state in IMPORTS.values():
            self._put_there(f"{old}/{state}", f"{self.states}/{state}")

    def _move(self) -> None:
        """People stop all, move state and folders together, and start again there."""
        self.stop_all()
        self.moved += 1
        old, self.base = self.base, f"{ROOT}/data{self.moved}"
        self._put_there(old, self.base)

    def _backup(self) -> None:
        self._put_there(self.state_of("A"), f"{ROOT}/backup", kept=True)

    def _restore(self) -> None:
        """The state alone comes from a backup."""
        self.stop_all()
        self._put_there(f"{ROOT}/backup", self.state_of("A"), kept=True)

    def _lose(self) -> None:
        """The state is gone."""
        self.stop_all()
        if self.state_of("A") in self.world.disk.folders:
            self.world.disk.drop(self.state_of("A"))

    def _put_there(self, path: str, target: str, *, kept: bool = False) -> bool:
        """Whether there was a folder, which is at `target` now, in the place of what was there."""
        if path not in self.world.disk.folders:
            return False
        if target in self.world.disk.folders:
            self.world.disk.drop(target)
        self.world.disk.make_folders(target.rpartition("/")[0])
        self.world.disk.copy(path, target)
        if not kept:
            self.world.disk.drop(path)
        return True

    # The end

    def end(self) -> None:
        """All stop; then all that was under way is done, and nothing may be missing."""
        self.stop_all()
        self.loses = False
        self.world.wait(7200)
        for machine in self.world.machines:
            machine.skew = 0.0
        if "q" in self.folders():
            self.sinks = "pqr"
        self.choose(None)
        for broker in self.brokers.values():
            for topic, partitions in broker.partitions().items():
                for partition in range(partitions):
                    broker.ended(topic, partition)
        self.recover()
        for cluster, broker in self.brokers.items():  # all is able to go on
            for topic, count in broker.partitions().items():
                for partition in range(count):
                    self._put(cluster, topic, partition, 1, 1)
        self.recover()
        self.check_overwritten()
        for slot in sorted({"F", "F2"} & self.slots.keys()):
            with suppress(LedgerError):  # it may not say whose lines are whose
                self.changed(slot)
        self.changed("C")
        self.world.wait(3 * 86_400)
        self.finish("P", self.purge_rest)
        self.check()


@contextmanager
def in_world(history: History) -> Iterator[None]:
    """While the block runs all that files and brokers are is the history's."""
    uuids = random.Random(history.seed)
    with ExitStack() as stack:
        stack.enter_context(history.world.there())
        for name, broker in history.brokers.items():
            stack.enter_context(standing_in(CLUSTERS[name], broker))
        stack.enter_context(
            mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=uuids.getrandbits(128)))
        )
        stack.enter_context(mock.patch.object(lease, "Processes", lambda: history.world.tables))
        stack.enter_context(mock.patch.object(apply, "run", history.run))
        # what costs a fifth of a history, and tells nothing here
        stack.enter_context(mock.patch.object(gc, "collect", lambda: 0))
        stack.enter_context(mock.patch.object(increments, "about", lambda: {"el_beam": "lab"}))
        yield


_PLAIN = {"compression": "none", "compression_level": None, "use_dictionary": False,
          "write_statistics": False}  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is said of what goes wrong on purpose, garbage is what histories make, and their
    files of a few rows cost what such files need: a quarter of a history's time."""
    before, threads = logging.root.manager.disable, pa.cpu_count()
    logging.disable(logging.WARNING)
    gc.freeze()
    pa.set_cpu_count(1)
    try:
        with mock.patch.dict(encodings._PARQUET, _PLAIN), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pa.set_cpu_count(threads)
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
