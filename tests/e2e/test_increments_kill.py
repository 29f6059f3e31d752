"""Exactly once in files: whatever is killed while increments are under way, HDFS holds each event
once and nothing else, also where the code or the number of workers is another one afterwards."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from jobs_here import ImportingHere

from runners.local_stack import Stack
from traffic.kills import IMPORT_KILLS
from transforms.io.files import filesystem

RATE = 200  # lines a second
SEED = int(os.environ.get("EL_SEED", "20261123"))
ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize(("stage", "workers"), [("writing", 1), ("decided", 2)])
def test_kill_the_driver(stack: Stack, tmp_path: Path, stage: str, workers: int) -> None:
    """Before and after it is decided what belongs to an increment; the redo has another number of
    workers. At each stage: scripts/soak import."""
    rng = random.Random(f"{SEED} {stage} {workers}")
    job = ImportingHere(stack, f"driver-{stage}-{workers}", str(tmp_path))
    job.put(500)
    job.once()
    job.kill_at(stage, "--workers", str(workers), rng=rng)
    job.once("--workers", str(3 - workers))
    assert job.check() == job.lines


@pytest.mark.usefixtures("kafka")
@pytest.mark.parametrize(
    "runner", ["direct", "spark", pytest.param("flink", marks=pytest.mark.every_runner)]
)
def test_ctrl_c_lets_the_increment_finish(stack: Stack, tmp_path: Path, runner: str) -> None:
    """A terminal gives it to all that run there: to workers and JVMs too."""
    if runner == "spark":
        stack.component("spark").install()  # its jars
    job = ImportingHere(stack, f"ctrl-c-{runner}", str(tmp_path))
    job.put(6_000)
    reached = job.stages()["writing"]
    with job.start("--every", "60s", "--workers", "2", "--runner", runner) as run:
        while not reached():
            assert run.poll() is None, run.communicate()[1]
            assert not job.committed()
            time.sleep(0.002)
        os.killpg(run.pid, signal.SIGINT)
        _, told = run.communicate(timeout=120)
    assert run.returncode == 0, told
    assert "6,000 lines of 1 topic(s)" in told
    assert job.committed() == 1
    assert job.check() == job.lines


@pytest.mark.usefixtures("kafka")
def test_a_second_ctrl_c_ends_it_at_once(stack: Stack, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    job = ImportingHere(stack, "ctrl-c-twice", str(tmp_path), environment={"TMPDIR": str(scratch)})
    job.put(6_000)
    reached = job.stages()["writing"]
    with job.start("--every", "60s", "--workers", "2") as run:
        while not reached():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.002)
        for _ in range(2):
            os.killpg(run.pid, signal.SIGINT)
            time.sleep(0.1)
        _, told = run.communicate(timeout=10)
    assert run.returncode == 1
    assert told.endswith("start the same command again and it will be finished\n")
    assert not [*scratch.iterdir()]
    assert not job.committed()
    job.once()
    assert job.check() == job.lines


@pytest.mark.usefixtures("kafka")
def test_other_code_after_the_death(stack: Stack, tmp_path: Path) -> None:
    """It writes other bytes for the same events, under the same names."""
    job = ImportingHere(stack, "code", str(tmp_path / "out"))
    other = tmp_path / "other"
    for package in ("schemas", "transforms", "runners", "el_beam"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("java"))
    encodings = other / "transforms" / "write" / "encodings.py"
    text = encodings.read_text()
    encodings.write_text(text.replace('"compression_level": 1', '"compression_level": 9'))
    assert text != encodings.read_text()
    job.put(3_000)
    reached = job.stages()["writing"]
    with job.start("--once") as run:
        while not reached():
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.002)
        run.kill()
        run.wait()
    job.code = other
    job.once()
    assert job.check() == job.lines
    job.code = ROOT
    job.put(500)
    job.once()
    assert job.check() == job.lines


@pytest.fixture(scope="module")
def importing(kafka: str, hdfs: str, stack: Stack) -> ImportingHere:
    assert kafka
    job = ImportingHere(stack, "importing", f"{hdfs}/importing")
    job.put(1_000)
    job.once()
    return job


KINDS = ("a worker", "the NameNode")  # the others: scripts/soak import


def test_kills_under_traffic(importing: ImportingHere) -> None:
    """Increment after increment into HDFS, every second, by two workers."""
    rng = random.Random(SEED)
    options = ["--every", "1s", "--workers", "2"]
    runs = [importing.start(*options)]
    try:
        with importing.traffic(RATE):
            for kind in rng.sample(KINDS, len(KINDS)):
                importing.wait_for(importing.committed() + 1)
                time.sleep(rng.uniform(0, 3))
                IMPORT_KILLS[kind](importing, runs[-1], rng)
                if runs[-1].poll() is not None:
                    runs.append(importing.start(*options))
            importing.wait_for(importing.committed() + 1)
        runs[-1].send_signal(signal.SIGTERM)
        _, told = runs[-1].communicate(timeout=120)
        assert runs[-1].returncode == 0, told
        assert "Traceback" not in told
    finally:
        for run in runs:
            run.kill()
            run.communicate()
    importing.once()
    assert importing.check() == importing.lines


def test_a_driver_that_is_taken_for_dead(importing: ImportingHere) -> None:
    """It is stopped for so long that its lease ends, and wakes up in the midst of its increment."""
    importing.put(5_000)
    reached = importing.stages()["writing"]
    with importing.start("--once") as run:
        while not reached():
            assert run.poll() is None, run.communicate()[1]
        run.send_signal(signal.SIGSTOP)
        lease = f"{importing.state.path}/lease"
        newest = sorted(name for name in filesystem.names(lease) if name.endswith(".json"))[-1]
        holder = json.loads(filesystem.read(f"{lease}/{newest}"))
        holder["ticks"] -= 1  # as if another process had its pid by now
        filesystem.write(f"{lease}/{newest}", json.dumps(holder).encode())
        importing.once()
        run.send_signal(signal.SIGCONT)
        _, err = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "works here now" in err or "works here" in err
    assert importing.check() == importing.lines
