"""`el backfill plan`: what making hours again would do, and how long it takes."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from el_beam.commands.backfill.request import add_action, request_of

if TYPE_CHECKING:
    from el_beam.job import Rules
    from el_beam.upkeep.backfill.plan import BackfillTarget, Plan

_TRIED = 2_000  # lines, to tell how long it will take
_ALL_OF_IT = 3  # times what parsing and validating takes, measured by `scripts/bench core`


def register(actions: Any) -> None:
    """Add `el backfill plan` to the actions of `el backfill`."""
    add_action(actions, "plan", "say what it would do").set_defaults(command=_plan)


def _plan(args: argparse.Namespace) -> int:
    """Print what the plan would do, and about how long that takes."""
    from el_beam.upkeep.backfill.plan import BackfillTarget, home_of, is_done, targets_of

    plan, sinks, rules, execution = request_of(args)
    workers = execution.workers
    home = home_of(plan.raw, sinks.values())
    targets = {
        str(sink): targets_of(plan, sink.root) if sink.root
        else [BackfillTarget(str(sink)) for _ in plan.hours] for sink in sinks.values()
    }  # fmt: skip
    rate = workers * _rate(plan, rules)
    hours: list[dict[str, Any]] = []
    for number, hour in enumerate(plan.hours):
        of_hour = {name: of[number] for name, of in targets.items()}
        hours.append({
            "hour": hour.hour, "lines": hour.lines, "files": len(hour.files),
            "done": all(is_done(plan, hour, sink, home) for sink in sinks.values()),
            "sinks": {name: _as_json(found) for name, found in of_hour.items()},
        })  # fmt: skip
    if args.json:
        print(json.dumps({"raw": plan.raw, "lines": plan.lines, "lines_a_second": rate,
                          "seconds": plan.lines / rate, "hours": hours}))  # fmt: skip
        return 0
    _table(hours)
    print(f"{plan.lines:,} lines: about {_duration(plan.lines / rate)} at {rate:,.0f} lines/s "
          f"with {workers} worker{'s' * (workers > 1)}")  # fmt: skip
    return 0


def _as_json(target: BackfillTarget) -> dict[str, Any]:
    return {
        "rows": target.rows, "files": len(target.removed), "damaged": target.damaged,
        "kept": target.kept, "unknown": len(target.untracked), "mark": target.mark,
    }  # fmt: skip


def _table(hours: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from el_beam.terminal.console import printable, results

    table = Table(box=None, pad_edge=False)
    for name in ("hour", "lines", "sink", "replaced", "damaged files", "unknown files", "kept", ""):
        table.add_column(name, justify="left" if name in ("hour", "sink", "") else "right")
    for hour in hours:
        first = (hour["hour"], f"{hour['lines']:,}")
        for name, target in hour["sinks"].items():
            numbers = (target["rows"], target["damaged"], target["unknown"], target["kept"])
            shown = (f"{number:,}" if number else "" for number in numbers)
            table.add_row(*first, Text(printable(name)), *shown,
                          "done" if hour["done"] else target["mark"])  # fmt: skip
            first = ("", "")
    results().print(table)


def _rate(plan: Plan, rules: Rules) -> float:
    """Lines a second that one worker does, from the work on some of them."""
    from itertools import islice

    from schemas.bad_event import BadEvent
    from transforms.parse import line_parser
    from transforms.read.files import read_split
    from transforms.validate import event_validator

    parse, validate = line_parser(rules.format), event_validator(rules.registry)
    lines = list(islice(read_split(plan.source(plan.hours[0]).splits()[0]), _TRIED))
    started = 0.0
    for number, line in enumerate(lines):
        if number == len(lines) // 2:  # the validators are made by now
            started = time.perf_counter()
        outcome = parse(line)
        if not isinstance(outcome, BadEvent):
            validate(outcome)
    seconds = max(time.perf_counter() - started, 1e-9)
    return (len(lines) - len(lines) // 2) / seconds / _ALL_OF_IT


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
