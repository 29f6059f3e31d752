"""An import by increments, Kafka to Parquet on HDFS, on each runner; beside a loop without Beam
that reads the same offsets and writes the same Parquet. Broker, HDFS, Flink and Spark share the
cores of this machine.

    scripts/bench import [--lines N] [--rounds N] [--only RUNNER,…] [--memory]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from core import Peak, descendants
from el_beam.running.process import hush
from runners.local_stack import Stack
from traffic.importing import Importing

PER_MINUTE = 300_000  # lines: 5,000 a second
FEW = 20  # lines of an increment whose seconds are its start-up


def runners(stack: Stack) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
    """Name -> options of `el run`, and its environment."""
    pool = {"WORKERS": stack.workers.endpoint()}
    two = ("--workers", "2")
    return {
        "direct, 1 worker": ((), {}),
        "direct, 2 workers": (two, {}),
        "Flink [local], 2": (("--runner", "flink", *two), {"FLINK": "[local]"}),
        "Spark local[2]": (("--runner", "spark", *two), {"SPARK": "local[2]"}),
        "Spark standalone, 2": (
            ("--runner", "spark", *two), pool | {"SPARK": stack.spark.endpoint()},
        ),
    }  # fmt: skip


@contextmanager
def importing(job: Importing, *options: str) -> Iterator[Iterator[dict[str, Any]]]:
    """`el run --every 1s` while the block runs: gives the reports of increments that read any."""
    run = subprocess.Popen(
        job.command("--json", "--every", "1s", *options, sinks=("parquet",)),
        env={**os.environ, **job.environment, "PYTHONPATH": str(job.code)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def reports() -> Iterator[dict[str, Any]]:
        assert run.stdout is not None
        for line in run.stdout:
            report = json.loads(line)
            if report["problems"]:
                raise SystemExit(f"{job.name}: {report['problems']}")
            if report["totals"]["read"]:
                yield report
        raise SystemExit(f"{job.name} has ended: {run.communicate()[1][-2000:]}")

    try:
        yield reports()
    finally:
        run.terminate()
        run.communicate(timeout=60)


def measure(job: Importing, lines: int, rounds: int, *options: str) -> dict[str, Any]:
    """Seconds of the first increment, of one of few lines, of each of `lines` lines."""
    job.put(FEW)
    with importing(job, *options) as reports:
        first = next(reports)["seconds"]
        few = []
        for _ in range(2):
            job.put(FEW)
            few.append(next(reports)["seconds"])
        seconds, size = [], 0
        for _ in range(rounds):
            job.put(lines)
            taken, read = 0.0, 0
            while read < lines:
                report = next(reports)
                taken, read = taken + report["seconds"], read + report["totals"]["read"]
                size += report["totals"]["bytes"]
            seconds.append(taken)
    return {"first": first, "few": min(few), "seconds": seconds, "bytes": size / rounds}


LOOP = """
import json, sys, time
from el_beam.running.process import hush
hush()
import psutil
from schemas.bad_event import BadEvent, event_error
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.io.kafka.cluster import KafkaCluster
from transforms.parse import line_parser
from transforms.read.kafka_ranges import OffsetRange, read_ranges, splits_of
from transforms.io.kafka.broker import KafkaTopics
from transforms.route import route
from transforms.validate import event_validator
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink, publish

brokers, topic, root = sys.argv[1:]
cluster, registry = KafkaCluster(brokers), open_registry(None)
bounds = KafkaTopics(cluster).bounds({topic: 4})
ranges = [OffsetRange(number, *bound) for (_, number), bound in bounds.items()]
sink = FileSink("parquet", root, ParquetEncoding(registry), "loop")
parse, validate = line_parser(DEFAULT_FORMAT), event_validator(registry)
sink.prepare()
lines, began = 0, time.monotonic()
bundle = sink.writer().bundle()
for split in splits_of(topic, 1, ranges):
    for line in read_ranges(cluster, split):
        outcome = parse(line)
        outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
        bundle.add(route(outcome)[0], event)
        lines += 1
publish(each.file for each in bundle.commit() if each.file)
seconds = time.monotonic() - began
print(json.dumps({"lines": lines, "seconds": seconds}))
"""


def loop(job: Importing) -> float:
    """Lines a second of the loop without Beam, over all that is in the raw topic."""
    call = [*psutil.Process().cmdline()[:1], "-c", LOOP, job.kafka, job.raw, f"{job.root}/loop"]
    done = subprocess.run(call, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(job.code)})  # fmt: skip
    found = json.loads(done.stdout)
    return float(found["lines"] / found["seconds"])


def memory(stack: Stack, hdfs: str, lines: int) -> None:
    """The largest process of an import of so many lines, and of ten times as many, MiB."""
    for number in (lines, 10 * lines):
        job = Importing(stack, f"memory-{number}", f"{hdfs}/bench/memory-{number}")
        job.put(number)
        with Peak() as peak:
            call = job.command("--once", "--workers", "2", sinks=("parquet",))
            run = subprocess.Popen(call, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "PYTHONPATH": str(job.code)})  # fmt: skip
            others = {*descendants(os.getpid())} - {run.pid}
            peak.mib = 0.0
            run.wait()
        del others
        print(f"direct, 2 workers, {number:,} lines: largest process {peak.mib:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=int, default=PER_MINUTE, help="of an increment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="runners whose names begin like this")
    parser.add_argument("--memory", action="store_true", help="measure that instead")
    args = parser.parse_args()
    hush()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="el-bench-") as folder:
        stack = Stack(Path(folder))
        try:
            for _ in stack.up(["kafka", "hdfs", "workers", "spark"]):
                pass
            hdfs = stack.hdfs.endpoint()
            if args.memory:
                memory(stack, hdfs, args.lines)
                return
            corpus = Importing(stack, "loop", f"{hdfs}/bench/loop")
            corpus.put(args.lines)
            loops = [loop(corpus)]
            print(f"{'':24}{'lines/s':>9}{'of loop':>9}{'MB/s':>7}{'first s':>9}{'few s':>7}"
                  f"{'of a minute':>13}")  # fmt: skip
            for name, (options, environment) in runners(stack).items():
                if args.only and not name.lower().startswith(tuple(args.only.lower().split(","))):
                    continue
                job = Importing(stack, _slug(name), f"{hdfs}/bench/{_slug(name)}")
                job.environment = environment
                found = measure(job, args.lines, args.rounds, *options)
                loops.append(loop(corpus))
                seconds = statistics.median(found["seconds"])
                rate, loop_rate = args.lines / seconds, statistics.mean(loops[-2:])
                share = PER_MINUTE / rate / 60
                print(f"{name:24}{rate:9,.0f}{rate / loop_rate:9.2f}"
                      f"{found['bytes'] / seconds / 1e6:7.1f}{found['first']:9.1f}"
                      f"{found['few']:7.1f}{share:13.0%}", flush=True)  # fmt: skip
            print(f"loop without Beam: {statistics.median(loops):,.0f} lines/s "
                  f"({min(loops):,.0f} - {max(loops):,.0f})")  # fmt: skip
        finally:
            stack.down()


def _slug(name: str) -> str:
    return "".join(each if each.isalnum() else "-" for each in name.lower())


if __name__ == "__main__":
    main()
