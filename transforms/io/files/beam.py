"""Files on file systems that Beam reaches for us: gs:// above all, with the extra `gcp`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, cast

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.io.files.base import IS_GLOB, Access, FileInfo, Files, escaped


class BeamFiles(Files):
    """A file system of Beam's, by the scheme of a path. Objects have no folders.

    Beam knows no other error than "it failed": none is taken for transient."""

    faults = (BeamIOError,)
    has_folders = False

    def __init__(self, path: str) -> None:
        """For paths like this one. Raises OSError where Beam knows no such scheme here."""
        try:
            FileSystems.get_filesystem(path)
        except ValueError as error:
            raise OSError(f"{path}: {error}") from error

    def info(self, path: str) -> FileInfo | None:
        return next(iter(_matching(escaped(path))), None)

    def exists(self, path: str) -> bool:
        return bool(FileSystems.exists(path))

    def make_folder(self, path: str, access: Access | None = None) -> None:
        return

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        plain = CompressionTypes.UNCOMPRESSED
        with FileSystems.create(path, "application/octet-stream", plain) as file:
            file.write(content)

    def open_file(self, path: str) -> IO[bytes]:
        plain = CompressionTypes.UNCOMPRESSED
        return cast("IO[bytes]", FileSystems.open(path, compression_type=plain))

    def move(self, source: str, target: str) -> bool:
        if FileSystems.exists(target):
            return False
        FileSystems.rename([source], [target])
        return True

    def remove(self, path: str) -> None:
        found = [path, *(each.path for each in self.walk(path))]
        if there := [escaped(each) for each in found if FileSystems.exists(each)]:
            FileSystems.delete(there)  # which takes patterns

    def remove_empty(self, folder: str) -> None:
        return

    def names(self, folder: str) -> list[str]:
        below = (each.path.removeprefix(f"{folder}/") for each in self.walk(folder))
        return sorted({path.partition("/")[0] for path in below})

    def walk(self, folder: str) -> Iterable[FileInfo]:
        return _matching(f"{escaped(folder)}/**")

    def _reached(self, folder: str, parts: list[str]) -> Iterable[FileInfo]:
        begin = folder + IS_GLOB.split("/".join(parts), maxsplit=1)[0]
        return _matching(f"{escaped(begin)}**")


def _matching(pattern: str) -> list[FileInfo]:
    (result,) = FileSystems.match([pattern])
    return [
        FileInfo(each.path, each.size_in_bytes, each.last_updated_in_seconds or 0.0)
        for each in result.metadata_list
    ]
