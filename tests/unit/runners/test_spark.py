"""The options that a job on Spark gets, and the job server: it is there while we are."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from apache_beam.options.pipeline_options import (
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
)

from runners import jars, spark
from runners.jars import JarMissing

# Answers at the port of a job server, and does nothing else.
JAVA = f"""\
#!{sys.executable}
import sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
(port,) = [word.partition("=")[2] for word in sys.argv if word.startswith("--job-port=")]
server = grpc.server(ThreadPoolExecutor(1))
server.add_insecure_port(f"127.0.0.1:{{port}}")
server.start()
time.sleep(600)
"""
SUBMITTER = """
import sys
from runners import spark
server = spark._JobServer("local[1]", 1, sys.argv[1], ())
server.start()
print(server._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("spark-job-server", "jars"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "loopback-2.jar").touch()
    monkeypatch.setenv(jars.FOLDER, str(tmp_path))
    monkeypatch.setenv(jars.SPARK_HOME, str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv(spark.ADDRESS, raising=False)
    monkeypatch.delenv(spark.POOL, raising=False)


@pytest.fixture
def java(tmp_path: Path) -> str:
    path = tmp_path / "java"
    path.write_text(JAVA)
    path.chmod(0o755)
    return str(path)


def where(options: PipelineOptions) -> tuple[str, str, str | None, int]:
    portable = options.view_as(PortableOptions)
    return (
        options.view_as(SparkRunnerOptions).spark_master_url,
        portable.environment_type,
        portable.environment_config,
        int(portable.sdk_worker_parallelism),
    )


def test_as_many_workers_as_slots() -> None:
    assert where(spark.options(3)) == ("local[3]", "LOOPBACK", None, 3)


def test_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spark.ADDRESS, "spark://s:1")
    monkeypatch.setenv(spark.POOL, "w:2")
    assert where(spark.options(2)) == ("spark://s:1", "EXTERNAL", "w:2", 2)
    more = ["--spark_master_url", "local", "--environment_config=x:3"]
    assert where(spark.options(1, more)) == ("local", "EXTERNAL", "x:3", 1)


def test_missing_jars_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jars.SPARK_HOME, "/nowhere")
    with pytest.raises(JarMissing, match=r"/nowhere/jars: set SPARK_HOME .*el stack up spark"):
        spark.options(1)
    monkeypatch.setenv(jars.FOLDER, "/nowhere")
    with pytest.raises(
        JarMissing, match=r"/nowhere/spark-job-server: EL_JARS must name a .*el jars build --to"
    ):
        spark.options(1)


def test_a_job_server_for_each_way_to_run(java: str) -> None:
    def asked(master: str, slots: int, *more: str) -> object:
        given = [f"--spark_master_url={master}", f"--job_server_java_launcher={java}", *more]
        return spark.SparkRunner().default_job_server(spark.options(slots, given))

    one = asked("local[2]", 2)
    assert asked("local[2]", 2) is one
    assert asked("local[2]", 2, "--job_server_jvm_properties=-Xmx3g") is not one
    assert asked("spark://s:1", 2) is not one
    assert spark.options(1, ["--job_server_jvm_properties=-Dx"]).view_as(
        JobServerOptions
    ).job_server_jvm_properties == ["-Dx"]


def test_a_job_server_stays(java: str, tmp_path: Path) -> None:
    server = spark._JobServer("local[1]", 1, java, ())
    try:
        server.start()
        first = server._process
        assert first
        server.start()
        assert server._process is first
        (folder,) = tmp_path.glob("el-jvm-*")
        first.kill()
        first.wait()
        server.start()
        assert server._process is not first  # one that died is replaced
    finally:
        server.stop()
    _wait_until_gone(folder)
    assert server._process is None


def test_a_job_server_that_does_not_start() -> None:
    for java, error, told in (
        ("false", RuntimeError, "the job server has ended as soon as it was"),
        ("no-java", JarMissing, "there is no no-java here: the job server needs Java 17"),
    ):
        server = spark._JobServer("local[1]", 1, java, ())
        with pytest.raises(error, match=told):
            server.start()
        server.stop()


def test_a_master_that_is_away(java: str) -> None:
    for master in ("spark://127.0.0.1:9", "spark://127.0.0.1:9,127.0.0.1:10", "spark://nonsense"):
        server = spark._JobServer(master, 1, java, ())
        with pytest.raises(spark.SparkAway, match=f"no Spark master answers at {master}"):
            server.start()


def test_a_job_server_ends_with_a_killed_submitter(java: str, tmp_path: Path) -> None:
    submitter = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, java], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert submitter.stdout
    server = psutil.Process(int(submitter.stdout.readline()))
    (folder,) = tmp_path.glob("el-jvm-*")
    submitter.kill()
    server.wait(5)
    _wait_until_gone(folder)
    submitter.wait()


def _wait_until_gone(path: Path) -> None:
    end = time.monotonic() + 5
    while path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
