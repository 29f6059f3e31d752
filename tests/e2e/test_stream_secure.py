"""A broker with TLS and a password: read by KafkaIO, written by the workers, and no secret in the
job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.flink_rest import FlinkCluster
from stack import Stack
from traffic import delivered, feed, truth, wait_for

ROOT = Path(__file__).parents[2]
LINES = 300


@pytest.mark.parametrize(
    "password",
    [
        lambda _: "sasl.password=${EL_PASSWORD}",
        lambda stack: f"sasl.password.file={stack.kafka.folder / 'secure.txt'}",
    ],
    ids=["environment", "file"],
)
def test_from_topic_to_topics(
    servers: Stack, secure: Stack, password: Callable[[Stack], str], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    plain = secure.kafka.endpoint()
    feed(plain, f"raw-{name}", LINES)
    where = f"kafka://{secure.kafka.secure_endpoint()}/?"
    how = (
        f"&security.protocol=SASL_SSL&sasl.username=el&{password(secure)}"
        f"&ssl.ca.location={secure.kafka.folder / 'ca.pem'}"
    )
    flink = FlinkCluster(servers.flink.endpoint())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "el_beam.cli", "run"),
            f"{where}topics=raw-{name}&group={name}{how}",
            f"{where}topic={name}.{{schema}}_{{revision}}{how}",
            *("--metrics", f"{where}topic=counts-{name}{how}"),
            *("--runner", "flink", "--detach", "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FLINK": flink.address, "WORKERS": servers.workers.endpoint()},
    )
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)["job"]
    try:
        wanted = truth(plain, f"raw-{name}")
        wait_for(lambda: not wanted.missing_from(delivered(plain, f"{name}.")), 60)
        assert os.environ["EL_PASSWORD"] not in json.dumps(_told(flink, job))
    finally:
        flink.cancel(job)
    for process in servers.processes():
        assert os.environ["EL_PASSWORD"] not in process.tail(10**6), process.name


def _told(flink: FlinkCluster, job: str) -> Any:
    """All that Flink's pages show of a job."""
    return [flink._ask(f"/jobs/{job}{page}") for page in ("", "/config", "/plan", "/exceptions")]
