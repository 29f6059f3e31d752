"""`el find`: where an event is, and where it came from."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from el_beam.commands.common import WRONG_CALL

if TYPE_CHECKING:
    from el_beam.connectors.find import FoundEvent, FoundLine

_EXAMPLE = """examples:
  el find 3f2a8d1e0c9b5f6e8a7d6c5b4a392817 sqlite:/tmp/el/events.db parquet:/tmp/el/parquet
  el find 3f2a8d1e0c9b5f6e8a7d6c5b4a392817 parquet:hdfs://namenode:9870/el/events \\
      --hour 2019-03-10T07 --raw hdfs://namenode:9870/el/raw

Ends: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
      kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 found, 1 in none of the ends, 2 it could not be looked for.
"""


def register(commands: Any) -> None:
    """Add `el find` to the command line."""
    parser = commands.add_parser(
        "find",
        help="see where an event is, and where it came from",
        description="Looks for the event of a UUID in the ENDs.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("uuid", metavar="UUID", help="as it is stored: 32 hex digits")
    add("ends", nargs="+", metavar="END", help="where to look")
    add("--hour", metavar="HOUR", help="look there only, as 2019-03-10T07, or a day")
    add("--raw", metavar="ROOT", help="a raw: archive: which line was it made of?")
    add(
        "--format",
        metavar="FMT",
        help="of the archive's lines, as in `el run` "
        "(default: '%%q %%{recvFrom}s %%{seqId}d %%D %%{ip}i %%u')",
    )
    add("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=_command, fault=WRONG_CALL)


def _command(args: argparse.Namespace) -> int:
    from el_beam.connectors.find import Archive, find
    from el_beam.connectors.selection import ReadCounter, Selection, checked_hour
    from el_beam.connectors.stored import store_of
    from el_beam.terminal.console import live
    from schemas.line_format import DEFAULT_FORMAT

    hour = checked_hour("--hour", args.hour)
    wanted = Selection(hour, hour)
    ends = [store_of(each) for each in args.ends]
    archive = Archive(args.raw, args.format or DEFAULT_FORMAT) if args.raw else None
    heard = ReadCounter()
    lines: list[FoundLine] = []
    with live(heard.__str__):
        found = list(find(args.uuid, ends, wanted, heard))
        if archive and not any(each.origin for each in found):
            hours = {each.hour for each in found if each.hour}
            lines = list(archive.lines(args.uuid, wanted, hours, heard))
    if args.json:
        places = [each._asdict() for each in found]
        print(json.dumps({"found": places, "lines": [line._asdict() for line in lines]}))
    else:
        _show(args.uuid, found, lines, archive is not None)
    return 0 if found else 1


def _show(uuid: str, found: list[FoundEvent], lines: list[FoundLine], asked: bool) -> None:
    from el_beam.terminal.console import printable

    for each in found:
        print(printable(f"{each.schema} {each.hour or 'no time'} in {each.end}: {each.place}"))
    for origin in dict.fromkeys(each.origin for each in found if each.origin):
        print(printable(f"made of the line {origin}"))
    for line in lines:
        what = "the bad event" if line.bad else "made"
        told = f"{what} of the line {line.origin}, received {line.receipt}, in {line.archive}"
        print(printable(told))
    if not found:
        print(printable(f"el find: {uuid} is in none of the ends"), file=sys.stderr)
    if asked and not lines and not any(each.origin for each in found):
        print(f"el find: no line of the archive gives {printable(uuid)}", file=sys.stderr)
