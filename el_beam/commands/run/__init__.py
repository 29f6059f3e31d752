"""`el run`: lines from a source go through the graph into sinks."""

from el_beam.commands.run.arguments import register

__all__ = ["register"]
