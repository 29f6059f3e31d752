"""A folder with a ledger, as it knows itself.

ROOT/_ledger/folder.json      what no other folder is called, wherever this one is moved
             as-before.json   its notes are written as the release before reads them
"""

import uuid
from dataclasses import dataclass

from schemas.durable import DocumentFormat
from transforms.io.files import filesystem
from transforms.layout import LEDGER


@dataclass(frozen=True)
class _Folder:
    id: str


FOLDER = DocumentFormat("folder", _Folder)


def folder_id(root: str, *, previous: bool = False) -> str:
    """A folder's own id; it gets one if it has none. Notes of a folder that had some before are
    written as they were, those of a new one if `previous` says so. Raises OSError."""
    path = _noted(root, previous=previous)
    return FOLDER.load(filesystem.read(path), path).id


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
