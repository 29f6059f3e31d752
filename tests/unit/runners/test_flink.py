"""The options that a job on Flink gets, and where it runs."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from fake_flink import FakeFlink, fake_flink

from el_beam.books.state.state import Attempt, State
from el_beam.job import Execution
from el_beam.running.increments.jobs import ImportJobs
from runners import flink
from runners.flink_rest import FlinkAway, FlinkError
from runners.jars import FOLDER, JarMissing, jar


@pytest.fixture(autouse=True)
def jars(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("jars")
    for name in ("flink-job-server", "kafka-expansion"):
        (folder / f"{name}-2.jar").touch()
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.delenv(flink.ADDRESS, raising=False)
    monkeypatch.delenv(flink.POOL, raising=False)


@pytest.fixture
def at() -> Iterator[FakeFlink]:
    with fake_flink() as cluster:
        yield cluster


def flags(options: PipelineOptions) -> dict[str, str]:
    told = [flag.removeprefix("--").partition("=") for flag in options._flags]
    return {name: value for name, _, value in told}


def test_as_many_workers_as_slots() -> None:
    given = flags(flink.options(3))
    assert given["parallelism"] == given["sdk_worker_parallelism"] == "3"


def test_a_continuous_job_is_safe_by_default() -> None:
    given = flags(flink.options(1, name="el x", streaming=True, savepoint="file:///s"))
    assert int(given["checkpointing_interval"]) > 0
    assert "finish_bundle_before_checkpointing" in given
    assert int(given["number_of_execution_retries"]) > 1_000_000
    assert "retain_externalized_checkpoints_on_cancellation" in given
    assert str(given["job_name"]).startswith("el x ")
    assert given["savepoint_path"] == "file:///s"


def test_a_bounded_job_has_none_of_it() -> None:
    given = flags(flink.options(1))
    assert not {"streaming", "checkpointing_interval", "savepoint_path"} & set(given)


@pytest.mark.parametrize(
    "more", [["--checkpointing_interval=7"], ["--checkpointing_interval", "7"]]
)
def test_what_is_given_wins(more: list[str]) -> None:
    options = flink.options(1, more, streaming=True)
    assert sum("checkpointing_interval" in flag for flag in options._flags) == 1
    assert flink.value_of(more, "checkpointing_interval") == "7"


def test_value_of() -> None:
    assert flink.value_of(["--a=1", "--b", "--a", "2"], "a") == "2"
    assert flink.value_of(["--a=1", "--b"], "b") == ""
    assert flink.value_of(["--a=1"], "c") is None


def test_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flink.cluster() is None
    assert flink.pool() is None
    assert flags(flink.options(1))["environment_type"] == "LOOPBACK"
    monkeypatch.setenv(flink.ADDRESS, "f:1")
    monkeypatch.setenv(flink.POOL, "w:2")
    found = flink.cluster()
    assert found is not None
    assert found.address == "f:1"
    assert flink.pool() == "w:2"
    given = flags(flink.options(1))
    assert (given["flink_master"], given["environment_config"]) == ("f:1", "w:2")
    assert flink.cluster(["--flink_master=[local]"]) is None
    assert flink.pool(["--environment_type=LOOPBACK"]) is None
    assert flink.pool(["--environment_config=x:3"]) == "x:3"


def test_flink_in_the_job_server_listens_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Path(flags(flink.options(1))["flink_conf_dir"], "config.yaml").read_text("utf-8")
    for key in ("jobmanager.bind-host", "taskmanager.bind-host", "rest.bind-address"):
        assert f"{key}: 127.0.0.1" in settings.splitlines()
    assert flags(flink.options(1, ["--flink_conf_dir=/own"]))["flink_conf_dir"] == "/own"
    assert "flink_conf_dir" not in flags(flink.options(1, ["--flink_master=f:1"]))
    monkeypatch.setenv(flink.ADDRESS, "f:1")
    assert "flink_conf_dir" not in flags(flink.options(1))
    assert "flink_conf_dir" in flags(flink.options(1, ["--flink_master=[local]"]))


def test_a_missing_jar_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, "/nowhere")
    with pytest.raises(JarMissing, match=r"EL_JARS.*el jars build --to DIR"):
        jar("kafka-expansion")


def test_a_job_that_does_not_end_is_not_waited_for_ever(at: FakeFlink) -> None:
    at.begin("a1", "el import g")
    at.hangs = True
    more = [f"--flink_master={at.address}"]
    with pytest.raises(FlinkError, match=r"a1 \(el import g\) .* has not ended after 0 s: see"):
        flink.cancel(more, "el import g", patience=0.3)
    assert flink.cancel(more, "another", patience=0.3) == []
    assert at.states == {"a1": "CANCELLING"}


def test_an_import_ends_its_own_jobs_alone(at: FakeFlink, tmp_path: Path) -> None:
    """Not those of another import of the group, nor of a copy of its state."""
    own, other = State(f"{tmp_path}/own"), State(f"{tmp_path}/other")
    other.id()
    jobs = _jobs(at, own)
    names = [name for attempt in (Attempt(1, 1), Attempt(1, 2)) for name in _names(jobs, attempt)]
    copytree(own.path, f"{tmp_path}/copy")
    strangers = [_jobs(at, each) for each in (other, State(f"{tmp_path}/copy"))]
    names += [name for each in strangers for name in _names(each, Attempt(1, 1))]
    for number, name in enumerate([*names, "el import g", "el g"]):
        at.begin(str(number), name)
    at.states["0"] = "FINISHED"
    (note,) = jobs.end_left()
    assert note.startswith("the job 1 of an earlier attempt was still under way")
    assert [*at.states.values()] == ["FINISHED", "CANCELED", *4 * ["RUNNING"]]
    assert strangers[1].end_left() and at.states["3"] == "CANCELED"
    assert all(name.startswith(f"el import g {own.id()[:16]}-") for name in names[:2])


def _jobs(at: FakeFlink, state: State) -> ImportJobs:
    execution = Execution("flink", 1, (f"--flink_master={at.address}", "--job_name=theirs"))
    return ImportJobs(execution, "g", state)


def _names(jobs: ImportJobs, attempt: Attempt) -> list[str]:
    options = flink.options(1, jobs.named(attempt).beam)
    return [str(options.get_all_options()["job_name"])]


class _JobServerDies(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


def test_a_bounded_job_that_nobody_waits_for_is_ended(at: FakeFlink) -> None:
    """Though it comes to the cluster only when the job server is dead."""
    options = flink.options(1, [f"--flink_master=http://{at.address}"])
    name = str(options.get_all_options()["job_name"])
    at.begin("old", "el run another")
    threading.Timer(0.5, at.begin, ("new", name)).start()
    told = flink.end_failed(options, _JobServerDies())
    assert told == "; the job that Flink still had (new) was cancelled"
    assert at.states == {"old": "RUNNING", "new": "CANCELED"}
    assert flink.end_failed(options, RuntimeError()) == ""


def test_a_job_is_called_as_nobody_elses() -> None:
    """A name that is given for Beam is a part of it; that of a continuous job is its group's."""
    given = ["--job_name=mine", "--flink_master=f:1"]
    names = [str(flink.options(1, given).get_all_options()["job_name"]) for _ in range(2)]
    assert names[0] != names[1] and all(name.startswith("mine ") for name in names)
    stream = flink.options(1, given, name="el g", streaming=True)
    assert re.fullmatch("el g [0-9a-f]{32}", str(stream.get_all_options()["job_name"]))


