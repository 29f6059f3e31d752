"""`el bad`: the lines that were no valid events. A subcommand for each thing to do with them."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from el_beam.commands import add_hours, answering, bad_replay

if TYPE_CHECKING:
    from rich.table import Table

    from el_beam.bad import BadEvents, Example

_EXAMPLE = """examples:
  el bad list sqlite:/tmp/el/events.db
  el bad list parquet:hdfs://namenode:9870/el/events --from 2019-03-10T07 --reason bad_json

Ends: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
      kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 done, 2 the call was wrong, or an end could not be read.
"""
WIDTH = 120  # characters of a table, and of what is shown of a line or a message
_ROWS = 30  # of a table


def register(commands: Any) -> None:
    """Add `el bad list` and `el bad replay` to the command line."""
    parser = commands.add_parser("bad", help="lines that were no valid events: see, replay them")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    lister = actions.add_parser(
        "list",
        help="count them by reason, by schema and by hour, with examples",
        description="Counts the EventErrors that are stored in the ENDs.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = lister.add_argument
    add("ends", nargs="+", metavar="END", help="where EventErrors are; the ends are added up")
    add_choice(lister)
    add("--json", action="store_true", help="print all of it as JSON, whole lines too")
    lister.set_defaults(command=_list)
    bad_replay.register(actions, add_choice)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that say which bad events."""
    add_hours(parser)
    parser.add_argument("--schema", metavar="REGEX",
                        help="only lines that name such a schema, as Edit_")  # fmt: skip
    parser.add_argument("--reason", metavar="REASON", help="only this one, as bad_json")


def _list(args: argparse.Namespace) -> int:
    with answering("el bad list"):
        from el_beam.bad import bad_events, check_reason
        from el_beam.console import live
        from el_beam.stored import end_of
        from el_beam.wanted import Heard, wanted_of

        check_reason(args.reason)
        wanted = wanted_of(args.first, args.last, args.schema)
        ends = [end_of(each) for each in args.ends]
        heard = Heard()
        with live(heard.__str__):
            found = bad_events(ends, wanted, args.reason, heard)
    if args.json:
        print(json.dumps(as_json(found)))
    else:
        _show(found)
    return 0


def as_json(found: BadEvents) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "total": found.total,
        "reasons": dict(found.reasons.most_common()),
        "schemas": dict(found.schemas.most_common()),
        "hours": dict(sorted(found.hours.items())),
        "examples": {
            reason: [each._asdict() for each in its] for reason, its in found.examples.items()
        },
    }


def _show(found: BadEvents) -> None:
    from el_beam.console import console, printable

    out = console()
    out.file = sys.stdout
    out.width = max(out.width, WIDTH)
    print(f"{found.total:,} bad events")
    if not found.total:
        return
    out.print(reasons_table(found.reasons))
    out.print(counts_table("schema", found.schemas.most_common()))
    hours = [(hour or "no time", count) for hour, count in sorted(found.hours.items())]
    out.print(counts_table("hour", hours[::-1]))
    for reason, _ in found.reasons.most_common():
        print(f"\n{printable(reason) or '(no reason)'}, for example")
        for example in found.examples[reason]:
            print(*map(printable, _told(example)), sep="\n")


def reasons_table(reasons: Counter[str], name: str = "reason") -> Table:
    """Reasons, the most frequent first, with what they mean."""
    from rich.table import Table
    from rich.text import Text

    from el_beam.console import printable
    from schemas.bad_event import Reason

    sentences = {reason.value: reason.sentence for reason in Reason}
    table = Table(name, box=None, pad_edge=False)
    table.add_column("events", justify="right")
    table.add_column("")
    for reason, count in reasons.most_common():
        table.add_row(Text(printable(reason)), f"{count:,}", sentences.get(reason, ""))
    return table


def counts_table(name: str, counts: list[tuple[str, int]]) -> Table:
    """Counts of what is called so: the first of them, if there are many."""
    from rich.table import Table
    from rich.text import Text

    from el_beam.console import printable

    table = Table(box=None, pad_edge=False)
    table.add_column(name, overflow="fold")
    table.add_column("events", justify="right")
    for each, count in counts[:_ROWS]:
        table.add_row(Text(_cut(printable(each))), f"{count:,}")
    if more := counts[_ROWS:]:
        table.add_row(f"{len(more):,} more", f"{sum(count for _, count in more):,}")
    return table


def _told(example: Example) -> list[str]:
    """Lines about a bad event: what and where it is, what is wrong, and the line itself."""
    from el_beam.bad import readable

    return [
        f"  {example.uuid} {_cut(example.schema)} {example.hour}",
        f"    in    {example.end} {example.place}",
        f"    from  {example.origin}",
        f"    wrong {_cut(example.message)}",
        f"    line  {_cut(readable(example))}",
    ]


def _cut(text: str) -> str:
    from el_beam.console import printable

    shown = printable(text[:WIDTH])
    return shown if len(text) <= WIDTH and len(shown) <= WIDTH else f"{shown[: WIDTH - 1]}…"
