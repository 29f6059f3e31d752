"""The graph on Spark, bounded: inside the job server, and on a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import apache_beam as beam
import psutil
import pytest

from el_beam.config.run_config import RunConfig
from graph_suite import FACTS_OF_THE_GRAPH, GraphSuite
from runners import spark
from runners.local_stack import Stack
from traffic.job import wait_for


@pytest.mark.xdist_group("spark")  # for one job server
class TestSpark(GraphSuite):
    """Spark with two threads inside the job server, two processes of ours as workers."""

    workers = 2
    runner = "spark"
    shown_elsewhere: ClassVar = FACTS_OF_THE_GRAPH

    @pytest.fixture(autouse=True)
    def _nowhere_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(spark.ADDRESS, raising=False)
        monkeypatch.delenv(spark.POOL, raising=False)

    def where(self) -> tuple[str, ...]:
        return ()

    def config(self, source: str, *sinks: str, **options: Any) -> RunConfig:
        return super().config(source, *sinks, beam=self.where(), **options)

    def test_two_processes_share_the_work(self, tmp_path: Path) -> None:
        options = spark.options(self.workers, self.where())
        with beam.Pipeline(spark.RUNNER, options=options) as pipeline:
            (
                pipeline
                | beam.Create(range(40))
                | beam.Reshuffle()
                | beam.Map(lambda _: Path(tmp_path, str(os.getpid())).touch())
            )
        pids = {int(path.name) for path in tmp_path.iterdir()}
        assert len(pids) == 2
        assert os.getpid() not in pids


class TestSparkStandalone(TestSpark):
    """A cluster with a Worker of two cores, and a pool of workers.

    Splits and names don't depend on where Spark's threads are: TestSpark has shown them."""

    shown_elsewhere: ClassVar = FACTS_OF_THE_GRAPH | {
        "test_the_same_input_gives_the_same_files", "test_running_it_again_changes_nothing",
        "test_no_lines_are_no_trouble", "test_other_content_under_the_same_name_is_refused",
        "test_what_a_worker_raises_comes_home",
    }  # fmt: skip

    @pytest.fixture(autouse=True)
    def _cluster(self, stack: Stack, spark_cluster: str) -> None:
        self.stack, self.master = stack, spark_cluster

    def where(self) -> tuple[str, ...]:
        return (
            f"--spark_master_url={self.master}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.stack.workers.endpoint()}",
        )


def test_nothing_outlives_a_killed_submitter(log: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "el_beam.cli", "run", f"file:{log}?split=1000",
            f"jsonl:{tmp_path}/out", "--runner=spark", "--workers=2"]  # fmt: skip
    clean = {name: value for name, value in os.environ.items()
             if name not in (spark.ADDRESS, spark.POOL)}  # fmt: skip
    submitter = subprocess.Popen(call, env={**clean, "TMPDIR": str(tmp_path)})
    wait_for(lambda: any(path.is_file() for path in tmp_path.glob("out/**/*")), 60)
    started = psutil.Process(submitter.pid).children(recursive=True)
    assert len(started) > 2
    submitter.kill()
    submitter.wait()
    assert not psutil.wait_procs(started, timeout=30)[1]
    assert not list(tmp_path.glob("**/el-jvm-*"))
