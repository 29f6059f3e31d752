"""An import by increments into HDFS under steady traffic, and one kill -9 after another, of
everything in turn: its driver, a worker, DataNode, NameNode, broker, Spark's Worker; before that
its driver at each stage of an increment. After each HDFS must hold each event once, and no
untracked file.

    scripts/soak import [--rounds N] [--rate N] [--seed N] [--only KIND]
"""

import os
import random
import signal
import time

from traffic.importing import Importing
from traffic.kills import IMPORT_KILLS
from traffic.trial import in_turn, soak_parser, temporary_stack


def main() -> None:
    args = soak_parser(__doc__, rounds=4, rate=1_000).parse_args()
    rng = random.Random(args.seed)
    print(f"seed {args.seed}, {args.rate} lines/s, increments each 2 s", flush=True)
    print(f"{'killed':18} {'lines':>9}  {'increments':>10}  {'times':>5}  rows in all")
    kinds = in_turn(IMPORT_KILLS, args, rng)
    with temporary_stack("kafka", "hdfs", "workers", "spark") as stack:
        servers = {"SPARK": stack.spark.endpoint(), "WORKERS": stack.workers.endpoint()}
        job = Importing(stack, "soak", f"{stack.hdfs.endpoint()}/soak", environment=servers)
        job.put(1_000)
        job.once()
        for stage in job.stages():
            workers = rng.choice((1, 2))
            job.kill_at(stage, "--workers", f"{workers}", rng=rng)
            job.once("--workers", f"{3 - workers}")
            assert job.check() == job.lines
            print(f"driver, {stage}", flush=True)
        for kind in kinds:
            kills(job, kind, args.rate, rng)
    print(f"nothing lost, nothing double after {len(kinds)} turns; load {os.getloadavg()[0]:.1f}")


def kills(job: Importing, kind: str, rate: int, rng: random.Random) -> None:
    """Some kills of a kind in one run, its recovery, and what came of it. Raises AssertionError
    where events are lost or double."""
    options = ["--every", "2s", "--workers", rng.choice("12")]
    options += ["--runner", "spark"] if "Spark" in kind else []
    lines, done, times = job.lines, job.committed(), rng.randint(1, 3)
    run = job.start(*options)
    try:
        with job.traffic(rate):
            for _ in range(times):
                job.wait_for(job.committed() + 1, 300)
                time.sleep(rng.uniform(0, 4))
                IMPORT_KILLS[kind](job, run, rng)
                if run.poll() is not None:
                    run.communicate()
                    run = job.start(*options)
            job.wait_for(job.committed() + 1, 300)
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=300)
        assert run.returncode == 0, told
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    job.once()
    rows, number = job.check(), job.committed() - done
    print(f"{kind:18} {job.lines - lines:9,}  {number:10,}  {times:5}  {rows:,}", flush=True)


if __name__ == "__main__":
    main()
