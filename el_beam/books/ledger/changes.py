"""Changes: files of a folder are replaced by others, at once for those who read by the ledger.

    ROOT/_ledger/change-NAME.json        prepared: these files instead of those
                 change-NAME.done.json   and all files are where they should be
    ROOT/_replaced/NAME/…                what was replaced, until `el purge` removes it

Backfills, compactions and purges are changes. What dies before its change is prepared has
changed nothing; what dies after it is finished by the next one that changes the folder. There is
one at a time.

Untracked files, which no run knows, are put away in the same way. A process that died while it
wrote may have left some.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa

from el_beam.books.folder import is_previous
from el_beam.books.imports import all_unfinished, in_root
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.copies import why_it_stays
from el_beam.books.ledger.entries import not_replaced, read_ledger
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import (
    CHANGES,
    DONE,
    NAMING_NOTE,
    STRAYS,
    Change,
    HourFilter,
    LedgerError,
    LedgerFile,
)
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import LeaseLost, State, StateError
from runners.orphans import Processes
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.io.world import CLOCK
from transforms.layout import LEDGER, REPLACED, TEMPORARY
from transforms.write.encodings import parquet
from transforms.write.files import for_people, publish
from transforms.write.sink import NewFile, Receipt

_TEMPORARY = f"{TEMPORARY}/changes"
_GIVEN_UP = "given-up-"


class Changing:
    """The right to change a folder: a lease. New files lie where only its holder's are."""

    def __init__(self, root: str, lease: Lease, known: Iterable[str]) -> None:
        self.root, self._lease = root, lease
        self.known = {*known}  # changes that were there when it began, or are its own
        self.temporary = f"{root}/{_TEMPORARY}/{lease.number:08d}"

    def attempt(self, name: str) -> str:
        """How an attempt of a sink is called whose files lie there."""
        return f"{self.temporary.partition(f'{TEMPORARY}/')[2]}/{name}"

    def check(self) -> None:
        """Raises LeaseLost where another instance has taken us for dead."""
        self._lease.check()


@contextmanager
def changing(root: str, processes: Processes | None = None) -> Iterator[Changing]:
    """While the block runs nobody else changes the folder. What was prepared before is finished, or
    given up where that can't be.

    Raises StateError where another does, OSError, SinkError."""
    with Lease(State(f"{root}/{LEDGER}", previous=is_previous(root)), processes=processes) as lease:
        put(not_replaced(file for files in all_unfinished(root) for file in files))
        if undone := CHANGES.names(root, undone=True):
            filesystem.sync(f"{root}/{LEDGER}")  # who has made them may have died before that
        for name in undone:
            _finish(root, name, CHANGES.names(root))
        books = f"{root}/{LEDGER}"
        logs = (f"{books}/imports/{name}" for name in filesystem.names(f"{books}/imports"))
        filesystem.sweep([books, f"{books}/lease", *logs])
        left = filesystem.names(f"{root}/{_TEMPORARY}")
        lease.check()  # after we have looked: what others make from here on isn't in the list
        for name in left:  # of those that died before their change was prepared
            filesystem.remove(f"{root}/{_TEMPORARY}/{name}")
        yield Changing(root, lease, CHANGES.names(root))
        filesystem.remove_empty(f"{root}/{_TEMPORARY}/{lease.number:08d}")
        filesystem.remove_empty(f"{root}/{_TEMPORARY}")
        filesystem.remove_empty(f"{root}/{TEMPORARY}")


def finish_left(root: str, processes: Processes | None = None) -> None:
    """Finish what was prepared and left half done, if nobody else works there. Raises OSError,
    SinkError."""
    if CHANGES.names(root, undone=True):
        with suppress(StateError), changing(root, processes):
            return


def prepare(change: Change, changing: Changing) -> None:
    """From here on it is changed, whatever dies; or it is given up, where others have changed the
    same. Raises LeaseLost, OSError."""
    root = changing.root
    made = [each.file for each in change.summary.files.values() if each.file]
    for folder in sorted({file.temporary.rpartition("/")[0] for file in made}):
        filesystem.sync(folder)
    changing.check()
    if not CHANGES.create(root, change.name, replace(change, root=root, at=CLOCK.time())):
        raise LeaseLost(f"the change {change.name} of {root} was made already, by another instance")
    changing.known.add(change.name)


def is_prepared(root: str, name: str) -> bool:
    """Whether a change of this name has been made."""
    return filesystem.exists(CHANGES.path(root, name))


def written(changing: Changing, path: str, files: Sequence[LedgerFile], table: pa.Table) -> Receipt:
    """Write a table that is to be at `path`, below the root, under a name that nobody sees: instead
    of `files`, of one schema and hour, for those who may use all of these. Raises SinkError."""
    root, content, file = changing.root, parquet(table), files[0]
    like = [f"{root}/{each.path}" for each in files]
    new = NewFile(f"{changing.temporary}/{uuid.uuid4().hex}", f"{root}/{path}", file.hour,
                  hashlib.sha256(content).hexdigest())  # fmt: skip
    with for_people(root):
        filesystem.make_folder(changing.temporary)
        filesystem.write(new.temporary, content, new.path, like=like)
    return Receipt("", "", *file.destination, new.path, table.num_rows, table.num_rows,
                   size=len(content), file=new)  # fmt: skip


