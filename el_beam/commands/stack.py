"""`el stack`: real servers on this machine, to try things and to test against."""

import argparse
import json
import sys
from typing import Any

from el_beam.commands.common import local_folder
from runners.local_stack import Stack

_EXAMPLE = """examples:
  el stack up kafka flink       start Kafka, Flink and Python workers
  eval "$(el stack env)"        KAFKA, FLINK, HDFS … of what runs, in this shell
  el stack down                 stop them; --purge removes their data too
"""


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Kafka, HDFS, Flink, Spark, Python workers, MariaDB on loopback, from packages "
        "alone.",
        epilog=_EXAMPLE,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action, help_, call in (
        ("up", "start components (default: all) and wait until they are ready", _up),
        ("down", "stop components (default: all)", _down),
        ("status", "what runs, and where", _status),
        ("env", "the endpoints as a shell's variables", _env),
    ):
        each = actions.add_parser(action, help=help_, description=help_)
        each.add_argument("--dir", metavar="DIR", type=local_folder, help="the stack's folder "
                          "(default: ~/.local/state/el_beam/stack)")  # fmt: skip
        if action in ("up", "down"):
            each.add_argument("components", nargs="*", metavar="COMPONENT",
                              help="kafka, workers, flink, hdfs, spark, mariadb")  # fmt: skip
        if action == "down":
            each.add_argument("--purge", action="store_true", help="remove data and logs too")
        if action == "status":
            each.add_argument("--json", action="store_true", help="component: endpoint")
        each.set_defaults(command=_command, call=call)


def _command(args: argparse.Namespace) -> int:
    args.call(Stack(args.dir), args)
    return 0


def _up(stack: Stack, args: argparse.Namespace) -> None:
    if missing := stack.missing(args.components):
        names = ", ".join(missing)
        print(f"el stack: fetching {names} first, which takes minutes", file=sys.stderr)
    for component in stack.up(args.components):
        print(f"{component.name:<10} {component.endpoint()}", flush=True)


def _down(stack: Stack, args: argparse.Namespace) -> None:
    for name in stack.down(args.components, keep_data=not args.purge):
        print(f"{name:<10} stopped")


def _status(stack: Stack, args: argparse.Namespace) -> None:
    status = stack.status()
    if args.json:
        print(json.dumps(status))
        return
    processes = [*stack.processes()]
    if not processes:
        print("nothing was started here: `el stack up` does")
    for process in processes:
        state = f"pid {process.pid}" if process.pid else "down"
        print(f"{process.name:<12} {state:<12} {process.log}")
    for name, endpoint in status.items():
        print(f"{name:<12} {endpoint}")


def _env(stack: Stack, _: argparse.Namespace) -> None:
    for name, endpoint in stack.status().items():
        print(f"export {name.upper()}={endpoint.removeprefix('http://')}")
