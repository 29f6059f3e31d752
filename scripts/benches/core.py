"""The hot path on one corpus: (r) a reference, (a) a plain loop over the pure functions, (b) the
graph into Parquet in one process, (c) in two. Rounds are interleaved; each figure is the median of
its rounds.

    scripts/bench core [--lines N] [--rounds N]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from el_beam.running.process import hush

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "golden" / "oracle" / "corpus.log.gz"
SCRATCH = ROOT / ".cache" / "bench"
SPLIT_MIB = 32  # small enough that two workers get about as much each
PER_SECOND = 5_000  # lines in a second of the log: its hours fill as in production
FIRST_SECOND = 1_552_200_000
_IDENTITY = re.compile(rb"\t(\d+)\t(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\t")


def make_log(lines: int) -> Path:
    """The corpus over and over, each line with a seqId and time of its own, in order."""
    path = SCRATCH / f"corpus-{lines}.log"
    if path.exists():
        return path
    SCRATCH.mkdir(parents=True, exist_ok=True)
    corpus = [
        _IDENTITY.split(line, maxsplit=1)
        for line in gzip.decompress(CORPUS.read_bytes()).splitlines()
    ]
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as out:
        for number in range(lines):
            parts = corpus[number % len(corpus)]
            if len(parts) == 4:
                second = time.gmtime(FIRST_SECOND + number // PER_SECOND)
                dt = time.strftime("%Y-%m-%dT%H:%M:%S", second).encode()
                parts = [parts[0], b"\t%d\t%s\t" % (20_000_000 + number, dt), parts[3]]
            out.write(b"".join(parts) + b"\n")
    unfinished.rename(path)
    return path


class Peak:
    """The largest memory that any one process below ours has had, in MiB."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            for pid in descendants(os.getpid()):
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


def loop(path: Path, sink: str) -> dict[str, Any]:
    """(a): read, parse, validate, route, count, and serialize as JSON or into Parquet files."""
    from runners.memory import collect_seldom
    from schemas import strict_json
    from schemas.bad_event import BadEvent, event_error
    from schemas.event import Event
    from schemas.line_format import DEFAULT_FORMAT
    from schemas.registry import open_registry
    from transforms.counts.count import count_key
    from transforms.parse import line_parser
    from transforms.read.files import find_splits, read_split
    from transforms.route import route
    from transforms.validate import event_validator
    from transforms.write.encodings import ParquetEncoding
    from transforms.write.files import FileSink

    registry = open_registry(None)
    parse, validate = line_parser(DEFAULT_FORMAT), event_validator(registry)
    out = SCRATCH / "loop"
    shutil.rmtree(out, ignore_errors=True)
    files = FileSink("parquet", str(out), ParquetEncoding(registry), "bench")
    files.prepare()
    bundle = files.writer().bundle()
    counts: Counter[Any] = Counter()
    collect_seldom()
    started = time.perf_counter()
    for split in find_splits((str(path),), SPLIT_MIB * 2**20):
        for line in read_split(split):
            outcome = parse(line)
            if isinstance(outcome, Event):
                outcome = validate(outcome)
            routed = route(outcome)
            counts[count_key(routed)] += 1
            event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
            if sink == "json":
                strict_json.dumps(event.data)
            else:
                bundle.add(routed[0], event)
    list(bundle.commit())
    seconds = time.perf_counter() - started
    bad = sum(count for key, count in counts.items() if key.reason)
    return {"seconds": seconds, "read": counts.total(), "bad": bad}


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
    call = [
        sys.executable,
        "-m",
        "el_beam.cli",
        "run",
        f"file:{path}?split={SPLIT_MIB}MiB",
        f"parquet:{out}",
    ]
    started = time.perf_counter()
    done = subprocess.run(
        [*call, "--workers", str(workers), "--json"], capture_output=True, check=True
    )
    summary = json.loads(done.stdout)
    assert summary["balanced"]
    totals = summary["totals"]
    return {
        "seconds": summary["seconds"],
        "whole": time.perf_counter() - started,
        "read": totals["read"],
        "bad": totals["bad"],
    }


