"""Orphans: processes that outlive those who started them, and how they are found.

What we start ends by itself when we are gone, some of it only after a minute. All of it carries a
mark in its environment, which children inherit: who has started it.
"""

import os
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from runners.memory import FEW

STACK = "EL_STACK"  # the folder of the stack that a process belongs to
STARTER = "EL_STARTER"  # ProcessId.mark of the process that it belongs to
_GRACE = 5.0  # seconds


@dataclass(frozen=True)
class ProcessId:
    """A process, as another one knows it again.

    Its start is the kernel's count of ticks by then. What psutil calls its start is made of that
    count and of the clock, and moves when the clock is set."""

    host: str
    boot: str  # changes when the machine starts anew
    pid: int
    namespaces: str = ""  # in which the pid and the ticks count: containers have their own
    ticks: int = 0  # from the start of the machine to its own

    @property
    def mark(self) -> str:
        """What no other process of its machine is called."""
        return f"{self.namespaces} {self.pid} {self.ticks}"


class Processes:
    """The processes of this machine; tests and simulations pass others."""

    def here(self) -> ProcessId:
        """This process."""
        return _known(os.getpid(), "self")

    def child(self, pid: int) -> ProcessId:
        """One that this process has started, and not waited for yet."""
        return _known(pid, pid)

    def runs(self, pid: int, ticks: int) -> bool | None:
        """Whether that process of our own namespaces hasn't ended; None where we may not know."""
        return runs(pid, ticks)

    def alive(self, it: ProcessId) -> bool | None:
        """Whether a process runs; None where it can't be seen from here, or this user may not: it
        may live then."""
        here = self.here()
        evidence = it.host, it.boot, it.namespaces
        if not all((*evidence, it.ticks)) or evidence != (here.host, here.boot, here.namespaces):
            return None
        return self.runs(it.pid, it.ticks)

    def end_orphans(self, dead: Collection[ProcessId]) -> None:
        """End what these processes have started, and only that; it returns when it has ended."""
        end(orphans(dead))


def _known(pid: int, name: int | str) -> ProcessId:
    return ProcessId(socket.gethostname(), _boot(), pid, _namespaces(), _stat(name)[1])


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(psutil.boot_time())


def _namespaces() -> str:
    known = []
    for kind in ("pid", "time"):
        with suppress(OSError):  # older kernels have none of time
            known.append(str(Path(f"/proc/self/ns/{kind}").readlink()))
    return ",".join(known)


def environment(*, tied: bool = True) -> dict[str, str]:
    """The environment of a process that this one starts: the process can be known as its child,
    its libraries' warnings don't reach people, and glibc's malloc gives its threads few heaps.
    One that outlives this process on purpose (`tied` is False) has no mark: it must not be swept.

    By default each thread of a process, up to eight a core, has a heap of its own, which keeps what
    it once held: workers went on growing, from 0.5 to 0.9 GB in five million lines."""
    mark = {STARTER: Processes().here().mark} if tied else {}
    return {"MALLOC_ARENA_MAX": str(FEW), **os.environ, "PYTHONWARNINGS": "ignore", **mark}


def orphans(dead: Collection[ProcessId]) -> list[psutil.Process]:
    """Processes of this user that these have started, which have gone."""
    marks = {each.mark for each in dead}
    return [process for process, its in _marked(STARTER) if its[STARTER] in marks]


def members(stack: str) -> list[psutil.Process]:
    """Processes that belong to the stack in this folder, noted there or not."""
    return [process for process, its in _marked(STACK) if its[STACK] == stack]


def left_of_stacks() -> list[psutil.Process]:
    """Processes of any stack of this user that was started by one that is dead."""
    return [process for process, its in _marked(STACK) if _is_dead(its.get(STARTER, ""))]


def end(processes: list[psutil.Process]) -> None:
    """End processes, by force those that don't end by themselves."""
    for process in processes:
        with suppress(psutil.Error):  # gone by itself, or not ours
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=_GRACE)[1]:
        with suppress(psutil.Error):
            process.kill()


def runs(pid: int, ticks: int) -> bool | None:
    """Whether the process with this pid in our namespace, which began then, hasn't ended; None
    where this user may not know."""
    if str(Path("/proc/self").readlink()) != str(os.getpid()):
        return None  # this /proc shows the pids of another namespace
    try:
        state, started = _stat(pid)
    except PermissionError:
        return None
    except OSError:
        return None if _is_hidden(pid) else False
    return started == ticks and state not in "ZX"


def _stat(pid: int | str) -> tuple[str, int]:
    """(state, start in ticks) of a process: see proc(5). Its name, in brackets, may have any."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0].decode(), int(fields[19])


def _is_hidden(pid: int) -> bool:
    """Whether there is a process that /proc doesn't show to this user."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _marked(name: str) -> Iterator[tuple[psutil.Process, Mapping[str, str]]]:
    for process in psutil.process_iter():
        try:
            mine = process.uids().real == os.getuid() and process.pid != os.getpid()
            if mine and name in (its := process.environ()):
                yield process, its
        except (psutil.Error, OSError):
            continue


def _is_dead(mark: str) -> bool:
    with suppress(ValueError):
        namespaces, pid, ticks = mark.split()
        return namespaces == _namespaces() and runs(int(pid), int(ticks)) is False
    return False
