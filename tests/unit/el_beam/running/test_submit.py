"""Submitting a continuous job: whatever ends that, Flink has no job that people don't know of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineRunner
from fake_flink import FakeFlink, fake_flink
from run_configs import run_config

from el_beam.config.assemble import assemble
from el_beam.job import Execution, Job
from el_beam.running.failures import JobFailed
from el_beam.running.streaming.submit import Stream, submit
from runners import flink
from runners.flink_rest import FlinkJob
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.kafka import KafkaSource

NAME = f"el g {'0' * 32}"


class Died(grpc.RpcError):
    """As gRPC says that nobody answers."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


class Refused(grpc.RpcError):
    """As the job server says that it can't run a job."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFlink]:
    monkeypatch.setattr(flink, "SETTLES", 1.5)
    monkeypatch.setattr(flink, "options", lambda *_, **__: PipelineOptions(job_name=NAME))
    with fake_flink() as cluster:
        cluster.begin("older", "el another")
        yield cluster


@pytest.fixture
def submitted(
    at: FakeFlink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], Any]], FlinkJob]:
    """Submits a job to a runner that does this."""
    (tmp_path / "log").touch()
    config = run_config(source=f"file:{tmp_path}/log", sinks=("stdout:",))
    job: Job = assemble(config, str(tmp_path))[0]
    source = KafkaSource(KafkaCluster("localhost:1"), ("raw",), "g", "kafka://localhost:1/")
    stream = Stream(job, source, "el g", at.cluster, ())

    def begin(run: Callable[[], Any], savepoint: str | None = None) -> FlinkJob:
        class Runner(PipelineRunner):
            def run_pipeline(self, *_: object) -> Any:
                return run()

        monkeypatch.setattr(flink, "RUNNER", Runner())
        return submit(stream, Execution("flink"), savepoint)

    return begin


class Result:
    """Of a job server that has died."""

    @property
    def state(self) -> str:
        raise Died


def test_the_job_server_dies_once_flink_has_the_job(at: FakeFlink, submitted: Any) -> None:
    """Nobody needs it any more."""

    def run() -> Result:
        threading.Timer(0.7, at.begin, ("new", NAME, "INITIALIZING")).start()
        threading.Timer(3.0, at.begin, ("new", NAME)).start()
        return Result()

    assert submitted(run).id == "new"


def test_the_job_server_dies_as_it_takes_the_job(at: FakeFlink, submitted: Any) -> None:
    def run() -> None:
        at.begin("new", NAME)
        raise Died

    assert submitted(run).id == "new"


def test_the_job_server_dies_before(submitted: Any) -> None:
    def run() -> None:
        raise Died

    with pytest.raises(JobFailed, match="died before Flink had the job; start the same command"):
        submitted(run)


def test_a_job_that_is_refused(submitted: Any) -> None:
    def run() -> None:
        raise Refused("no such option")

    with pytest.raises(JobFailed) as caught:
        submitted(run)
    assert "no such option" in caught.value.details


def test_a_savepoint_that_only_flink_can_read(at: FakeFlink, submitted: Any) -> None:
    """What Flink proposes, to leave its state out, isn't ours to do."""
    at.failure = (
        "o.a.f.JobInitializationException: Could not start the JobMaster.\n\tat o.a.f.X\n"
        "Caused by: java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint "
        "hdfs://n/s. Cannot map checkpoint/savepoint state for operator 7f2f1597b708 to the new "
        "program, because the operator is not available in the new program. If you want to allow "
        "to skip this, you can set the --allowNonRestoredState option on the CLI.\n\tat o.a.f.Y"
    )

    def run() -> Result:
        at.begin("new", NAME, "FAILED")
        return Result()

    with pytest.raises(JobFailed, match=r"^the savepoint hdfs://n/s is of .* group g, and no line"):
        submitted(run, "hdfs://n/s")


@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_ctrl_c_while_it_is_on_its_way(at: FakeFlink, submitted: Any, seconds: float) -> None:
    """The request to Flink may still be under way when the job server is dead."""

    def run() -> None:
        threading.Timer(seconds, at.begin, ("new", NAME)).start()
        raise KeyboardInterrupt

    with pytest.raises(JobFailed, match=r"^interrupted; the job that Flink had \(new\) was canc"):
        submitted(run)
    assert at.states == {"older": "RUNNING", "new": "CANCELED"}


def test_ctrl_c_before(at: FakeFlink, submitted: Any) -> None:
    def run() -> None:
        raise KeyboardInterrupt

    with pytest.raises(JobFailed, match=r"^interrupted; Flink has not got the job"):
        submitted(run)
    assert at.states == {"older": "RUNNING"}


def test_ctrl_c_when_flink_has_it(
    at: FakeFlink, submitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the job server ends, which may take it some seconds; it is ended again then."""
    moments = iter([KeyboardInterrupt])

    def end() -> None:
        for error in moments:
            raise error

    def run() -> SimpleNamespace:
        at.begin("new", NAME)
        return SimpleNamespace(state="RUNNING")

    monkeypatch.setattr(flink, "end_job_servers", end)
    with pytest.raises(JobFailed, match=r"^interrupted; the job that Flink had \(new\) was canc"):
        submitted(run)
    assert at.states == {"older": "RUNNING", "new": "CANCELED"}


def test_ctrl_c_twice(at: FakeFlink, submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """People don't wait, but they know where to look."""

    def run() -> None:
        at.begin("new", NAME)
        raise KeyboardInterrupt

    monkeypatch.setattr(flink, "end_jobs", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(JobFailed, match=r"^interrupted; look whether Flink has the job \(el g"):
        submitted(run)


def test_a_job_that_flink_does_not_take(submitted: Any) -> None:
    with pytest.raises(JobFailed, match=r"^Flink didn't take the job"):
        submitted(lambda: SimpleNamespace(state="FAILED"))


@pytest.mark.parametrize(("started", "which"), [(1.0, "theirs"), (3.0, "new")])
def test_two_are_submitted_at_once(
    at: FakeFlink, submitted: Any, started: float, which: str
) -> None:
    """The one that came first stays, and nobody takes it for the other."""

    def run() -> SimpleNamespace:
        at.begin("theirs", f"el g {'1' * 32}", started=started)
        at.begin("new", NAME, started=2.0)
        return SimpleNamespace(state="RUNNING")

    if which == "new":
        assert submitted(run).id == "new"
        assert at.states == dict.fromkeys(at.names, "RUNNING")
        return
    told = r"^another el run has just submitted .* \(theirs\); the job that Flink had \(new\) was c"
    with pytest.raises(JobFailed, match=told):
        submitted(run)
    assert at.states == {"older": "RUNNING", "theirs": "RUNNING", "new": "CANCELED"}
