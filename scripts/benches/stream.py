"""The continuous job: from a raw topic, through all the work, to schema topics, with counts, on
Flink; beside the loop of `scripts/bench core` in the same run. Broker, JobManager, TaskManager and
workers share the cores of this machine.

    scripts/bench stream [--seconds N] [--latency N] [--workers N] [--flood bad|hostile]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import cycle, islice

import orjson
import psutil
from confluent_kafka import Consumer

from bad import KINDS, write_schemas
from core import elsewhere, make_log
from traffic.feed import FIRST_SEQ_ID, put
from traffic.job import StreamJob, wait_for
from traffic.trial import parser, servers, temporary_stack
from traffic.truth import produced, topics

WARM_UP = 40  # seconds: until Flink's JIT and the workers are at their speed
LOOP_LINES = 400_000
LINES_FOR = 60_000  # lines a second that are put into the raw topic beforehand
FLOODS = {"bad": (1_000, 25_000), "hostile": (64_000, 1_500)}  # bytes of a line, lines a second


def cpu(processes: list[tuple[str, psutil.Process]]) -> dict[str, float]:
    """Seconds of CPU that they have used so far, by name."""
    used: dict[str, float] = defaultdict(float)
    for name, process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            used[name] += times.user + times.system
    return used


def flood(kind: str) -> list[bytes]:
    """Lines of each reason why one is bad; `hostile`: each with a good one before it."""
    size, _ = FLOODS[kind]
    pairs = [(good(size), bad(size)) for bad, good, _ in KINDS.values()]
    return [line for good, bad in pairs for line in ((good, bad) if kind == "hostile" else (bad,))]


def throughput(job: StreamJob, seconds: int, kinds: int) -> Iterator[float]:
    """Lines/s in each ten seconds of the steady state, which has topics of so many kinds: records
    that came out."""
    wait_for(lambda: len(topics(job.kafka, job.prefix)) >= kinds, 120)
    time.sleep(WARM_UP)
    names = topics(job.kafka, job.prefix)
    before, began = produced(job.kafka, names), time.monotonic()
    for _ in range(seconds // 10):
        time.sleep(10)
        now, ended = produced(job.kafka, names), time.monotonic()
        yield (now - before) / (ended - began)
        before, began = now, ended


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=int, default=180, help="of steady state")
    options.add_argument("--latency", type=int, default=60, help="seconds at 5,000 lines/s")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--flood", choices=FLOODS, help="of bad lines, or half of hostile ones")
    args = options.parse_args()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    path = make_log(LOOP_LINES)
    loops = [elsewhere("json", path)]
    with temporary_stack("kafka", "flink", "workers") as stack:
        rates, cores = _fast(StreamJob(stack, "fast"), args)
        slow = [] if args.flood else _latency(StreamJob(stack, "slow"), args)
    loops.append(elsewhere("json", path))
    show([found["read"] / found["seconds"] for found in loops], rates, cores, slow, args)


def _fast(job: StreamJob, args: argparse.Namespace) -> tuple[list[float], dict[str, float]]:
    options = list[str]()
    seconds = args.seconds + WARM_UP + 30
    if args.flood:
        lines, rate = flood(args.flood), FLOODS[args.flood][1]
        job.lines = seconds * rate
        put(job.kafka, job.raw, islice(cycle(lines), job.lines))
        options = ["--schemas", tempfile.mkdtemp(dir=job.stack.folder)]
        write_schemas(options[1])
        print(f"lines of {sum(map(len, lines)) / len(lines):,.0f} bytes", flush=True)
    else:
        job.put(seconds * LINES_FOR)
    print(f"{job.lines:,} lines are in the raw topic", flush=True)
    job.start(*options, workers=args.workers, checkpoints=10)
    steady = throughput(job, args.seconds, 1 if args.flood else 6)
    rates = [next(steady)]
    processes = [*servers(job.stack)]
    before, began = cpu(processes), time.monotonic()
    for rate in steady:
        rates.append(rate)
        print(f"  {rate:,.0f} lines/s", flush=True)
    elapsed = time.monotonic() - began
    cores = {name: (used - before[name]) / elapsed for name, used in cpu(processes).items()}
    if not job.lag():
        raise SystemExit("the raw topic was empty before the end: put in more lines")
    job.cancel()
    return rates, cores


def _latency(job: StreamJob, args: argparse.Namespace) -> list[float]:
    """Milliseconds from a line's way into the raw topic to its event's way out of a schema topic,
    as a consumer sees it, in order."""
    job.put(2_000)
    job.start(workers=args.workers, checkpoints=10)
    job.settled()
    found: list[float] = []
    consumer = Consumer(
        {"bootstrap.servers": job.kafka, "group.id": "latency", "fetch.wait.max.ms": 10,
         "enable.auto.commit": False, "auto.offset.reset": "latest", "log_level": 0}
    )  # fmt: skip
    consumer.subscribe([f"^{job.prefix.replace('.', '[.]')}.*"])
    first = FIRST_SEQ_ID + job.lines
    with closing(consumer), job.traffic(5_000, timed=True) as traffic:
        counts_from = time.time() + 20
        while time.time() < counts_from + args.latency:
            for message in consumer.consume(500, timeout=0.05):
                now = time.time()
                number = orjson.loads(message.value() or b"{}").get("seqId", 0) - first
                if now > counts_from and (sent := traffic.times.get(number)) is not None:
                    found.append((now - sent) * 1000)
    job.cancel()
    return sorted(found)


def show(
    loops: list[float], rates: list[float], cores: dict[str, float], slow: list[float],
    args: argparse.Namespace,
) -> None:  # fmt: skip
    """The table."""
    loop, stream = statistics.mean(loops), statistics.mean(rates)
    print(f"{'':36} lines/s    (least - most)")
    print(f"{'loop without Beam, before and after':36} {loop:7,.0f}    "
          f"({min(loops):,.0f} - {max(loops):,.0f})")  # fmt: skip
    print(f"{f'stream, {args.workers} workers, {args.seconds} s':36} {stream:7,.0f}    "
          f"({min(rates):,.0f} - {max(rates):,.0f})")  # fmt: skip
    print(f"the stream is {stream / loop:.2f} of the loop")
    print("cores used: " + ", ".join(f"{name} {used:.2f}" for name, used in cores.items()))
    each = (f"{name} {used / stream * 1e6:.1f}" for name, used in cores.items())
    print("µs of CPU a line: " + ", ".join(each))
    if slow:
        points = ", ".join(
            f"p{share * 100:g} {slow[min(int(len(slow) * share), len(slow) - 1)]:,.0f}"
            for share in (0.5, 0.9, 0.99, 0.999)
        )
        print(f"latency at 5,000 lines/s, {len(slow):,} events, ms: {points}")


if __name__ == "__main__":
    main()
