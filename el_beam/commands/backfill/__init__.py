"""`el backfill`: make hours again from the raw archive."""

from el_beam.commands.backfill.actions import register

__all__ = ["register"]
