"""A consumer of fifteen topics into tables of MariaDB under steady traffic, and one mishap after
another: kill -9 of the consumer, of MariaDB, of both, a table locked for minutes, a full disk.
After each every event must be a row once. Needs root, for the small disk.

    scripts/soak mysql [--rounds N] [--rate N] [--locked SECONDS] [--seed N] [--only KIND]
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from el_beam.running.process import hush
from runners.local_stack import Stack
from traffic.consuming import TABLES, Consuming, Run, Steady
from traffic.database import Database
from traffic.kills import KILLED, full, kill, locked, small_disk

KINDS = (*KILLED, "locked", "full")
DISK = 800  # MiB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--locked", type=float, default=120, help="seconds that a table is locked")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", help="kinds whose names have this in them")
    args = parser.parse_args()
    hush()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}, {args.rate} events/s, increments each second", flush=True)
    print(f"{'what':9} {'events':>9}  {'increments':>10}  lag while it lasts", flush=True)
    chosen = [kind for kind in KINDS if (args.only or "") in kind]
    kinds = [kind for _ in range(args.rounds) for kind in rng.sample(chosen, len(chosen))]
    with tempfile.TemporaryDirectory(prefix="el-soak-") as folder:
        stack = Stack(Path(folder, "stack"))
        disk = stack.mariadb.folder
        with small_disk(disk, f"{DISK}m"), closing(Up(stack)):
            for number, kind in enumerate(kinds):
                (Path(folder) / str(number)).mkdir()
                job = Consuming(stack.kafka.endpoint(), Database(stack.mariadb.endpoint(), "soak"),
                                f"soak{number}", Path(folder, str(number)))  # fmt: skip
                happen(job, kind, stack, disk, args, rng)
    print(f"nothing lost, nothing double after {len(kinds)} turns; load {os.getloadavg()[0]:.1f}")
    return 0


class Up:
    """The servers of a stack, running."""

    def __init__(self, stack: Stack) -> None:
        self.close = stack.down
        for _ in stack.up(["kafka", "mariadb"]):
            pass


def happen(
    job: Consuming, kind: str, stack: Stack, disk: Path, args: argparse.Namespace,
    rng: random.Random,
) -> None:  # fmt: skip
    """A mishap under traffic, its recovery, and what came of it. Raises AssertionError where events
    are lost or double."""
    job.put(1_500)
    with job.running() as run:
        with Steady(job, args.rate) as traffic:
            job.wait_for(dict.fromkeys(job.tables, 150))
            time.sleep(rng.uniform(3, 6))
            told = mishap(job, kind, run, traffic, stack, disk, args, rng)
            sent, began = dict(job.sent), time.monotonic()
            job.wait_for(sent, 600)
            caught_up = time.monotonic() - began
        job.wait_for(dict(job.sent), 600)
    rows = job.check()
    done = sum(bool(report["topics"]) for report in run.reports)
    print(f"{kind:9} {rows:9,}  {done:10,}  {told}; caught up in {caught_up:.0f} s", flush=True)


def mishap(
    job: Consuming, kind: str, run: Run, traffic: Steady, stack: Stack, disk: Path,
    args: argparse.Namespace, rng: random.Random,
) -> str:  # fmt: skip
    if kind in KILLED:
        times = rng.randint(1, 4)
        for _ in range(times):
            kill(kind, run, stack, rng)
            before = job.counts()
            job.wait_for({table: number + 10 for table, number in before.items()}, 120)
            time.sleep(rng.uniform(0, 3))
        return f"{times} times"
    if kind == "locked":
        table = rng.choice(TABLES)
        with locked(job, table):
            return lags(job, traffic, [name for name in TABLES if name != table], args.locked)
    server = stack.mariadb.process("mariadb")
    with full(disk, leave=rng.randrange(2, 8) * 2**20):
        end = time.monotonic() + 300
        while server.pid and not any(report["problems"] for report in run.reports):
            assert time.monotonic() < end, "the disk isn't full"
            time.sleep(0.1)
        time.sleep(10)
        died = server.pid is None
    server.start()  # MariaDB gives up where its own files have no room either
    server.wait()
    return "MariaDB died of it" if died else "MariaDB lived on"


def lags(job: Consuming, traffic: Steady, tables: list[str], seconds: float) -> str:
    """How late tables are for so long: of each the median and the worst."""
    found = defaultdict(list)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for table, rows in job.counts(tables).items():
            found[table].append(traffic.lag(table, rows))
        time.sleep(0.5)
    every = sorted(lag for each in found.values() for lag in each)
    middle, most = statistics.median(every), every[-len(every) // 20]
    return (f"{len(tables)} tables {middle:.1f} s in the middle, {most:.1f} s in 19 of 20,"
            f" {every[-1]:.1f} s at most")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
