"""What the commands share: exit codes, options that several of them have, what they report."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from el_beam.config.options import modes
from el_beam.terminal.console import live, printable
from el_beam.uris import UriError, at_home
from transforms.io.files.filesystem import Modes

DONE, FAILED, WRONG_CALL = 0, 1, 2
_AGE = re.compile(r"(\d{1,5})([hd])", re.ASCII)  # there is no year 0


def add_hours(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the options --from and --to: see `contract.selection_of`."""
    add = parser.add_argument
    add(
        "--from", dest="first", required=required, metavar="HOUR", help="as 2019-03-10T07, or a day"
    )
    add("--to", dest="last", required=required, metavar="HOUR", help="the last hour, or day")


def local_folder(text: str) -> Path:
    """The type of an option that names a folder to be made."""
    try:
        return Path(at_home(text))
    except UriError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_flink(parser: argparse.ArgumentParser) -> None:
    """Add the option --flink: see `flink_rest.cluster_of`."""
    parser.add_argument("--flink", metavar="HOST:PORT",
                        help="the JobManager (default: $FLINK, or localhost:8081)")  # fmt: skip


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is too old: --older-than, --keep, --yes."""
    add = parser.add_argument
    add("--older-than", required=True, type=_age, metavar="AGE", help="90d, or 36h")
    add("--keep", metavar="FILE", help="YAML: the fields that are kept, by schema")
    add("--yes", action="store_true", help="do it; what is removed can't be brought back")


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text)
    number = int(match[1]) if match else 0
    if not match or not number:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid age: write 90d or 36h")
    return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)


def add_mode(parser: argparse.ArgumentParser) -> None:
    """Add the option --mode: see `options.modes`. `cli.main` sees that it is obeyed."""
    parser.add_argument("--mode", type=_modes, metavar="events=0644,private=0640",
                        help="the permissions of new files, as for `el run`")  # fmt: skip


def _modes(text: str) -> Modes:
    try:
        return modes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def number_of(what: str, most: float) -> Callable[[str], float]:
    """Make a parser of a number from 0; `what` ends the sentence on one that is wrong."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}")
        return number

    return parse


@contextmanager
def counting() -> Iterator[Callable[[], None]]:
    """While the block runs, show a person who waits how many events were read. The block calls
    the function that it gets once for each."""
    events = 0

    def one_more() -> None:
        nonlocal events
        events += 1

    with live(lambda: f"read {events:,} events"):
        yield one_more


def report_left(args: argparse.Namespace, problems: Mapping[str, str]) -> int:
    """Print what was left as it is, and why; returns the exit code."""
    for name, why in problems.items():
        print(f"{args.prog}: left as it is: {printable(f'{name}: {why}')}", file=sys.stderr)
    return FAILED if problems else DONE
