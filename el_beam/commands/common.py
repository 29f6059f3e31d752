"""What the commands share: exit codes, and options that several of them have."""

import argparse
import re
from datetime import timedelta

DONE, FAILED, WRONG_CALL = 0, 1, 2
_AGE = re.compile(r"(\d{1,5})([hd])", re.ASCII)  # there is no year 0


def add_hours(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the options --from and --to: see `selection.selection_of`."""
    parser.add_argument("--from", dest="first", required=required, metavar="HOUR",
                        help="as 2019-03-10T07, or a day")  # fmt: skip
    parser.add_argument(
        "--to", dest="last", required=required, metavar="HOUR", help="the last hour, or day"
    )


def add_flink(parser: argparse.ArgumentParser) -> None:
    """Add the option --flink: see `flink_rest.cluster_of`."""
    parser.add_argument("--flink", metavar="HOST:PORT",
                        help="the JobManager (default: $FLINK, or localhost:8081)")  # fmt: skip


def age(text: str) -> timedelta:
    """The age that an option gives, as 90d or 36h. Raises ArgumentTypeError."""
    match = _AGE.fullmatch(text)
    number = int(match[1]) if match else 0
    if not match or not number:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid age: write 90d or 36h")
    return timedelta(days=number) if match[2] == "d" else timedelta(hours=number)