@pytest.mark.parametrize("comes", [0.0, 0.5])
def test_an_interrupted_job_is_ended(at: FakeFlink, comes: float) -> None:
    """Also one that comes to the cluster when its driver is at its end; of others, that are done or
    run inside the job server, nothing is asked."""
    done, ours, local = (flink.options(1, [f"--flink_master={where}"])
                         for where in (at.address, at.address, "[local]"))  # fmt: skip
    names = [str(each.get_all_options()["job_name"]) for each in (done, ours)]
    told: list[str] = []
    with flink.awaited(done):
        at.begin("done", names[0])
    with flink.awaited(local):
        assert flink.abandon(told.append) == "" == "".join(told)
    with flink.awaited(ours):
        threading.Timer(comes, at.begin, ("new", names[1])).start()
        assert flink.abandon(told.append) == "; the job that Flink still had (new) was cancelled"
        assert flink.abandon(told.append) == "", "it is under way already"
    assert at.states == {"done": "RUNNING", "new": "CANCELED"}
    assert len(told) == 1


def test_a_job_is_ended_where_ctrl_c_is_an_exception(at: FakeFlink) -> None:
    """As in a notebook."""
    options = flink.options(1, [f"--flink_master={at.address}"])
    at.begin("new", str(options.get_all_options()["job_name"]))
    with pytest.raises(KeyboardInterrupt), flink.awaited(options):
        raise KeyboardInterrupt
    assert at.states == {"new": "CANCELED"}


def test_a_job_manager_that_dies_as_it_answers_is_away(at: FakeFlink) -> None:
    at.dies = True
    with pytest.raises(FlinkAway, match="no Flink answers at"):
        at.cluster.jobs()


def test_whether_a_job_is_left_may_be_unknown() -> None:
    options = flink.options(1, ["--flink_master=127.0.0.1:1"])
    assert "; look whether Flink still has its job (el run " in flink.end_failed(
        options, RuntimeError()
    )
    assert flink.end_failed(flink.options(1), RuntimeError()) == ""
