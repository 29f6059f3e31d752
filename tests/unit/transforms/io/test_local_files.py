"""Files of this machine: what a move and a new folder leave, whenever the process dies."""

import threading
from pathlib import Path

import pytest

from transforms.io.files.base import Access
from transforms.io.files.local import Disk, LocalFiles
from transforms.io.world import CLOCK, Clock, ticking


class Dead(Exception):
    """The process is, from here on."""


class _Disk(Disk):
    """A disk that dies before its operation `dies_at`, and notes which there were."""

    def __init__(self, dies_at: int = 0) -> None:
        self.done: list[tuple[str, str]] = []
        self._dies_at = dies_at

    def _do(self, name: str, path: str) -> None:
        if len(self.done) + 1 == self._dies_at:
            raise Dead
        self.done.append((name, Path(path).name))

    def make_folder(self, path: str, access: Access | None = None) -> None:
        self._do("make_folder", path)
        super().make_folder(path, access)

    def link(self, source: str, target: str) -> None:
        self._do("link", target)
        super().link(source, target)

    def unlink(self, path: str) -> None:
        self._do("unlink", path)
        super().unlink(path)

    def sync(self, folder: str) -> None:
        self._do("sync", folder)
        super().sync(folder)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A file, and where it is to be moved."""
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "from/x").write_bytes(b"content")
    return tmp_path / "from/x", tmp_path / "to/x"


def test_a_move_lasts_before_the_old_name_goes(places: tuple[Path, Path]) -> None:
    """Or the file might have no name at all after a power cut."""
    disk = _Disk()
    source, target = places
    assert LocalFiles(disk).move(str(source), str(target))
    assert disk.done == [("link", "x"), ("sync", "to"), ("unlink", "x")]
    assert not source.exists() and target.read_bytes() == b"content"


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_move_that_was_killed_is_finished(places: tuple[Path, Path], dies_at: int) -> None:
    """Before its first operation, or where the file has both names, synced or not."""
    source, target = places
    with pytest.raises(Dead):
        LocalFiles(_Disk(dies_at)).move(str(source), str(target))
    assert source.exists() and target.exists() == (dies_at > 1)
    disk = _Disk()
    assert LocalFiles(disk).move(str(source), str(target))
    assert ("sync", "to") in disk.done, "the one that died may not have done it"
    assert not source.exists() and target.read_bytes() == b"content"


def test_a_move_replaces_nothing(places: tuple[Path, Path]) -> None:
    """Also a file of the same content: it is another one."""
    source, target = places
    for content in (b"other", b"content"):
        target.write_bytes(content)
        disk = _Disk()
        assert not LocalFiles(disk).move(str(source), str(target))
        assert ("sync", "to") in disk.done, "who finds it relies on it"
        assert source.read_bytes() == b"content" and target.read_bytes() == content


def test_two_that_move_the_same_file(places: tuple[Path, Path]) -> None:
    """One of them finds the old name gone; both say that it was moved."""
    source, target = places

    class Second(_Disk):
        def sync(self, folder: str) -> None:
            source.unlink()  # the other one is faster
            super().sync(folder)

    assert LocalFiles(Second()).move(str(source), str(target))
    assert target.read_bytes() == b"content"


def test_what_is_not_there_is_not_moved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalFiles().move(f"{tmp_path}/none", f"{tmp_path}/x")


def test_new_folders_last(tmp_path: Path) -> None:
    """Each is synced in the one above; one that is there, too: who has made it may have died."""
    disk = _Disk()
    files = LocalFiles(disk)
    files.make_folder(f"{tmp_path}/a/b")
    assert [each for each in disk.done if each[0] == "sync"] == [
        ("sync", tmp_path.name), ("sync", "a")
    ]  # fmt: skip
    files.make_folder(f"{tmp_path}/a/b")
    assert [each for each in disk.done if each[0] == "sync"][2:] == [("sync", "a")]
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_folder(f"{tmp_path}/file")


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    files = LocalFiles()
    (tmp_path / "a/b").mkdir(parents=True)
    files.remove_empty(f"{tmp_path}/a")
    assert (tmp_path / "a/b").exists()
    for name in ("a/b", "a", "a"):
        files.remove_empty(f"{tmp_path}/{name}")
    assert not (tmp_path / "a").exists()


class _Still(Clock):
    """It is always the same time."""

    def time(self) -> float:
        return 7.0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds / 1000)


def test_another_clock_for_a_while() -> None:
    with ticking(_Still()):
        assert CLOCK.time() == 7.0
    assert CLOCK.time() > 7.0


def test_what_is_repeated_ends() -> None:
    """Nothing is called any more once it is said to end."""
    calls: list[int] = []
    twice = threading.Event()

    def call() -> None:
        calls.append(len(calls))
        if len(calls) > 1:
            twice.set()

    end = _Still().repeat(call, 1.0)
    assert twice.wait(10)
    end()
    before = [*calls]
    assert not threading.Event().wait(0.02) and calls == before


def test_a_folder_where_none_can_be() -> None:
    with pytest.raises(FileNotFoundError):
        LocalFiles().make_folder("/proc/nope/folder")
