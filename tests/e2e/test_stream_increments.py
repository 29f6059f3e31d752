"""Increments on a Flink cluster: a job that outlived its driver is cancelled before its increment
is done again."""

import time
from pathlib import Path

from jobs_here import ImportingHere

from runners.flink_rest import FlinkCluster
from runners.local_stack import Stack

OPTIONS = ("--runner", "flink", "--workers", "2")


def test_flink(servers: Stack, tmp_path: Path) -> None:
    job = ImportingHere(servers, "on-flink", str(tmp_path))
    job.environment = {
        "FLINK": servers.flink.endpoint(), "WORKERS": servers.workers.endpoint(),
    }  # fmt: skip
    cluster = FlinkCluster(servers.flink.endpoint())

    def running() -> list[str]:
        return [each.id for each in cluster.jobs() if each.name == "el import on-flink"
                and not each.ended]  # fmt: skip

    job.put(5_000)
    with job.start("--once", *OPTIONS) as run:
        while not running():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.05)
        (left,) = running()
        run.kill()
        run.communicate()
    assert running() == [left], "the cluster does what it was given"
    job.once(*OPTIONS)
    assert cluster.job(left).state == "CANCELED"
    assert job.check() == job.lines
