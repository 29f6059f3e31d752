"""kill -9 at any moment, start again: as if nothing had happened."""

import gzip
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from in_process import call
from thorough import some

from traffic.kills import forks

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.log.gz"
COPIES = 2
SEEDS = some(range(60), range(3))
PATIENCE = 120.0  # seconds


def arguments(log: Path, out: Path, workers: int) -> list[str]:
    names = {"parquet": "parquet", "jsonl": "jsonl", "raw": "raw", "sqlite": "events.db"}
    sinks = [f"{scheme}:{out}/{name}" for scheme, name in names.items()]
    source = f"file:{log}?split=512KiB"
    return ["run", source, *sinks, "--workers", str(workers)]


def command(log: Path, out: Path, workers: int) -> list[str]:
    return [sys.executable, "-m", "el_beam.cli", *arguments(log, out, workers)]


def finish(log: Path, out: Path, workers: int) -> None:
    done = call(*arguments(log, out, workers))
    assert done.code == 0, done.err


def files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.name.startswith("events.db") and "_ledger" not in path.parts
    }


def published(out: Path) -> int:
    return sum(
        len(names)
        for sink in ("parquet", "jsonl", "raw")
        for folder, _, names in os.walk(out / sink)
        if "_temporary" not in folder
    )


def temporary(out: Path) -> int:
    return sum(1 for folder in out.glob("*/_temporary/*") for _ in folder.iterdir())


def query(out: Path, columns: str) -> list[tuple[object, ...]]:
    """The answers of all tables together; none where they are not there yet."""
    if not (out / "events.db").exists():
        return []
    connection = sqlite3.connect(f"file:{out}/events.db?mode=ro", uri=True)
    try:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return [
            (name, *row)
            for (name,) in names
            for row in connection.execute(f'SELECT {columns} FROM "{name}"')
        ]
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def rows(out: Path) -> list[tuple[object, ...]]:
    """Every row of every table, in an order of their own; without their numbers."""
    return sorted(((row[0], *row[2:]) for row in query(out, "*")), key=repr)


def count_rows(out: Path) -> int:
    return sum(int(str(row[1])) for row in query(out, "COUNT(*)"))


class Undisturbed:
    """A run that nobody killed, and its log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "beacon.log"
        self.log.write_bytes(gzip.decompress(SAMPLE.read_bytes()) * COPIES)
        self.out = folder / "undisturbed"
        finish(self.log, self.out, workers=1)
        self.files, self.rows = files(self.out), rows(self.out)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("kill"))


def test_the_undisturbed_run_is_whole(undisturbed: Undisturbed) -> None:
    # The copies' events have the same uuids; a bad line's is that of its place.
    assert len(undisturbed.rows) == 9_500 + COPIES * 500
    assert len(undisturbed.files) > 200
    assert not any("_temporary" in name for name in undisturbed.files)


def kill_when(
    moment: Callable[[], bool], call_: list[str], whole_group: bool
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        call_, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end and not moment():
        time.sleep(0.001)
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return process


@pytest.mark.parametrize("seed", SEEDS)  # each moment; six: with each number of workers
def test_killed_in_mid_write(undisturbed: Undisturbed, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    out, workers = tmp_path / "out", 1 + seed % 2
    total = len(undisturbed.files)
    counter, most = [
        (temporary, total * 0.7),  # files being written
        (published, total * 0.2),  # files being renamed, which is fast
        (count_rows, len(undisturbed.rows) * 0.7),  # rows being inserted
    ][seed % 3]
    threshold = chance.randrange(1, int(most))

    process = kill_when(
        lambda: counter(out) >= threshold,
        command(undisturbed.log, out, workers),
        whole_group=chance.random() < 0.5,
    )

    assert process.returncode == -signal.SIGKILL, "it was still running"
    assert counter(out) >= 1, "it had begun to write"
    assert published(out) < total or count_rows(out) < len(undisturbed.rows), "it was not done"

    finish(undisturbed.log, out, workers)
    again = files(out)
    assert again.keys() == undisturbed.files.keys()
    assert again == undisturbed.files
    assert rows(out) == undisturbed.rows


@pytest.mark.parametrize(
    ("later", "other_hangs"),  # seconds that its workers have been there
    some([(0.0, True), (0.5, False), (1.0, True), (2.0, True)], [(0.0, False), (1.0, True)]),
)
def test_a_worker_that_dies_ends_the_job(
    undisturbed: Undisturbed, tmp_path: Path, later: float, other_hangs: bool
) -> None:
    out = tmp_path / "out"
    run = command(undisturbed.log, out, workers=2)
    job = psutil.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    workers = workers_of(job)
    time.sleep(later)
    if other_hangs:
        workers[1].suspend()  # it can't end by itself
    workers[0].kill()
    killed = time.monotonic()

    _, told = job.communicate(timeout=PATIENCE)

    assert time.monotonic() - killed < 60
    assert job.returncode == 1, told
    assert "a worker process has died" in told
    assert "Traceback" not in told
    assert not psutil.wait_procs(workers, timeout=5)[1], "no worker is left"
    finish(undisturbed.log, out, workers=2)
    assert files(out) == undisturbed.files
    assert rows(out) == undisturbed.rows


def workers_of(job: psutil.Process) -> list[psutil.Process]:
    """The two worker processes of a job, as soon as they are there."""
    found: list[psutil.Process] = []
    end = time.monotonic() + PATIENCE
    while len(found) < 2 and time.monotonic() < end:
        time.sleep(0.01)
        found = forks(job)
    assert len(found) == 2
    return found
