"""`el mysql plan`: what tables lack, as SQL that adds it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import WRONG_CALL
from el_beam.commands.mysql.database import add_action, check_any, database_of

if TYPE_CHECKING:
    from el_beam.upkeep.mysql.migrations import TablePlan
    from schemas.registry import Registry
    from transforms.io.mysql.server import MysqlServer

EXAMPLE = """examples:
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log'
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log' --schema Edit > edit.sql
  el mysql apply 'mysql://admin:${DB_PASSWORD}@db/log'

Tables, columns and indexes that are missing are added while others read and
write. Nothing is dropped, and no column changes its type: where that is
needed, the plan says so, and a person does it.

Exit codes: 0 nothing is left to do, 1 something is left, 2 it failed.
"""


def register(actions: Any) -> None:
    """Add `el mysql plan` to the actions of `el mysql`."""
    parser = add_action(actions, "plan", "show what tables lack, as SQL that adds it", EXAMPLE)
    parser.set_defaults(command=_plan, fault=WRONG_CALL)


def _plan(args: argparse.Namespace) -> int:
    with database_of(args) as (server, registry):
        plans = plans_of(args, server, registry)
    for plan in plans:
        show(args, plan, sql_of(plan))
    left = sum(not plan.is_done for plan in plans)
    print(f"{left:,} of {len(plans):,} tables lack something"
          + ("; `el mysql apply` adds it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0


def plans_of(args: argparse.Namespace, server: MysqlServer, registry: Registry) -> list[TablePlan]:
    """The plans of the registry's schemas, and of those that have a table in the database."""
    from el_beam.connectors.selection import selection_of
    from el_beam.upkeep.mysql.migrations import plans
    from el_beam.upkeep.mysql.tables import tables
    from transforms.io.mysql.client import engine

    selection, database = selection_of(None, None, args.schema), engine(server)
    with database.connect() as connection:
        known = registry.list()
        owners = (each.schema for each in tables(connection, known))
        schemas = {*known, *filter(None, owners)}
    chosen = [each for each in sorted(schemas) if selection.schema(str(each))]
    check_any(args, chosen)
    return list(plans(database, registry, chosen))


def sql_of(plan: TablePlan) -> list[str]:
    """What there is to do, as SQL with comments. Names that others chose may contain a line break:
    they are in comments only."""
    from el_beam.terminal.console import printable

    remarks = [f"by hand: {each}" for each in plan.by_hand] + [*plan.notes]
    head = [f"{plan.schema}: {plan.state}"] if remarks or not plan.is_done else []
    comments = [printable(f"-- {each}") for each in (*head, *(f"  {each}" for each in remarks))]
    return [*comments, *(f"{each};".expandtabs(4) for each in plan.statements)]


def show(
    args: argparse.Namespace, plan: TablePlan, lines: list[str], **more: Collection[str]
) -> None:
    """Print a plan: its lines, or with --json all of it, with `more`."""
    from el_beam.terminal.console import printable

    if args.json:
        print(json.dumps(plan.as_json() | more), flush=True)
        return
    for line in "\n".join(lines).split("\n") if lines else ():
        print(printable(line) if sys.stdout.isatty() else line, flush=True)
