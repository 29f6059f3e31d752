"""The worker pool: processes, and what becomes of them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from runners.worker_pool import WorkerPool
from traffic.job import wait_for


class Runner:
    """Somebody who listens where a runner would, and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def workers(self) -> list[psutil.Process]:
        """Processes that look for it."""
        living = (each for each in psutil.Process().children()
                  if each.status() != psutil.STATUS_ZOMBIE)  # fmt: skip
        return [each for each in living if self.address in each.cmdline()]


def asked(name: str, runner: Runner | None = None) -> Any:
    url = runner.address if runner else ""
    return SimpleNamespace(worker_id=name, control_endpoint=SimpleNamespace(url=url))


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with closing(WorkerPool()) as pool:
        yield pool


@pytest.fixture
def runner() -> Iterator[Runner]:
    with closing(Runner()) as runner:
        yield runner


def test_started_and_ended(pool: WorkerPool, runner: Runner) -> None:
    pool.StartWorker(asked("1-1", runner), None)
    assert len(runner.workers()) == 1
    pool.StopWorker(asked("1-1"), None)
    assert runner.workers() == []
    pool.StopWorker(asked("1-1"), None)  # again does no harm


def test_one_that_dies_before_it_has_begun_is_started_again(
    pool: WorkerPool, runner: Runner
) -> None:
    pool.StartWorker(asked("1-1", runner), None)
    for _ in range(2):
        (worker,) = runner.workers()
        worker.kill()
        worker.wait(10)
        wait_for(lambda: bool(runner.workers()), 10)
    (worker,) = runner.workers()
    runner.close()
    worker.kill()
    worker.wait(10)
    with pytest.raises(AssertionError):
        wait_for(lambda: bool(runner.workers()), 3)


def test_two_of_a_name_are_not_taken_for_each_other(pool: WorkerPool, runner: Runner) -> None:
    """Two executors number their workers alike: one that stops must not end the other's."""
    with closing(Runner()) as other:
        for each in (runner, other):
            pool.StartWorker(asked("1-1", each), None)
        pool.StopWorker(asked("1-1"), None)
        assert len(runner.workers()) == len(other.workers()) == 1
        other.close()
        for worker in other.workers():
            worker.kill()
            worker.wait(10)

    def stopped() -> bool:  # there is one left, and one of which the pool learns that it has gone
        pool.StopWorker(asked("1-1"), None)
        return runner.workers() == []

    wait_for(stopped, 10)


def test_tied_workers_end_with_their_pool(runner: Runner) -> None:
    code = (
        "import sys, time; from types import SimpleNamespace as N\n"
        "from runners.worker_pool import WorkerPool\n"
        "pool = WorkerPool(tied=True)\n"
        "pool.StartWorker(N(worker_id='1-1', control_endpoint=N(url=sys.argv[1])), None)\n"
        "print(next(iter(pool._workers['1-1'])).process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, runner.address], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        worker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    worker.wait(10)
