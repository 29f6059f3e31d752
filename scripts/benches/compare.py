"""CPU and time of `el run` here and in another checkout, in interleaved pairs: is this one slower?

    scripts/bench compare CHECKOUT [--lines N] [--pairs N] [--only core|import]

`core` reads a log into Parquet, `import` reads a topic into Parquet and the raw archive. A ratio
above 1 says that this checkout needs more. The interval is that of the mean of the pairs'
logarithms (Student's t, 95 %).
"""

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core import SCRATCH, make_log
from traffic.feed import feed
from traffic.started import ROOT
from traffic.trial import parser, temporary_stack

_T95 = {5: 2.776, 7: 2.447, 9: 2.306, 11: 2.228, 15: 2.145, 21: 2.086}  # by the number of pairs
Measure = Callable[[Path, int], "Taken"]


class Taken(NamedTuple):
    """Seconds that an `el run` took."""

    cpu: float  # with that of the processes that it waited for
    time: float


def taken(checkout: Path, *arguments: str) -> Taken:
    """What `el run` takes with the code of a checkout."""
    call = [sys.executable, "-m", "el_beam.cli", "run", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    began = time.monotonic()
    process = subprocess.Popen(
        call, cwd=checkout, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said.decode(errors="replace"))
    return Taken(usage.ru_utime + usage.ru_stime, seconds)


def core(lines: int) -> Measure:
    """A log of so many lines into Parquet, in one process."""
    path = make_log(lines)

    def measure(checkout: Path, _: int) -> Taken:
        out = SCRATCH / "compare"
        shutil.rmtree(out, ignore_errors=True)
        return taken(checkout, f"file:{path}?split=32MiB", f"parquet:{out}")

    return measure


def imports(lines: int, kafka: str) -> Measure:
    """A topic of so many lines into Parquet and the raw archive, in one process."""
    feed(kafka, "raw-compare", lines)

    def measure(checkout: Path, run: int) -> Taken:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as out:
            return taken(
                checkout, f"kafka://{kafka}/?topics=raw-compare&group={checkout.name}-{run}",
                f"parquet:{out}/parquet", f"raw:{out}/raw", "--state", f"{out}/state", "--once",
            )  # fmt: skip

    return measure


def compare(name: str, measure: Measure, other: Path, lines: int, pairs: int) -> None:
    """Print the ratios of so many pairs, after one that doesn't count."""
    found: list[tuple[Taken, Taken]] = []
    for run in range(pairs + 1):
        places = [ROOT, other] if run % 2 else [other, ROOT]
        of = {place: measure(place, run) for place in places}
        if run:
            found.append((of[ROOT], of[other]))
    for what in Taken._fields:
        both = [(getattr(here, what), getattr(there, what)) for here, there in found]
        logs = [math.log(here / there) for here, there in both]
        mean = statistics.mean(logs)
        half = _T95[pairs] * statistics.stdev(logs) / math.sqrt(pairs)
        here, there = (statistics.median(each) / lines * 1e6 for each in zip(*both, strict=True))
        print(
            f"{name:8} {what:4} {here:6.1f} us a line here, {there:6.1f} there; ratio "
            f"{math.exp(mean):.3f}, 95 %: {math.exp(mean - half):.3f} - {math.exp(mean + half):.3f}"
            f" ({pairs} pairs)",
            flush=True,
        )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("checkout", type=Path, help="the other one")
    options.add_argument("--lines", type=int, default=200_000)
    options.add_argument("--pairs", type=int, default=9, choices=_T95)
    options.add_argument("--only", choices=("core", "import"))
    args = options.parse_args()
    other = args.checkout.resolve()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    print(f"load {os.getloadavg()[0]:.1f}")
    if args.only != "import":
        compare("core", core(args.lines), other, args.lines, args.pairs)
    if args.only != "core":
        with temporary_stack("kafka") as stack:
            measure = imports(args.lines, stack.kafka.endpoint())
            compare("import", measure, other, args.lines, args.pairs)


if __name__ == "__main__":
    main()
