"""Untracked files, which no run knows, are put away, where nobody reads them.

Whatever died while it wrote may have left some; so has an increment whose commit is missing, which
is done again.
"""

import hashlib
from collections.abc import Iterable

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing, finish, prepare, put_away
from el_beam.books.ledger.files import Change
from el_beam.books.ledger.model import HourFilter
from el_beam.books.ledger.reader import read_ledger
from el_beam.books.state.state import Gap
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.layout import number_in
from transforms.write.sink import Sink


def put_away_untracked(root: str, selected: HourFilter) -> None:
    """Take unknown files of these hours out of a folder, into _replaced, until `el purge` removes
    them; give up runs that have died while they gave files their names.

    Raises LedgerError, StateError, SinkError, OSError."""
    with changing(root) as lease:
        ledger = read_ledger(root, selected=selected)
        compare(ledger, selected=selected)
        for each in ledger.troubles:
            if each.kind == "unfinished":
                filesystem.remove(f"{root}/{each.what}")
        if untracked := tuple(each.what for each in ledger.troubles if each.kind == "unknown"):
            name = "strays-" + hashlib.sha256("\n".join(untracked).encode()).hexdigest()[:12]
            prepare(root, Change(name, "nobody knows them", Summary(), {}, untracked), lease)
            finish(root, name)


def put_away_lost_increment(sinks: Iterable[Sink], topic: str, gap: Gap, made: Summary) -> None:
    """Take the files of missing increments, which nobody knows of, out of the folders of sinks, but
    those that the increment which is `made` in their place has put there itself. Raises OSError."""
    mine = {file.path: file.sha256 for each in made.files.values() if (file := each.file)}
    for sink in sinks:
        if not sink.root:
            continue
        known = read_ledger(sink.root).files
        untracked = []
        for found in filesystem.below(sink.root):
            path = found.path.removeprefix(f"{sink.root}/")
            number = number_in(path.rpartition("/")[2], topic) or 0
            if path[0] == "_" or path in known or not gap.first <= number <= gap.last:
                continue
            if filesystem.digest(found.path) != mine.get(found.path):
                untracked.append(path)
        put_away(sink.root, f"again-{topic}-{gap.first}", untracked)
