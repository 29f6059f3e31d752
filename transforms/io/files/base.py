"""What is asked of a file system, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import IO, NamedTuple


class FileInfo(NamedTuple):
    """A file, as listings show it."""

    path: str
    size: int  # bytes
    updated: float  # unix seconds


class Files(ABC):
    """What is asked of a file system. Every method may be tried again. Raises OSError."""

    @abstractmethod
    def exists(self, path: str) -> bool: ...

    @abstractmethod
    def make_folder(self, path: str) -> None: ...

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """A new file, durable when this returns."""

    @abstractmethod
    def open(self, path: str) -> IO[bytes]:
        """A seekable stream."""

    @abstractmethod
    def move(self, source: str, target: str) -> bool:
        """Rename; False where something is at `target` already."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """A file, or a folder with all that is in it; nothing where nothing is there."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """What is in a folder, sorted; nothing where there is no folder."""

    @abstractmethod
    def find(self, pattern: str) -> list[FileInfo]:
        """The files that match: `*` stays within a folder, `**` doesn't."""

    def sync(self, folder: str) -> None:
        """Make renames into this folder last, where the file system doesn't do so itself."""
        return
