"""`el state` and its actions."""

from typing import Any

from el_beam.commands.state import reset, show

_EXAMPLE = """examples:
  el state show hdfs://namenode:9870/el/state
  el state reset hdfs://namenode:9870/el/state --topic raw --to earliest \\
      --source kafka://BROKERS/
"""


def register(commands: Any) -> None:
    """Add `el state show` and `reset` to the command line."""
    parser = commands.add_parser(
        "state",
        help="show or change how far increments are",
        description="Shows or changes what `el run --state DIR` has noted about its topics.",
        epilog=_EXAMPLE,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for action in (show, reset):
        action.register(actions)
