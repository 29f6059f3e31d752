"""`el mysql apply`: add what tables lack."""

import argparse
import sys
from typing import Any

from el_beam.commands.mysql.database import add_action, database_of
from el_beam.commands.mysql.plan import EXAMPLE, plans_of, show, sql_of

_DDL = 86_400.0  # seconds that a server may take to make an index


def register(actions: Any) -> None:
    """Add `el mysql apply` to the actions of `el mysql`."""
    parser = add_action(actions, "apply", "add what tables lack", EXAMPLE)
    parser.set_defaults(command=_apply, goes_on=lambda _: True)


def _apply(args: argparse.Namespace) -> int:
    with database_of(args) as (server, registry):
        from el_beam.upkeep.mysql.migrations import apply
        from transforms.io.mysql.client import engine

        left = 0
        plans = plans_of(args, server, registry)
        for plan in plans:
            done = apply(engine(server, answer=_DDL), registry, plan) if plan.statements else plan
            did = plan.statements if plan.statements != done.statements else ()
            made = [f"{plan.table}: {plan.state}: done"] if did else []
            show(args, done, [*made, *sql_of(done)] if made or not done.is_done else [], did=did)
            left += not done.is_done
    print(f"{left:,} of {len(plans):,} tables still lack something"
          + ("; `el mysql plan` shows it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0
