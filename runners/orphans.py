"""Orphans: processes that outlive those who started them, and how they are found.

What we start ends by itself when we are gone, some of it only after a minute. All of it carries a
mark in its environment, which children inherit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psutil

STACK = "EL_STACK"  # the folder of the stack that a process belongs to
SUBMITTER = "EL_SUBMITTER"  # pid@start of the `el run` that a process belongs to
_GRACE = 5.0  # seconds


def mark_children() -> None:
    """From now on what this process starts can be known as its own."""
    me = psutil.Process()
    os.environ[SUBMITTER] = f"{me.pid}@{me.create_time()}"


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
        _try(process.terminate)
    for process in psutil.wait_procs(processes, timeout=_GRACE)[1]:
        _try(process.kill)


def _try(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.Error:
        return  # gone by itself, or not ours


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
        process = psutil.Process(int(pid))
        same = bool(process.create_time() == float(started))
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
