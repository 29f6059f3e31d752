"""`el find`: where an event is, and where it came from."""

import argparse
import json
import sys
from typing import Any

from el_beam.commands.common import WRONG_CALL, counting
from el_beam.connectors.contract import Selection, checked_hour
from el_beam.connectors.find import Archive, FoundEvent, FoundLine, find
from el_beam.connectors.registry import store_of
from el_beam.terminal.console import printable
from schemas.line_format import DEFAULT_FORMAT

_EXAMPLE = """examples:
  el find 3f2a8d1e0c9b5f6e8a7d6c5b4a392817 sqlite:/tmp/el/events.db
  el find 3f2a8d1e0c9b5f6e8a7d6c5b4a392817 \\
      parquet:hdfs://namenode:9870/el/events \\
      --hour 2019-03-10T07 --raw hdfs://namenode:9870/el/raw

Stores: parquet:ROOT jsonl:ROOT sqlite:PATH mysql://USER@HOST/DATABASE
        kafka://BROKERS/?topics=A,B|pattern=^REGEX

Exit codes: 0 found, 1 in none of the stores, 2 the search failed.
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Looks for the event of a UUID in every STORE.", epilog=_EXAMPLE
    )
    add = parser.add_argument
    add("uuid", metavar="UUID", help="as it is stored: 32 hex digits")
    add("stores", nargs="+", metavar="STORE", help="where to look")
    add("--hour", metavar="HOUR", help="look in this hour only, as 2019-03-10T07, or a day")
    add("--raw", metavar="ROOT", help="a raw: archive to search for the line that it was made from")
    add("--format", metavar="FMT", help="the format of the archive's lines, as for `el run` "
        "(default: '%%q %%{recvFrom}s %%{seqId}d %%D %%{ip}i %%u')")  # fmt: skip
    add("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=_command, fault=WRONG_CALL)


def _command(args: argparse.Namespace) -> int:
    hour = checked_hour("--hour", args.hour)
    selection = Selection(hour, hour)
    stores = [store_of(each) for each in args.stores]
    archive = Archive(args.raw, args.format or DEFAULT_FORMAT) if args.raw else None
    lines: list[FoundLine] = []
    with counting() as heard:
        found = list(find(args.uuid, stores, selection, heard))
        if archive and not any(each.origin for each in found):
            hours = {each.hour for each in found if each.hour}
            lines = list(archive.lines(args.uuid, selection, hours, heard))
    if args.json:
        places = [each._asdict() for each in found]
        print(json.dumps({"found": places, "lines": [line._asdict() for line in lines]}))
    else:
        _show(args, found, lines)
    return 0 if found else 1


def _show(args: argparse.Namespace, found: list[FoundEvent], lines: list[FoundLine]) -> None:
    uuid, prog = args.uuid, args.prog
    for each in found:
        print(printable(f"{each.schema} {each.hour or 'no time'} in {each.end}: {each.place}"))
    for origin in dict.fromkeys(each.origin for each in found if each.origin):
        print(printable(f"made from the line {origin}"))
    for line in lines:
        what = "the bad event was made" if line.bad else "made"
        message = f"{what} from the line {line.origin}, received {line.receipt}, in {line.archive}"
        print(printable(message))
    if not found:
        print(printable(f"{prog}: {uuid} is in none of the stores"), file=sys.stderr)
    if args.raw and not lines and not any(each.origin for each in found):
        print(printable(f"{prog}: no line of the archive gives {uuid}"), file=sys.stderr)
