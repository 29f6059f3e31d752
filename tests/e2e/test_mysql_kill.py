"""The consumer of topics into tables while things die, lock or fill up: each event is a row once,
and tables that nothing is wrong with go on."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.local_stack import Stack
from traffic.consuming import TABLES, Consuming, Steady
from traffic.database import Database
from traffic.kills import KILLED, full, kill, locked, small_disk

SEED = int(os.environ.get("EL_SEED", "20261123"))
FEW = TABLES[:5]
RATE = 300  # events a second


@pytest.fixture
def job(kafka: str, mariadb: str, tmp_path: Path, request: pytest.FixtureRequest) -> Consuming:
    return Consuming(kafka, Database(mariadb, "killed"), request.node.name, tmp_path, FEW)


def test_kills_under_traffic(job: Consuming, stack: Stack) -> None:
    """kill -9 of the consumer and of MariaDB, at any moment; of both: scripts/soak mysql."""
    rng = random.Random(SEED)
    job.put(500)
    with job.running() as run:
        with Steady(job, RATE):
            job.wait_for(dict.fromkeys(FEW, 50))
            for dies in rng.sample(KILLED[:2], 2):
                time.sleep(rng.uniform(0, 2))
                before = job.counts()
                kill(dies, run, stack, rng)
                job.wait_for({table: number + 20 for table, number in before.items()})
        job.wait_for(dict(job.sent))
    assert job.check() > 1_000


def test_a_locked_table_holds_up_its_own_alone(job: Consuming) -> None:
    """The others go on while it is locked, and it catches up when it is free."""
    first, *others = FEW
    job.put(500)
    with job.running() as run:
        with Steady(job, RATE):
            job.wait_for(dict.fromkeys(FEW, 150))
            with locked(job, first):
                time.sleep(2)
                job.wait_for({table: job.sent[table] for table in others}, 60)
            sent = job.sent[first]
            job.wait_for({first: sent}, 60)
        job.wait_for(dict(job.sent))
        assert run.process.poll() is None
    job.check()


def test_a_full_disk(job: Consuming, stack: Stack) -> None:
    """What is there stays, and the rest comes when there is room again. MariaDB refuses rows, or
    gives up altogether when it can't roll back for want of room: each in words of its own."""
    disk, server = stack.mariadb.folder / "data" / "killed", stack.mariadb.process("mariadb")
    with small_disk(disk, "64m"):
        job.put(500)
        with job.running() as run:
            job.wait_for(dict(job.sent))
            with full(disk, leave=2 * 2**20):
                before = len(run.reports)
                job.put(15_000)
                wait_for(
                    lambda: (
                        server.pid is None or any(each["problems"] for each in run.reports[before:])
                    )
                )
            server.start()
            server.wait()
            job.wait_for(dict(job.sent), 60)
        job.check()
        job.database.ask(*(f"DROP TABLE {name}" for (name,) in job.database.ask("SHOW TABLES")))


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
