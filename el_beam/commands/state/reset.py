"""`el state reset`: make a topic go on from another offset."""

import argparse
import sys
from typing import Any


def register(actions: Any) -> None:
    """Add `el state reset` to the actions of `el state`."""
    parser = actions.add_parser("reset", help="make a topic go on from another offset")
    add = parser.add_argument
    add("state", metavar="DIR")
    add("--topic", required=True, metavar="NAME")
    add("--to", required=True, metavar="earliest|latest|0:500,1:730",
        help="from where; or the next offset of each partition")  # fmt: skip
    add("--source", metavar="URI", help="kafka://BROKERS/, to ask for offsets")
    add("--yes", action="store_true", help="do it; without it, only say what would change")
    parser.set_defaults(command=_reset)


def _reset(args: argparse.Namespace) -> int:
    from el_beam.books.state.lease import Lease
    from el_beam.books.state.state import State, reset
    from el_beam.terminal.console import printable
    from el_beam.uris import UriError, checked_path

    state = State(checked_path(args.state))
    if args.topic not in state.topics():
        there_are = ", ".join(state.topics()) or "none"
        raise UriError(f"no topic {args.topic!r} in {args.state}; there are {there_are}")
    ends = _ends(args)
    last = state.topic(args.topic).last()
    for partition, offset in sorted(ends.items()):
        before = last.ends.get(partition, 0) if last else 0
        print(printable(f"{args.topic}/{partition}: {before:,} -> {offset:,}"))
    if not args.yes:
        print(
            "Records that are read again go to files with other names: remove the old files, "
            "or the events are there twice. Nothing was changed; --yes does it.",
            file=sys.stderr,
        )
        return 0
    with Lease(state):
        reset(state, args.topic, ends)
    return 0


def _ends(args: argparse.Namespace) -> dict[int, int]:
    """Partition -> next offset. Raises UriError, KafkaAway."""
    from el_beam.connectors.kafka import brokers_of
    from el_beam.uris import UriError
    from transforms.io.kafka.broker import broker_of

    if args.to not in ("earliest", "latest"):
        try:
            pairs = (each.split(":") for each in args.to.split(","))
            return {int(partition): int(offset) for partition, offset in pairs}
        except ValueError as error:
            raise UriError(f"--to {args.to!r}: write earliest, latest or 0:500,1:730") from error
    if not args.source:
        raise UriError(f"--to {args.to} needs --source kafka://BROKERS/")
    kafka = broker_of(brokers_of(args.source))
    counts = kafka.partitions()
    if args.topic not in counts:
        raise UriError(f"no topic {args.topic} at the brokers")
    found = kafka.bounds({args.topic: counts[args.topic]})
    return {number: bound[args.to == "latest"] for (_, number), bound in found.items()}
