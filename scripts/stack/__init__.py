"""Real servers on this machine, on loopback, from packages alone: for trying things, and for tests.

A stack is a folder: ports, settings, data, logs and pid files are in it. Two stacks know nothing of
each other. Behind `el stack`; the tests' fixtures use the same code.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from runners import orphans
from stack.component import CACHE, Component, free_ports, listens
from stack.flink import Flink
from stack.hdfs import Hdfs
from stack.kafka import Kafka
from stack.mariadb import MariaDb
from stack.process import ServerProcess, StackError
from stack.spark import Spark
from stack.workers import Workers

COMPONENTS: dict[str, type[Component]] = {
    each.name: each for each in (Kafka, Workers, Flink, Hdfs, Spark, MariaDb)
}
DEFAULT_FOLDER = CACHE / "stack"


_C = TypeVar("_C", bound=Component)


class _OfClass(Generic[_C]):
    """A stack's component, with its type."""

    def __init__(self, cls: type[_C]) -> None:
        self._cls = cls

    def __get__(self, stack: Stack, _: object) -> _C:
        component = stack.component(self._cls.name)
        assert isinstance(component, self._cls)
        return component


class Stack:
    """The servers that live in a folder."""

    kafka = _OfClass(Kafka)
    workers = _OfClass(Workers)
    flink = _OfClass(Flink)
    hdfs = _OfClass(Hdfs)
    spark = _OfClass(Spark)
    mariadb = _OfClass(MariaDb)

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        """Nothing is started. Ports are chosen when a component is first asked for, and kept."""
        self.folder = folder.resolve()
        self._components: dict[str, Component] = {}

    def component(self, name: str) -> Component:
        """A component, known to this stack from now on. Raises StackError if there is none such."""
        if name not in COMPONENTS:
            raise StackError(f"no component {name!r}; there are {', '.join(COMPONENTS)}")
        if name not in self._components:
            cls = COMPONENTS[name]
            self._components[name] = cls(self.folder, self._ports(cls))
        return self._components[name]

    def up(self, names: Iterable[str] = ()) -> Iterator[Component]:
        """Start components (all by default) and those they need; each is given as it is ready.

        What an earlier stack here, or a killed `el run`, left running is ended first."""
        wanted = list(_with_needs(list(names) or list(COMPONENTS)))
        with self._locked():
            self.sweep()
            for name in wanted:
                component = self.component(name)
                component.start()
                yield component

    def down(self, names: Iterable[str] = (), *, keep_data: bool = True) -> list[str]:
        """Stop components (all by default). Returns the names of those that ran."""
        names = list(names)
        chosen = names or list(COMPONENTS)
        if not self.folder.exists():
            return []
        with self._locked():
            known = [name for name in reversed(list(COMPONENTS))
                     if name in chosen and name in self._noted()]  # fmt: skip
            ran = []
            for name in known:
                component = self.component(name)
                if any(process.pid for process in component.processes):
                    ran.append(name)
                component.stop()
            if not names:
                orphans.end(orphans.members(str(self.folder)))
            self.sweep()
        if not keep_data and not names:
            shutil.rmtree(self.folder, ignore_errors=True)
        return ran

    def status(self) -> dict[str, str]:
        """Endpoints of the components that run and answer."""
        return {each.name: each.endpoint() for each in self.components() if each.is_ready}

    def components(self) -> list[Component]:
        """The components that were ever asked for here."""
        return [self.component(name) for name in self._noted() if name in COMPONENTS]

    def processes(self) -> Iterator[ServerProcess]:
        """All processes of all components that this stack knows."""
        for component in self.components():
            yield from component.processes

    def sweep(self) -> None:
        """End processes of this stack that no pid file knows, and those of killed submitters."""
        known = {process.pid for process in self.processes()}
        stray = [process for process in orphans.members(str(self.folder))
                 if process.pid not in known and not _below(process, known)]  # fmt: skip
        orphans.end([*stray, *orphans.orphans()])

    def _noted(self) -> dict[str, dict[str, int]]:
        try:
            return dict(json.loads((self.folder / "stack.json").read_text()))
        except FileNotFoundError:
            return {}

    def _ports(self, cls: type[Component]) -> dict[str, int]:
        noted = self._noted()
        if set(noted.get(cls.name, {})) != set(cls.ports):
            ports = dict(zip(cls.ports, free_ports(len(cls.ports)), strict=True))
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / "stack.json.new"
            new.write_text(json.dumps({**noted, cls.name: ports}, indent=2))
            new.replace(self.folder / "stack.json")
            return ports
        return noted[cls.name]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _with_needs(names: list[str]) -> Iterator[str]:
    wanted = set(names)
    for name in names:
        if name not in COMPONENTS:
            raise StackError(f"no component {name!r}; there are {', '.join(COMPONENTS)}")
        wanted |= {*COMPONENTS[name].needs}
    return (name for name in COMPONENTS if name in wanted)


def _below(process: psutil.Process, pids: set[int | None]) -> bool:
    """Whether a process was started by one of these."""
    try:
        return any(parent.pid in pids for parent in process.parents())
    except psutil.Error:
        return True  # it has just gone


__all__ = ["COMPONENTS", "Component", "ServerProcess", "Stack", "StackError", "listens"]
