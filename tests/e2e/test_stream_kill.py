"""Nothing is lost: whatever of a continuous job is killed or stopped, every line's event is in its
topic.

A real broker, JobManager, TaskManager and worker pool; lines at a steady rate, while one partition
is idle all the time. After each recovery the schema topics hold what a plain loop makes of the raw
topic: each event, in its topic, and nothing else. The counts topic tells their numbers. Events come
twice only where a kill undid the work since the last checkpoint.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import mmh3
import psutil
import pytest
from jobs_here import StreamJobHere

from el_beam.running.streaming.savepoints import OFFSETS
from runners.local_stack import Stack
from traffic.feed import Feed
from traffic.job import wait_for
from traffic.kills import KILLS
from traffic.truth import delivered

RATE = 400  # lines a second
KINDS = ("a worker", "the JobManager")  # the others: scripts/soak kills
CHECKPOINTS = 1.0  # seconds between two
UNDONE = 4.0  # seconds of work since the last checkpoint, at most: it may be due, or under way
SEED = int(os.environ.get("EL_SEED", "20261123"))


@pytest.fixture(scope="module")
def stream(servers: Stack) -> Iterator[StreamJobHere]:
    """A job that each test finds as the one before has left it, with all lines done."""
    job = StreamJobHere(servers, "kills")
    job.put(500)  # into the first partition
    yield job
    if job.job:
        job.cancel()


@pytest.fixture
def running(stream: StreamJobHere) -> StreamJobHere:
    """The job, under way."""
    if not stream.job or stream.flink.job(stream.job).ended:
        stream.start(checkpoints=CHECKPOINTS)
    return stream


def traffic(stream: StreamJobHere) -> AbstractContextManager[Feed]:
    """At a steady rate into three of four partitions."""
    return stream.traffic(RATE, busy=range(3))


def of_another_version(savepoint: str) -> str:
    """A copy of it, as a job has left it whose read has another label."""
    made = Path(savepoint.removeprefix("file:"))
    copy = shutil.copytree(made, made.with_name(f"{made.name}-of-another-version"))
    told = (copy / "_metadata").read_bytes()
    (copy / "_metadata").write_bytes(told.replace(mmh3.hash_bytes(OFFSETS), b"\0" * 16))
    return f"file://{copy}"


def test_workers_within_the_submitter(stream: StreamJobHere) -> None:
    """Stopped before it has done all: what was done is done. The rest comes in the next test."""
    stream.put(1_500)
    with stream.el(pool=False, checkpoints=CHECKPOINTS) as run:
        assert run.stdout is not None
        stream.job = json.loads(run.stdout.readline())["job"]
        wait_for(lambda: delivered(stream.kafka, stream.prefix).records > 0, 60)
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=60)
    assert (run.returncode, "stopped; savepoint: file:" in told) == (0, True), told
    found = delivered(stream.kafka, stream.prefix)
    assert stream.lines - stream.lag() == found.records == len(found.destinations)


def test_interrupted_while_it_is_submitted(stream: StreamJobHere) -> None:
    """As soon as Flink has the job: no job is left, so the command works again, see the next test.
    The workers are in the pool by then, and end with it."""
    older = {each.id for each in stream.flink.jobs()}
    with stream.el("--detach", checkpoints=CHECKPOINTS) as run:
        while not (new := {each.id for each in stream.flink.jobs()} - older):
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 1
    assert f"interrupted; the job that Flink had ({', '.join(new)}) was cancelled" in told
    assert all(each.ended for each in stream.flink.jobs())


def test_kill_the_submitter(stream: StreamJobHere) -> None:
    """While it submits: its JVMs end with it, and the command works again. Later: the job goes on
    without the process that stays with it, which has no JVM any more."""
    with stream.el("--detach", checkpoints=CHECKPOINTS) as run:
        process = psutil.Process(run.pid)
        jvms: list[psutil.Process] = []
        while not jvms:
            assert run.poll() is None
            jvms = [each for each in process.children(recursive=True) if each.name() == "java"]
            time.sleep(0.05)
        run.kill()
    assert not psutil.wait_procs(jvms, timeout=10)[1]

    with stream.el(checkpoints=CHECKPOINTS) as run:
        assert run.stdout is not None
        stream.job = json.loads(run.stdout.readline())["job"]
        children = psutil.Process(run.pid).children(recursive=True)
        assert not [each for each in children if each.name() == "java"]
        with traffic(stream):
            time.sleep(1)
            run.kill()
            time.sleep(1)
    stream.settled()
    assert stream.check() == 0


def test_kills(running: StreamJobHere) -> None:
    """One part dies after the other, in any order; each finds what the others left."""
    rng = random.Random(SEED)
    stream, before = running, running.check()
    allowed = 0.0  # seconds of work that was undone
    promised = [stream.promised()]
    with traffic(stream) as sent:
        for kind in rng.sample(KINDS, len(KINDS)):
            wait_for(lambda: stream.works() and stream.lag() < RATE * UNDONE, 120)
            time.sleep(rng.uniform(0, CHECKPOINTS))
            KILLS[kind](stream.stack, rng)
            # A dead JobManager makes no checkpoints, and is missed after some seconds.
            allowed += UNDONE + (6 if kind == "the JobManager" else 0)
            time.sleep(rng.uniform(1, 2))
            promised.append(stream.promised())
    stream.settled()
    repeats = stream.check() - before
    assert promised == sorted(promised) and promised[-1] > promised[0]
    print(f"{sent.sent} lines, {repeats} records again")
    assert repeats <= RATE * allowed


def test_a_savepoint(running: StreamJobHere, tmp_path: Path) -> None:
    """Stopped with it and resumed from it, with one worker instead of two: nothing is undone."""
    stream, before = running, running.check()
    with traffic(stream):
        time.sleep(2)
        savepoint = stream.flink.stop(stream.job, f"file://{tmp_path}")
        time.sleep(1)
    with stream.el("--detach", "--savepoint", of_another_version(savepoint)) as run:
        assert (
            "without --savepoint; it goes on from the offsets of the group kills"
            in (run.communicate(timeout=60)[1])
        )
    assert run.returncode == 2 and all(each.ended for each in stream.flink.jobs())
    stream.start("--savepoint", savepoint, workers=1, checkpoints=CHECKPOINTS)
    stream.settled()
    assert stream.check() == before


def test_offsets(running: StreamJobHere) -> None:
    """Cancelled without a savepoint, and started again where the group's offsets are."""
    stream, before = running, running.check()
    with traffic(stream):
        time.sleep(2)
        stream.cancel()
    stream.start(checkpoints=CHECKPOINTS)
    stream.settled()
    assert stream.lines > RATE * UNDONE, "to begin anew would repeat more"
    assert stream.check() - before <= RATE * UNDONE
