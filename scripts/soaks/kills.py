"""A continuous job under steady traffic, and one kill -9 after another, of everything in turn: a
worker, the worker pool, the TaskManager, the JobManager, the broker. After each every event is
where it must be; how many came again, and how long it took, is printed.

    scripts/soak kills [--rounds N] [--rate N] [--seed N]
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from el_beam.running.process import hush
from runners.local_stack import Stack
from traffic.job import CHECKPOINTS, StreamJob
from traffic.kills import KILLS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    hush()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}, {args.rate} lines/s, checkpoints each {CHECKPOINTS} s", flush=True)
    print(f"{'killed':18} {'lines':>9}  {'again':>7}  {'of a checkpoint':>15}  seconds to catch up")
    with tempfile.TemporaryDirectory(prefix="el-soak-") as folder:
        stack = Stack(Path(folder))
        try:
            for _ in stack.up(["kafka", "flink", "workers"]):
                pass
            job = StreamJob(stack, "kills")
            job.put(1_000)
            job.start()
            kinds = [
                kind for _ in range(args.rounds) for kind in rng.sample(list(KILLS), len(KILLS))
            ]
            for kind in kinds:
                kill(job, kind, args.rate, rng)
        finally:
            stack.down()
    print(f"nothing lost in {len(kinds)} kills; load {os.getloadavg()[0]:.1f}")
    return 0


def kill(job: StreamJob, kind: str, rate: int, rng: random.Random) -> None:
    """One kill, its recovery, and what came of it. Raises AssertionError where events are lost."""
    before = job.check()
    with job.feed(rate) as traffic:
        time.sleep(rng.uniform(3, 10))
        killed = time.monotonic()
        KILLS[kind](job.stack, rng)
        time.sleep(rng.uniform(1, 5))
    job.lines += traffic.sent
    job.settled(300)
    seconds = time.monotonic() - killed
    again = job.check() - before
    share = again / (rate * CHECKPOINTS)
    print(f"{kind:18} {traffic.sent:9,}  {again:7,}  {share:15.2f}  {seconds:.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
