"""`el backfill`: make hours again from the raw archive."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import add_hours

if TYPE_CHECKING:
    from el_beam.job import Execution, Rules
    from el_beam.upkeep.backfill.plan import HourPlan, Plan
    from el_beam.upkeep.backfill.targets import BackfillTarget
    from transforms.counts.summary import Summary
    from transforms.write.sink import Sink

_EXAMPLE = """examples:
  el backfill plan /tmp/el/raw parquet:/tmp/el/parquet --from 2019-03-10T07 --to 2019-03-10T08
  el backfill apply /tmp/el/raw parquet:/tmp/el/parquet --from 2019-03-10 --to 2019-03-10

Killed, and started again, `apply` goes on where it was. Hours outside are never touched.
"""
_TRIED = 2_000  # lines, to tell how long it will take
_ALL_OF_IT = 3  # times what parsing and validating takes, measured by `scripts/bench core`


def register(commands: Any) -> None:
    """Add `el backfill` to the command line."""
    parser = commands.add_parser(
        "backfill",
        help="make hours again from the raw archive",
        description="The lines of the archive go through the same graph again; what comes of them "
        "replaces what was there, hour by hour; tables get the rows that they lack.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = parser.add_subparsers(dest="act", required=True, metavar="plan|apply")
    for name, what in (("plan", "say what it would do"), ("apply", "do it")):
        act = acts.add_parser(name, help=what)
        add = act.add_argument
        add("raw", metavar="RAW", help="the folder of a raw: sink")
        add("sinks", nargs="+", metavar="SINK", help="parquet: jsonl: sqlite: mysql:")
        add_hours(act, required=True)
        add("--schema", metavar="REGEX", help="only what is named like this, and EventErrors")
        add("--all", action="store_true", help="replace all of these hours, whoever wrote it")
        add("--format", metavar="FMT", help="the lines' format, as for `el run`")
        add("--schemas", metavar="DIR|URL", help="as for `el run`")
        add("--runner", default="direct", metavar="NAME", help="direct, flink or spark")
        add("--workers", type=int, default=1, metavar="N", help="processes that share the work")
        add("--json", action="store_true", help="print it as JSON")
        act.set_defaults(command=_command, goes_on=lambda args: args.act == "apply")


def _command(args: argparse.Namespace) -> int:
    from el_beam.connectors.ends import checked_path
    from el_beam.connectors.selection import selection_of
    from el_beam.upkeep.backfill.plan import BackfillError, plan

    selection_of(args.first, args.last, args.schema)
    sinks, rules, execution = _prepared(args)
    made = plan(
        checked_path(args.raw),
        sinks.values(),
        args.first,
        args.last,
        everything=args.all,
        schema=args.schema or "",
    )
    if not made.hours:
        raise BackfillError(f"{args.raw} has no lines of {args.first} to {args.last}")
    if args.act == "plan":
        _show(made, sinks, rules, execution.workers, args.json)
        return 0
    _apply(made, sinks, rules, execution, args.json)
    return 0


def _prepared(args: argparse.Namespace) -> tuple[dict[str, Sink], Rules, Execution]:
    """Sinks by their URIs. Raises ConfigError with all mistakes."""
    from el_beam.config import ConfigError, RunConfig, assemble
    from el_beam.job import Execution, Rules

    config = RunConfig(  # `stdin:` stands for the archive, of which the plan tells
        source="stdin:", sinks=tuple(args.sinks), format=args.format, schemas=args.schemas,
        runner=args.runner, workers=min(args.workers, 1), beam=tuple(args.beam),
    )  # fmt: skip
    job = assemble(config, "")
    sinks = [sink for sink, _ in job.sinks]
    if others := [sink for sink in sinks if not (sink.root or sink.has_rows)]:
        fit = "has no hours that can be made again: give parquet:, jsonl:, sqlite: or mysql:"
        raise ConfigError([f"{each} {fit}" for each in others])
    execution = Execution(config.runner, args.workers, config.beam)
    return dict(zip(args.sinks, sinks, strict=True)), Rules(job.format, job.registry), execution


def _show(plan: Plan, sinks: dict[str, Sink], rules: Rules, workers: int, as_json: bool) -> None:
    """What the plan would do, and about how long that takes."""
    from el_beam.upkeep.backfill.plan import home_of, is_done
    from el_beam.upkeep.backfill.targets import BackfillTarget, targets_of

    home = home_of(plan.raw, sinks.values())
    targets = {
        str(sink): targets_of(plan, sink.root) if sink.root
        else [BackfillTarget(str(sink)) for _ in plan.hours] for sink in sinks.values()
    }  # fmt: skip
    rate = workers * _rate(plan, rules)
    hours: list[dict[str, Any]] = []
    for number, hour in enumerate(plan.hours):
        there = {name: of[number] for name, of in targets.items()}
        hours.append({
            "hour": hour.hour, "lines": hour.lines, "files": len(hour.files),
            "done": all(is_done(plan, hour, sink, home) for sink in sinks.values()),
            "sinks": {name: _told(target) for name, target in there.items()},
        })  # fmt: skip
    if as_json:
        print(json.dumps({"raw": plan.raw, "lines": plan.lines, "lines_a_second": rate,
                          "seconds": plan.lines / rate, "hours": hours}))  # fmt: skip
        return
    _table(hours)
    print(f"{plan.lines:,} lines: about {_duration(plan.lines / rate)} at {rate:,.0f} lines/s "
          f"with {workers} worker{'s' * (workers > 1)}")  # fmt: skip


def _told(target: BackfillTarget) -> dict[str, Any]:
    return {
        "rows": target.rows, "files": len(target.removed), "damaged": target.damaged,
        "kept": target.kept, "unknown": len(target.strays), "mark": target.mark,
    }  # fmt: skip


def _table(hours: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from el_beam.terminal.console import console

    table = Table(box=None, pad_edge=False)
    for name in ("hour", "lines", "sink", "replaced", "damaged files", "unknown files", "kept", ""):
        table.add_column(name, justify="left" if name in ("hour", "sink", "") else "right")
    for hour in hours:
        first = (hour["hour"], f"{hour['lines']:,}")
        for name, target in hour["sinks"].items():
            numbers = (target["rows"], target["damaged"], target["unknown"], target["kept"])
            table.add_row(*first, name, *(f"{number:,}" if number else "" for number in numbers),
                          "done" if hour["done"] else target["mark"])  # fmt: skip
            first = ("", "")
    out = console()
    out.file = sys.stdout
    out.print(table)


def _rate(plan: Plan, rules: Rules) -> float:
    """Lines a second that one worker does, from the work on some of them."""
    from itertools import islice

    from schemas.bad_event import BadEvent
    from transforms.parse import line_parser
    from transforms.read.files import find_splits, read_split
    from transforms.validate import event_validator

    parse, validate = line_parser(rules.format), event_validator(rules.registry)
    lines = list(islice(read_split(find_splits((plan.hours[0].files[0],))[0]), _TRIED))
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


def _apply(
    plan: Plan, sinks: dict[str, Sink], rules: Rules, execution: Execution, as_json: bool
) -> None:
    from el_beam.upkeep.backfill.apply import apply

    number = 0

    def tell(hour: HourPlan, books: Summary) -> None:
        nonlocal number
        number += 1
        if as_json:
            print(json.dumps({"hour": hour.hour, **books.as_json()}), flush=True)
        else:
            print(f"{hour.hour}: {books.valid:,} valid, {books.bad:,} bad "
                  f"({number} of {len(plan.hours)})", file=sys.stderr)  # fmt: skip

    apply(plan, sinks, rules, execution, tell)
