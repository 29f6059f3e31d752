"""`el backfill` and its actions."""

from typing import Any

from el_beam.commands.backfill import apply, plan

_EXAMPLE = """examples:
  el backfill plan /tmp/el/raw parquet:/tmp/el/parquet \\
      --from 2019-03-10T07 --to 2019-03-10T08
  el backfill apply /tmp/el/raw parquet:/tmp/el/parquet \\
      --from 2019-03-10 --to 2019-03-10

If `apply` is killed, the same command goes on where it was. Other hours are
never touched.
"""


def register(commands: Any) -> None:
    """Add `el backfill plan` and `apply` to the command line."""
    parser = commands.add_parser(
        "backfill",
        help="make hours again from the raw archive",
        description="The lines of the archive go through the same graph again. The result "
        "replaces what a folder has of these hours; tables get the rows that they lack.",
        epilog=_EXAMPLE,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (plan, apply):
        action.register(actions)
