"""The options that a job on Flink gets, and where it runs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from runners import flink
from runners.flink_rest import FlinkError
from runners.jars import FOLDER, JarMissing, jar


@pytest.fixture(autouse=True)
def jars(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("jars")
    for name in ("flink-job-server", "kafka-expansion"):
        (folder / f"{name}-1.jar").touch()
    monkeypatch.setenv(FOLDER, str(folder))
    monkeypatch.delenv(flink.ADDRESS, raising=False)
    monkeypatch.delenv(flink.POOL, raising=False)


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
    assert given["job_name"] == "el x"
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
    with pytest.raises(JarMissing, match=r"el jars build.*EL_JARS"):
        jar("kafka-expansion")


class _Cluster(BaseHTTPRequestHandler):
    """A cluster whose job is cancelled, and never ends."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        job = {"jid": "a1", "name": "el import g", "state": "CANCELLING", "start-time": 0,
               "tasks": {"running": 1, "total": 1}}  # fmt: skip
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"jobs": [job]}).encode())

    do_PATCH = do_GET  # noqa: N815  as http.server calls it

    def log_message(self, *_: object) -> None:
        pass


def test_a_job_that_does_not_end_is_not_waited_for_ever() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Cluster) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = [f"--flink_master=127.0.0.1:{server.server_port}"]
        with pytest.raises(FlinkError, match=r"a1 \(el import g\) .* has not ended after 0 s: see"):
            flink.cancel(at, "el import g", patience=0.3)
        flink.cancel(at, "another", patience=0.3)
        server.shutdown()
    assert "/jobs/a1?mode=cancel" in _Cluster.asked
