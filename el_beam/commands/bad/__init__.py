"""`el bad`: the lines that were not valid events. An action for each thing to do with them."""

from el_beam.commands.bad.actions import register

__all__ = ["register"]
