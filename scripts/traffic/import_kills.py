"""kill -9 of what an import needs: its driver, a worker, a server of the stack."""

import random
import subprocess
import time
from collections.abc import Callable

import psutil

from traffic.importing import Importing
from traffic.kills import kill_server

Kill = Callable[[Importing, "subprocess.Popen[str]", random.Random], None]


def _driver(_: Importing, run: subprocess.Popen[str], __: random.Random) -> None:
    """The driver alone: what it has started is left to itself."""
    run.kill()
    run.wait()


def _worker(_: Importing, run: subprocess.Popen[str], rng: random.Random) -> None:
    """A Python worker of the driver's, as soon as there is one."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if workers := forks(psutil.Process(run.pid)):
            rng.choice(workers).kill()
            return
        time.sleep(0.01)
    raise AssertionError("no worker was seen")


def _server(component: str, name: str) -> Kill:
    kill = kill_server(component, name)
    return lambda job, _, rng: kill(job.stack, rng)


def forks(driver: psutil.Process) -> list[psutil.Process]:
    """The Python workers that a driver has now."""
    servers = [
        each for each in driver.children() if "runners.forkserver" in " ".join(each.cmdline())
    ]
    return [worker for server in servers for worker in server.children()]


IMPORT_KILLS: dict[str, Kill] = {
    "the driver": _driver,
    "a worker": _worker,
    "the DataNode": _server("hdfs", "datanode"),
    "the NameNode": _server("hdfs", "namenode"),
    "the broker": _server("kafka", "kafka"),
    "Spark's Worker": _server("spark", "spark-worker"),
}
