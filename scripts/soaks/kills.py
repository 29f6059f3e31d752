"""A continuous job under steady traffic, and one kill -9 after another, of everything in turn: a
worker, the worker pool, the TaskManager, the JobManager, the broker. After each every event is
where it must be; how many came again, and how long it took, is printed.

    scripts/soak kills [--rounds N] [--rate N] [--seed N] [--only KIND]
"""

import os
import random
import time

from traffic.job import CHECKPOINTS, StreamJob
from traffic.kills import KILLS
from traffic.trial import in_turn, soak_parser, temporary_stack


def main() -> None:
    args = soak_parser(__doc__, rounds=4, rate=5_000).parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}, {args.rate} lines/s, checkpoints each {CHECKPOINTS} s", flush=True)
    print(f"{'killed':18} {'lines':>9}  {'again':>7}  {'of a checkpoint':>15}  seconds to catch up")
    kinds = in_turn(KILLS, args, rng)
    with temporary_stack("kafka", "flink", "workers") as stack:
        job = StreamJob(stack, "kills")
        job.put(1_000)
        job.start()
        for kind in kinds:
            kill(job, kind, args.rate, rng)
    print(f"nothing lost in {len(kinds)} kills; load {os.getloadavg()[0]:.1f}")


def kill(job: StreamJob, kind: str, rate: int, rng: random.Random) -> None:
    """One kill, its recovery, and what came of it. Raises AssertionError where events are lost."""
    before = job.check()
    with job.traffic(rate) as traffic:
        time.sleep(rng.uniform(3, 10))
        killed = time.monotonic()
        KILLS[kind](job.stack, rng)
        time.sleep(rng.uniform(1, 5))
    job.settled(300)
    seconds = time.monotonic() - killed
    again = job.check() - before
    share = again / (rate * CHECKPOINTS)
    print(f"{kind:18} {traffic.sent:9,}  {again:7,}  {share:15.2f}  {seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
