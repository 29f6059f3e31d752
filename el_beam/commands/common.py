"""The commands of `el`, a file each: `register` adds its options, and says what to call."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

DONE, FAILED, WRONG_CALL = 0, 1, 2
_AGE = re.compile(r"(\d{1,5})([hd])", re.ASCII)  # there is no year 0


class Ended(Exception):
    """A command that ended before its time; people have been told why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def answering(command: str, advice: str = "") -> Iterator[None]:
    """What goes wrong in the block is said to people in a sentence, and ends the command: as
    a wrong call, or as one that failed, and then with `advice` too. Raises Ended."""
    from el_beam.running.bounded import hush

    hush()  # first of all: importing Beam warns
    from el_beam.books.ledger.model import LedgerError
    from el_beam.books.state.state import StateError
    from el_beam.config import ConfigError
    from el_beam.connectors.selection import StoredError
    from el_beam.running.bounded import JobFailed
    from el_beam.terminal.console import printable
    from el_beam.uris import UriError
    from transforms.errors import SinkError, UnreadableInput

    try:
        yield
    except BrokenPipeError:  # as in `el … | head`
        if advice:
            told = f"{command}: nobody reads its output any more, so it stopped{advice}"
            print(told, file=sys.stderr)
        raise
    except (ConfigError, LedgerError, StateError, StoredError, UnreadableInput, UriError) as error:
        print(f"{command}: {printable(str(error))}", file=sys.stderr)
        raise Ended(WRONG_CALL) from error
    except (JobFailed, OSError, SinkError) as error:
        print(f"{command}: {printable(str(error))}{advice}", file=sys.stderr)
        raise Ended(FAILED) from error


GOES_ON = "; the same command goes on where it was"


def add_hours(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """The options --from and --to: see `wanted.wanted_of`."""
    parser.add_argument("--from", dest="first", required=required, metavar="HOUR",
                        help="as 2019-03-10T07, or a day")  # fmt: skip
    parser.add_argument("--to", dest="last", required=required, metavar="HOUR", help="the last one")


def age(text: str) -> timedelta:
    """Of an option, as 90d or 36h. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    number = int(match[1]) if match else 0
    if not match or not number:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write 90d or 36h")
    return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)
