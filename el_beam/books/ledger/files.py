"""The names of a ledger's files."""

from __future__ import annotations

from transforms.layout import LEDGER

FOLDER = LEDGER
CHANGE, NAMING, RUN, STATE = "change-", "naming-", "run-", "state-"
DONE = ".done.json"
