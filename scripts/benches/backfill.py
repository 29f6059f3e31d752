"""Backfill: hours of the raw archive on HDFS made again, on each runner; beside a loop without Beam
that reads the same archive and writes the same Parquet. HDFS, Flink and Spark share the cores of
this machine.

    scripts/bench backfill [--lines N] [--only RUNNER,…]
"""

import argparse
import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from el_beam.running.process import hush
from runners.local_stack import Stack

ROOT = Path(__file__).resolve().parents[2]
DAY = "2019-03-10"
FEW = 20  # lines of an hour whose seconds are its start-up
HOURS = 3  # of many lines
A_DAY = 24 * 3_600 * 5_000  # lines: 5,000 a second
EL = [sys.executable, "-m", "el_beam.cli"]
_TIME = re.compile(rb"(?<=\t)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\t)")


def runners(stack: Stack) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
    """Name -> options of `el backfill`, and its environment."""
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


def hour(number: int) -> str:
    return f"{DAY}T{number:02}"


def lines(of_hour: int, number: int) -> Iterator[bytes]:
    """The sample over and over, all of one hour, each line with a seqId of its own."""
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines()
    time_ = f"{DAY}T{of_hour:02}:30:00".encode()
    seq_id = re.compile(rb"\t(\d+)\t(?=2019)")
    for place in range(number):
        line = _TIME.sub(time_, sample[place % len(sample)], count=1)
        yield seq_id.sub(b"\t%d\t" % (of_hour * 10**8 + place), line, count=1)


def archive(folder: Path, root: str, number: int) -> None:
    """The first run: raw archive and tables of two hours of few lines and some of many."""
    for of_hour in range(2 + HOURS):
        log = folder / f"{of_hour}.log"
        with log.open("wb") as file:
            file.writelines(
                b"%b\n" % line for line in lines(of_hour, number if of_hour > 1 else FEW)
            )
        subprocess.run([*EL, "run", f"file:{log}?split=32MiB", f"raw:{root}/raw",
                        f"parquet:{root}/events", "--workers", "2", "--json"],
                       check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # fmt: skip
        log.unlink()


def measure(root: str, options: tuple[str, ...], environment: dict[str, str]) -> list[float]:
    """Seconds of each hour, the first with the start of all."""
    call = [*EL, "backfill", "apply", f"{root}/raw", f"parquet:{root}/events", "--from", hour(0),
            "--to", hour(1 + HOURS), "--json", *options]  # fmt: skip
    seconds = []
    with subprocess.Popen(call, cwd=ROOT, env={**os.environ, **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as apply:  # fmt: skip
        assert apply.stdout is not None
        began = time.monotonic()
        for line in apply.stdout:
            assert json.loads(line)["balanced"]
            now = time.monotonic()
            seconds.append(now - began)
            began = now
    if apply.returncode or len(seconds) != 2 + HOURS:
        raise SystemExit(f"el backfill {' '.join(options)} has failed")
    return seconds


LOOP = """
import sys, time
from el_beam.running.process import hush
hush()
from schemas.bad_event import BadEvent, event_error
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.parse import line_parser
from transforms.read.files import find_splits, read_split
from transforms.route import route
from transforms.validate import event_validator
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink, publish

raw, root = sys.argv[1:]
registry = open_registry(None)
sink = FileSink("parquet", root, ParquetEncoding(registry), "loop")
parse, validate = line_parser(DEFAULT_FORMAT), event_validator(registry)
sink.prepare()
began = time.monotonic()
bundle = sink.writer().bundle()
for split in find_splits((raw,)):
    for line in read_split(split):
        outcome = parse(line)
        outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
        bundle.add(route(outcome)[0], event)
publish(each.file for each in bundle.commit() if each.file)
print(time.monotonic() - began)
"""


def loop(root: str, number: int, place: int) -> float:
    """Lines a second of one hour, in a process of its own."""
    year, month, day = DAY.split("-")
    raw = f"{root}/raw/year={year}/month={month}/day={day}/hour=02/*"
    done = subprocess.run([sys.executable, "-c", LOOP, raw, f"{root}/loop{place}"], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return number / float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=int, default=300_000, help="of an hour")
    parser.add_argument("--only", help="runners whose names begin like this")
    args = parser.parse_args()
    hush()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="el-bench-") as folder:
        stack = Stack(Path(folder, "stack"))
        try:
            for _ in stack.up(["hdfs", "workers", "spark"]):
                pass
            root = f"{stack.hdfs.endpoint()}/bench"
            archive(Path(folder), root, args.lines)
            loops = [loop(root, args.lines, 0)]
            print(f"{'':24}{'lines/s':>9}{'of loop':>9}{'first s':>9}{'few s':>7}"
                  f"{'a day of 5,000/s':>18}")  # fmt: skip
            for name, (options, environment) in runners(stack).items():
                if args.only and not name.lower().startswith(tuple(args.only.lower().split(","))):
                    continue
                first, few, *many = measure(root, options, environment)
                loops.append(loop(root, args.lines, len(loops)))
                rate = args.lines / statistics.median(many)
                day = A_DAY / rate / 3_600
                print(f"{name:24}{rate:9,.0f}{rate / statistics.mean(loops[-2:]):9.2f}"
                      f"{first:9.1f}{few:7.1f}{day:16.1f} h", flush=True)  # fmt: skip
            print(f"loop without Beam: {statistics.median(loops):,.0f} lines/s "
                  f"({min(loops):,.0f} - {max(loops):,.0f})")  # fmt: skip
        finally:
            stack.down()


if __name__ == "__main__":
    main()
