"""Strays: files in a folder that no run knows are put away, where nobody reads them."""

from __future__ import annotations

import hashlib

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import Change, changing, finish, prepare
from el_beam.books.ledger.ledger import HourFilter, read_ledger
from transforms.counts.summary import Summary
from transforms.io.files import filesystem


def put_away_untracked(root: str, wanted: HourFilter) -> None:
    """Take unknown files of these hours out of a folder, into _replaced, until `el purge` removes
    them; give up runs that have died while they gave files their names.

    Raises LedgerError, StateError, SinkError, OSError."""
    with changing(root) as lease:
        ledger = read_ledger(root, wanted=wanted)
        compare(ledger, wanted=wanted)
        for each in ledger.troubles:
            if each.kind == "unfinished":
                filesystem.remove(f"{root}/{each.what}")
        if strays := tuple(each.what for each in ledger.troubles if each.kind == "unknown"):
            name = "strays-" + hashlib.sha256("\n".join(strays).encode()).hexdigest()[:12]
            prepare(root, Change(name, "nobody knows them", Summary(), {}, strays), lease)
            finish(root, name)
