"""`el purge`: remove what is older than it may be."""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from el_beam.commands import GOES_ON, answering

_EXAMPLE = """examples:
  el purge hdfs://namenode:9870/el/raw --older-than 90d
  el purge hdfs://namenode:9870/el/events --older-than 90d --keep keep.yaml --yes

keep.yaml says which fields stay for good:
  Edit: [wiki, event.action]

Without --yes it only says what it would do.
"""
_AGE = re.compile(r"(\d+)([hd])")


def register(commands: Any) -> None:
    """Add `el purge` to the command line."""
    parser = commands.add_parser(
        "purge",
        help="remove what is older than it may be",
        description="Files of old hours go, or keep the fields that a list names.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("root", metavar="ROOT", help="the folder of a parquet:, jsonl: or raw: sink")
    add("--older-than", required=True, type=_age, metavar="AGE", help="90d, or 36h")
    add("--keep", metavar="FILE", help="YAML: the fields that stay, by schema")
    add("--yes", action="store_true", help="do it; what is removed can't be brought back")
    add("--json", action="store_true", help="a line of JSON for each file")
    parser.set_defaults(command=_command)


def _age(text: str) -> timedelta:
    if not (match := _AGE.fullmatch(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write 90d or 36h")
    number = int(match[1])
    return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)


def _command(args: argparse.Namespace) -> int:
    with answering("el purge", GOES_ON):
        from el_beam.ends import checked_path

        _purge(checked_path(args.root), args)
    return 0


def _purge(root: str, args: argparse.Namespace) -> None:
    from contextlib import nullcontext

    from el_beam.changes import changing
    from el_beam.compact import closed
    from el_beam.console import printable
    from el_beam.ledger import read_ledger
    from el_beam.purge import purge, read_keep, remove_replaced, steps

    now = datetime.now(UTC)

    def old(hour: str) -> bool:
        return closed(hour, now, args.older_than)

    keep = read_keep(args.keep)
    read_ledger(root, wanted=old)  # refuses a folder that has none, before writing there
    gone = cut = 0
    with changing(root) if args.yes else nullcontext() as lease:
        for step in steps(read_ledger(root, wanted=old), keep, hours=old):
            if lease:
                purge(root, step, keep, lease)
            gone, cut = gone + (not step.keep), cut + bool(step.keep)
            told = {"path": step.file.path, "rows": step.file.rows, "keep": sorted(step.keep)}
            stays = f"keeps {', '.join(sorted(step.keep))}" if step.keep else "goes"
            print(json.dumps(told) if args.json else printable(f"{step.file.path}: {stays}"),
                  flush=True)  # fmt: skip
        if lease:
            remove_replaced(root, hours=old)
    verb = "" if args.yes else "would "
    print(f"{gone:,} files {verb}go, {cut:,} {verb}keep some fields"
          + ("" if args.yes else "; --yes does it"), file=sys.stderr)  # fmt: skip
