"""`el`: one command for all that people do. Each command is a file of commands/.

Exit codes: 0 done, 1 the job failed, 2 the call was wrong. Nothing slow is imported before a
command needs it: `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from el_beam.commands import (
    backfill,
    bad,
    check,
    compact,
    find,
    forward,
    jars,
    jobs,
    ledger,
    mysql,
    purge,
    reconcile,
    run,
    schema,
    stack,
    state,
)
from el_beam.commands.common import FAILED, WRONG_CALL, Ended

_COMMANDS = (
    run, backfill, bad, check, compact, find, forward, jars, jobs, ledger, mysql, purge, reconcile,
    schema, stack, state,
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """One line on what is wrong, one on where to look."""
        print(f"{self.prog}: {message}\nSee '{self.prog} --help'.", file=sys.stderr)
        sys.exit(WRONG_CALL)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="el",
        description="EventLogging as one Apache Beam graph: read, validate, store, find again.",
        epilog="Exit codes: 0 done, 1 the job failed, 2 the call was wrong.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `el` and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    beam: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, beam = given[:place], given[place + 1 :]
    args, rest = parser().parse_known_args(given)
    if rest and hasattr(args, "uris") and not any(each.startswith("-") for each in rest):
        args.uris += rest  # sinks that stand behind an option
    elif rest:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    args.beam = beam
    try:
        code: int = args.command(args)
    except Ended as ended:
        return ended.code
    except KeyboardInterrupt:
        print(
            "el: interrupted; start the same command again and it will be finished", file=sys.stderr
        )
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone, as in `el … | head`
        sys.stderr.close()
        return FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
