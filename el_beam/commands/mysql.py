"""`el mysql`: the tables of a database as schemas want them, and without what is too old."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import WRONG_CALL, age

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from el_beam.upkeep.mysql.migrations import TablePlan
    from el_beam.upkeep.mysql.walk import PurgeTarget
    from schemas.registry import Registry
    from transforms.io.mysql.server import MysqlServer

_DDL = 86_400.0  # seconds that a server may take to make an index
_PLAN = """examples:
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log'
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log' --schema Edit > edit.sql
  el mysql apply 'mysql://admin:${DB_PASSWORD}@db/log'

Tables, columns and indexes that are missing are added while others read and write. Nothing is
dropped, and no column becomes another type: what needs that is said, for a person to do.

Exit codes: 0 there is nothing to do (any more), 1 there is something, 2 it can't be told.
"""
_PURGE = """examples:
  el mysql purge 'mysql://admin:${DB_PASSWORD}@db/log' --older-than 90d
  el mysql purge 'mysql://admin:${DB_PASSWORD}@db/log' --older-than 90d --keep keep.yaml --yes

keep.yaml says which fields stay for good:
  Edit: [wiki, event.action]

Without --yes it only says what it would do. Killed, and started again, it goes on where it was.

Exit codes: 0 done, 1 some tables are left as they are, or the server is away for ten minutes,
2 it can't be done at all.
"""


def register(commands: Any) -> None:
    """Add `el mysql plan|apply|purge` to the command line."""
    parser = commands.add_parser("mysql", help="tables of MySQL: make, mend, remove what is old")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, told: str, example: str, command: Callable[..., int],
               **defaults: Any) -> Any:  # fmt: skip
        made = actions.add_parser(
            name, help=told, description=told[0].upper() + told[1:] + ".", epilog=example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.add_argument("uri", metavar="URI", help="mysql://USER@HOST:PORT/DATABASE")
        made.add_argument("--schemas", metavar="DIR|URL", help="another registry than the catalog")
        made.add_argument("--schema", metavar="REGEX", help="only those whose name begins so")
        made.add_argument("--json", action="store_true", help="a line of JSON for each table")
        made.set_defaults(command=command, **defaults)
        return made.add_argument

    action("plan", "show what tables lack, as SQL that adds it", _PLAN, _plan, fault=WRONG_CALL)
    action("apply", "add what tables lack", _PLAN, _apply, goes_on=lambda _: True)
    add = action("purge", "remove rows that are older than they may be", _PURGE, _purge,
                 goes_on=lambda args: args.yes)  # fmt: skip
    add("--older-than", required=True, type=age, metavar="AGE", help="90d, or 36h")
    add("--keep", metavar="FILE", help="YAML: the fields that stay, by schema")
    add("--batch", type=_rows, default=2_000, metavar="N", help="rows of a transaction, at most "
        "(default: 2000); fewer where they take a tenth of a second")  # fmt: skip
    add("--pause", type=_seconds, default=0.05, metavar="S",
        help="seconds between transactions, at least (default: 0.05)")  # fmt: skip
    add("--yes", action="store_true", help="do it; what is removed can't be brought back")


def _rows(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows from 1 to 100000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return found


@contextmanager
def _asking(args: argparse.Namespace) -> Iterator[tuple[MysqlServer, Registry]]:
    """The database and registry that are meant. What the database refuses in the block raises
    MysqlFault, with its URI."""
    from el_beam.connectors.ends import mysql_of
    from el_beam.upkeep.mysql.tables import FAULTS
    from el_beam.uris import parse_uri
    from schemas.registry import open_registry
    from transforms.io.mysql.client import fault
    from transforms.io.mysql.server import SETTINGS

    uri = parse_uri(args.uri, {"mysql": SETTINGS}, "database")
    try:
        yield mysql_of(uri), open_registry(args.schemas)
    except FAULTS as error:
        meant = fault(error)
        raise type(meant)(f"{uri}: {meant}") from error


def _plan(args: argparse.Namespace) -> int:
    with _asking(args) as (server, registry):
        plans = _plans(args, server, registry)
    for plan in plans:
        _tell(args, plan, _sql(plan))
    left = sum(not plan.is_done for plan in plans)
    print(f"{left:,} of {len(plans):,} tables lack something"
          + ("; `el mysql apply` adds it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0


def _apply(args: argparse.Namespace) -> int:
    with _asking(args) as (server, registry):
        from el_beam.upkeep.mysql.migrations import apply
        from transforms.io.mysql.client import engine

        left = 0
        plans = _plans(args, server, registry)
        for plan in plans:
            done = apply(engine(server, answer=_DDL), registry, plan) if plan.statements else plan
            did = plan.statements if plan.statements != done.statements else ()
            made = [f"{plan.table}: {plan.state}: done"] if did else []
            _tell(args, done, [*made, *_sql(done)] if made or not done.is_done else [], did=did)
            left += not done.is_done
    print(f"{left:,} of {len(plans):,} tables still lack something"
          + ("; `el mysql plan` shows it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0


def _plans(args: argparse.Namespace, server: MysqlServer, registry: Registry) -> list[TablePlan]:
    """Of the schemas of the registry, and those whose tables are there."""
    from el_beam.connectors.selection import selection_of
    from el_beam.upkeep.mysql.migrations import plans
    from el_beam.upkeep.mysql.tables import tables
    from transforms.io.mysql.client import engine

    wanted, asked = selection_of(None, None, args.schema), engine(server)
    with asked.connect() as connection:
        known = registry.list()
        there = (each.schema for each in tables(connection, known))
        schemas = {*known, *filter(None, there)}
    chosen = [each for each in sorted(schemas) if wanted.schema(str(each))]
    _some(args, chosen)
    return list(plans(asked, registry, chosen))


def _some(args: argparse.Namespace, chosen: Collection[object]) -> None:
    """A slip of the pen in a timer must not be a success. Raises StoredError."""
    from el_beam.connectors.selection import StoredError

    if args.schema and not chosen:
        raise StoredError(f"--schema {args.schema!r}: no schema that is here is called so")


def _sql(plan: TablePlan) -> list[str]:
    """What there is to do, as SQL with comments. Names of what others have made, which may have a
    line's end in them, are in comments only."""
    from el_beam.terminal.console import printable

    told = [f"by hand: {each}" for each in plan.by_hand] + [*plan.notes]
    head = [f"{plan.schema}: {plan.state}"] if told or not plan.is_done else []
    comments = [printable(f"-- {each}") for each in (*head, *(f"  {each}" for each in told))]
    return [*comments, *(f"{each};".expandtabs(4) for each in plan.statements)]


