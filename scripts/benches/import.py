"""An import by increments, Kafka to Parquet on HDFS, on each runner; beside a loop without Beam
that reads the same offsets and writes the same Parquet. Broker, HDFS, Flink and Spark share the
cores of this machine.

    scripts/bench import [--lines N] [--rounds N] [--only RUNNER,…] [--memory]
"""

import json
import os
import re
import statistics
from collections.abc import Iterator
from typing import Any

from core import Peak
from runners.local_stack import Stack
from traffic.importing import Importing
from traffic.loop import FEW, loop, runners, show
from traffic.started import Started
from traffic.trial import parser, temporary_stack

PER_MINUTE = 300_000  # lines: 5,000 a second


def reports(job: Importing, run: Started) -> Iterator[dict[str, Any]]:
    """Those of increments that read any."""
    assert run.stdout is not None
    for line in run.stdout:
        report = json.loads(line)
        if report["problems"]:
            raise SystemExit(f"{job.name}: {report['problems']}")
        if report["totals"]["read"]:
            yield report
    raise SystemExit(f"{job.name} has ended: {run.communicate()[1][-2000:]}")


def measure(job: Importing, lines: int, rounds: int, options: list[str]) -> dict[str, Any]:
    """Seconds of the first increment, of one of few lines, of each of `lines` lines."""
    job.put(FEW)
    few, seconds, size = [], [], 0
    with job.start("--every", "1s", *options, sinks=("parquet",)) as run:
        found = reports(job, run)
        first = next(found)["seconds"]
        for _ in range(2):
            job.put(FEW)
            few.append(next(found)["seconds"])
        for _ in range(rounds):
            job.put(lines)
            taken, read = 0.0, 0
            while read < lines:
                report = next(found)
                taken, read = taken + report["seconds"], read + report["totals"]["read"]
                size += report["totals"]["bytes"]
            seconds.append(taken)
        run.terminate()
        run.communicate(timeout=60)
    return {"first": first, "few": min(few), "seconds": seconds, "bytes": size / rounds}


def memory(stack: Stack, root: str, lines: int) -> None:
    """The largest process of an import of so many lines, and of ten times as many, MiB."""
    for number in (lines, 10 * lines):
        job = Importing(stack, f"memory-{number}", f"{root}/memory-{number}")
        job.put(number)
        with Peak() as peak, job.start("--once", "--workers", "2", sinks=("parquet",)) as run:
            run.communicate()
        print(f"direct, 2 workers, {number:,} lines: largest process {peak.mib:.0f} MiB")


def compare(stack: Stack, root: str, lines: int, rounds: int, only: str | None) -> None:
    """All runners in turn, with a loop before and after each."""
    corpus = Importing(stack, "loop", f"{root}/loop")
    corpus.put(lines)
    loops = [loop(f"{root}/loop", corpus.kafka, corpus.raw)]
    print(f"{'':24}{'lines/s':>9}{'of loop':>9}{'MB/s':>7}{'first s':>9}{'few s':>7}"
          f"{'of a minute':>13}")  # fmt: skip
    for name, options, environment in runners(stack, only):
        slug = re.sub(r"\W", "-", name.lower())
        job = Importing(stack, slug, f"{root}/{slug}", environment=environment)
        found = measure(job, lines, rounds, options)
        loops.append(loop(f"{root}/loop", corpus.kafka, corpus.raw))
        seconds = statistics.median(found["seconds"])
        rate, loop_rate = lines / seconds, statistics.mean(loops[-2:])
        print(f"{name:24}{rate:9,.0f}{rate / loop_rate:9.2f}"
              f"{found['bytes'] / seconds / 1e6:7.1f}{found['first']:9.1f}{found['few']:7.1f}"
              f"{PER_MINUTE / rate / 60:13.0%}", flush=True)  # fmt: skip
    show(loops)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=PER_MINUTE, help="of an increment")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", help="runners whose names begin like this")
    options.add_argument("--memory", action="store_true", help="measure that instead")
    args = options.parse_args()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    with temporary_stack("kafka", "hdfs", "workers", "spark") as stack:
        root = f"{stack.hdfs.endpoint()}/bench"
        if args.memory:
            memory(stack, root, args.lines)
        else:
            compare(stack, root, args.lines, args.rounds, args.only)


if __name__ == "__main__":
    main()
