"""A continuous job at a steady rate for a long time: the memory of each process stays flat, the lag
stays bounded, checkpoints stay small, and in the end every event is where it must be, once.

    scripts/soak stream [--minutes N] [--rate N]
"""

import os
import statistics
import sys
import time
from collections import defaultdict

from runners.local_stack import Stack
from traffic.job import StreamJob
from traffic.trial import parser, servers, temporary_stack

EVERY = 10  # seconds between looks
MOST_GROWTH = 1.10  # of the last quarter's median over the second's
SLACK_MIB = 40  # that any process may grow by: heaps breathe
MOST_LAG = 15  # seconds of traffic: a checkpoint's worth and what is on its way
MOST_STATE_KB = 1_000


def memory(stack: Stack) -> dict[str, float]:
    """Resident MiB, by process name; all Python workers are one."""
    found: dict[str, float] = defaultdict(float)
    for name, process in servers(stack):
        found[name] += process.memory_info().rss / 2**20
    return dict(found)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--minutes", type=int, default=30)
    options.add_argument("--rate", type=int, default=5_000)
    args = options.parse_args()
    with temporary_stack("kafka", "flink", "workers") as stack:
        return soak(StreamJob(stack, "soak"), args.minutes, args.rate)


def soak(job: StreamJob, minutes: int, rate: int) -> int:
    """Run it and print what was found; the number of breaches."""
    job.put(1_000)
    job.start(checkpoints=10)
    looks: list[dict[str, float]] = []
    with job.traffic(rate):
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            time.sleep(EVERY)
            latest = job.flink.checkpoints(job.job)["latest"]["completed"]
            state = latest["state_size"] / 1000 if latest else 0.0
            looks.append({**memory(job.stack), "lag": job.lag(), "state": state})
            if len(looks) % 6 == 0:
                shown = "  ".join(f"{name} {value:,.0f}" for name, value in looks[-1].items())
                print(f"{len(looks) * EVERY / 60:4.0f} min  {shown}", flush=True)
    job.settled()
    repeats = job.check()
    job.cancel()
    print(f"{job.lines:,} lines, {repeats} records again, load {os.getloadavg()[0]:.1f}")
    return sum([not _flat(looks), not _bounded(looks, rate), repeats > 0])


def _flat(looks: list[dict[str, float]]) -> bool:
    quarter = max(len(looks) // 4, 1)
    fine = True
    print(f"{'MiB, medians':16} second quarter  last quarter")
    for name in looks[-1]:
        if name in ("lag", "state"):
            continue
        early = statistics.median(each[name] for each in looks[quarter : 2 * quarter])
        late = statistics.median(each[name] for each in looks[-quarter:])
        grown = late > early * MOST_GROWTH and late > early + SLACK_MIB
        fine &= not grown
        print(f"{name:16} {early:14,.0f}  {late:12,.0f}{'  breach' if grown else ''}")
    return fine


def _bounded(looks: list[dict[str, float]], rate: int) -> bool:
    steady = looks[len(looks) // 10 :]
    lag, state = max(each["lag"] for each in steady), max(each["state"] for each in looks)
    print(f"lag at most {lag:,.0f} lines ({lag / rate:.1f} s), checkpoints at most {state:,.0f} kB")
    return lag <= rate * MOST_LAG and state <= MOST_STATE_KB


if __name__ == "__main__":
    sys.exit(main())
