"""The stack: real servers start, are found, survive kills and go; stacks don't know each other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from in_process import call
from server_care import ails, dead, restore

from runners import orphans
from runners.local_stack import Stack, StackError
from traffic.job import wait_for


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "other")
    yield stack
    stack.down()


def topics(address: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": address}).list_topics(timeout=10).topics)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_ails_is_restored(stack: Stack, kafka: str, number: signal.Signals) -> None:
    """A killed broker comes back with its data; one that a signal has stopped goes on."""
    topic = f"kept-{number.name}"
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(10)
    broker = stack.kafka.process("kafka")
    before = broker.pid
    assert before is not None and not ails(stack.kafka) and not dead(stack.kafka)
    os.kill(before, number)
    wait_for(lambda: ails(stack.kafka) and dead(stack.kafka), 30)
    assert "kafka" not in stack.status()
    restore(stack.kafka)
    assert not ails(stack.kafka) and not dead(stack.kafka)
    assert (broker.pid == before) == (number == signal.SIGSTOP)
    wait_for(lambda: topic in topics(kafka), 60)  # it may have been made just before
    restore(stack.kafka)  # which does nothing to what is well
    assert stack.status()["kafka"] == kafka


def test_two_stacks_do_not_collide(kafka: str, other: Stack) -> None:
    (component,) = other.up(["kafka"])
    assert component.endpoint() != kafka
    assert "kept-elsewhere" not in topics(kafka) | topics(component.endpoint())
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic("one", 1)])["one"].result(10)
    assert "one" not in topics(component.endpoint())
    other.down()
    assert topics(kafka)


@pytest.mark.usefixtures("kafka", "mariadb")
def test_servers_listen_on_loopback_alone(stack: Stack) -> None:
    for process in stack.processes():
        if process.pid:
            listening = [
                each.laddr.ip
                for each in psutil.Process(process.pid).net_connections("tcp")
                if each.status == psutil.CONN_LISTEN
            ]
            assert listening
            assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, process.name


def test_a_component_that_is_not_there() -> None:
    told = call("stack", "up", "kafak")
    assert told.code == 2
    there_are = "there are kafka, workers, flink, hdfs, spark, mariadb"
    assert told.err == f"el stack up: no component kafak; {there_are}\n"


def test_a_server_that_ends_says_why(other: Stack) -> None:
    kafka = other.kafka
    kafka.configure()
    (kafka.folder / "data" / "meta.properties").write_text("version=1\ncluster.id=other\n")
    with pytest.raises(StackError, match="kafka has ended"):
        kafka.start()


SUBMITTER = """
import subprocess, sys
from runners.orphans import STACK, environment
call = [sys.executable, "-c", "import time; time.sleep(600)"]
for more in ({STACK: "of a session"}, {}):
    print(subprocess.Popen(call, env=environment() | more).pid, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_session_leaves_is_ended(stack: Stack) -> None:
    """Its servers; what else is left may be an import's."""
    submitter = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert submitter.stdout is not None
    server, other = (psutil.Process(int(submitter.stdout.readline())) for _ in range(2))
    stack.sweep()
    assert server.is_running()  # its submitter lives
    submitter.kill()
    while psutil.Process(submitter.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)  # nobody waits for it yet
    stack.sweep()
    _gone(server)
    assert other.is_running()
    other.kill()
    submitter.wait()


def test_what_no_pid_file_knows_is_ended(other: Stack) -> None:
    (other.folder).mkdir(parents=True)
    stray = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, orphans.STACK: str(other.folder)},
    )
    _wait_for(lambda: bool(orphans.members(str(other.folder))))
    other.sweep()
    stray.wait(10)


def _gone(process: psutil.Process) -> None:
    _wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def _wait_for(what: object, seconds: float = 10.0) -> None:
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
