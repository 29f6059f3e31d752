"""The hot path without Beam: a plain loop over its pure functions, and what each of them takes."""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

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
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink


def loop(path: Path, split_mib: int, sink: str) -> dict[str, Any]:
    """(a): read, parse, validate, route, count, and serialize as JSON or into Parquet files."""
    registry = open_registry(None)
    parse, validate = line_parser(DEFAULT_FORMAT), event_validator(registry)
    out = path.parent / "loop"
    shutil.rmtree(out, ignore_errors=True)
    files = FileSink("parquet", str(out), ParquetEncoding(registry), "bench")
    files.prepare()
    bundle = files.writer().bundle()
    counts: Counter[Any] = Counter()
    collect_seldom()
    started = time.perf_counter()
    for split in find_splits((str(path),), split_mib * 2**20):
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


def stages(path: Path, lines: int = 3_000, rounds: int = 30) -> list[tuple[str, float]]:
    """Microseconds a line of each pure function: the least of many rounds."""
    from transforms.window import in_minute  # it imports Beam

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