def finish(name: str, changing: Changing) -> None:
    """Put the files of a prepared change where they should be. Doing it again does no harm.

    Raises LeaseLost where others have changed the same meanwhile: then it is given up, and nothing
    was changed. Raises OSError, SinkError."""
    root = changing.root
    if not _finish(root, name, {*CHANGES.names(root)} - changing.known):
        raise LeaseLost(f"another instance has changed the same files of {root}: nothing was done")


def _finish(root: str, name: str, others: Iterable[str]) -> bool:
    """Finish a change, or give it up where that isn't possible: where one of the `others` has
    changed the same, or new files are gone. Returns whether it is finished.

    Old files go first: a reader of the folder itself sees neither for a moment, and never both.
    None goes before all that is to take its place is known to be there."""
    if filesystem.exists(CHANGES.path(root, name, DONE)):
        return True
    change = CHANGES.read(root, name)
    made = in_root(change.summary, root)
    meets = any(_meet(change, CHANGES.read(root, each)) for each in others if each != name)
    if meets or not all(filesystem.at_once(root, _is_there, made)):
        if filesystem.exists(CHANGES.path(root, name, DONE)):
            return True  # by who has taken us for dead, and has replaced the new files since
        if not meets:  # what others have replaced since stays away
            _bring_back(root, name, change.removed)
        filesystem.move(CHANGES.path(root, name), f"{root}/{LEDGER}/{_GIVEN_UP}{uuid.uuid4().hex}")
        return False
    put_away(root, name, change.removed)
    if change.summary.counts:  # lines that have been read anew
        put(made)
    else:
        publish(made)
    CHANGES.finish(root, name)
    return True


def _bring_back(root: str, name: str, paths: Iterable[str]) -> None:
    """What was put away for a change that is given up: its new files have gone meanwhile."""
    for path in paths:
        away = f"{root}/{REPLACED}/{name}/{path}"
        if filesystem.exists(away) and not filesystem.exists(f"{root}/{path}"):
            filesystem.make_folder(f"{root}/{path}".rpartition("/")[0])
            filesystem.move(away, f"{root}/{path}")


def _is_there(file: NewFile) -> bool:
    return filesystem.exists(file.temporary) or filesystem.exists(file.path)


def _meet(one: Change, other: Change) -> bool:
    """Whether two changes put something in the place of the same."""
    return not {*one.removed}.isdisjoint(other.removed)


def put_away(root: str, name: str, paths: Iterable[str]) -> None:
    """Take files out of a folder, to where nobody reads them: they are gone from there for good
    when this returns. Raises OSError."""
    emptied = set()
    for path in paths:
        to = f"{root}/{REPLACED}/{name}/{path}"
        if filesystem.exists(f"{root}/{path}"):
            filesystem.make_folder(to.rpartition("/")[0])
            if not filesystem.move(f"{root}/{path}", to):
                if filesystem.digest(f"{root}/{path}") != filesystem.digest(to):
                    raise OSError(f"{to} is there with other content than {root}/{path}")
                filesystem.remove(f"{root}/{path}")  # copied while it had both names
        emptied.add(f"{root}/{path}".rpartition("/")[0])
    for folder in sorted(emptied):
        if filesystem.exists(folder):
            filesystem.sync(folder)


def put_away_untracked(
    root: str, selected: HourFilter, processes: Processes | None = None
) -> list[str]:
    """Take unknown files of these hours out of a folder, into _replaced, until `el purge` removes
    them; give up runs that have died while they gave files their names. A file stays that may have
    what nothing else has: returns why, a sentence for each.

    Raises LedgerError, StateError, SinkError, OSError."""
    with changing(root, processes) as change:
        ledger = read_ledger(root, selected=selected)
        compare(ledger, selected=selected)
        if away := [each.sentence for each in ledger.troubles if each.kind == "away"]:
            raise LedgerError(away[0])
        unknown = [each for each in ledger.troubles if each.kind == "unknown"]
        stays = {each.what: why for each in unknown if (why := why_it_stays(ledger, each))}
        if untracked := tuple(each.what for each in unknown if each.what not in stays):
            name = f"{STRAYS}{uuid.uuid4().hex[:12]}"
            prepare(Change(name, "nobody knows them", Summary(), {}, untracked), change)
            finish(name, change)
        for each in ledger.troubles:
            if each.kind == "unfinished" and stays.keys().isdisjoint(_named_by(root, each.what)):
                filesystem.remove(f"{root}/{each.what}")
        return [*stays.values()]


def _named_by(root: str, note: str) -> tuple[str, ...]:
    """The paths of a run that has died while it gave files their names."""
    path = f"{root}/{note}"
    return NAMING_NOTE.load(filesystem.read(path), path).paths
