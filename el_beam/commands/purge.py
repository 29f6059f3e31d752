"""`el purge`: remove what is too old to be kept."""

import argparse
import json
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing
from el_beam.books.ledger.entries import read_ledger
from el_beam.commands.common import add_keep, report_left
from el_beam.terminal.console import printable
from el_beam.upkeep.retention.keep_list import read_keep
from el_beam.upkeep.retention.purge import (
    TooOld,
    check_files,
    documents_of,
    left_over,
    purge,
    steps,
)
from el_beam.uris import given_path
from schemas.registry import open_registry
from transforms.io.files import filesystem

_EXAMPLE = """examples:
  el purge hdfs://namenode:9870/el/raw --older-than 90d
  el purge hdfs://namenode:9870/el/events --older-than 90d \\
      --keep keep.yaml --yes

keep.yaml says which fields are kept for good:
  Edit: [wiki, event.action]

Without --yes it only says what it would do. If it is killed, the
same command goes on where it was.
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Removes the files of old hours, or all of their fields but those of a list.",
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("root", metavar="ROOT", help="the folder of a parquet:, jsonl: or raw: sink")
    add_keep(parser)
    add("--schemas", metavar="DIR|URL", help="a registry to use instead of the catalog: it says "
        "which properties the columns are of")  # fmt: skip
    add("--json", action="store_true", help="a line of JSON for each file")
    parser.set_defaults(command=_command, goes_on=lambda args: args.yes)


def _command(args: argparse.Namespace) -> int:
    """Remove, or say so, and print what is left as it is; returns the exit code."""
    root = given_path(args.root)
    old = TooOld(datetime.now(UTC), args.older_than)
    keep = read_keep(args.keep)
    documents = documents_of(open_registry(args.schemas))
    check_files(
        keep, read_ledger(root), documents
    )  # refuses a folder that has none, before writing there
    problems: dict[str, str] = {}
    done: list[bool] = []  # of each file: whether it keeps some fields
    with changing(root) if args.yes else nullcontext() as change:
        for step in steps(read_ledger(root), keep, old):
            problems |= purge(step, change, documents) if change else {}
            paths = [file.path for file in step.files if file.path not in problems]
            for path in paths:
                _show(args, path, step.keep)
            done += [step.keep is not None] * len(paths)
        left = [*left_over(root, old)]
        for path in left:
            _show(args, path.removeprefix(f"{root}/"), None)
        if change:
            filesystem.at_once(root, filesystem.remove, left)
    verb, end = ("", "") if args.yes else ("would ", "; --yes does it")
    cut = sum(done)
    print(f"{len(done) - cut:,} files {verb}go, {cut:,} {verb}keep some fields{end}",
          file=sys.stderr)  # fmt: skip
    ledger = read_ledger(root, selected=old.hour)
    compare(ledger, selected=lambda hour: not hour or old.hour(hour))
    unknown = (each.what for each in ledger.troubles if each.kind == "unknown")
    why = "no run has written it under this name: see `el ledger`"
    return report_left(args, problems | dict.fromkeys(unknown, why))


def _show(args: argparse.Namespace, path: str, keep: frozenset[str] | None) -> None:
    found = {"path": path, "keep": None if keep is None else sorted(keep)}
    kept = ", ".join(sorted({"uuid", "dt"}.union(keep or ())))
    stays = "goes" if keep is None else f"keeps {kept}"
    print(json.dumps(found) if args.json else f"{printable(path)}: {printable(stays)}", flush=True)
