"""Component: a server of the stack, or several that only make sense together."""

import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from runners.local_stack.process import ServerProcess

LOOPBACK = "127.0.0.1"
_PORTS = (15_000, 32_000)


class Component(ABC):
    """Servers under one name. Their data, settings and logs are below the stack's folder."""

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]  # what each port is for
    needs: ClassVar[tuple[str, ...]] = ()  # components that are started with it

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self.folder = folder / self.name
        self.port = ports
        self.processes = self.servers(folder)

    @abstractmethod
    def servers(self, folder: Path) -> list[ServerProcess]:
        """Its processes in the order in which they start; nothing is started here."""

    @abstractmethod
    def endpoint(self) -> str:
        """Where clients reach it."""

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

    @property
    def ails(self) -> bool:
        """Whether a part of it should run, and doesn't run or doesn't answer."""
        return any(each.was_started and not each.is_ready for each in self.processes)

    def restore(self) -> None:
        """Bring back what was killed or stopped by a signal. Raises StackError."""
        for process in self.processes:
            process.resume()
        if self.ails:
            self.stop()
            self.start()

    def stop(self) -> None:
        """End all of it, last started first."""
        for process in reversed(self.processes):
            process.stop()


def listens(port: int) -> bool:
    """Whether a server answers on this port of this machine."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, different from each other.

    They are below those that outgoing connections take: a killed server finds its own free again.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            found += [port] if port not in found else []
    return found
