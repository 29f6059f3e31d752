"""Orphans: processes that outlive those who started them, and how they are found.

What we start ends by itself when we are gone, some of it only after a minute. All of it carries a
mark in its environment, which children inherit.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from runners.memory import FEW

STACK = "EL_STACK"  # the folder of the stack that a process belongs to
SUBMITTER = "EL_SUBMITTER"  # pid@start of the `el run` that a process belongs to
_GRACE = 5.0  # seconds


class Processes:
    """The processes of this machine; tests and simulations pass others."""

    def here(self) -> tuple[str, str, int, float]:
        """This process: its host, an id of the host's start, its pid, its start (unix s)."""
        return socket.gethostname(), _boot(), os.getpid(), psutil.Process().create_time()

    def alive(self, host: str, boot: str, pid: int, started: float) -> bool | None:
        """Whether that process runs; None where this host, or this user, can't tell."""
        if host != socket.gethostname():
            return None
        return runs(pid, started) if boot == _boot() else False

    def end_orphans(self) -> None:
        """End the processes whose submitter has gone; it returns when they have ended."""
        end(orphans())


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(psutil.boot_time())


def environment(*, tied: bool = True) -> dict[str, str]:
    """The environment of a process that this one starts: the process can be known as its child,
    its libraries' warnings don't reach people, and glibc's malloc gives its threads few heaps.
    One that outlives this process on purpose (`tied` is False) has no mark: it must not be swept.

    By default each thread of a process, up to eight a core, has a heap of its own, which keeps what
    it once held: workers went on growing, from 0.5 to 0.9 GB in five million lines."""
    me = psutil.Process()
    mark = {SUBMITTER: f"{me.pid}@{me.create_time()}"} if tied else {}
    return {"MALLOC_ARENA_MAX": str(FEW), **os.environ, "PYTHONWARNINGS": "ignore", **mark}


def orphans() -> list[psutil.Process]:
    """Processes of this user whose submitter has gone."""
    return [
        process
        for process, mark in _marked(SUBMITTER)
        if not _lives(mark) and process.pid != os.getpid()
    ]


def members(stack: str) -> list[psutil.Process]:
    """Processes that belong to the stack in this folder, noted there or not."""
    return [process for process, mark in _marked(STACK) if mark == stack]


def end(processes: list[psutil.Process]) -> None:
    """End processes, by force those that don't end by themselves."""
    for process in processes:
        with suppress(psutil.Error):  # gone by itself, or not ours
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=_GRACE)[1]:
        with suppress(psutil.Error):
            process.kill()


def runs(pid: int, started: float) -> bool | None:
    """Whether the process with this pid, which began then (unix s), hasn't ended; None where this
    user may not know."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return None
    except (psutil.Error, ValueError):
        return False


def _marked(name: str) -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter():
        try:
            if process.uids().real == os.getuid() and (mark := process.environ().get(name)):
                yield process, mark
        except (psutil.Error, OSError):
            continue


def _lives(mark: str) -> bool:
    pid, _, started = mark.partition("@")
    try:
        return runs(int(pid), float(started)) is not False
    except ValueError:
        return False
