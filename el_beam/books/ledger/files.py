"""The names of a ledger's files."""

from __future__ import annotations

FOLDER = "_ledger"
CHANGE, NAMING, RUN, STATE = "change-", "naming-", "run-", "state-"
DONE = ".done.json"
