"""`el backfill`: make hours again from the raw archive."""

import argparse
import json
import sys
import time
from itertools import islice
from typing import Any

from el_beam.commands.common import add_hours, add_mode
from el_beam.config.assemble import config_of, rules_and_sinks
from el_beam.config.options import ConfigError, from_arguments
from el_beam.config.run_config import GraphConfig
from el_beam.connectors.contract import selection_of
from el_beam.job import Execution, Rules
from el_beam.running.process import for_job, interruptible
from el_beam.terminal.console import ResultTable, results
from el_beam.upkeep.backfill.apply import apply
from el_beam.upkeep.backfill.plan import (
    BackfillError,
    BackfillTarget,
    HourPlan,
    Plan,
    home_of,
    is_done,
    plan,
    targets_of,
)
from el_beam.uris import given_path
from schemas.bad_event import BadEvent
from transforms.counts.summary import Summary
from transforms.parse import line_parser
from transforms.read.files import read_split
from transforms.validate import event_validator
from transforms.write.sink import Sink

_EXAMPLE = """examples:
  el backfill plan /tmp/el/raw parquet:/tmp/el/parquet \\
      --from 2019-03-10T07 --to 2019-03-10T08
  el backfill apply /tmp/el/raw parquet:/tmp/el/parquet \\
      --from 2019-03-10 --to 2019-03-10

If `apply` is killed, the same command goes on where it was. Other hours are
never touched.
"""
_TRIED = 2_000  # lines, to tell how long it will take
_ALL_OF_IT = 3  # times what parsing and validating takes, measured by `scripts/bench core`


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="The lines of the archive go through the same graph again. The result "
        "replaces what a folder has of these hours; tables get the rows that they lack.",
        epilog=_EXAMPLE,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    planner = actions.add_parser("plan", help="say what it would do")
    planner.set_defaults(command=_plan)
    applier = actions.add_parser("apply", help="do it")
    applier.set_defaults(command=_apply, goes_on=lambda _: True, needs_scratch=True)
    for action in (planner, applier):
        add = action.add_argument
        add("raw", metavar="RAW", help="the folder of a raw: sink")
        add("sinks", nargs="+", metavar="SINK", help="parquet: jsonl: sqlite: mysql:")
        add_hours(action, required=True)
        add("--schema", metavar="REGEX", help="only schemas whose name starts like this, "
            "and EventErrors")  # fmt: skip
        add("--all", action="store_true", help="replace all of these hours, whatever wrote it")
        add("--format", metavar="FMT", help="the lines' format, as for `el run`")
        add("--schemas", metavar="DIR|URL", help="as for `el run`")
        add("--runner", default="direct", metavar="NAME", help="direct, flink or spark")
        add("--workers", type=int, default=1, metavar="N", help="processes that share the work")
        add("--json", action="store_true", help="print it as JSON")
        add_mode(action)


def _request(args: argparse.Namespace) -> tuple[Plan, dict[str, Sink], Rules, Execution]:
    """What is to be made again, into which sinks by their URIs, by what rules, and who does it.

    Raises ConfigError, BackfillError, StoredError, LedgerError."""
    selection_of(args.first, args.last, args.schema)
    config = config_of(GraphConfig, from_arguments(args, GraphConfig))
    raw, schema = given_path(args.raw), args.schema or ""
    rules, sinks = rules_and_sinks(config, raw)
    if others := [sink for sink in sinks if not (sink.root or sink.has_rows)]:
        fit = "has no hours that can be made again: give parquet:, jsonl:, sqlite: or mysql:"
        raise ConfigError([f"{each} {fit}" for each in others])
    made = plan(raw, sinks, args.first, args.last, everything=args.all, schema=schema)
    if not made.hours:
        raise BackfillError(f"{args.raw} has no lines of {args.first} to {args.last}")
    return made, dict(zip(args.sinks, sinks, strict=True)), rules, config.execution


def _plan(args: argparse.Namespace) -> int:
    """Print what the plan would do, and about how long that takes."""
    plan, sinks, rules, execution = _request(args)
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
    _show(hours)
    print(f"{plan.lines:,} lines: about {_duration(plan.lines / rate)} at {rate:,.0f} lines/s "
          f"with {workers} worker{'s' * (workers > 1)}")  # fmt: skip
    return 0


def _as_json(target: BackfillTarget) -> dict[str, Any]:
    return {
        "rows": target.rows, "files": len(target.removed), "damaged": target.damaged,
        "kept": target.kept, "unknown": len(target.untracked), "mark": target.mark,
    }  # fmt: skip


def _show(hours: list[dict[str, Any]]) -> None:
    table = ResultTable(
        *("hour", "lines", "sink", "replaced", "damaged files", "unknown files", "kept", ""),
        left=("hour", "sink", ""),
    )
    for hour in hours:
        first = (hour["hour"], hour["lines"])
        for name, target in hour["sinks"].items():
            numbers = (target[what] or "" for what in ("rows", "damaged", "unknown", "kept"))
            table.row(*first, name, *numbers, "done" if hour["done"] else target["mark"])
            first = ("", "")
    results().print(table)


def _rate(plan: Plan, rules: Rules) -> float:
    """Lines a second that one worker does, from the work on some of them."""
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


def _apply(args: argparse.Namespace) -> int:
    plan, sinks, rules, execution = _request(args)
    number = 0

    def show(hour: HourPlan, summary: Summary) -> None:
        nonlocal number
        number += 1
        if args.json:
            print(json.dumps({"hour": hour.hour, **summary.as_json()}), flush=True)
        else:
            print(f"{hour.hour}: {summary.valid:,} valid, {summary.bad:,} bad "
                  f"({number} of {len(plan.hours)})", file=sys.stderr)  # fmt: skip

    with for_job(args.scratch), interruptible(args.scratch):
        apply(plan, sinks, rules, execution, show)
    return 0
