"""Moves on a file system without hard links: they replace nothing, whoever dies or sleeps."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import IO

import pytest

from transforms.io.files.base import Access, FileInfo
from transforms.io.files.local import Disk, LocalFiles


class Dead(BaseException):
    """The process is."""


class NoLinks(Disk):
    """A disk that refuses links, and maybe renames without replacing; before its operation
    `stops_at` it calls `then`."""

    def __init__(self, stops_at: int = 0, then: Callable[[], None] = lambda: None) -> None:
        self.done, self.renames = 0, False
        self._stops_at, self._then = stops_at, then

    def _do(self) -> None:
        self.done += 1
        if self.done == self._stops_at:
            self._then()

    def link(self, source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", source, None, target)

    def rename_new(self, source: str, target: str) -> None:
        if not self.renames:
            raise OSError(errno.EINVAL, "Invalid argument")
        super().rename_new(source, target)

    def replace(self, source: str, target: str) -> None:
        self._do()
        super().replace(source, target)

    def make_folder(self, path: str, access: Access | None = None) -> None:
        self._do()
        super().make_folder(path, access)

    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        self._do()
        super().write(path, content, access)

    def unlink(self, path: str) -> None:
        self._do()
        super().unlink(path)

    def open_file(self, path: str) -> IO[bytes]:
        self._do()
        return super().open_file(path)

    def names(self, folder: str) -> list[str]:
        self._do()
        return super().names(folder)

    def info(self, path: str) -> FileInfo:
        self._do()
        return super().info(path)


def died() -> None:
    raise Dead


def put(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text(name)
    return str(path)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".claim")}


@pytest.mark.parametrize("renames", [True, False])
def test_a_move(tmp_path: Path, renames: bool) -> None:
    disk = NoLinks()
    disk.renames = renames
    files, target = LocalFiles(disk), f"{tmp_path}/target"
    assert files.move(put(tmp_path, "one"), target)
    assert not files.move(put(tmp_path, "two"), target)
    assert Path(target).read_text() == "one"
    assert {path.name for path in tmp_path.iterdir()} == {"target", "two"}
    with pytest.raises(FileNotFoundError):
        files.move(f"{tmp_path}/none", f"{tmp_path}/other")


def test_killed_anywhere_it_is_finished(tmp_path: Path) -> None:
    """By the same move again, or by another one; nobody waits."""
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        one, two, target = put(folder, "one"), put(folder, "two"), f"{folder}/target"
        try:
            LocalFiles(NoLinks(number, died)).move(one, target)
        except Dead:
            first = LocalFiles(NoLinks()).move(two, target)
            again = LocalFiles(NoLinks()).move(one, target)
            assert first != again, number
            assert Path(target).read_text() == ("two" if first else "one")
            assert "one" in left(folder) if first else "two" in left(folder)
        else:
            break
    assert number > 8


def test_another_one_comes_at_any_moment(tmp_path: Path) -> None:
    """The first one sleeps before each of its operations, while the other one does all it does: one
    of them has moved its file, and knows it."""
    for number in count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        one, two, target = put(folder, "one"), put(folder, "two"), f"{folder}/target"
        others: list[bool] = []

        def other(two: str = two, target: str = target, others: list[bool] = others) -> None:
            others.append(LocalFiles(NoLinks()).move(two, target))

        disk = NoLinks(number, other)
        mine = LocalFiles(disk).move(one, target)
        if not others:
            break
        assert [mine] != others, number
        assert Path(target).read_text() == ("one" if mine else "two")
        assert left(folder) == {"target", "two" if mine else "one"}
    assert number > 8


@pytest.mark.parametrize("renames", [True, False])
def test_many_at_once(tmp_path: Path, renames: bool) -> None:
    moved: list[str] = []

    def move(name: str) -> None:
        disk = NoLinks()
        disk.renames = renames
        if LocalFiles(disk).move(put(tmp_path, name), f"{tmp_path}/target"):
            moved.append(name)

    threads = [threading.Thread(target=move, args=(f"n{each}",)) for each in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Path(tmp_path, "target").read_text()] == moved
    assert len([*tmp_path.iterdir()]) == 12


def test_a_claim_that_has_gone_meanwhile(tmp_path: Path) -> None:
    """It was there when ours was to be, and isn't any more."""

    class Busy(NoLinks):
        def replace(self, source: str, target: str) -> None:
            if target.endswith(".claim") and not self.done:
                self.done += 1
                raise OSError(errno.ENOTEMPTY, "Directory not empty", source, None, target)
            Disk.replace(self, source, target)

        def _do(self) -> None:
            pass

    (tmp_path / "a").write_bytes(b"a")
    files = LocalFiles(Busy())
    assert files.move(f"{tmp_path}/a", f"{tmp_path}/b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
