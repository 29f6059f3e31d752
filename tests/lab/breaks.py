"""Deliberate breaks of the rules that keep the books, each of which the lab must find.

python tests/lab/breaks.py [NAME…] tells which history finds each one. Some rules are not here: for
another one makes good what happens without them, as what is prepared and swept is given up; or for
it takes a history that no seed has come to, and test_operations.py has that.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

from lab.disk import LabDisk
from lab.expected import Step
from lab.handovers import PAIRS, handovers
from lab.history import play, quiet
from lab.seeds import steps_of
from lab.sim import LabProcesses

from el_beam.books import imports, log
from el_beam.books.ledger import changes, hours
from el_beam.books.state import lease, state
from el_beam.running.increments import folders, planning, topics
from el_beam.upkeep.backfill import plan
from runners.orphans import Processes
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.files.local import LocalFiles
from transforms.read import kafka_ranges

Break = Callable[[], AbstractContextManager[object]]
MOST = 600  # histories


def _put(owner: object, name: str, instead: object) -> Break:
    return lambda: mock.patch.object(owner, name, instead)


# Folding


def _fold_before_it_is_written(self: Any) -> None:
    alone = self._alone
    if len(alone) >= 2 * self._kept:
        old = alone[: self._kept]
        lines = b"\n".join(filesystem.read(self._path(each, ".commit.json")) for each in old)
        for number in old:
            filesystem.remove(self._path(number, ".commit.json"))
        filesystem.create(self._path(old[-1], ".commits.jsonl"), lines)
        self.look()


def _oldest_attempt(self: Any) -> Any:
    return min((each for each in self._intents if each.number == self.next), default=None)


# Who is dead


def _whatever_its_namespaces(self: Any, it: Any) -> bool | None:
    here = self.here()
    known = (it.host, it.boot) == (here.host, here.boot)
    return self.runs(it.pid, it.ticks) if known else None


def _not_since_the_machine_began(self: Any, it: Any) -> bool | None:
    here = self.here()
    return False if it.host == here.host and it.boot != here.boot else _alive(self, it)


_alive = Processes.alive


def _start_by_the_clock(_: Any, process: Any) -> int:
    return int((process.begun + process.machine.skew) * 100)


def _all_before(self: Any, numbers: list[int]) -> Any:
    return map(self._holder, numbers)


def _clock_after_the_sign(self: Any, number: int) -> None:
    path = f"{self._folder}/{number:08d}.beat"
    beat = filesystem.find(path)
    if not beat or filesystem.read(path) == b"released":
        return
    alive = self._processes.alive(self._holder(number))
    if alive or (alive is None and self._now() - beat[0].updated <= lease.DEAD):
        raise state.StateError("it works")


# What is prepared


def _sweep_first(self: Any, sinks: Any, state: Any, *more: Any) -> None:
    for sink, _ in sinks:
        filesystem.remove(f"{sink.root}/_temporary/{state.id()[:16]}")
    _init(self, sinks, state, *more)


_init = folders.ImportFolders.__init__


def _sweep_of_everybody(self: Any, *_: Any) -> None:
    for sink, _ in self._sinks:
        filesystem.remove(f"{sink.root}/_temporary")


def _never_given_up(self: Any, entries: Mapping[str, Any], logs: Mapping[str, Any]) -> bool:
    for key, entry in entries.items():
        logs[key].enter(entry)
        self._put(imports.in_root(entry.summary, logs[key].sink.root))
    return True


def _names_before_the_entry(self: Any, entries: Mapping[str, Any], logs: Mapping[str, Any]) -> bool:
    for key, entry in entries.items():
        if key not in logs:
            return False
        self._put(imports.unfinished(entry, logs[key].sink.root))
        try:
            logs[key].enter(entry)
        except imports.Overlap:
            return False
    return True


def _put_away_what_is_not_there(root: str, name: str, paths: Any) -> None:
    for path in paths:
        to = f"{root}/_replaced/{name}/{path}"
        if filesystem.exists(f"{root}/{path}") and not filesystem.exists(to):
            filesystem.make_folder(to.rpartition("/")[0])
            filesystem.move(f"{root}/{path}", to)


def _the_old_intent(number: int, done: Any, before: Any, there: Any, *more: Any, **how: Any) -> Any:
    if before:
        return planning.TopicPlan(before)
    return _intend(number, done, before, there, *more, **how)


_intend = planning.intend


# Ids


def _id_of_the_path(self: Any) -> str:
    return f"{hash(self.path):032x}"


def _log_of_the_name(_: Any, sink: Any, choice: Any, __: str, topic: str, *more: Any) -> Any:
    return _log_of(sink, choice, "a cluster", topic, "a topic", *more[1:])


_log_of = imports.ImportLog.of


# What folders hold


def _all_of_it_again(self: Any, entry: Any) -> None:
    last = self.log.last()
    if not self.has(entry):
        self.log.add(replace(entry, number=last.number + 1 if last else 1))


def _entered_at_the_same_time(self: Any, entry: Any) -> bool:
    self.look()
    number = (self._single or self._folded or [0])[-1] + 1
    return bool(_add(self, replace(entry, number=max(number, entry.number))))


_add = log.Log.add


# Power cuts


def _nothing_lasts(*_: Any) -> None:
    return


def _make_folder(self: Any, path: str) -> None:
    try:
        self._disk.make_folder(path)
    except FileNotFoundError:
        self.make_folder(path.rpartition("/")[0])
        self.make_folder(path)
    except FileExistsError:
        if not self._disk.is_folder(path):
            raise


def _move(self: Any, source: str, target: str) -> bool:
    try:
        self._disk.link(source, target)
    except FileExistsError:
        return False
    self._disk.unlink(source)
    return True


BREAKS: dict[str, tuple[int, Break]] = {  # kind, what is broken
    "old commits are removed before they share a file": (
        1, _put(log.Log, "_fold", _fold_before_it_is_written)),
    "an older attempt counts": (1, _put(state.TopicState, "_newest", _oldest_attempt)),
    "a process is looked for in whatever namespaces": (
        1, _put(Processes, "alive", _whatever_its_namespaces)),
    "another start of a machine of this name proves a death": (
        1, _put(Processes, "alive", _not_since_the_machine_began)),
    "a process is known by its start by the clock": (
        1, _put(LabProcesses, "ticks", _start_by_the_clock)),
    "the clock is looked at after the sign of life": (
        1, _put(lease.Lease, "_refuse_if_held", _clock_after_the_sign)),
    "what living processes have started is ended": (1, _put(lease.Lease, "_dead", _all_before)),
    "a sweep takes what waits for its name": (
        2, _put(folders.ImportFolders, "__init__", _sweep_first)),
    "a sweep takes what is of others": (
        2, _put(folders.ImportFolders, "sweep", _sweep_of_everybody)),
    "files that are gone are entered": (
        2, _put(folders.ImportFolders, "enter", _never_given_up)),
    "files have their names before the folder knows them": (
        2, _put(folders.ImportFolders, "enter", _names_before_the_entry)),
    "what was half put away stays": (2, _put(changes, "put_away", _put_away_what_is_not_there)),
    "a change that was left half done is never finished": (
        2, _put(folders, "finish_left", lambda *_, **__: None)),
    "an intent of another topic is done": (2, _put(planning, "intend", _the_old_intent)),
    "a state is known by its path": (3, _put(state.State, "id", _id_of_the_path)),
    "what a folder holds is forgotten": (
        4, _put(imports.ImportLog, "held", property(lambda _: ()))),
    "what is there enters again": (4, _put(imports.ImportLog, "enter", _all_of_it_again)),
    "two entries are made at the same time": (4, _put(log.Log, "add", _entered_at_the_same_time)),
    "nobody looks whether other records are there": (
        4, _put(topics.SourceTopics, "replaced", lambda *_: {})),
    "folders forget what only others lack": (
        4, _put(topics.SourceTopics, "unchanged", lambda *_: frozenset())),
    "books needn't balance": (5, _put(Summary, "imbalances", property(lambda _: []))),
    "an older backfill takes the place of a newer one": (
        5, _put(plan, "_remade", lambda *_: set())),
    "names of files don't tell topics apart": (
        6, _put(kafka_ranges, "_digest", lambda *_: "0123456789")),
    "a log doesn't tell topics apart": (
        6, _put(imports.ImportLog, "of", classmethod(_log_of_the_name))),
    "an hour is complete for one import": (6, _put(hours, "behind", lambda *_: [])),
    "folders don't last": (7, _put(LocalFiles, "make_folder", _make_folder)),
    "a move doesn't last": (7, _put(LocalFiles, "move", _move)),
    "temporary names don't last": (7, _put(filesystem, "sync", lambda _: None)),
    "nothing lasts": (7, _put(LabDisk, "sync", _nothing_lasts)),
}  # fmt: skip


def found_by(name: str, most: int = MOST) -> str:
    """Which history finds a break, of so many seeds and all hand-overs; '' where none does."""
    with BREAKS[name][1]():
        for seed in range(most):
            if _fails(seed, steps_of(seed)):
                return f"history {seed + 1}"
        for pair in PAIRS:
            for number, steps in handovers(*pair):
                if _fails(number, steps):
                    return f"{' to '.join(pair)} after {number}"
    return ""


def _fails(seed: int, steps: list[Step]) -> bool:
    try:
        play(seed, steps)
    except Exception:  # Violation, or whatever else it leads to
        return True
    return False


def main() -> int:
    names = sys.argv[1:] or [*BREAKS]
    missed = 0
    with quiet():
        for name in names:
            found = found_by(name)
            missed += not found
            print(f"{found or 'NOT FOUND':20} kind {BREAKS[name][0]}  {name}", flush=True)
    print(f"{len(names)} breaks, {missed} of them not found")
    return missed


if __name__ == "__main__":
    sys.exit(main())
