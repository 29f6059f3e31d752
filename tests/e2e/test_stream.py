"""A continuous job as people run it: `el run` attached, `el jobs`, `el check`, what is refused. Its
broker asks for a password: KafkaIO reads and workers write with it, and it is never told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic
from in_process import Called, call

from runners.addresses import ask_json
from runners.local_stack import Stack
from traffic.feed import lines
from traffic.job import StreamJob, wait_for
from traffic.truth import records
from transforms.io.kafka import broker

ROOT = Path(__file__).parents[2]
STALE_POOL = """
import runners.worker_pool as pool
pool.VERSION = "0.0.1"
pool.serve("127.0.0.1", int({port!r}))
"""


class SecureJob(StreamJob):
    """A job at a broker that asks for a password: a variable has it for the source, a file for the
    sinks."""

    def __init__(self, stack: Stack, secure: Stack, name: str) -> None:
        super().__init__(stack, name)
        self._kafka = secure.kafka

    @property
    def kafka(self) -> str:
        """The broker's other port, at which it asks for none."""
        return self._kafka.endpoint()

    def sink(self, query: str) -> str:
        return self._uri(query, f".file={self._kafka.folder / 'secure.txt'}")

    @property
    def source(self) -> str:
        return self._uri(f"topics={self.raw}&group={self.name}", "=${EL_PASSWORD}")

    def _uri(self, query: str, password: str) -> str:
        return (
            f"kafka://{self._kafka.secure_endpoint()}/?{query}&security.protocol=SASL_SSL"
            f"&sasl.username=el&ssl.ca.location={self._kafka.folder / 'ca.pem'}"
            f"&sasl.password{password}"
        )


class Shell:
    """`el` in a shell whose FLINK and WORKERS are those of a stack."""

    def __init__(self, stack: Stack, kafka: str) -> None:
        self.environment = {
            "FLINK": stack.flink.endpoint(),
            "WORKERS": stack.workers.endpoint(),
            "KAFKA": kafka,
            "PYTHONPATH": str(ROOT),
        }

    def el(self, *arguments: str, **changes: str) -> Called:
        return call(*arguments, environment={**self.environment, **changes})

    def json(self, *arguments: str) -> Any:
        return json.loads(self.el(*arguments, "--json").out)


@pytest.fixture(scope="module")
def shell(servers: Stack, secure: Stack) -> Shell:
    return Shell(servers, secure.kafka.endpoint())


@pytest.fixture(scope="module")
def running(servers: Stack, secure: Stack) -> Iterator[tuple[StreamJob, subprocess.Popen[str]]]:
    """A job with `el run` attached to it."""
    job = SecureJob(servers, secure, "attended")
    job.put(1_000)
    with job.el(checkpoints=1.0) as run:
        assert run.stdout is not None
        job.job = json.loads(run.stdout.readline())["job"]
        job.settled()
        yield job, run
        run.kill()


SOURCE = "kafka://${KAFKA}/?topics=raw-attended&group=attended"
SINK = "kafka://${KAFKA}/?topic=out.{schema}_{revision}"


def test_it_is_listed(shell: Shell, running: tuple[StreamJob, Any]) -> None:
    (listed,) = [each for each in shell.json("jobs", "list") if each["name"] == "el attended"]
    assert (listed["id"], listed["state"]) == (running[0].job, "RUNNING")
    assert listed["running"] == listed["tasks"] > 0
    shown = shell.el("jobs", "list").out
    assert f"{listed['id']}  RUNNING" in shown


def test_it_is_well(shell: Shell, running: tuple[StreamJob, Any]) -> None:
    done = shell.el("check", SOURCE)
    assert done.code == 0, done.out + done.err
    found = {line.split()[1]: line for line in done.out.splitlines()}
    assert set(found) == {"kafka", "topics", "lag", "job", "checkpoints"}
    assert all(line.startswith("ok ") for line in found.values())
    assert "4 partition(s)" in found["topics"]
    assert running[0].check() == 0


