"""Where a file of the ledger is, whatever has become of it meanwhile."""

from collections.abc import Iterator
from pathlib import Path

from el_beam.books.ledger.model import CHANGES, LedgerFile
from transforms.io.files import filesystem


def places(root: str, file: LedgerFile) -> Iterator[str]:
    """Where the docs tell readers by the ledger to look: under its name, under the temporary name
    that the note of its change tells, or where it was put away. Raises OSError where a change goes
    on meanwhile."""
    yield f"{root}/{file.path}"
    for name in CHANGES.names(root):
        for each in CHANGES.read(root, name).summary.files.values():
            if each.file and each.file.path == f"{root}/{file.path}":
                yield each.file.temporary
    for name in filesystem.names(f"{root}/_replaced"):
        yield f"{root}/_replaced/{name}/{file.path}"


def where(root: Path, file: LedgerFile) -> Path:
    """The first of the places that has it."""
    return next(Path(each) for each in places(str(root), file) if Path(each).exists())
