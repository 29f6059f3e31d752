"""A folder with a ledger, as it knows itself.

ROOT/_ledger/folder.json      what no other folder is called, wherever this one is moved
             as-before.json   its notes are written as the release before reads them
"""

import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from schemas.durable import DocumentFormat
from schemas.errors import WrongCall
from transforms.io.files import filesystem
from transforms.layout import LEDGER, FileName, is_hidden, schema_in


@dataclass(frozen=True)
class _Folder:
    id: str


_MOVED = (
    "One that is there already goes on where you move it: stop what writes there, move it, and "
    "give its new path to what writes and reads it (docs/upgrade.md)"
)


class NestedFolders(WrongCall):
    """A folder inside another: what keeps one in order would take the files of the other for its
    own, or for unknown ones."""

    def __init__(self, inner: str, outer: str) -> None:
        super().__init__(
            f"{inner} is inside {outer}, and each has its own books: give each its own folder, "
            f"beside the other. {_MOVED}"
        )


FOLDER = DocumentFormat("folder", _Folder)


def folder_id(root: str, *, previous: bool = False) -> str:
    """A folder's own id; it gets one if it has none. Notes of a folder that had some before are
    written as they were, those of a new one if `previous` says so. Raises OSError."""
    path = _noted(root, previous=previous)
    return FOLDER.load(filesystem.read(path), path).id


def check_apart(path: str) -> None:
    """Raises NestedFolders where a folder of files, or a state, is in one that keeps books, or has
    one in it, by whatever call that was written. Raises OSError."""
    place = filesystem.real(path)
    for above in filesystem.folders_above(place):
        if filesystem.exists(f"{above}/{LEDGER}"):
            raise NestedFolders(path, above)
    if filesystem.exists(f"{place}/{LEDGER}"):
        return
    for name in filesystem.names(place):
        if not is_hidden(name) and filesystem.exists(f"{place}/{name}/{LEDGER}"):
            raise NestedFolders(f"{place}/{name}", path)


class MixedFolder(WrongCall):
    """A folder with files of another kind than a sink would add: readers of tables would stumble
    over them, and the books would count each line twice."""

    def __init__(self, root: str, kinds: Iterable[str], ending: str) -> None:
        super().__init__(
            f"{root} has files {', '.join(sorted(kinds))}, and this sink's are {ending}: give each "
            "kind of files its own folder, beside the other"
        )


def check_kind(root: str, ending: str) -> None:
    """Raises MixedFolder where a folder has files of another kind than those that end so; its
    first archived hour and the first one of its schemas tell. Raises OSError."""
    if filesystem.exists(f"{root}/{LEDGER}"):
        names = filesystem.names(root)
        hours = [name for name in names if name.startswith("year=")]
        for found in (hours, [name for name in names if schema_in(name) and name not in hours]):
            places = (f"{root}/{name}" for name in found)
            kinds = next(filter(None, map(_kinds, places)), set())
            if kinds - {ending}:
                raise MixedFolder(root, kinds, ending)


def _kinds(folder: str) -> set[str]:
    """The endings of the first data files that are found in a folder, or in those in it."""
    names: list[str] = []
    with suppress(NotADirectoryError):  # a file of somebody else's
        names = [name for name in filesystem.names(folder) if not is_hidden(name)]
    if found := {parsed.ending for name in names if (parsed := FileName.parse(name))}:
        return found
    deeper = (f"{folder}/{name}" for name in names if "=" in name)
    return next(filter(None, map(_kinds, deeper)), set())


def nested_sentence(root: str, inner: str) -> str:
    """What to do about a folder with books, or a state, that is below a root."""
    return f"{root}/{inner} is a folder of its own and belongs beside {root}, not in it. {_MOVED}"


def make_private(path: str) -> None:
    """Make a state or the folder of an archive, for its group alone, if it isn't there: all that is
    made in it is, too. Raises OSError."""
    if not filesystem.exists(path):
        filesystem.make_folder(path, private=True)


def is_previous(root: str) -> bool:
    """Whether a folder's notes are written as the release before reads them. Raises OSError."""
    _noted(root)
    return filesystem.exists(_mark(root))


def upgrade(root: str) -> None:
    """Let a folder's notes be written as this release has them from here on: the release before
    can't read it any more. Raises OSError."""
    filesystem.remove(_mark(root))


def new_id(root: str) -> None:
    """Let a folder be one of its own, if it was a copy. Raises OSError."""
    path = f"{root}/{LEDGER}/folder.json"
    filesystem.remove(path)
    filesystem.create(path, FOLDER.dump(_Folder(uuid.uuid4().hex)))


def _noted(root: str, *, previous: bool = False) -> str:
    path = f"{root}/{LEDGER}/folder.json"
    if not filesystem.exists(path):
        filesystem.make_folder(f"{root}/{LEDGER}")
        names = filesystem.names(f"{root}/{LEDGER}")
        if "folder.json" in names:  # another one has begun it just now
            return path
        old = any(name.endswith(".json") for name in names) and "imports" not in names
        if previous or old:
            filesystem.create(_mark(root), b"{}")
        filesystem.create(path, FOLDER.dump(_Folder(uuid.uuid4().hex)))
    return path


def _mark(root: str) -> str:
    return f"{root}/{LEDGER}/as-before.json"
