"""A continuous job of another checkout is stopped under traffic, and goes on with the code of this
one: from its savepoint, or where that is refused from its group's offsets. No event is lost.

    scripts/soak upgrade CHECKOUT [--rate N] [--workers N]
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runners.addresses import answers
from runners.local_stack import Stack
from traffic.job import StreamJob, wait_for
from traffic.started import ROOT, Started, start
from traffic.trial import parser, temporary_stack


class AnyVersion(StreamJob):
    """A job of the code of some checkout."""

    code = ROOT

    @property
    def port(self) -> int:
        """Of a worker pool of that code: the stack's own has this one's."""
        return self.stack.workers.port["pool"] + 1

    def el(self, *options: str, pool: bool = True, **more: int) -> Started:
        call = self.arguments(*options, **more)
        environment = self.where(pool=pool) | {"WORKERS": f"127.0.0.1:{self.port}"}
        return start(*call, env=environment, code=self.code)

    @contextmanager
    def version(self, code: Path) -> Iterator[None]:
        """While the block runs, `el` and the worker pool are of this code."""
        self.code = code
        call = [sys.executable, "-m", "runners.worker_pool", "--port", str(self.port)]
        with subprocess.Popen(call, cwd=code, env=os.environ | {"PYTHONPATH": str(code)}) as pool:
            try:
                wait_for(lambda: answers(f"127.0.0.1:{self.port}"), 30)
                yield
            finally:
                pool.terminate()


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("checkout", type=Path)
    arguments.add_argument("--rate", type=int, default=2_000, help="lines a second")
    arguments.add_argument("--workers", type=int, default=2)
    args = arguments.parse_args()
    with temporary_stack("kafka", "flink") as stack:
        for stops in (True, False):
            upgrade(stack, args.checkout.resolve(), args.rate, args.workers, stops=stops)


def upgrade(stack: Stack, old: Path, rate: int, workers: int, *, stops: bool) -> None:
    """Stop the old version's job with a savepoint, or let it be killed."""
    job = AnyVersion(stack, "stopped" if stops else "killed")
    job.put(1_000)
    savepoint = ""
    with job.version(old):
        job.start(workers=workers)
        with job.traffic(rate):
            time.sleep(20)
            if stops:
                savepoint = job.flink.stop(job.job)
            else:
                job.cancel()
            time.sleep(2)
    with job.version(ROOT):
        with job.traffic(rate):
            begin(job, savepoint, workers)
            time.sleep(10)
        job.settled()
        again = job.check()
        print(f"{job.name}: {job.lines:,} lines, nothing lost, {again:,} records again", flush=True)
        job.cancel()


def begin(job: AnyVersion, savepoint: str, workers: int) -> None:
    """From the savepoint if there is one, and if it isn't refused."""
    if savepoint:
        with job.el("--detach", "--savepoint", savepoint, workers=workers) as run:
            _, told = run.communicate(timeout=180)
        print(f"el run --savepoint ends with {run.returncode}: {told.strip()[-500:]}", flush=True)
        if run.returncode == 0:
            job.job = job.flink.job(f"el {job.name}").id
            return
    job.start(workers=workers)


if __name__ == "__main__":
    main()
