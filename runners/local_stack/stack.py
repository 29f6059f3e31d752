"""A stack: servers that live in one folder, which has their ports, settings, data, logs and pids.

Two stacks know nothing of each other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from runners import orphans
from runners.local_stack.component import Component, free_ports
from runners.local_stack.flink import Flink
from runners.local_stack.hdfs import Hdfs
from runners.local_stack.kafka import Kafka
from runners.local_stack.mariadb import MariaDb
from runners.local_stack.process import ServerProcess, StackError
from runners.local_stack.spark import Spark
from runners.local_stack.workers import Workers
from runners.user_folders import locked, state_folder
from schemas.errors import WrongCall

COMPONENTS: dict[str, type[Component]] = {
    each.name: each for each in (Kafka, Workers, Flink, Hdfs, Spark, MariaDb)
}


class NoSuchComponent(WrongCall):
    """A component that isn't one of those that there are."""


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

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing is started. Ports are chosen when a component is first asked for, and kept.

        The folder is below the user's state folder by default. Raises WrongCall without a home."""
        self.folder = (folder or state_folder() / "stack").resolve()
        self._components: dict[str, Component] = {}

    def component(self, name: str) -> Component:
        """A component, known to this stack from now on. Raises NoSuchComponent."""
        _check([name])
        if name not in self._components:
            cls = COMPONENTS[name]
            self._components[name] = cls(self.folder, self._ports(cls))
        return self._components[name]

    def up(self, names: Iterable[str] = ()) -> Iterator[Component]:
        """Start components (all by default) and those they need; each is given as it is ready.

        What an earlier stack here, or a killed `el run`, left running is ended first. Raises
        NoSuchComponent, ProgramFailed, StackError."""
        needed = _with_needs(names)
        with locked(self.folder / "lock"):
            self.sweep()
            for name in needed:
                component = self.component(name)
                component.start()
                yield component

    @staticmethod
    def missing(names: Iterable[str] = ()) -> list[str]:
        """What `up` must fetch or build first, for people. Raises NoSuchComponent."""
        found = [COMPONENTS[name].missing() for name in _with_needs(names)]
        return list(dict.fromkeys(filter(None, found)))

    def down(self, names: Iterable[str] = (), *, keep_data: bool = True) -> list[str]:
        """Stop components (all by default). Returns the names of those that ran.

        Raises NoSuchComponent."""
        names = list(names)
        _check(names)
        chosen = names or list(COMPONENTS)
        if not self.folder.exists():
            return []
        with locked(self.folder / "lock"):
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
        except ValueError as error:
            place = self.folder / "stack.json"
            raise StackError(f"{place} is damaged ({error}); remove the folder") from error

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


def _with_needs(names: Iterable[str]) -> list[str]:
    """These components (all if none) and those they need, in the order in which they start."""
    chosen = set(names) or {*COMPONENTS}
    _check(chosen)
    needed = chosen.union(*(COMPONENTS[name].needs for name in chosen))
    return [name for name in COMPONENTS if name in needed]


def _check(names: Iterable[str]) -> None:
    if unknown := set(names) - set(COMPONENTS):
        raise NoSuchComponent(
            f"no component {', '.join(sorted(unknown))}; there are {', '.join(COMPONENTS)}"
        )


def _below(process: psutil.Process, pids: set[int | None]) -> bool:
    """Whether a process was started by one of these."""
    try:
        return any(parent.pid in pids for parent in process.parents())
    except psutil.Error:
        return True  # it has just gone
