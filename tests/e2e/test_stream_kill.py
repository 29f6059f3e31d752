"""Nothing is lost: whatever of a continuous job is killed, every line's event is in its topic.

A real broker, JobManager, TaskManager and worker pool; lines at a steady rate. After each recovery
the schema topics hold what a plain loop makes of the raw topic: each event, in its topic, and
nothing else. The counts topic tells their numbers. Events come twice only where a kill undid the
work since the last checkpoint.
"""

import json
import os
import random
import time
from pathlib import Path

import psutil

from runners.local_stack import Stack
from traffic.job import CHECKPOINTS, StreamJob, wait_for
from traffic.kills import KILLS

RATE = 800  # lines a second
KINDS = ("a worker", "the TaskManager", "the JobManager")  # the others: scripts/soak kills
SEED = int(os.environ.get("EL_SEED", "20261123"))


def test_kills(servers: Stack) -> None:
    """One part dies after the other, in any order; each finds what the others left."""
    rng = random.Random(SEED)
    stream = StreamJob(servers, "kills")
    stream.put(1_000)
    stream.start()
    allowed = 0.0  # seconds of work that was undone
    with stream.traffic(RATE) as traffic:
        for kind in rng.sample(KINDS, len(KINDS)):
            wait_for(lambda: stream.works() and stream.lag() < RATE * 2 * CHECKPOINTS, 120)
            time.sleep(rng.uniform(0, CHECKPOINTS))
            KILLS[kind](stream.stack, rng)
            # A dead JobManager makes no checkpoints, and is missed after some seconds.
            allowed += CHECKPOINTS + (6 if kind == "the JobManager" else 1)
            time.sleep(rng.uniform(1, 3))
    stream.settled()
    repeats = stream.check()
    print(f"{traffic.sent} lines, {repeats} records again")
    assert repeats <= RATE * allowed
    stream.cancel()


def test_kill_the_submitter(servers: Stack) -> None:
    """While it submits: its JVMs end with it, and the command works again. Later: the job goes on
    without the process that stays with it, which has no JVM any more."""
    stream = StreamJob(servers, "submitter")
    stream.put(500)
    with stream.el("--detach") as run:
        process = psutil.Process(run.pid)
        jvms: list[psutil.Process] = []
        while not jvms:
            assert run.poll() is None
            jvms = [each for each in process.children(recursive=True) if each.name() == "java"]
            time.sleep(0.05)
        run.kill()
    assert not psutil.wait_procs(jvms, timeout=10)[1]

    with stream.el() as run:
        assert run.stdout is not None
        stream.job = json.loads(run.stdout.readline())["job"]
        children = psutil.Process(run.pid).children(recursive=True)
        assert not [each for each in children if each.name() == "java"]
        with stream.traffic(RATE):
            time.sleep(2)
            run.kill()
            time.sleep(2)
    stream.settled()
    assert stream.check() == 0
    stream.cancel()


def test_savepoints_offsets_and_parallelism(servers: Stack, tmp_path: Path) -> None:
    """Stopped with a savepoint and resumed, with one worker instead of two; cancelled without one
    and started again from the group's offsets; a partition is idle all the time."""
    stream = StreamJob(servers, "restarts")
    busy = range(3)  # of four partitions

    def traffic(seconds: float) -> None:
        with stream.traffic(RATE, busy=busy):
            time.sleep(seconds)

    traffic(2)
    stream.start()
    traffic(3)
    savepoint = stream.flink.stop(stream.job, f"file://{tmp_path}")
    traffic(2)
    stream.start("--savepoint", savepoint, workers=1)
    stream.settled()
    assert stream.check() == 0  # a savepoint undoes nothing

    with stream.traffic(RATE, busy=busy):
        time.sleep(4)
        stream.cancel()
    wait_for(lambda: stream.flink.job(stream.job).ended, 30)
    stream.start()
    stream.settled()
    assert stream.check() <= RATE * CHECKPOINTS * 2
    stream.cancel()
