"""What a second worker brings on each runner, what a file costs, and what is reckoned from that for
more than this machine: docs/scaling.md. Rounds are interleaved; a rate is without the start-up,
which a run over few lines has, too.

    scripts/bench scale [--lines N] [--rounds N] [--files N] [--only RUNNER,…]
"""

import json
import os
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from core import make_log
from traffic.loop import FEW
from traffic.started import EL
from traffic.trial import SCRATCH, parser, temporary_stack
from transforms.io.files import filesystem
from transforms.write.files import publish
from transforms.write.sink import NewFile

RUNNERS = {"direct": {}, "flink": {"FLINK": "[local]"}, "spark": {"SPARK": "local[*]"}}
SPLIT_MIB = 8  # so that two workers get about as much each
TARGETS = (10_000, 100_000, 1_000_000)  # lines a second
MINUTES = 5  # of an increment
SCHEMAS = 100  # that have events in one
HOURS = 1.2  # that the lines of one are of, for a schema: some are late


def run(log: Path, runner: str, workers: int) -> float:
    """Seconds of `el run` into Parquet, of the whole process."""
    out = SCRATCH / "scale"
    shutil.rmtree(out, ignore_errors=True)
    call = [*EL, "run", f"file:{log}?split={SPLIT_MIB}MiB", f"parquet:{out}",
            "--runner", runner, "--workers", str(workers), "--json"]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        call, env={**os.environ, **RUNNERS[runner]}, capture_output=True, check=True
    )
    assert json.loads(done.stdout)["balanced"]
    return time.perf_counter() - began


def rates(lines: int, rounds: int, only: str | None) -> Iterator[tuple[str, list[float]]]:
    """Lines a second of each runner with one worker, and with two."""
    few, many = make_log(FEW), make_log(lines)
    chosen = [each for each in RUNNERS if not only or each in only.split(",")]
    for runner in chosen:
        found: dict[int, list[float]] = {1: [], 2: []}
        startup = {workers: min(run(few, runner, workers) for _ in range(2)) for workers in found}
        for _ in range(rounds):
            for workers, its in found.items():
                its.append(lines / (run(many, runner, workers) - startup[workers]))
        yield runner, [statistics.median(found[workers]) for workers in (1, 2)]


def naming(root: str, files: int) -> float:
    """Seconds of a file of an hour of its own, to be written and to get its name."""
    made = [
        NewFile(f"{root}/_temporary/{uuid.uuid4().hex}", f"{root}/S_1/hour={n}/f", "", "")
        for n in range(files)
    ]
    began = time.perf_counter()
    filesystem.at_once(root, lambda file: filesystem.write(file.temporary, b"x" * 10_000), made)
    publish(made)
    return (time.perf_counter() - began) / files


def reckon(rate: float, efficiency: float, file_seconds: float, line_bytes: float) -> None:
    """Print what so many lines a second would take, if nothing else was full before."""
    print(f"\nreckoned from {rate:,.0f} lines/s of a worker, {efficiency:.2f} of that for each of "
          f"several, {file_seconds * 1e3:.0f} ms a file; {SCHEMAS} schemas, increments of "
          f"{MINUTES} minutes:")  # fmt: skip
    print(f"{'lines/s':>10}{'workers':>9}{'MB/s':>7}{'files':>9}{'naming s':>10}"
          f"{'names a day':>14}")  # fmt: skip
    for target in TARGETS:
        workers = -(-target // int(rate * efficiency))
        files = workers * SCHEMAS * HOURS  # at least a split, which is a partition's, for each
        print(f"{target:10,}{workers:9,}{target * line_bytes / 1e6:7.0f}{files:9,.0f}"
              f"{files * file_seconds:10.0f}{files * 24 * 60 / MINUTES:14,.0f}")  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=300_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--files", type=int, default=1_000)
    options.add_argument("--only", help="direct, flink, spark")
    args = options.parse_args()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    print(f"{'':12}{'1 worker':>10}{'2 workers':>11}  lines/s")
    found: list[tuple[float, float]] = []
    for runner, (one, two) in rates(args.lines, args.rounds, args.only):
        found.append((one, two / one / 2))
        print(f"{runner:12}{one:10,.0f}{two:11,.0f}  efficiency {two / one / 2:.2f}", flush=True)
    with temporary_stack("hdfs") as stack:
        seconds = naming(f"{stack.hdfs.endpoint()}/scale", args.files)
    here = naming(f"{SCRATCH}/naming-{uuid.uuid4().hex}", args.files)
    print(f"a file of an hour of its own: {here * 1e3:.1f} ms here, {seconds * 1e3:.1f} on HDFS")
    size = make_log(args.lines).stat().st_size / args.lines
    slowest, efficiency = min(found)
    reckon(slowest, efficiency, seconds, size)


if __name__ == "__main__":
    main()
