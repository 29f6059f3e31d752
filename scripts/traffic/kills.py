"""Kills: kill -9 of one part of a running stack, and what brings it back."""

import random
import time
from collections.abc import Callable

import psutil

from runners.local_stack import Stack
from runners.orphans import members


def _workers(stack: Stack) -> list[psutil.Process]:
    """The Python workers, which the pool started, or a pool before it."""
    return [
        process
        for process in members(str(stack.folder))
        if any("runners.worker_pool import work" in each for each in process.cmdline())
    ]


def _kill_worker(stack: Stack, rng: random.Random) -> None:
    rng.choice(_workers(stack)).kill()


def kill_server(component: str, name: str) -> Callable[[Stack, random.Random], None]:
    """Kills a server of a component, and starts it again a little later."""

    def kill(stack: Stack, rng: random.Random) -> None:
        server = stack.component(component).process(name)
        server.kill()
        time.sleep(rng.uniform(0.5, 3))
        server.start()
        server.wait()

    return kill


KILLS: dict[str, Callable[[Stack, random.Random], None]] = {
    "a worker": _kill_worker,
    "the worker pool": kill_server("workers", "workers"),
    "the TaskManager": kill_server("flink", "taskmanager"),
    "the JobManager": kill_server("flink", "jobmanager"),
    "the broker": kill_server("kafka", "kafka"),
}