def elsewhere(what: str, path: Path) -> dict[str, Any]:
    """The loop in a process of its own, so that its memory is its own too."""
    call = [sys.executable, __file__, "--loop", what, "--log", str(path)]
    found: dict[str, Any] = json.loads(
        subprocess.run(call, stdout=subprocess.PIPE, check=True).stdout
    )
    return found


def stages(path: Path, lines: int = 3_000, rounds: int = 30) -> list[tuple[str, float]]:
    """Microseconds a line of each pure function: the least of many rounds."""
    from itertools import islice

    from runners.memory import collect_seldom
    from schemas import strict_json
    from schemas.bad_event import BadEvent, event_error
    from schemas.event import Event
    from schemas.line_format import DEFAULT_FORMAT
    from schemas.registry import open_registry
    from transforms.counts.count import count_key
    from transforms.parse import line_parser
    from transforms.read.files import find_splits, read_split
    from transforms.route import outcome_time, route
    from transforms.validate import event_validator
    from transforms.window import in_minute

    parse, validate = line_parser(DEFAULT_FORMAT), event_validator(open_registry(None))
    split = find_splits((str(path),))[0]
    raw = list(islice(read_split(split), lines))
    parsed = [parse(line) for line in raw]
    judged = [validate(each) if isinstance(each, Event) else each for each in parsed]
    routed = [route(each) for each in judged]
    events = [event_error(each) if isinstance(each, BadEvent) else each for each in judged]
    collect_seldom()

    def least(call: Callable[[], object]) -> float:
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return min(times) / lines * 1e6

    return [
        ("read", least(lambda: sum(1 for _ in islice(read_split(split), lines)))),
        ("parse", least(lambda: [parse(line) for line in raw])),
        ("validate", least(lambda: [validate(e) for e in parsed if isinstance(e, Event)])),
        ("route", least(lambda: [route(each) for each in judged])),
        ("window", least(lambda: [in_minute(each, outcome_time(each[1])) for each in routed])),
        ("count", least(lambda: [count_key(each) for each in routed])),
        ("serialize (JSON)", least(lambda: [strict_json.dumps(e.data) for e in events])),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    args = parser.parse_args()
    hush()
    if args.loop:
        log = Path(args.log)
        found = reference(log) if args.loop == "reference" else loop(log, args.loop)
        print(json.dumps(found))
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
            results[name].append(found | {"mib": peak.mib})
    show(results, path)


def show(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """The table, and where the time goes."""
    one = results["(a) loop, JSON"][0]
    megabytes = path.stat().st_size / 1e6
    print(
        f"{one['read']:,} lines, {megabytes:,.0f} MB, {one['bad']:,} bad; "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(
        f"{'':24} {'lines/s':>9}  {'(least - most)':>17}  {'MB/s':>5}  {'of (a)':>6}  "
        f"{'MiB':>5}  whole s"
    )
    rates: dict[str, float] = {}
    for name, rounds in results.items():
        found = [each["read"] / each["seconds"] for each in rounds]
        rates[name] = rate = statistics.median(found)
        share = rate / statistics.median(
            each["read"] / each["seconds"] for each in results["(a) loop, JSON"]
        )
        mib = max(each["mib"] for each in rounds)
        whole = statistics.median(each.get("whole", each["seconds"]) for each in rounds)
        spread = f"({min(found):,.0f} - {max(found):,.0f})"
        speed = rate * megabytes / one["read"]
        print(
            f"{name:24} {rate:9,.0f}  {spread:>17}  {speed:5.0f}  {share:6.2f}  "
            f"{mib:5.0f}  {whole:.1f}"
        )
    ratio = rates["(c) graph, 2 processes"] / rates["(b) graph, 1 process"]
    print(f"(c) is {ratio:.2f} times (b)")
    print("\nwhere the time goes, microseconds a line (least of 30 rounds):")
    for stage, microseconds in stages(path):
        print(f"  {stage:18} {microseconds:5.2f}")


if __name__ == "__main__":
    main()
