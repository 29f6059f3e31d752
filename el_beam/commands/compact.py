"""`el compact`: the many small files of an hour become few."""

import argparse
import json
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from el_beam.books.ledger.changes import changing
from el_beam.books.ledger.entries import read_ledger
from el_beam.commands.common import add_hours, number_of, report_left
from el_beam.connectors.contract import selection_of
from el_beam.terminal.console import printable
from el_beam.upkeep.compaction import Compacted, closed, compact, hours
from el_beam.uris import given_path

_EXAMPLE = """examples:
  el compact hdfs://namenode:9870/el/events --dry-run
  el compact hdfs://namenode:9870/el/events --from 2019-03-10T07 --to 2019-03-10

If it is killed, the same command goes on where it was.
"""
_MOST = 1_000_000.0  # hours; more than there have been


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Merges the files of hours that have ended into few large ones, sorted by "
        "time, with each event once. Needs up to 1.5 GiB of memory.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("root", metavar="ROOT", help="the folder of a parquet: or raw: sink")
    add_hours(parser)
    add("--after", type=number_of("hours: write 2, or 0.5", _MOST), default=2.0, metavar="HOURS",
        help="skip hours that ended less than this ago (default 2)")  # fmt: skip
    add("--dry-run", action="store_true", help="change nothing, only say what it would do")
    add("--json", action="store_true", help="a line of JSON for each hour and schema")
    parser.set_defaults(command=_command, goes_on=lambda args: not args.dry_run)


def _command(args: argparse.Namespace) -> int:
    """Merge, or say so, and print what is left as it is; returns the exit code."""
    root = given_path(args.root)
    now, age = datetime.now(UTC), timedelta(hours=args.after)
    selection = selection_of(args.first, args.last, None)

    def is_chosen(hour: str) -> bool:
        return selection.hour(hour) and closed(hour, now, age)

    read_ledger(root, selected=is_chosen)  # refuses a folder that has none, before writing there
    problems: dict[str, str] = {}
    before = after = repeated = 0
    with nullcontext() if args.dry_run else changing(root) as change:
        for hour in hours(read_ledger(root, selected=is_chosen)):
            if not is_chosen(hour.hour):
                continue
            done = compact(hour, change) if change else Compacted()
            problems |= done.problems
            before, after = before + len(hour.files), after + done.files
            repeated += done.repeated
            if args.json:
                done_here = {"hour": hour.hour, "schema": hour.schema, "rows": hour.rows,
                        "before": len(hour.files), **vars(done)}  # fmt: skip
                print(json.dumps(done_here), flush=True)
            else:
                became = f" -> {done.files}" if change else ""
                print(f"{hour.hour} {printable(hour.schema)}: {len(hour.files)}{became} files, "
                      f"{hour.rows:,} rows", flush=True)  # fmt: skip
    became = f"became {after:,}" if not args.dry_run else "would be compacted"
    again = f"; {repeated:,} repeated rows removed" if repeated else ""
    print(f"{before:,} files {became}{again}", file=sys.stderr)
    return report_left(args, problems)
