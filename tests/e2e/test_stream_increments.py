"""Bounded jobs on a Flink cluster outlive their driver: it cancels them if it is interrupted, the
next one if it was killed."""

import gzip
import signal
import time
from pathlib import Path

import psutil
from jobs_here import ImportingHere

from runners.flink_rest import FlinkCluster
from runners.local_stack import Stack
from traffic.started import ROOT, start

OPTIONS = ("--runner", "flink", "--workers", "2")


def test_flink(servers: Stack, tmp_path: Path) -> None:
    job = ImportingHere(servers, "on-flink", str(tmp_path))
    job.environment = {
        "FLINK": servers.flink.endpoint(), "WORKERS": servers.workers.endpoint(),
    }  # fmt: skip
    cluster = FlinkCluster(servers.flink.endpoint())

    def running() -> list[str]:
        return [each.id for each in cluster.jobs() if each.name.startswith("el import on-flink ")
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
    with job.start("--once", *OPTIONS) as run:  # which ends that job, and begins one of its own
        while running() in ([left], []):
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.05)
        (mine,) = running()
        for each in psutil.Process(run.pid).children(recursive=True):
            if each.name() == "java":
                each.kill()
        _, told = run.communicate(timeout=120)
    assert (run.returncode, running()) == (1, [])
    assert "the job server or a worker has died; start the same command again" in told
    assert f"the job that Flink still had ({mine}) was cancelled" in told
    assert {cluster.job(each).state for each in (left, mine)} == {"CANCELED"}
    job.once(*OPTIONS)
    assert job.check() == job.lines


def test_a_file_that_is_interrupted(servers: Stack, tmp_path: Path) -> None:
    cluster = FlinkCluster(servers.flink.endpoint())
    where = {"FLINK": cluster.address, "WORKERS": servers.workers.endpoint()}
    older = {each.id for each in cluster.jobs()}
    log = tmp_path / "a.log"
    log.write_bytes(gzip.decompress((ROOT / "examples/sample.log.gz").read_bytes()) * 10)
    with start("run", f"file:{log}", f"jsonl:{tmp_path}/j", *OPTIONS, env=where) as run:
        while not (new := [each for each in cluster.jobs() if each.id not in older]):
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.05)
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=60)
    (job,) = new
    assert (run.returncode, cluster.job(job.id).state) == (1, "CANCELED")
    assert f"interrupted; the job that Flink still had ({job.id}) was cancelled; start " in told