def _tell(
    args: argparse.Namespace, plan: TablePlan, lines: list[str], **more: Collection[str]
) -> None:
    from el_beam.terminal.console import printable

    if args.json:
        print(json.dumps(plan.as_json() | more), flush=True)
        return
    for line in "\n".join(lines).split("\n") if lines else ():
        print(printable(line) if sys.stdout.isatty() else line, flush=True)


def _purge(args: argparse.Namespace) -> int:
    with _asking(args) as (server, registry):
        from el_beam.connectors.selection import selection_of
        from el_beam.upkeep.mysql.purge import check_rights, targets
        from el_beam.upkeep.retention.keep_list import read_keep
        from transforms.io.mysql.client import engine

        before = datetime.now(UTC) - args.older_than
        wanted, asked = selection_of(None, None, args.schema), engine(server, keep=True)
        found, problems = targets(asked, registry, read_keep(args.keep), wanted.schema)
        _some(args, [*found, *problems])
        if args.yes:
            check_rights(asked, found)
        untouched = {*problems}
        total: Counter[bool] = Counter()  # whether rows keep some fields -> rows
        for each in found:
            rows, problem = _purged(args, asked, each, before)
            problems |= {each.name: problem} if problem else {}
            total[each.kept is not None] += rows
    from el_beam.terminal.console import printable

    for name, why in problems.items():
        if args.json and name in untouched:
            print(json.dumps({"table": name, "problem": why}), flush=True)
        print(f"el mysql purge: left as it is: {printable(f'{name}: {why}')}", file=sys.stderr)
    verb, end = ("", "") if args.yes else ("would ", "; --yes does it")
    print(f"{total[False]:,} rows {verb}go, {total[True]:,} {verb}keep some fields{end}",
          file=sys.stderr)  # fmt: skip
    return 1 if problems else 0


def _purged(
    args: argparse.Namespace, asked: Engine, of: PurgeTarget, before: datetime
) -> tuple[int, str]:
    """How many rows, and what went wrong then. Raises DatabaseAway."""
    from el_beam.terminal.console import live, printable
    from el_beam.upkeep.mysql.purge import Pace, purge, without_time
    from transforms.io.mysql.client import DatabaseAway, MysqlFault

    rows = looked_at = timeless = 0
    problem = ""
    try:
        with live(
            lambda: printable(f"{of.name}: {looked_at:,} old rows read, {rows:,} {_verb(args, of)}")
        ):
            for done in purge(asked, of, before, Pace(args.batch, args.pause), do=args.yes):
                rows, looked_at = rows + done.rows, looked_at + done.looked_at
            timeless = without_time(asked, of)
    except DatabaseAway:
        raise
    except MysqlFault as error:
        problem = str(error)
    if rows or not problem or args.json:
        _tell_rows(args, of, rows, timeless, problem)
    return rows, problem


def _verb(args: argparse.Namespace, of: PurgeTarget) -> str:
    done, to_do = ("cut", "would be cut") if of.kept else ("gone", "would go")
    return done if args.yes else to_do


def _tell_rows(
    args: argparse.Namespace, of: PurgeTarget, rows: int, timeless: int, problem: str
) -> None:
    from el_beam.terminal.console import printable

    stays = sorted(of.kept.stays | of.kept.parts) if of.kept else None
    told = {"table": of.name, **of.schema._asdict(), "rows": rows, "keep": stays,
            "without_time": timeless, "problem": problem or None}  # fmt: skip
    text = f"{of.name}: {rows:,} rows {_verb(args, of)}"
    text += f", {', '.join(stays)} stay" if stays else ""
    text += f"; {timeless:,} have no time and stay" if timeless else ""
    print(json.dumps(told) if args.json else printable(text), flush=True)
