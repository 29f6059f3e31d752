"""What can happen to a consumer that writes tables: kills, a table that is locked, a full disk."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from runners.local_stack import Stack
from traffic.consuming import Consuming, Run

KILLED = ("consumer", "server", "both")


def kill(dies: str, run: Run, stack: Stack, rng: random.Random) -> None:
    """kill -9 of the consumer, of MariaDB or of both; they are started again a little later."""
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
    """A folder is a disk of its own while the block runs, empty at first. Only root may do this."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(disk: Path, leave: int) -> Iterator[None]:
    """A disk has only so many bytes left while the block runs."""
    ballast, about = disk / "ballast", os.statvfs(disk)
    with ballast.open("wb") as file, suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, about.f_bavail * about.f_frsize - leave)
    try:
        yield
    finally:
        ballast.unlink()
