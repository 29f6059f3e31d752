"""Files on the disks of this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from transforms.io.files.base import FileInfo, Files


class LocalFiles(Files):
    """The file systems of this machine."""

    def info(self, path: str) -> FileInfo | None:
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileInfo(path, status.st_size, status.st_mtime)

    def make_folder(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: bytes) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def open_file(self, path: str) -> IO[bytes]:
        return Path(path).open("rb")

    def move(self, source: str, target: str) -> bool:
        try:
            os.link(source, target)  # a rename would put itself in the place of what is there
        except FileExistsError:
            return False
        Path(source).unlink()
        return True

    def remove(self, path: str) -> None:
        if Path(path).is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(each.name for each in Path(folder).iterdir())
        return []

    def walk(self, folder: str) -> Iterator[FileInfo]:
        for within, _, names in os.walk(folder or "."):
            for name in names:
                path = f"{within.rstrip('/')}/{name}"
                if found := self.info(path):  # else it is gone meanwhile
                    yield found if folder else found._replace(path=path.removeprefix("./"))

    def sync(self, folder: str) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
