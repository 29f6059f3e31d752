"""A consumer of fifteen topics into tables of MariaDB under steady traffic, and one mishap after
another: kill -9 of the consumer, of MariaDB, of both, a table locked for minutes, a full disk.
After each every event must be a row once. Needs root, for the small disk.

    scripts/soak mysql [--rounds N] [--rate N] [--locked SECONDS] [--seed N] [--only KIND]
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from runners.local_stack import Stack
from traffic.consuming import TABLES, Consuming, Run, Steady
from traffic.database import Database
from traffic.kills import KILLED, full, kill, locked, small_disk
from traffic.trial import in_turn, running, soak_parser

KINDS = (*KILLED, "locked", "full")
DISK = 800  # MiB


def main() -> None:
    options = soak_parser(__doc__, rounds=3, rate=1_000)
    options.add_argument("--locked", type=float, default=120, help="seconds that a table is locked")
    args = options.parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}, {args.rate} events/s, increments each second", flush=True)
    print(f"{'what':9} {'events':>9}  {'increments':>10}  lag while it lasts", flush=True)
    kinds = in_turn(KINDS, args, rng)
    with tempfile.TemporaryDirectory(prefix="el-trial-") as place:
        stack = Stack(Path(place))
        small = small_disk(stack.mariadb.folder, f"{DISK}m")
        with small, running(stack, "kafka", "mariadb"):
            for number, kind in enumerate(kinds):
                folder = stack.folder / f"soak{number}"
                folder.mkdir()
                database = Database(stack.mariadb.endpoint(), "soak")
                job = Consuming(stack.kafka.endpoint(), database, f"soak{number}", folder)
                happen(job, kind, stack, args, rng)
    print(f"nothing lost, nothing double after {len(kinds)} turns; load {os.getloadavg()[0]:.1f}")


def happen(
    job: Consuming, kind: str, stack: Stack, args: argparse.Namespace, rng: random.Random
) -> None:
    """A mishap under traffic, its recovery, and what came of it. Raises AssertionError where events
    are lost or double."""
    job.put(1_500)
    with job.running() as run:
        with Steady(job, args.rate) as traffic:
            job.wait_for(dict.fromkeys(job.tables, 150))
            time.sleep(rng.uniform(3, 6))
            told = mishap(job, kind, run, traffic, stack, args.locked, rng)
            sent, began = dict(job.sent), time.monotonic()
            job.wait_for(sent, 600)
            caught_up = time.monotonic() - began
        job.wait_for(dict(job.sent), 600)
    rows = job.check()
    done = sum(bool(report["topics"]) for report in run.reports)
    print(f"{kind:9} {rows:9,}  {done:10,}  {told}; caught up in {caught_up:.0f} s", flush=True)


def mishap(
    job: Consuming, kind: str, run: Run, traffic: Steady, stack: Stack, locked_for: float,
    rng: random.Random,
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
            return lags(traffic, [name for name in TABLES if name != table], locked_for)
    server = stack.mariadb.process("mariadb")
    with full(stack.mariadb.folder, leave=rng.randrange(2, 8) * 2**20):
        end = time.monotonic() + 300
        while server.pid and not any(report["problems"] for report in run.reports):
            assert time.monotonic() < end, "the disk isn't full"
            time.sleep(0.1)
        time.sleep(10)
        died = server.pid is None
    server.start()  # MariaDB gives up where its own files have no room either
    server.wait()
    return "MariaDB died of it" if died else "MariaDB lived on"


def lags(traffic: Steady, tables: list[str], seconds: float) -> str:
    """How late tables are for so long: the median and the worst."""
    found = traffic.lags(tables, seconds, every=0.5)
    middle, most = statistics.median(found), found[-len(found) // 20]
    return (f"{len(tables)} tables {middle:.1f} s in the middle, {most:.1f} s in 19 of 20,"
            f" {found[-1]:.1f} s at most")  # fmt: skip


if __name__ == "__main__":
    main()
