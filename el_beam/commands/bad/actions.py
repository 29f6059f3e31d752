"""`el bad` and its actions."""

from typing import Any

from el_beam.commands.bad import listing, replay


def register(commands: Any) -> None:
    """Add `el bad list` and `el bad replay` to the command line."""
    parser = commands.add_parser("bad", help="list and replay lines that are not valid events")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing.register(actions)
    replay.register(actions)
