"""Changes: files of a folder are replaced by others, at once for those who read by the ledger.

    ROOT/_ledger/change-NAME.json        prepared: these files instead of those
                 change-NAME.done.json   and all files are where they should be
    ROOT/_replaced/NAME/…                what was replaced, until `el purge` removes it

Backfills, compactions and purges are changes. What dies before its change is prepared has
changed nothing; what dies after it is finished by the next one that changes the folder. There is
one at a time.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from el_beam.books.ledger.files import CHANGE, CHANGE_NOTE, DONE, FOLDER, MARK, Change
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import LedgerFile
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import LeaseLost, State
from transforms.io.files import filesystem
from transforms.layout import REPLACED, TEMPORARY
from transforms.write.encodings import parquet
from transforms.write.files import for_people, publish
from transforms.write.receipt import NewFile, Receipt

_TEMPORARY = f"{TEMPORARY}/changes"


@contextmanager
def changing(root: str) -> Iterator[Lease]:
    """While the block runs nobody else changes the folder. What was prepared before is finished.

    Raises StateError where another does, OSError, SinkError."""
    with Lease(State(f"{root}/{FOLDER}")) as lease:
        finish_all(root)
        filesystem.remove(f"{root}/{_TEMPORARY}")  # of one that died before it was prepared
        yield lease


def prepare(root: str, change: Change, lease: Lease) -> None:
    """From here on it is changed, whatever dies. Raises LeaseLost, OSError."""
    lease.check()
    content = CHANGE_NOTE.dump(replace(change, root=root, at=time.time()))
    if not filesystem.create(_path(root, change.name), content):
        raise LeaseLost(f"the change {change.name} of {root} was made already, by another instance")


def is_prepared(root: str, name: str) -> bool:
    """Whether a change of this name has been made."""
    return filesystem.exists(_path(root, name))


def written(root: str, path: str, file: LedgerFile, table: pa.Table) -> Receipt:
    """Write a table that is to be at `path`, below the root, under a name that nobody sees: of the
    schema and hour of `file`. Raises SinkError."""
    content = parquet(table)
    digest = hashlib.sha256(content).hexdigest()
    new = NewFile(f"{root}/{_TEMPORARY}/{digest}", f"{root}/{path}", file.hour, digest)
    with for_people(root):
        filesystem.make_folder(f"{root}/{_TEMPORARY}")
        filesystem.write(new.temporary, content)
    schema, _, revision = file.schema.rpartition("_")
    return Receipt("", "", schema, int(revision), new.path, table.num_rows, table.num_rows,
                   size=len(content), file=new)  # fmt: skip


def finish_all(root: str) -> None:
    """Put the files of all that is prepared where they should be. Raises OSError, SinkError."""
    names = filesystem.names(f"{root}/{FOLDER}")
    for name in names:
        done = name.replace(".json", DONE)
        if name.startswith(CHANGE) and not name.endswith(DONE) and done not in names:
            finish(root, name.removeprefix(CHANGE).removesuffix(".json"))


def finish(root: str, name: str) -> None:
    """Put the files of a prepared change where they should be. Doing it again does no harm.

    Old files go first: a reader of the folder itself sees neither for a moment, and never both.
    Raises OSError, SinkError."""
    done = _path(root, name).replace(".json", DONE)
    if filesystem.exists(done):
        return
    change = CHANGE_NOTE.load(filesystem.read(_path(root, name)), _path(root, name))
    put_away(root, name, change.removed)
    made = [each.file for each in change.summary.files.values() if each.file]
    if change.summary.counts:  # lines that have been read anew
        put(made)
    else:
        publish(made)
    filesystem.create(done, MARK)


def put_away(root: str, name: str, paths: Iterable[str]) -> None:
    """Take files out of a folder, to where nobody reads them. Raises OSError."""
    for path in paths:
        to = f"{root}/{REPLACED}/{name}/{path}"
        if filesystem.exists(f"{root}/{path}") and not filesystem.exists(to):
            filesystem.make_folder(to.rpartition("/")[0])
            filesystem.move(f"{root}/{path}", to)


def _path(root: str, name: str) -> str:
    return f"{root}/{FOLDER}/{CHANGE}{name}.json"
