"""Servers of Beam's, each told a port that was free just before: another process may take it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import subprocess_server

from runners import flink, spark
from runners import job_server as launching
from runners.job_server import KafkaExpansion

# Answers at its port like a server of Beam's, and ends where the port is taken.
JAVA = f"""\
#!{sys.executable}
import re, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
port = re.search(r"(?:--job-port[ =]|[.]jar )(\\d+)", " ".join(sys.argv))[1]
server = grpc.server(ThreadPoolExecutor(1))
try:
    server.add_insecure_port(f"127.0.0.1:{{port}}")
except RuntimeError:
    sys.exit(0)  # as a job server does
server.start()
time.sleep(60)
"""


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for folder in ("bin", "spark-job-server", "jars"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "some.jar").touch()
    for jar in ("kafka-expansion-2.jar", "spark-job-server/loopback-2.jar"):
        (tmp_path / jar).touch()
    monkeypatch.setenv("EL_JARS", str(tmp_path))
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    path = tmp_path / "bin" / "java"
    path.write_text(JAVA)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def picked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What Beam takes for free: a port that isn't, once for each number in the list."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        times = [1]

        def pick(*ports: int | None) -> list[int]:
            if times[0] and not any(ports):
                times[0] -= 1
                return [other.getsockname()[1]]
            return real(*ports)

        real: Callable[..., list[int]] = subprocess_server.pick_port
        for module in (subprocess_server, launching):
            monkeypatch.setattr(module, "pick_port", pick)
        yield times


def flink_server(java: str) -> object:
    jar = Path(java).parent / "some.jar"
    given = [f"--flink_job_server_jar={jar}", f"--job_server_java_launcher={java}"]
    flink._servers.clear()
    server = flink.KeptFlinkRunner().default_job_server(PipelineOptions(given))
    try:
        return server.start()
    finally:
        server.stop()


def spark_server(java: str) -> object:
    server = spark._JobServer("local[1]", 1, java, ())
    try:
        return server.start()
    finally:
        server.stop()


def expansion(java: str) -> object:
    assert java
    with KafkaExpansion() as client:
        return client


@pytest.mark.parametrize("launch", [flink_server, spark_server, expansion])
def test_a_port_that_was_taken(
    launch: Callable[[str], object], java: str, picked: list[int]
) -> None:
    assert launch(java)
    assert picked == [0]
    picked[0] = 5  # not for ever
    with pytest.raises(RuntimeError, match=r"^the .* has ended as soon as"):
        launch(java)
    assert picked == [2]
