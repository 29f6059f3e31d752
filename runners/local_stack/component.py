"""Component: a server of the stack, or several that only make sense together.

Below the stack's folder are, for all who look there:

    stack.json                   StackNote: which port is whose
    pids/SERVER.json             ProcessId: the process that was started last
    logs/SERVER.log  COMPONENT/  what it says; its data and settings
"""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import psutil

from runners.addresses import LOOPBACK, free_ports
from runners.orphans import STACK, Processes, ProcessId
from schemas.durable import Document, DocumentError, DocumentFormat
from schemas.errors import ElBeamError

_TICK = 0.1  # seconds between looks
_GRACE = 15.0  # seconds that a server has to end by itself
_PATIENCE = 180.0  # seconds that a server may take until it is ready


class StackError(ElBeamError):
    """A server, or the folder of a stack, that isn't as it should be."""


@dataclass(frozen=True)
class StackNote:
    """What a stack is made of."""

    ports: dict[str, dict[str, int]]  # of each component that was ever asked for


def _migrate(ports: Document) -> Document:
    return {"ports": ports}


def _migrate_server(old: Document) -> Document:
    """Its start is known by the clock: if that was set, nobody can say whether it runs."""
    with suppress(psutil.Error):
        if psutil.Process(old["pid"]).create_time() == old["started"]:
            return vars(Processes().child(old["pid"]))
    return {"host": "", "boot": "", "pid": old["pid"]}


STACK_NOTE = DocumentFormat("stack", StackNote, 2, {1: _migrate})
SERVER_NOTE = DocumentFormat("server", ProcessId, 2, {1: _migrate_server})


def noted_ports(stack: Path) -> dict[str, dict[str, int]]:
    """The ports of each component that was ever asked for in a folder. Raises StackError."""
    path = stack / "stack.json"
    try:
        return STACK_NOTE.load(path.read_bytes(), str(path)).ports
    except FileNotFoundError:
        return {}
    except DocumentError as error:
        raise StackError(f"{error}. To begin anew, remove the folder {stack}") from error


class ServerProcess:
    """A server process: its command, its log, its pid file."""

    def __init__(
        self, name: str, folder: Path, command: Sequence[str], ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`folder` is the stack's; `wait` asks `ready` until it is true."""
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self.pid_file = folder / "pids" / f"{name}.json"
        self._folder = folder
        self._command = list(command)
        self._ready = ready
        self._environment = {**os.environ, **(environment or {}), STACK: str(folder)}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process, or None."""
        if self._child:
            self._child.poll()  # or it stays a zombie
        with suppress(OSError, DocumentError):
            noted = SERVER_NOTE.load(self.pid_file.read_bytes(), str(self.pid_file))
            here = Processes().here().host  # whatever this machine is called now
            return noted.pid if Processes().alive(replace(noted, host=here)) else None
        return None

    @property
    def is_ready(self) -> bool:
        """Whether it runs and answers. One that a signal has stopped doesn't, though the system
        still accepts connections for it."""
        if (pid := self.pid) is None:
            return False
        with suppress(psutil.Error):  # it may end meanwhile
            return psutil.Process(pid).status() != psutil.STATUS_STOPPED and self._ready()
        return False

    def start(self) -> None:
        """Start it, if it doesn't run. `wait` says when it is ready. Raises StackError."""
        if self.pid is not None:
            return
        for path in (self.log, self.pid_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("ab") as log:
                self._child = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=self._environment, cwd=self._folder, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise StackError(f"{self.name} can't be started: {error}") from error
        self.pid_file.write_bytes(SERVER_NOTE.dump(Processes().child(self._child.pid)))

    def wait(self) -> None:
        """Return when it is ready. Raises StackError if it ends, or takes too long."""
        end = time.monotonic() + _PATIENCE
        while not self._ready():
            if self.pid is None:
                raise StackError(f"{self.name} has ended; its log is {self.log}")
            if time.monotonic() > end:
                raise StackError(f"{self.name} isn't ready after {_PATIENCE:.0f} s; "
                                 f"its log is {self.log}")  # fmt: skip
            time.sleep(_TICK)

    def stop(self) -> None:
        """End it and what it started, by force where it doesn't end by itself."""
        if (pid := self.pid) is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):  # the second for the rest of its group
                with suppress(ProcessLookupError):
                    os.killpg(pid, number)
                self._await_end()
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """kill -9, for this process alone: what it started lives on."""
        pid = self.pid
        if pid is None:
            raise StackError(f"{self.name} doesn't run")
        os.kill(pid, signal.SIGKILL)
        self._await_end()

    def _await_end(self) -> None:
        end = time.monotonic() + _GRACE
        while self.pid is not None and time.monotonic() < end:
            time.sleep(_TICK)


class Component(ABC):
    """Servers under one name."""

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]  # what each port is for; clients use the first one
    needs: ClassVar[tuple[str, ...]] = ()  # components that are started with it

    def __init__(self, stack: Path) -> None:
        """`stack` is the folder of all components."""
        self.stack = stack
        self.folder = stack / self.name

    @cached_property
    def port(self) -> dict[str, int]:
        """The number of each port, chosen when it is first asked for. Raises StackError."""
        noted = noted_ports(self.stack)
        if set(noted.get(self.name, {})) != set(self.ports):
            noted[self.name] = dict(zip(self.ports, free_ports(len(self.ports)), strict=True))
            self.stack.mkdir(parents=True, exist_ok=True)
            new = self.stack / "stack.json.new"
            new.write_bytes(STACK_NOTE.dump(StackNote(noted)))
            new.replace(self.stack / "stack.json")
        return noted[self.name]

    def address(self, port: str) -> str:
        """host:port of one of its ports."""
        return f"{LOOPBACK}:{self.port[port]}"

    def endpoint(self) -> str:
        """Where clients reach it."""
        return self.address(self.ports[0])

    @cached_property
    def processes(self) -> list[ServerProcess]:
        """Its processes in the order in which they start."""
        return self.servers()

    @abstractmethod
    def servers(self) -> list[ServerProcess]:
        """Make its processes; nothing is started here."""

    @staticmethod
    def missing() -> str:
        """The name of what it runs on and this machine doesn't have yet, or ""."""
        return ""

    @staticmethod
    def install() -> None:
        """Fetch or build what is missing, which may take minutes. Raises ProgramFailed."""
        return

    def configure(self) -> None:
        """Write its settings and prepare its data folder. Doing it again keeps the data."""
        return

    def process(self, name: str) -> ServerProcess:
        """One of its processes by name."""
        return next(process for process in self.processes if process.name == name)

    @property
    def is_ready(self) -> bool:
        """Whether all of it runs and answers."""
        return all(process.is_ready for process in self.processes)

    def start(self) -> None:
        """Start what doesn't run and wait until all is ready. Raises ProgramFailed, StackError."""
        if self.missing():
            self.install()
        self.configure()
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait()

    def stop(self) -> None:
        """End all of it, last started first."""
        for process in reversed(self.processes):
            process.stop()
