"""The hot path on one corpus: (r) a reference, (a) a plain loop over the pure functions, (b) the
graph into Parquet in one process, (c) in two. Rounds are interleaved; each figure is the median of
its rounds.

    scripts/bench core [--lines N] [--rounds N]
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_plus

from traffic.feed import copies
from traffic.started import EL, ROOT
from traffic.trial import SCRATCH, parser

CORPUS = ROOT / "tests" / "golden" / "oracle" / "corpus.log.gz"
SPLIT_MIB = 32  # small enough that two workers get about as much each
PER_SECOND = 5_000  # lines in a second of the log: its hours fill as in production
FIRST_SECOND, FIRST_SEQ_ID = 1_552_200_000, 20_000_000


def make_log(lines: int) -> Path:
    """The corpus over and over, each line with a seqId and time of its own, in order."""
    path = SCRATCH / f"corpus-{lines}.log"
    if path.exists():
        return path
    SCRATCH.mkdir(parents=True, exist_ok=True)
    made = copies(CORPUS, lambda number: FIRST_SECOND + number // PER_SECOND,
                  first_seq_id=FIRST_SEQ_ID)  # fmt: skip
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as out:
        out.writelines(b"%b\n" % line for line in islice(made, lines))
    unfinished.rename(path)
    return path


class Peak:
    """Of the processes that start below ours while the block runs: the most memory that one of
    them has had, in MiB."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._before = {*descendants(os.getpid())}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            for pid in {*descendants(os.getpid())} - self._before:
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                    self.mib = max(self.mib, int(found[1]) / 1024)


def descendants(pid: int) -> Iterator[int]:
    """All processes that a process has started, and those that they have."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from descendants(child)


def reference(path: Path) -> dict[str, Any]:
    """(r): nothing but urllib's unquoting and json's reading of each line: this machine, now."""
    bad = lines = 0
    started = time.perf_counter()
    with path.open("rb") as log:
        for line in log:
            lines += 1
            try:
                json.loads(unquote_plus(line.split(b"\t")[0].decode()[1:-1]))
            except (ValueError, RecursionError):
                bad += 1
    return {"seconds": time.perf_counter() - started, "read": lines, "bad": bad}


def graph(path: Path, workers: int) -> dict[str, Any]:
    """(b), (c): `el run` into Parquet. Its own time, and that of the whole process."""
    out = SCRATCH / "graph"
    shutil.rmtree(out, ignore_errors=True)
    call = [*EL, "run", f"file:{path}?split={SPLIT_MIB}MiB", f"parquet:{out}"]
    started = time.perf_counter()
    done = subprocess.run(
        [*call, "--workers", str(workers), "--json"], capture_output=True, check=True
    )
    whole = time.perf_counter() - started
    summary = json.loads(done.stdout)
    assert summary["balanced"]
    totals = summary["totals"]
    return {"seconds": summary["seconds"], "whole": whole,
            "read": totals["read"], "bad": totals["bad"]}  # fmt: skip


def elsewhere(what: str, path: Path) -> dict[str, Any]:
    """The loop in a process of its own, so that its memory is its own too."""
    call = [sys.executable, "scripts/quietly.py", __file__, "--loop", what, "--log", str(path)]
    done = subprocess.run(call, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=400_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--loop", help=argparse.SUPPRESS)
    options.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.loop == "reference":
        print(json.dumps(reference(args.log)))
        return
    from traffic.hot_path import loop, stages  # the reference's memory is its own

    if args.loop:
        print(json.dumps(loop(args.log, SPLIT_MIB, args.loop)))
        return
    path = make_log(args.lines)
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "(r) urllib and json": lambda: elsewhere("reference", path),
        "(a) loop, JSON": lambda: elsewhere("json", path),
        "(a') loop, Parquet": lambda: elsewhere("parquet", path),
        "(b) graph, 1 process": lambda: graph(path, 1),
        "(c) graph, 2 processes": lambda: graph(path, 2),
    }
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            with Peak() as peak:
                found = run()
            rate = found["read"] / found["seconds"]
            results[name].append({"whole": found["seconds"], **found, "rate": rate,
                                  "mib": peak.mib})  # fmt: skip
    show(results, path)
    print("\nwhere the time goes, microseconds a line (least of 30 rounds):")
    for stage, microseconds in stages(path):
        print(f"  {stage:18} {microseconds:5.2f}")


def show(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """The table."""
    one = results["(a) loop, JSON"][0]
    megabytes = path.stat().st_size / 1e6
    print(f"{one['read']:,} lines, {megabytes:,.0f} MB, {one['bad']:,} bad; "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"{'':24} {'lines/s':>9}  {'(least - most)':>17}  {'MB/s':>5}  {'of (a)':>6}  "
          f"{'MiB':>5}  whole s")  # fmt: skip
    rates = {name: [each["rate"] for each in rounds] for name, rounds in results.items()}
    middle = {name: statistics.median(found) for name, found in rates.items()}
    for name, rounds in results.items():
        spread = f"({min(rates[name]):,.0f} - {max(rates[name]):,.0f})"
        speed = middle[name] * megabytes / one["read"]
        share = middle[name] / middle["(a) loop, JSON"]
        mib = max(each["mib"] for each in rounds)
        whole = statistics.median(each["whole"] for each in rounds)
        print(f"{name:24} {middle[name]:9,.0f}  {spread:>17}  {speed:5.0f}  {share:6.2f}  "
              f"{mib:5.0f}  {whole:.1f}")  # fmt: skip
    ratio = middle["(c) graph, 2 processes"] / middle["(b) graph, 1 process"]
    print(f"(c) is {ratio:.2f} times (b)")


if __name__ == "__main__":
    main()
