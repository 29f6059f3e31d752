"""A stack: servers that live in one folder, which has their ports, settings, data, logs and pids.

Two stacks know nothing of each other.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from runners import orphans
from runners.local_stack.component import Component, ServerProcess, noted_ports
from runners.local_stack.flink import Flink
from runners.local_stack.hdfs import Hdfs
from runners.local_stack.kafka import Kafka
from runners.local_stack.mariadb import MariaDb
from runners.local_stack.spark import Spark
from runners.local_stack.workers import Workers
from runners.user_folders import locked, state_folder
from schemas.errors import WrongCall

_ODD = re.compile(
    r"""[:,;#%$&*?|<>()\[\]{}"'`\\\x00-\x1f\x7f]"""
)  # class paths, URIs, XML, properties


class NoSuchComponent(WrongCall):
    """A component that isn't one of those that there are."""


class Stack:
    """The servers that live in a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Nothing is started. Ports are chosen when a component is first asked for, and kept.

        The folder is below the user's state folder by default. Raises WrongCall without a home."""
        self.folder = (folder or state_folder() / "stack").resolve()
        self.kafka = Kafka(self.folder)
        self.workers = Workers(self.folder)
        self.flink = Flink(self.folder)
        self.hdfs = Hdfs(self.folder)
        self.spark = Spark(self.folder)
        self.mariadb = MariaDb(self.folder)
        in_order = (self.kafka, self.workers, self.flink, self.hdfs, self.spark, self.mariadb)
        self._components: dict[str, Component] = {each.name: each for each in in_order}

    def component(self, name: str) -> Component:
        """A component by name. Raises NoSuchComponent."""
        return self._named([name])[0]

    def _named(self, names: Iterable[str]) -> list[Component]:
        names = list(names)
        if unknown := sorted(set(names) - set(self._components)):
            there_are = ", ".join(self._components)
            raise NoSuchComponent(f"no component {', '.join(unknown)}; there are {there_are}")
        return [self._components[name] for name in names]

    def up(self, names: Iterable[str] = ()) -> Iterator[Component]:
        """Start components (all by default) and those they need; each is given as it is ready.

        What an earlier stack here, or a killed `el run`, left running is ended first. Raises
        NoSuchComponent, ProgramFailed, StackError; WrongCall for a folder that servers misread."""
        if odd := _ODD.search(str(self.folder)):
            what = f"{odd[0]!r} has a meaning in the settings of its servers"
            raise WrongCall(f"{self.folder}: {what}: choose another folder (--dir)")
        needed = self._with_needs(names)
        with locked(self.folder / "lock"):
            self.sweep()
            for component in needed:
                component.start()
                yield component

    def missing(self, names: Iterable[str] = ()) -> list[str]:
        """What `up` must fetch or build first, for people. Raises NoSuchComponent."""
        found = [component.missing() for component in self._with_needs(names)]
        return list(dict.fromkeys(filter(None, found)))

    def _with_needs(self, names: Iterable[str]) -> list[Component]:
        """These components (all if none) and those they need, in the order in which they start."""
        chosen = self._named(names) or [*self._components.values()]
        needed = {each for component in chosen for each in (component.name, *component.needs)}
        return [component for name, component in self._components.items() if name in needed]

    def down(self, names: Iterable[str] = (), *, keep_data: bool = True) -> list[str]:
        """Stop components (all by default). Returns the names of those that ran.

        Raises NoSuchComponent."""
        chosen = self._named(names)
        if not self.folder.exists():
            return []
        with locked(self.folder / "lock"):
            ran = []
            for component in reversed(self.components()):
                if chosen and component not in chosen:
                    continue
                if any(process.pid for process in component.processes):
                    ran.append(component.name)
                component.stop()
            if not chosen:
                orphans.end(orphans.members(str(self.folder)))
            self.sweep()
        if not keep_data and not chosen:
            shutil.rmtree(self.folder, ignore_errors=True)
        return ran

    def status(self) -> dict[str, str]:
        """Endpoints of the components that run and answer."""
        return {each.name: each.endpoint() for each in self.components() if each.is_ready}

    def components(self) -> list[Component]:
        """The components that were ever asked for here, in the order in which they start."""
        noted = noted_ports(self.folder)
        return [component for name, component in self._components.items() if name in noted]

    def processes(self) -> Iterator[ServerProcess]:
        """All processes of all components that this stack knows."""
        for component in self.components():
            yield from component.processes

    def sweep(self) -> None:
        """End processes of this stack that no pid file knows, and those of stacks whose starter was
        killed."""
        known = {process.pid for process in self.processes()}
        stray = [process for process in orphans.members(str(self.folder))
                 if process.pid not in known and not _below(process, known)]  # fmt: skip
        orphans.end([*stray, *orphans.left_of_stacks()])


def _below(process: psutil.Process, pids: set[int | None]) -> bool:
    """Whether a process was started by one of these."""
    try:
        return any(parent.pid in pids for parent in process.parents())
    except psutil.Error:
        return True  # it has just gone
