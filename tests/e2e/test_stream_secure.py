"""A broker with TLS and a password: read by KafkaIO, written by the workers, and no secret in the
job."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from runners.flink_rest import FlinkCluster
from runners.local_stack import Stack
from traffic.feed import feed
from traffic.job import wait_for
from traffic.truth import delivered, truth

ROOT = Path(__file__).parents[2]
LINES = 300


def test_from_topic_to_topics(servers: Stack, secure: Stack) -> None:
    """The password is a variable's for the source, a file's for the sinks."""
    name, plain = "secure", secure.kafka.endpoint()
    feed(plain, f"raw-{name}", LINES)
    where = f"kafka://{secure.kafka.secure_endpoint()}/?"
    how = (
        "&security.protocol=SASL_SSL&sasl.username=el"
        f"&ssl.ca.location={secure.kafka.folder / 'ca.pem'}&sasl.password"
    )
    by_name, by_file = f"{how}=${{EL_PASSWORD}}", f"{how}.file={secure.kafka.folder / 'secure.txt'}"
    flink = FlinkCluster(servers.flink.endpoint())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "el_beam.cli", "run"),
            f"{where}topics=raw-{name}&group={name}{by_name}",
            f"{where}topic={name}.{{schema}}_{{revision}}{by_file}",
            *("--metrics", f"{where}topic=counts-{name}{by_file}"),
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
        assert os.environ["EL_PASSWORD"] not in process.log.read_text(errors="replace"), (
            process.name
        )


def _told(flink: FlinkCluster, job: str) -> Any:
    """All that Flink's pages show of a job."""
    return [flink._ask(f"/jobs/{job}{page}") for page in ("", "/config", "/plan", "/exceptions")]