def test_a_producer_that_counts_nanoseconds_stops_nothing(running: tuple[StreamJob, Any]) -> None:
    """Flink would start the job again and again at a line that fails."""
    job, _ = running
    setting = ConfigEntry(
        "message.timestamp.after.max.ms", str(2**63 - 1),
        incremental_operation=AlterConfigOpType.SET,
    )  # fmt: skip
    admin = AdminClient({"bootstrap.servers": job.kafka})
    topic = ConfigResource(ResourceType.TOPIC, job.raw, incremental_configs=[setting])
    admin.incremental_alter_configs([topic])[topic].result(30)
    producer = Producer({"bootstrap.servers": job.kafka})
    for sent in (time.time_ns(), 2**63 - 1):
        producer.produce(job.raw, f"no line {sent}", key=b"\xff\x00", timestamp=sent,
                         headers=[("é", None), ("", b"\xff")])  # fmt: skip
        job.lines += 1
    assert producer.flush(30) == 0
    job.put(100)
    job.settled(60)
    assert job.check() == 0


def test_a_transaction_that_was_given_up_is_not_read(running: tuple[StreamJob, Any]) -> None:
    job, _ = running
    settings = {"bootstrap.servers": job.kafka, "transactional.id": job.name, "log_level": 0}
    producer = Producer(settings)
    producer.init_transactions()
    producer.begin_transaction()
    for line in islice(lines(job.lines + 10_000), 50):
        producer.produce(job.raw, line, partition=0)
    assert producer.flush(30) == 0
    producer.abort_transaction()
    job.put(100)  # behind it
    job.settled(60)
    assert job.check() == 0


def test_no_password_is_told(running: tuple[StreamJob, Any], servers: Stack, secure: Stack) -> None:
    """By no page of Flink's, and no server's log."""
    password = os.environ["EL_PASSWORD"]
    assert password == (secure.kafka.folder / "secure.txt").read_text()
    job, _ = running
    for page in ("", "/config", "/plan", "/exceptions"):
        told = ask_json(f"{job.flink.url}/jobs/{job.job}{page}")
        assert told and password not in json.dumps(told)
    for process in servers.processes():
        assert password not in process.log.read_text(errors="replace"), process.name


def test_it_starts_again_for_ever(running: tuple[StreamJob, Any]) -> None:
    job, _ = running
    told = ask_json(f"{job.flink.url}/jobs/{job.job}/config")
    restarts = "Restart with fixed delay (PT1S). #2147483647 restart attempts."
    assert told["execution-config"]["restart-strategy"] == restarts


