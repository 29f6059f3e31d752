"""`el mysql`: the tables of a database as schemas want them, and without what is too old."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from el_beam.commands.common import WRONG_CALL, add_keep, number_of, report_left
from el_beam.connectors.contract import StoredError, selection_of
from el_beam.connectors.mysql import server_of
from el_beam.terminal.console import live, printable
from el_beam.upkeep.mysql.migrations import TablePlan, apply, plans
from el_beam.upkeep.mysql.purge import (
    ISOLATION,
    Pace,
    PurgeTarget,
    check_rights,
    purge,
    targets,
    without_time,
)
from el_beam.upkeep.mysql.tables import tables
from el_beam.upkeep.retention.keep_list import read_keep
from el_beam.uris import parse_uri
from schemas.registry import Registry, open_registry
from transforms.io.mysql.client import DatabaseAway, MysqlFault, engine, fault
from transforms.io.mysql.server import SETTINGS, MysqlServer
from transforms.write.mysql_table import FAULTS

_PLAN_EXAMPLE = """examples:
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log'
  el mysql plan 'mysql://admin:${DB_PASSWORD}@db/log' --schema Edit > edit.sql
  el mysql apply 'mysql://admin:${DB_PASSWORD}@db/log'

Tables, columns and indexes that are missing are added while others read and
write. Nothing is dropped, and no column changes its type: where that is
needed, the plan says so, and a person does it.

Exit codes: 0 nothing is left to do, 1 something is left, 2 it failed.
"""
_PURGE_EXAMPLE = """examples:
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
_DDL = 86_400.0  # seconds that a server may take to make an index


def register(add_parser: Any) -> None:
    actions = add_parser().add_subparsers(title="actions", metavar="ACTION", required=True)

    def add_action(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}."
        parser: argparse.ArgumentParser = actions.add_parser(
            name, help=summary, description=description, epilog=example
        )
        add = parser.add_argument
        add("uri", metavar="URI", help="mysql://USER@HOST:PORT/DATABASE")
        add("--schemas", metavar="DIR|URL", help="a registry to use instead of the catalog")
        add("--schema", metavar="REGEX", help="only schemas whose name starts like this")
        add("--json", action="store_true", help="a line of JSON for each table")
        return parser

    planner = add_action("plan", "show what tables lack, as SQL that adds it", _PLAN_EXAMPLE)
    planner.set_defaults(command=_plan, fault=WRONG_CALL)
    applier = add_action("apply", "add what tables lack", _PLAN_EXAMPLE)
    applier.set_defaults(command=_apply, goes_on=lambda _: True)
    purger = add_action("purge", "remove rows that are too old to be kept", _PURGE_EXAMPLE)
    add_keep(purger)
    add = purger.add_argument
    add("--batch", type=_rows, default=2_000, metavar="N", help="rows of a transaction, at most "
        "(default: 2000); fewer where they take a tenth of a second")  # fmt: skip
    add("--pause", type=number_of("seconds from 0 to 3600", 3600), default=0.05, metavar="S",
        help="seconds between transactions, at least (default: 0.05)")  # fmt: skip
    purger.set_defaults(command=_purge, goes_on=lambda args: args.yes)


