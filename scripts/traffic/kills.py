"""What can happen to a job and its servers: kill -9 of a worker, a driver or a server of the stack
and what brings it back, a table that is locked, a full disk."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil

from runners.local_stack import Stack
from runners.orphans import members
from traffic.consuming import Consuming, Run
from traffic.importing import Importing
from traffic.started import Started

Kill = Callable[[Stack, random.Random], None]
ImportKill = Callable[[Importing, Started, random.Random], None]


def _kill_worker(stack: Stack, rng: random.Random) -> None:
    """A Python worker, which the pool started, or a pool before it."""
    workers = [
        process
        for process in members(str(stack.folder))
        if any("runners.worker_pool import work" in each for each in process.cmdline())
    ]
    rng.choice(workers).kill()


def _kill_server(component: str, name: str) -> Kill:
    """Kills a server of a component, and starts it again a little later."""

    def kill(stack: Stack, rng: random.Random) -> None:
        server = stack.component(component).process(name)
        server.kill()
        time.sleep(rng.uniform(0.5, 3))
        server.start()
        server.wait()

    return kill


KILLS: dict[str, Kill] = {
    "a worker": _kill_worker,
    "the worker pool": _kill_server("workers", "workers"),
    "the TaskManager": _kill_server("flink", "taskmanager"),
    "the JobManager": _kill_server("flink", "jobmanager"),
    "the broker": _kill_server("kafka", "kafka"),
}
"""Ends a part that a continuous job needs, by its name."""


def _kill_driver(_: Importing, run: Started, __: random.Random) -> None:
    """The driver alone: what it has started is left to itself."""
    run.kill()
    run.wait()


def _kill_fork(_: Importing, run: Started, rng: random.Random) -> None:
    """A Python worker of the driver's, as soon as there is one."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if workers := forks(psutil.Process(run.pid)):
            rng.choice(workers).kill()
            return
        time.sleep(0.01)
    raise AssertionError("no worker was seen")


def forks(driver: psutil.Process) -> list[psutil.Process]:
    """The Python workers that a driver has now."""
    servers = [
        each for each in driver.children() if "runners.forkserver" in " ".join(each.cmdline())
    ]
    return [worker for server in servers for worker in server.children()]


def _kill_beside(component: str, name: str) -> ImportKill:
    kill = _kill_server(component, name)
    return lambda job, _, rng: kill(job.stack, rng)


IMPORT_KILLS: dict[str, ImportKill] = {
    "the driver": _kill_driver,
    "a worker": _kill_fork,
    "the DataNode": _kill_beside("hdfs", "datanode"),
    "the NameNode": _kill_beside("hdfs", "namenode"),
    "the broker": _kill_beside("kafka", "kafka"),
    "Spark's Worker": _kill_beside("spark", "spark-worker"),
}
"""Ends a part that an import needs, by its name."""
KILLED = ("consumer", "server", "both")


def kill(dies: str, run: Run, stack: Stack, rng: random.Random) -> None:
    """kill -9 of the consumer, of MariaDB or of both (KILLED); they are started again a little
    later."""
    server = stack.mariadb.process("mariadb")
    if dies != "consumer":
        server.kill()
    if dies != "server":
        run.kill()
    time.sleep(rng.uniform(0, 2))
    if dies != "consumer":
        server.start()
        server.wait()
    if dies != "server":
        run.start()


@contextmanager
def locked(job: Consuming, table: str) -> Iterator[None]:
    """Somebody has locked a table while the block runs."""
    with closing(job.database.connect()) as holder:
        holder.cursor().execute(f"LOCK TABLES {table} WRITE")
        yield
        holder.cursor().execute("UNLOCK TABLES")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A folder is a disk of its own while the block runs, empty at first. Only root may do this.
    Who has files open there afterwards keeps them; nobody else finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path, leave: int) -> Iterator[None]:
    """A disk has at most so many bytes left while the block runs."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb") as file:
            while (room := _room(disk) - leave) > 0:  # others write there meanwhile
                with suppress(OSError):
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, room)
        yield
    finally:
        ballast.unlink(missing_ok=True)


def _room(disk: Path) -> int:
    about = os.statvfs(disk)
    return about.f_bavail * about.f_frsize
