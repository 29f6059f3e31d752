"""The continuous job: from a raw topic, through all the work, to schema topics, with counts, on
Flink; beside the loop of `scripts/bench core` in the same run. Broker, JobManager, TaskManager and
workers share the cores of this machine.

    scripts/bench stream [--seconds N] [--latency N] [--workers N]
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
from confluent_kafka import Consumer, TopicPartition

from core import elsewhere, make_log
from el_beam.running.process import hush
from runners.local_stack import Stack
from traffic.feed import FIRST_SEQ_ID, Feed
from traffic.job import StreamJob, wait_for
from traffic.truth import topics

WARM_UP = 40  # seconds: until Flink's JIT and the workers are at their speed
LOOP_LINES = 400_000
LINES_FOR = 60_000  # lines a second that are put into the raw topic beforehand


class Sampler:
    """CPU seconds of the stack's processes, by name, while the block runs."""

    def __init__(self, stack: Stack) -> None:
        self._names = {process.pid: process.name for process in stack.processes() if process.pid}
        pool = stack.workers.process("workers").pid
        if pool:
            for child in psutil.Process(pid=pool).children(recursive=True):
                self._names[child.pid] = "python workers"

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, by process name."""
        used: dict[str, float] = {}
        for pid, name in self._names.items():
            try:
                times = psutil.Process(pid).cpu_times()
            except psutil.Error:
                continue
            used[name] = used.get(name, 0.0) + times.user + times.system
        return used


def produced(brokers: str, names: list[str]) -> int:
    """Records in these topics, by their end offsets."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "bench", "log_level": 0})
    try:
        known = consumer.list_topics(timeout=30).topics
        return sum(
            consumer.get_watermark_offsets(TopicPartition(name, number), timeout=30)[1]
            for name in names
            for number in known[name].partitions
        )
    finally:
        consumer.close()


def throughput(job: StreamJob, seconds: int) -> Iterator[float]:
    """Lines/s in each ten seconds of the steady state: records that came out."""
    wait_for(lambda: len(topics(job.kafka, job.prefix)) > 5, 120)
    time.sleep(WARM_UP)
    names = topics(job.kafka, job.prefix)
    before, began = produced(job.kafka, names), time.monotonic()
    for _ in range(seconds // 10):
        time.sleep(10)
        now, ended = produced(job.kafka, names), time.monotonic()
        yield (now - before) / (ended - began)
        before, began = now, ended


def latencies(job: StreamJob, rate: int, seconds: int) -> list[float]:
    """Milliseconds from a line's way into the raw topic to its event's way out of a schema topic,
    as a consumer sees it."""
    found: list[float] = []
    consumer = Consumer(
        {"bootstrap.servers": job.kafka, "group.id": "latency", "fetch.wait.max.ms": 10,
         "enable.auto.commit": False, "auto.offset.reset": "latest", "log_level": 0}
    )  # fmt: skip
    done = threading.Event()
    with Feed(job.kafka, job.raw, rate, start=job.lines, timed=True) as traffic:

        def listen() -> None:
            consumer.subscribe([f"^{job.prefix.replace('.', '[.]')}.*"])
            while not done.is_set():
                for message in consumer.consume(500, timeout=0.05):
                    now = time.time()
                    number = orjson.loads(message.value() or b"{}").get("seqId", 0) - FIRST_SEQ_ID
                    if (sent := traffic.times.get(number - job.lines)) is not None:
                        found.append((now - sent) * 1000)

        thread = threading.Thread(target=listen)
        thread.start()
        time.sleep(20)
        found.clear()
        time.sleep(seconds)
    done.set()
    thread.join()
    consumer.close()
    job.lines += traffic.sent
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=180, help="of steady state")
    parser.add_argument("--latency", type=int, default=60, help="seconds at 5,000 lines/s")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    hush()
    print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
    path = make_log(LOOP_LINES)
    loops = [_loop(path)]
    with tempfile.TemporaryDirectory(prefix="el-bench-") as folder:
        stack = Stack(Path(folder))
        try:
            for _ in stack.up(["kafka", "flink", "workers"]):
                pass
            rates, cpu = _fast(StreamJob(stack, "fast"), args)
            slow = _latency(StreamJob(stack, "slow"), args)
        finally:
            stack.down()
    loops.append(_loop(path))
    show(loops, rates, cpu, slow, args)


def _loop(path: Path) -> float:
    found = elsewhere("json", path)
    return float(found["read"] / found["seconds"])


def _fast(job: StreamJob, args: argparse.Namespace) -> tuple[list[float], dict[str, float]]:
    job.put((args.seconds + WARM_UP + 30) * LINES_FOR)
    print(f"{job.lines:,} lines are in the raw topic", flush=True)
    job.start(workers=args.workers, checkpoints=10)
    steady = throughput(job, args.seconds)
    rates = [next(steady)]
    sampler = Sampler(job.stack)
    before, began = sampler.cpu(), time.monotonic()
    for rate in steady:
        rates.append(rate)
        print(f"  {rate:,.0f} lines/s", flush=True)
    elapsed = time.monotonic() - began
    cpu = {name: (used - before[name]) / elapsed for name, used in sampler.cpu().items()}
    if not job.lag():
        raise SystemExit("the raw topic was empty before the end: put in more lines")
    job.cancel()
    return rates, cpu


def _latency(job: StreamJob, args: argparse.Namespace) -> list[float]:
    job.put(2_000)
    job.start(workers=args.workers, checkpoints=10)
    job.settled()
    found = latencies(job, 5_000, args.latency)
    job.cancel()
    return sorted(found)


def show(
    loops: list[float], rates: list[float], cpu: dict[str, float], slow: list[float],
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
    print("cores used: " + ", ".join(f"{name} {used:.2f}" for name, used in cpu.items()))
    if slow:
        points = ", ".join(
            f"p{share * 100:g} {slow[min(int(len(slow) * share), len(slow) - 1)]:,.0f}"
            for share in (0.5, 0.9, 0.99, 0.999)
        )
        print(f"latency at 5,000 lines/s, {len(slow):,} events, ms: {points}")


if __name__ == "__main__":
    main()
