"""`el mysql` and its actions."""

from typing import Any

from el_beam.commands.mysql import apply, plan, purge


def register(commands: Any) -> None:
    """Add `el mysql plan`, `apply` and `purge` to the command line."""
    parser = commands.add_parser("mysql", help="create, repair and purge tables of MySQL")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (plan, apply, purge):
        action.register(actions)
