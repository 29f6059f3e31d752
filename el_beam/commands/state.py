"""`el state`: how far increments are, and how to make them begin elsewhere."""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

from el_beam.books import folder
from el_beam.books.ledger.changes import changing
from el_beam.books.state.acts import reset, show
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State
from el_beam.books.state.transactions import Transactions
from el_beam.connectors.kafka import brokers_of
from el_beam.terminal.console import ResultTable, printable, results
from el_beam.uris import UriError, given_path
from transforms.io.files import filesystem
from transforms.layout import LEDGER
from transforms.write.topics import checked_topic

_EXAMPLE = """examples:
  el state show hdfs://namenode:9870/el/state
  el state upgrade hdfs://namenode:9870/el/state hdfs://namenode:9870/el/events
  el state reset hdfs://namenode:9870/el/state --topic raw --to earliest \\
      --source kafka://BROKERS/
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Shows or changes what `el run --state DIR` has noted about its topics.",
        epilog=_EXAMPLE,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    shower = actions.add_parser("show", help="a line for each partition")
    shower.add_argument("state", metavar="DIR")
    shower.add_argument("--json", action="store_true", help="print it as JSON")
    shower.set_defaults(command=_show)
    resetter = actions.add_parser("reset", help="make a topic go on from another offset")
    add = resetter.add_argument
    add("state", metavar="DIR")
    add("--topic", required=True, metavar="NAME")
    add("--to", required=True, metavar="earliest|latest|0:500,1:730",
        help="from where; or the next offset of each partition")  # fmt: skip
    add("--source", metavar="URI",
        help="kafka://BROKERS/, to ask for offsets, and whether those of --to exist")  # fmt: skip
    add("--again", action="store_true",
        help="let records enter folders that have some of these offsets already: where they are "
        "other records by now; needs --after")  # fmt: skip
    add("--after", metavar="N", type=int,
        help="only if the topic's last increment is N, as `el state show` says, or 0: there is "
        "none")  # fmt: skip
    add("--yes", action="store_true", help="do it; without it, only say what would change")
    resetter.set_defaults(command=_reset)
    releaser = actions.add_parser(
        "release", help="let hours close though a transaction of a partition is open"
    )
    releaser.add_argument("state", metavar="DIR")
    releaser.add_argument("place", metavar="TOPIC/PARTITION", help="as `el run` names it")
    releaser.set_defaults(command=_release)
    upgrader = actions.add_parser(
        "upgrade", help="write states and folders as this release does, for good"
    )
    upgrader.add_argument(
        "paths",
        metavar="DIR",
        nargs="+",
        help="a state, or a folder that `el run` wrote files into",
    )
    upgrader.set_defaults(command=_upgrade)
    renamer = actions.add_parser("new-id", help="make copies states and folders of their own")
    renamer.add_argument("paths", metavar="DIR", nargs="+", help="a state, or a folder of files")
    renamer.set_defaults(command=_new_id)


def _show(args: argparse.Namespace) -> int:
    found = show(State(given_path(args.state)))
    if args.json:
        print(json.dumps(found))
        return 0
    if not found["topics"]:
        print(printable(f"{args.prog}: there is no state in {args.state}"), file=sys.stderr)
        return 1
    results().print(_table(found["topics"]))
    return 0


def _table(topics: list[dict[str, Any]]) -> ResultTable:
    table = ResultTable(
        *("topic", "partition", "next offset", "increment", "committed", "under way"),
        left=("topic", "committed", "under way"),
    )
    for topic in topics:
        moment = topic["committed"]
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment else ""
        pending = topic["pending"]
        doing = f"{pending['records']:,} records" if pending else ""
        name, number = topic["topic"], str(topic["number"])
        for partition, offset in sorted(topic["offsets"].items(), key=lambda each: int(each[0])):
            table.row(name, partition, offset, number, when, doing)
        if not topic["offsets"]:
            table.row(name, "", "", "", "", doing)
    return table


def _reset(args: argparse.Namespace) -> int:
    state = State(given_path(args.state))
    if args.again and args.after is None:
        raise UriError("--again needs --after N, so that it is done once: see `el state show`")
    checked_topic(args.topic)  # a folder is named after it
    if args.topic not in state.topics() and args.after != 0:  # 0: a lost state, as it was told
        there_are = ", ".join(state.topics()) or "none"
        raise UriError(f"no topic {args.topic!r} in {args.state}; there are {there_are}")
    last = state.topic(args.topic).last()
    ends = _ends(args, last.ends if last else {})
    for partition, offset in sorted(ends.items()):
        before = last.ends.get(partition, 0) if last else 0
        print(printable(f"{args.topic}/{partition}: {before:,} -> {offset:,}"))
    if not args.yes:
        print(
            "Records that folders have already will not enter them again"
            + (", but with --again they do, so events may be there twice" if args.again else "")
            + ". Nothing was changed; --yes does it.",
            file=sys.stderr,
        )
        return 0
    with Lease(state):
        reset(state, args.topic, ends, again=args.again, after=args.after)
    return 0


def _release(args: argparse.Namespace) -> int:
    topic, _, partition = args.place.rpartition("/")
    if not (topic and re.fullmatch(r"[0-9]{1,9}", partition)):
        raise UriError(f"{args.place!r} is not a partition: write TOPIC/PARTITION, as raw/0")
    state = given_path(args.state)
    if not _is_state(state):
        raise UriError(f"there is no state in {args.state}")
    Transactions(state).release(topic, int(partition))
    return 0


def _upgrade(args: argparse.Namespace) -> int:
    for path in _states_and_folders(args.paths):
        if _is_state(path):
            with Lease(state := State(path)):
                done = state.previous
                state.upgrade()
        else:
            with changing(path):
                done = folder.is_previous(path)
                folder.upgrade(path)
        what = "" if done else ", as it was before"
        print(printable(f"{path}: the release before can't go on with it any more{what}"))
    return 0


def _new_id(args: argparse.Namespace) -> int:
    for path in _states_and_folders(args.paths):
        if _is_state(path):
            with Lease(state := State(path)):
                state.new_id()
        else:
            with changing(path):
                folder.new_id(path)
    return 0


def _states_and_folders(paths: list[str]) -> list[str]:
    """Checked. Raises UriError where one is neither."""
    checked = [*map(given_path, paths)]
    for path in checked:
        if not (_is_state(path) or filesystem.exists(f"{path}/{LEDGER}")):
            raise UriError(f"{path} is neither a state nor a folder that `el run` wrote files into")
    return checked


def _is_state(path: str) -> bool:
    return any(filesystem.exists(f"{path}/{name}.json") for name in ("source", "cluster"))


def _ends(args: argparse.Namespace, known: Mapping[int, int]) -> dict[int, int]:
    """Partition -> next offset. What the state knows is where each partition was read to.

    Raises UriError where there is no such place, KafkaAway."""
    named = args.to in ("earliest", "latest")
    ends = {} if named else _places(args.to)
    if not args.source:
        if named:
            raise UriError(f"--to {args.to} needs --source kafka://BROKERS/")
        if known:
            _check(args, ends, known, {}, "; to go beyond, give --source kafka://BROKERS/")
        return ends
    from transforms.io.kafka.broker import broker_of  # `el state show` needs no client

    kafka = broker_of(brokers_of(args.source))
    counts = kafka.partitions()
    if args.topic not in counts:
        raise UriError(f"no topic {args.topic} at the brokers")
    bounds = kafka.bounds({args.topic: counts[args.topic]})
    if named:
        return {number: bound[args.to == "latest"] for (_, number), bound in bounds.items()}
    _check(args, ends, {number: high for (_, number), (_, high) in bounds.items()}, known, "")
    return ends


def _places(text: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for pair in text.split(","):
        if not (match := re.fullmatch(r"([0-9]{1,9}):([0-9]{1,18})", pair)):
            raise UriError(f"--to {text!r}: write earliest, latest or 0:500,1:730")
        partition, offset = map(int, match.groups())
        if partition in found:
            raise UriError(f"--to {text!r} gives partition {partition} twice")
        found[partition] = offset
    return found


def _check(
    args: argparse.Namespace, ends: Mapping[int, int], there: Mapping[int, int],
    known: Mapping[int, int], hint: str,
) -> None:  # fmt: skip
    """Raises UriError for a partition that isn't `there`, and for an offset behind its end. A topic
    that was made anew may lack one that is `known`: from its start on it can always be read."""
    whose = "at the brokers" if args.source else f"in {args.state}"
    for partition, offset in ends.items():
        if partition not in there and (offset or partition not in known):
            raise UriError(
                f"{args.topic} has no partition {partition} {whose}; there are "
                f"{', '.join(map(str, sorted(there))) or 'none'}{hint}"
            )
        if partition in there and offset > there[partition]:
            raise UriError(
                f"{args.topic}/{partition} goes to offset {there[partition]} {whose}, and "
                f"{offset} is behind that{hint}"
            )
