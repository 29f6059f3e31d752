"""`el backfill apply`: make hours again."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from el_beam.commands.backfill.request import add_action, request_of

if TYPE_CHECKING:
    from el_beam.upkeep.backfill.plan import HourPlan
    from transforms.counts.summary import Summary


def register(actions: Any) -> None:
    """Add `el backfill apply` to the actions of `el backfill`."""
    parser = add_action(actions, "apply", "do it")
    parser.set_defaults(command=_apply, goes_on=lambda _: True, needs_scratch=True)


def _apply(args: argparse.Namespace) -> int:
    from el_beam.running.process import for_job
    from el_beam.upkeep.backfill.apply import apply

    plan, sinks, rules, execution = request_of(args)
    number = 0

    def show(hour: HourPlan, summary: Summary) -> None:
        nonlocal number
        number += 1
        if args.json:
            print(json.dumps({"hour": hour.hour, **summary.as_json()}), flush=True)
        else:
            print(f"{hour.hour}: {summary.valid:,} valid, {summary.bad:,} bad "
                  f"({number} of {len(plan.hours)})", file=sys.stderr)  # fmt: skip

    with for_job(args.scratch):
        apply(plan, sinks, rules, execution, show)
    return 0