def test_a_second_job_of_the_group_is_refused(shell: Shell, running: tuple[StreamJob, Any]) -> None:
    done = shell.el("run", SOURCE, SINK, "--runner", "flink")
    assert done.code == 2
    assert f"a job of the group attended runs already ({running[0].job})" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "changes", "told"),
    [
        ((), {}, "--runner direct can't run a continuous job: use --runner flink"),
        (("--runner", "spark"), {}, "Spark can't run a continuous job from Python"),
        (("--runner", "flink"), {"FLINK": ""}, "needs a Flink cluster: set FLINK=host:port"),
        (("--runner", "flink"), {"FLINK": "127.0.0.1:9"}, "no Flink answers at 127.0.0.1:9"),
        (("--runner", "flink"), {"WORKERS": "127.0.0.1:9"}, "no worker pool answers"),
        (("--runner", "flink"), {"KAFKA": "127.0.0.1:9"}, "cannot ask the brokers 127.0.0.1:9"),
        (("--runner", "flink", "--workers", "99"), {}, "--workers asks for 99"),
        (("--runner", "flink", "--detach"), {"WORKERS": ""}, "--detach needs a worker pool"),
        (("--runner", "flink"), {"EL_JARS": "/nowhere"}, "el jars build --to DIR"),
        (("parquet:x", "--runner", "flink"), {}, "parquet: can't be a sink of a continuous job"),
        (("--runner", "flink", "--", "--checkpointing_interval=0"), {}, "no checkpoints"),
        (("--runner", "flink", "--", "--checkpoint_interval=5"), {}, "Beam has no option"),
    ],
)
@pytest.mark.usefixtures("running")
def test_what_is_refused(
    shell: Shell, arguments: tuple[str, ...], changes: dict[str, str], told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(broker, "REQUEST_TIMEOUT", 1.0)  # s that it asks brokers who aren't there
    source = "kafka://${KAFKA}/?topics=raw-attended&group=other"
    done = shell.el("run", source, SINK, *arguments, **changes)
    assert done.code == 2, done.err
    assert told in done.err
    assert "Traceback" not in done.err
    assert all(line.startswith("el run: ") for line in done.err.splitlines())


def test_topics_that_are_not_there(shell: Shell) -> None:
    for query, told in (
        ("topics=raw-attended,nope", "no topic nope at the brokers"),
        ("pattern=nope.*", "no topic matches the pattern nope.*"),
    ):
        done = shell.el("run", f"kafka://${{KAFKA}}/?{query}&group=g", SINK, "--runner", "flink")
        assert done.code == 2
        assert told in done.err


def test_a_worker_pool_of_another_version(shell: Shell, servers: Stack) -> None:
    port = servers.workers.port["pool"] + 1
    with subprocess.Popen(
        [sys.executable, "-c", STALE_POOL.format(port=port)],
        env={**os.environ, **shell.environment},
    ) as pool:
        try:
            source = "kafka://${KAFKA}/?topics=raw-attended&group=other"

            def refused() -> bool:
                where = {"WORKERS": f"127.0.0.1:{port}"}
                done = shell.el("run", source, SINK, "--runner", "flink", **where)
                assert done.code == 2
                return "has apache-beam" in done.err and "el_beam 0.0.1" in done.err

            wait_for(refused, 30)
        finally:
            pool.terminate()


def test_a_plan(shell: Shell) -> None:
    source = "kafka://${KAFKA}/?pattern=raw-attended&group=other"
    done = shell.el("run", source, SINK, "--runner", "flink", "--dry-run")
    assert done.code == 0, done.err
    assert "topics raw-attended, group other" in done.out
    assert "note: the pattern stands for 1 topic(s) of now" in done.err


def test_new_partitions_are_seen(shell: Shell, running: tuple[StreamJob, Any]) -> None:
    job, _ = running
    admin = AdminClient({"bootstrap.servers": job.kafka})
    admin.create_partitions([NewPartitions(job.raw, 5)])[job.raw].result(10)
    wait_for(lambda: "partition(s) 4 of raw-attended are new" in shell.el("check", SOURCE).out, 20)
    admin.create_topics([NewTopic("raw-attended-2", 1)])["raw-attended-2"].result(10)
    pattern = "kafka://${KAFKA}/?pattern=raw-attended.*&group=attended"
    wait_for(lambda: "raw-attended-2 is new" in shell.el("check", pattern).out, 20)


def test_asked_to_end_it_stops_with_a_savepoint(
    shell: Shell, running: tuple[StreamJob, subprocess.Popen[str]]
) -> None:
    job, run = running
    assert run.stderr is not None
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 0
    told = run.stderr.read()
    assert "Traceback" not in told
    savepoint = told.rpartition("stopped; savepoint: file:")[2].strip()
    assert Path(savepoint, "_metadata").exists(), told
    assert job.flink.job(job.job).state == "FINISHED"
    done = shell.el("check", SOURCE)
    assert done.code == 1
    assert "problem  job" in done.out


def test_forwarded_lines_are_all_there(shell: Shell) -> None:
    topic = f"forwarded-{time.time_ns()}"
    sample = ROOT / "examples" / "sample.log.gz"
    uri = f"kafka://${{KAFKA}}/?topic={topic}&partitions=3"
    done = shell.el("forward", f"file:{sample}", uri)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"10,000 lines to {topic} in ")
    assert sum(1 for _ in records(shell.environment["KAFKA"], [topic])) == 10_000
    for arguments, told in (
        (("file:/nowhere", uri), "no file matches"),
        ((f"file:{sample}", "kafka://${KAFKA}/?topic=a b"), "is not a valid topic"),
        ((f"file:{sample}", uri, "--rate", "0"), "--rate must be 1 or more"),
        (("kafka://${KAFKA}/?topics=a&group=g", uri), "give file:PATH; or stdin:"),
    ):
        done = shell.el("forward", *arguments)
        assert done.code == 2
        assert told in done.err
    gone = shell.el("forward", f"file:{sample}", uri, KAFKA="127.0.0.1:9")
    assert gone.code == 1
    assert "cannot make topic" in gone.err
