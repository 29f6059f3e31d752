"""Changes: files of a folder are replaced by others, at once for those who read by the ledger.

    ROOT/_ledger/change-NAME.json        prepared: these files instead of those
                 change-NAME.done.json   and all files are where they should be
    ROOT/_replaced/NAME/…                what was replaced, until `el purge` removes it

Backfills, compactions and purges are changes. What dies before its change is prepared has
changed nothing; what dies after it is finished by the next one that changes the folder. There is
one at a time.

Untracked files, which no run knows, are put away in the same way. A process that died while it
wrote may have left some. So may an increment whose commit is missing; it is done again.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import CHANGES, DONE, Change, HourFilter, LedgerFile
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Gap, LeaseLost, State
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.layout import LEDGER, REPLACED, TEMPORARY, number_in
from transforms.write.encodings import parquet
from transforms.write.files import for_people, publish
from transforms.write.sink import NewFile, Receipt, Sink

_TEMPORARY = f"{TEMPORARY}/changes"


@contextmanager
def changing(root: str) -> Iterator[Lease]:
    """While the block runs nobody else changes the folder. What was prepared before is finished.

    Raises StateError where another does, OSError, SinkError."""
    with Lease(State(f"{root}/{LEDGER}")) as lease:
        finish_all(root)
        filesystem.remove(f"{root}/{_TEMPORARY}")  # of one that died before it was prepared
        yield lease


def prepare(root: str, change: Change, lease: Lease) -> None:
    """From here on it is changed, whatever dies. Raises LeaseLost, OSError."""
    lease.check()
    if not CHANGES.create(root, change.name, replace(change, root=root, at=time.time())):
        raise LeaseLost(f"the change {change.name} of {root} was made already, by another instance")


def is_prepared(root: str, name: str) -> bool:
    """Whether a change of this name has been made."""
    return filesystem.exists(CHANGES.path(root, name))


def written(root: str, path: str, file: LedgerFile, table: pa.Table) -> Receipt:
    """Write a table that is to be at `path`, below the root, under a name that nobody sees: of the
    schema and hour of `file`. Raises SinkError."""
    content = parquet(table)
    digest = hashlib.sha256(content).hexdigest()
    new = NewFile(f"{root}/{_TEMPORARY}/{digest}", f"{root}/{path}", file.hour, digest)
    with for_people(root):
        filesystem.make_folder(f"{root}/{_TEMPORARY}")
        filesystem.write(new.temporary, content)
    return Receipt("", "", *file.destination, new.path, table.num_rows, table.num_rows,
                   size=len(content), file=new)  # fmt: skip


def finish_all(root: str) -> None:
    """Put the files of all that is prepared where they should be. Raises OSError, SinkError."""
    for name in CHANGES.names(root, undone=True):
        finish(root, name)


def finish(root: str, name: str) -> None:
    """Put the files of a prepared change where they should be. Doing it again does no harm.

    Old files go first: a reader of the folder itself sees neither for a moment, and never both.
    Raises OSError, SinkError."""
    if filesystem.exists(CHANGES.path(root, name, DONE)):
        return
    change = CHANGES.read(root, name)
    put_away(root, name, change.removed)
    made = [each.file for each in change.summary.files.values() if each.file]
    if change.summary.counts:  # lines that have been read anew
        put(made)
    else:
        publish(made)
    CHANGES.finish(root, name)


def put_away(root: str, name: str, paths: Iterable[str]) -> None:
    """Take files out of a folder, to where nobody reads them. Raises OSError."""
    for path in paths:
        to = f"{root}/{REPLACED}/{name}/{path}"
        if filesystem.exists(f"{root}/{path}") and not filesystem.exists(to):
            filesystem.make_folder(to.rpartition("/")[0])
            filesystem.move(f"{root}/{path}", to)


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
