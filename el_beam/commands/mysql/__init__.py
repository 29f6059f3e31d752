"""`el mysql`: the tables of a database as schemas want them, and without what is too old."""

from el_beam.commands.mysql.actions import register

__all__ = ["register"]
