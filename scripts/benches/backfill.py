"""Backfill: hours of the raw archive on HDFS made again, on each runner; beside a loop without Beam
that reads the same archive and writes the same Parquet. HDFS, Flink and Spark share the cores of
this machine.

    scripts/bench backfill [--lines N] [--only RUNNER,…]
"""

import json
import os
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from traffic.feed import SAMPLE, copies
from traffic.loop import FEW, loop, runners, show
from traffic.started import start
from traffic.trial import parser, temporary_stack

DAY = datetime(2019, 3, 10, tzinfo=UTC)
HOURS = 3  # of many lines
A_DAY = 24 * 3_600 * 5_000  # lines: 5,000 a second


def lines(hour: int) -> Iterator[bytes]:
    """The sample over and over, all of one hour, each line with a seqId of its own."""
    second = DAY.timestamp() + (hour + 0.5) * 3_600
    return copies(SAMPLE, lambda _: second, first_seq_id=hour * 10**8)


def archive(folder: Path, root: str, number: int) -> None:
    """The first run: raw archive and tables of two hours of few lines and some of many."""
    for hour in range(2 + HOURS):
        log, most = folder / f"{hour}.log", number if hour > 1 else FEW
        with log.open("wb") as file:
            file.writelines(b"%b\n" % line for line in islice(lines(hour), most))
        with start("run", f"file:{log}?split=32MiB", f"raw:{root}/raw", f"parquet:{root}/events",
                   "--workers", "2", "--json", env={}) as run:  # fmt: skip
            _, errors = run.communicate()
        if run.returncode:
            raise SystemExit(errors)
        log.unlink()


def measure(root: str, options: list[str], environment: dict[str, str]) -> list[float]:
    """Seconds of each hour, the first with the start of all."""
    hours = ("--from", f"{DAY:%Y-%m-%dT%H}", "--to", f"{DAY:%Y-%m-%dT}{1 + HOURS:02}")
    seconds = []
    with start("backfill", "apply", f"{root}/raw", f"parquet:{root}/events", *hours, "--json",
               *options, env=environment, stderr=None) as apply:  # fmt: skip
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


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=300_000, help="of an hour")
    options.add_argument("--only", help="runners whose names begin like this")
    args = options.parse_args()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    with temporary_stack("hdfs", "workers", "spark") as stack:
        root = f"{stack.hdfs.endpoint()}/bench"
        archive(stack.folder, root, args.lines)
        hour = f"{root}/raw/{DAY:year=%Y/month=%m/day=%d}/hour=02/*"
        loops = [loop(f"{root}/loop0", hour)]
        print(f"{'':24}{'lines/s':>9}{'of loop':>9}{'first s':>9}{'few s':>7}"
              f"{'a day of 5,000/s':>18}")  # fmt: skip
        for name, more, environment in runners(stack, args.only):
            first, few, *many = measure(root, more, environment)
            loops.append(loop(f"{root}/loop{len(loops)}", hour))
            rate = args.lines / statistics.median(many)
            day = A_DAY / rate / 3_600
            print(f"{name:24}{rate:9,.0f}{rate / statistics.mean(loops[-2:]):9.2f}"
                  f"{first:9.1f}{few:7.1f}{day:16.1f} h", flush=True)  # fmt: skip
        show(loops)


if __name__ == "__main__":
    main()
