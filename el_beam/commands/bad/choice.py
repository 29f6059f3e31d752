"""The options that say which bad events."""

import argparse

from el_beam.commands.common import add_hours


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add --from, --to, --schema and --reason."""
    add_hours(parser)
    parser.add_argument("--schema", metavar="REGEX",
                        help="only lines whose schema starts like this, as Edit_")  # fmt: skip
    parser.add_argument("--reason", metavar="REASON", help="only this one, as bad_json")