def _rows(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows from 1 to 100000")
    return int(text)


@contextmanager
def _database(args: argparse.Namespace) -> Iterator[tuple[MysqlServer, Registry]]:
    """The database and the registry that the options name.

    Raises UriError, RegistryError; and MysqlFault, with the database's URI, where the database
    refuses what is done in the block."""
    uri = parse_uri(args.uri, {"mysql": frozenset(SETTINGS)}, "database")
    try:
        yield server_of(uri), open_registry(args.schemas)
    except FAULTS as error:
        meaning = fault(error)
        raise type(meaning)(f"{uri}: {meaning}") from error


def _check_any(args: argparse.Namespace, chosen: Collection[object]) -> None:
    """Raise StoredError where --schema chooses nothing: a mistyped name in a timer must not be a
    success."""
    if args.schema and not chosen:
        raise StoredError(f"--schema {args.schema!r}: no schema here has such a name")


def _plan(args: argparse.Namespace) -> int:
    with _database(args) as (server, registry):
        found = _plans(args, server, registry)
    for plan in found:
        _show_plan(args, plan, _sql(plan))
    left = sum(not plan.is_done for plan in found)
    print(f"{left:,} of {len(found):,} tables lack something"
          + ("; `el mysql apply` adds it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0


def _plans(args: argparse.Namespace, server: MysqlServer, registry: Registry) -> list[TablePlan]:
    """The plans of the registry's schemas, and of those that have a table in the database."""
    selection, database = selection_of(None, None, args.schema), engine(server)
    with database.connect() as connection:
        known = registry.list()
        owners = (each.schema for each in tables(connection, known))
        schemas = {*known, *filter(None, owners)}
    chosen = [each for each in sorted(schemas) if selection.schema(str(each))]
    _check_any(args, chosen)
    return list(plans(database, registry, chosen))


def _sql(plan: TablePlan) -> list[str]:
    """What there is to do, as SQL with comments. Names that others chose may contain a line break:
    they are in comments only."""
    remarks = [f"by hand: {each}" for each in plan.by_hand] + [*plan.notes]
    head = [f"{plan.schema}: {plan.state}"] if remarks or not plan.is_done else []
    comments = [printable(f"-- {each}") for each in (*head, *(f"  {each}" for each in remarks))]
    return [*comments, *(f"{each};".expandtabs(4) for each in plan.statements)]


def _show_plan(
    args: argparse.Namespace, plan: TablePlan, lines: list[str], **more: Collection[str]
) -> None:
    """Print a plan: its lines, or with --json all of it, with `more`."""
    if args.json:
        print(json.dumps(plan.as_json() | more), flush=True)
        return
    for line in "\n".join(lines).split("\n") if lines else ():
        print(printable(line) if sys.stdout.isatty() else line, flush=True)


def _apply(args: argparse.Namespace) -> int:
    with _database(args) as (server, registry):
        left = 0
        found = _plans(args, server, registry)
        for plan in found:
            done = apply(engine(server, answer=_DDL), registry, plan) if plan.statements else plan
            did = plan.statements if plan.statements != done.statements else ()
            made = [f"{plan.table}: {plan.state}: done"] if did else []
            lines = [*made, *_sql(done)] if made or not done.is_done else []
            _show_plan(args, done, lines, did=did)
            left += not done.is_done
    print(f"{left:,} of {len(found):,} tables still lack something"
          + ("; `el mysql plan` shows it" if left else ""), file=sys.stderr)  # fmt: skip
    return 1 if left else 0


def _purge(args: argparse.Namespace) -> int:
    with _database(args) as (server, registry):
        before = datetime.now(UTC) - args.older_than
        selection = selection_of(None, None, args.schema)
        database = engine(server, keep=True, isolation=ISOLATION)
        found, problems = targets(database, registry, read_keep(args.keep), selection.schema)
        _check_any(args, [*found, *problems])
        if args.yes:
            check_rights(database, found)
        untouched = dict(problems)
        total: Counter[bool] = Counter()  # whether rows keep some fields -> rows
        for target in found:
            rows, problem = _purged(args, database, target, before)
            problems |= {target.name: problem} if problem else {}
            total[target.kept is not None] += rows
    if args.json:
        for name, why in untouched.items():
            print(json.dumps({"table": name, "problem": why}), flush=True)
    code = report_left(args, problems)
    verb, end = ("", "") if args.yes else ("would ", "; --yes does it")
    print(f"{total[False]:,} rows {verb}go, {total[True]:,} {verb}keep some fields{end}",
          file=sys.stderr)  # fmt: skip
    return code


def _purged(
    args: argparse.Namespace, database: Engine, target: PurgeTarget, before: datetime
) -> tuple[int, str]:
    """How many rows, and what went wrong then. Raises DatabaseAway."""
    rows = looked_at = timeless = 0
    problem = ""

    def progress() -> str:
        done = f"{rows:,} {_verb(args, target)}"
        return printable(f"{target.name}: {looked_at:,} old rows read, {done}")

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
