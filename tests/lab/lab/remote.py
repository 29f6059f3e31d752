"""The lab's HDFS. Requests are done at once, and last. The answers of some are lost: then the
client asks again, as HdfsFiles does, and finds what it has done itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import IO, TypeVar

from lab.disk import LabDisk
from lab.sim import World
from transforms.io.files.base import Access, FileInfo, Files

Result = TypeVar("Result")


class LabHdfs(Files):
    """Files on the world's disk, of whose answers a seed says which are lost."""

    at_once = 1

    def __init__(self, world: World, seed: int, share: float) -> None:
        self.clock, self._world, self._disk = world.clock, world, world.disk
        self._chance, self._share = random.Random(seed), share

    def _ask(self, request: Callable[[LabDisk], Result]) -> Result:
        self._world.pause()
        self._disk.operations += 1
        return request(self._disk)

    def _perhaps_again(self, method: Callable[[], Result]) -> Result:
        result = method()
        while self._world.current and self._chance.random() < self._share:
            result = method()
        return result

    def info(self, path: str) -> FileInfo | None:
        return self._ask(lambda disk: disk.found(path))

    def make_folder(self, path: str, access: Access | None = None) -> None:
        self._perhaps_again(lambda: self._ask(lambda disk: disk.make_folders(path)))

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        def write() -> None:
            self._ask(lambda disk: disk.make_folders(path.rpartition("/")[0]))
            self._ask(lambda disk: disk.set_file(path, b""))
            self._ask(lambda disk: disk.set_file(path, content))

        self._perhaps_again(write)

    def open_file(self, path: str) -> IO[bytes]:
        self._ask(lambda _: None)
        return self._disk.opened(path)

    def move(self, source: str, target: str) -> bool:
        def move() -> bool:
            if self._ask(lambda disk: disk.rename(source, target)):
                return True
            there, gone = self.exists(target), not self.exists(source)
            if not there:
                raise FileNotFoundError(2, "No such file or directory", source)
            return gone  # an earlier try had worked, though its answer was lost

        return self._perhaps_again(move)

    def remove(self, path: str) -> None:
        self._perhaps_again(lambda: self._ask(lambda disk: disk.drop(path)))

    def remove_empty(self, folder: str) -> None:
        def remove(disk: LabDisk) -> None:
            if not disk.folders.get(folder, {"": None}):
                disk.drop(folder)

        self._perhaps_again(lambda: self._ask(remove))

    def names(self, folder: str) -> list[str]:
        return self._ask(lambda disk: sorted(disk.folders.get(folder.rstrip("/"), ())))

    def walk(self, folder: str) -> Iterator[FileInfo]:
        for name in self.names(folder):
            path = f"{folder.rstrip('/')}/{name}"
            if self._disk.is_folder(path):
                yield from self.walk(path)
            elif found := self._disk.found(path):
                yield found
