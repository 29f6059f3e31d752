"""`el state`: how far increments are, and how to make them begin elsewhere."""

from el_beam.commands.state.actions import register

__all__ = ["register"]
