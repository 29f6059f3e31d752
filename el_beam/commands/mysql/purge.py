"""`el mysql purge`: remove rows that are too old to be kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import age
from el_beam.commands.mysql.database import add_action, check_any, database_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from el_beam.upkeep.mysql.purge import PurgeTarget

_EXAMPLE = """examples:
  el mysql purge 'mysql://admin:${DB_PASSWORD}@db/log' --older-than 90d
  el mysql purge 'mysql://admin:${DB_PASSWORD}@db/log' --older-than 90d \\
      --keep keep.yaml --yes

keep.yaml says which fields are kept for good:
  Edit: [wiki, event.action]

Without --yes it only says what it would do. If it is killed, the same command
goes on where it was.

Exit codes: 0 done; 1 some tables are left as they are, or the server did not
answer for ten minutes; 2 it can't be done at all.
"""


def register(actions: Any) -> None:
    """Add `el mysql purge` to the actions of `el mysql`."""
    summary = "remove rows that are too old to be kept"
    parser = add_action(actions, "purge", summary, _EXAMPLE)
    add = parser.add_argument
    add("--older-than", required=True, type=age, metavar="AGE", help="90d, or 36h")
    add("--keep", metavar="FILE", help="YAML: the fields that are kept, by schema")
    add("--batch", type=_rows, default=2_000, metavar="N", help="rows of a transaction, at most "
        "(default: 2000); fewer where they take a tenth of a second")  # fmt: skip
    add("--pause", type=_seconds, default=0.05, metavar="S",
        help="seconds between transactions, at least (default: 0.05)")  # fmt: skip
    add("--yes", action="store_true", help="do it; what is removed can't be brought back")
    parser.set_defaults(command=_purge, goes_on=lambda args: args.yes)


def _rows(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows from 1 to 100000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds


def _purge(args: argparse.Namespace) -> int:
    from el_beam.terminal.console import printable

    with database_of(args) as (server, registry):
        from el_beam.connectors.selection import selection_of
        from el_beam.upkeep.mysql.purge import check_rights, targets
        from el_beam.upkeep.retention.keep_list import read_keep
        from transforms.io.mysql.client import engine

        before = datetime.now(UTC) - args.older_than
        selection, database = selection_of(None, None, args.schema), engine(server, keep=True)
        found, problems = targets(database, registry, read_keep(args.keep), selection.schema)
        check_any(args, [*found, *problems])
        if args.yes:
            check_rights(database, found)
        untouched = {*problems}
        total: Counter[bool] = Counter()  # whether rows keep some fields -> rows
        for target in found:
            rows, problem = _purged(args, database, target, before)
            problems |= {target.name: problem} if problem else {}
            total[target.kept is not None] += rows
    for name, why in problems.items():
        if args.json and name in untouched:
            print(json.dumps({"table": name, "problem": why}), flush=True)
        print(f"{args.prog}: left as it is: {printable(f'{name}: {why}')}", file=sys.stderr)
    verb, end = ("", "") if args.yes else ("would ", "; --yes does it")
    print(f"{total[False]:,} rows {verb}go, {total[True]:,} {verb}keep some fields{end}",
          file=sys.stderr)  # fmt: skip
    return 1 if problems else 0


def _purged(
    args: argparse.Namespace, database: Engine, target: PurgeTarget, before: datetime
) -> tuple[int, str]:
    """How many rows, and what went wrong then. Raises DatabaseAway."""
    from el_beam.terminal.console import live, printable
    from el_beam.upkeep.mysql.purge import Pace, purge, without_time
    from transforms.io.mysql.client import DatabaseAway, MysqlFault

    rows = looked_at = timeless = 0
    problem = ""

    def progress() -> str:
        return printable(
            f"{target.name}: {looked_at:,} old rows read, {rows:,} {_verb(args, target)}"
        )

    try:
        with live(progress):
            for done in purge(database, target, before, Pace(args.batch, args.pause), do=args.yes):
                rows, looked_at = rows + done.rows, looked_at + done.looked_at
            timeless = without_time(database, target)
    except DatabaseAway:
        raise
    except MysqlFault as error:
        problem = str(error)
    if rows or not problem or args.json:
        _show_rows(args, target, rows, timeless, problem)
    return rows, problem


def _verb(args: argparse.Namespace, target: PurgeTarget) -> str:
    done, to_do = ("cut", "would be cut") if target.kept else ("gone", "would go")
    return done if args.yes else to_do


def _show_rows(
    args: argparse.Namespace, target: PurgeTarget, rows: int, timeless: int, problem: str
) -> None:
    from el_beam.terminal.console import printable

    fields = sorted(target.kept.stays | target.kept.parts) if target.kept else None
    if args.json:
        found = {"table": target.name, **target.schema._asdict(), "rows": rows, "keep": fields,
                 "without_time": timeless, "problem": problem or None}  # fmt: skip
        print(json.dumps(found), flush=True)
        return
    text = f"{target.name}: {rows:,} rows {_verb(args, target)}"
    text += f", {', '.join(fields)} stay" if fields else ""
    text += f"; {timeless:,} have no time and stay" if timeless else ""
    print(printable(text), flush=True)
