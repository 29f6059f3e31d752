"""Reading files: each line once, whatever the splits, the chunks, the line ends."""

import bz2
import errno
import gzip
import io
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.event import LONGEST_EVENT, RawLine
from transforms.errors import UnreadableInput
from transforms.layout import file_split, is_hidden
from transforms.read import files
from transforms.read.files import FileSplit, cut_lines, find_splits, read_split, split_of

LINES = b"one\ntwo\r\nthree\rfour\n\n\r\nlast"
DATA = st.binary(max_size=60) | st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bc", b"long" * 9, b"\xff\x0b\x1c\x85"])
).map(b"".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


def read(path: Path, size: int = 2**20) -> list[RawLine]:
    return [line for split in find_splits((str(path),), size) for line in read_split(split)]


@given(DATA, st.integers(1, 70), st.integers(1, 30))
@example(LINES, 1, 1)
@example(b"", 5, 5)
@example(b"a\r\nb", 2, 1)
@example(b"a\r\nb", 1, 2)
@example(b"\r\r\n\n\r", 1, 1)
def test_each_line_once_whatever_the_splits(data: bytes, size: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_CHUNK", chunk)
        found: list[tuple[int, bytes]] = []
        for start in range(0, max(len(data), 1), size):
            split = FileSplit(f"x-{start}", "x", start, start + size, 0.0)
            lines = list(files._lines(io.BytesIO(data), split))
            assert all(start <= line.origin.offset < start + size for line in lines)
            assert all(line.origin.split == split.id for line in lines)
            found += [(line.origin.offset, line.data) for line in lines]
    assert [line for _, line in found] == data.splitlines()
    for offset, line in found:
        assert data[offset : offset + len(line)] == line
        assert offset == 0 or data[offset - 1 : offset] in (b"\n", b"\r")


@given(DATA, st.integers(1, 20), st.integers(1, 12), st.integers(1, 70))
@example(b"aaaaaaaaaaaaaaaaaa\rb\n", 19, 4, 50)
def test_of_lines_too_long_so_much_is_kept_that_it_shows(
    data: bytes, chunk: int, longest: int, size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_CHUNK", chunk)
        patch.setattr(files, "LONGEST_EVENT", longest)
        found = [
            line
            for start in range(0, max(len(data), 1), size)
            for line in files._lines(io.BytesIO(data), FileSplit("x", "x", start, start + size, 0))
        ]
        whole = list(cut_lines(io.BytesIO(data).read))
    expected = data.splitlines(keepends=True)
    assert len(found) == len(expected)
    for line, original in zip(found, expected, strict=True):
        text = original.rstrip(b"\r\n")
        assert line.data == text[: longest + 1]
        assert data[line.origin.offset :].startswith(original)
    assert [length for length, _ in whole] == [len(line) for line in expected]


class _Endless:
    """A line of many bytes that nobody has in memory."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int, /) -> bytes:
        given = min(size, self.left)
        self.left -= given
        return b"x" * given


def test_a_line_of_any_length_takes_constant_memory() -> None:
    tracemalloc.start()
    ((length, kept),) = cut_lines(_Endless(200 * 2**20).read)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == 200 * 2**20
    assert len(kept) == LONGEST_EVENT + 1
    assert peak < 4 * LONGEST_EVENT


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd,
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_are_read_whole(folder: Path, suffix: str) -> None:
    data = b"".join(random.Random(5).randbytes(50).hex().encode() + b"\n" for _ in range(5_000))
    path = folder / f"a.log{suffix}"
    half = len(data) // 2
    path.write_bytes(COMPRESS[suffix](data[:half]) + COMPRESS[suffix](data[half:]))  # two members
    assert len(find_splits((str(path),), 10)) == 1
    lines = read(path)
    assert [line.data for line in lines] == data.splitlines()
    assert [line.origin.offset for line in lines] == [101 * n for n in range(5_000)]


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("left", [0, 0.1, 0.5, 0.999])
def test_what_is_cut_short_is_unreadable(folder: Path, suffix: str, left: float) -> None:
    data = b"".join(random.Random(5).randbytes(50).hex().encode() + b"\n" for _ in range(5_000))
    whole = COMPRESS[suffix](data)
    path = folder / f"cut{left}.log{suffix}"
    path.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(UnreadableInput, match=f"cannot read .*cut{left}.log"):
        read(path)


@pytest.mark.parametrize("suffix", [*COMPRESS, ".raw.parquet", ".GZ", ".RAW.PARQUET"])
def test_what_is_no_such_format_is_unreadable(folder: Path, suffix: str) -> None:
    path = folder / f"garbage{suffix}"
    path.write_bytes(b"garbage, not that format" * 10)
    with pytest.raises(UnreadableInput, match="garbage"):
        read(path)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_empty_compressed_file(folder: Path, suffix: str) -> None:
    path = folder / f"empty.log{suffix}"
    path.write_bytes(COMPRESS[suffix](b""))
    assert read(path) == []


def test_a_frame_that_unpacks_to_much_stays_in_memory(folder: Path) -> None:
    path = folder / "bomb.zst"
    path.write_bytes(zstd(b"x" * (300 * 2**20)))
    ((split),) = find_splits((str(path),))
    tracemalloc.start()
    (line,) = read_split(split)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(line.data) > LONGEST_EVENT
    assert peak < 200 * 2**20


def test_splits_are_functions_of_path_and_start(folder: Path) -> None:
    path = folder / "splits.log"
    path.write_bytes(b"0123456789" * 10)
    os.utime(path, (5, 5))
    splits = find_splits((str(path), str(folder / "splits.l*")), 30)
    assert [(split.start, split.end) for split in splits] == [
        (0, 30),
        (30, 60),
        (60, 90),
        (90, 120),
    ]
    assert len({split.id for split in splits}) == 4
    assert {split.receipt for split in splits} == {5.0}
    assert [split.id for split in splits] == sorted(split.id for split in splits)
    assert find_splits((str(path),), 30) == splits


@pytest.mark.parametrize("name", ["a b", "../x", "é" * 300, ".hidden", "_x", "a/b", "-", "x\n"])
def test_names_of_splits_are_safe(name: str) -> None:
    made = file_split(name, 7)
    assert not is_hidden(made) and made.isascii() and "/" not in made and len(made) < 120
    assert made != file_split(name + "x", 7)


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    there = folder / "inside"
    (there / "sub").mkdir(parents=True, exist_ok=True)
    for name in ("b.log", "a.log", "c.txt", "sub/d.log"):
        (there / name).write_bytes(b"x\n")
    monkeypatch.chdir(there)
    yield there


@pytest.mark.parametrize(
    ("patterns", "paths"),
    [
        (("a.log",), ["a.log"]),
        (("*.log",), ["a.log", "b.log"]),
        (("?.txt", "a.*"), ["a.log", "c.txt"]),
        (("./*.log",), ["a.log", "b.log"]),
        (("sub/*", "sub/d.log"), ["sub/d.log"]),
        (("**/*.log",), ["sub/d.log"]),
    ],
)
def test_patterns(patterns: tuple[str, ...], paths: list[str], inside: Path) -> None:
    """Paths are whole ones: a line's identity may be its place, from whichever folder it's read."""
    assert [split.path for split in find_splits(patterns)] == [str(inside / path) for path in paths]


def test_what_is_ours_is_read_where_it_is_named(inside: Path) -> None:
    """But no glob finds it, whatever folder the files are in."""
    for name in ("_ledger/x [1]/a.log", "_ledger/x [1]/_temporary/b.log"):
        (inside / name).parent.mkdir(parents=True)
        (inside / name).write_bytes(b"x\n")
    for pattern in ("_ledger/x [1]/*.log", f"{inside}/_ledger/x*/**"):
        assert [Path(each.path).name for each in find_splits((pattern,))] == ["a.log"]
    (split,) = find_splits(("_ledger/x [1]/_temporary/b.log",))
    assert split == split_of(split.path)
    with pytest.raises(UnreadableInput, match="there is no file"):
        split_of(f"{inside}/*.log")


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("nope.log", "no file matches nope.log"),
        ("nope/*.log", "no file matches nope/"),
        ("", "no file matches"),
        ("sub", r"sub is a folder: write sub/\*"),
        (".", r"\. is a folder"),
        ("foo://x/y", "cannot look for foo://x/y"),
    ],
)
def test_what_is_not_there(pattern: str, says: str) -> None:
    with pytest.raises(UnreadableInput, match=says):
        find_splits((pattern,))


def test_a_file_of_several_names_is_read_once(inside: Path) -> None:
    """By the first of them, whatever order they are given in."""
    (inside / "link.log").symlink_to("b.log")
    (inside / "hard.log").hardlink_to(inside / "b.log")
    (inside / "sub/up").symlink_to("..")
    for names in (("link.log", "./b.log"), ("sub/up/b.log", "sub/../b.log", "link.log")):
        assert [each.path for each in find_splits(names)] == [f"{inside}/b.log"]
    assert [each.path for each in find_splits(("*.log",))] == [f"{inside}/a.log", f"{inside}/b.log"]
    assert [each.path for each in find_splits(("hard.log",))] == [f"{inside}/hard.log"]


def test_a_pattern_follows_links_to_folders(inside: Path) -> None:
    """But `**` doesn't. A file's own folder counts before a link to it."""
    for name in ("L/h1", "L/z", "M/h2"):
        (inside / name).mkdir(parents=True)
        (inside / name / "a.log").write_bytes(b"x\n")
    for link, to in (("h2", "../M/h2"), ("also-z", "z"), ("here", "."), ("gone", "nowhere")):
        (inside / "L" / link).symlink_to(to)
    assert [each.path for each in find_splits(("L/*/*.log",))] == [
        f"{inside}/L/{name}/a.log" for name in ("h1", "h2", "z")]  # fmt: skip
    assert [each.path for each in find_splits(("L/*/a.log",))][1] == f"{inside}/L/h2/a.log"
    assert len(find_splits(("L/**/*.log",))) == 2


def test_a_folder_that_cannot_be_read(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told where the pattern leads into it, and else of no matter."""
    (inside / "private").mkdir()
    (inside / "s" / "lost+found").mkdir(parents=True)

    def scandir(path: str) -> Any:
        if Path(path).name in ("private", "lost+found"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", lambda path: [each.name for each in scandir(path)])
    for pattern in ("*/*.log", "**/*.log"):
        with pytest.raises(UnreadableInput, match=r"look into (\./)?private: let this user read"):
            find_splits((pattern,))
    assert len(find_splits(("*.log",))) == 2
    assert len(find_splits(("s*/*.log",))) == len(find_splits(("s*/**.log",))) == 1


def test_pipes_and_devices_are_refused_unread(inside: Path) -> None:
    """Opened to see how long they are, they would keep us waiting, or lose what they have said."""
    os.mkfifo(inside / "fifo.log")
    receiving, sending = os.pipe()
    os.write(sending, b"line\n")
    for path in (f"{inside}/fifo.log", f"/dev/fd/{receiving}", "/dev/zero", "/dev/null"):
        with pytest.raises(UnreadableInput, match=f"^{path} is not a file, but a pipe .* stdin:"):
            find_splits((path,))
    assert os.read(receiving, 9) == b"line\n"
    os.close(receiving)
    os.close(sending)


def test_an_open_file_has_its_own_name(inside: Path) -> None:
    with (inside / "a.log").open() as file:
        (split,) = find_splits((f"/dev/fd/{file.fileno()}",))
    assert split.path == f"{inside}/a.log"


def test_a_file_that_goes_away_or_cannot_be_read(inside: Path) -> None:
    (split,) = find_splits(("a.log",))
    (inside / "a.log").unlink()
    with pytest.raises(UnreadableInput, match=r"cannot read .*/a\.log"):
        list(read_split(split))
    (inside / "a.log").symlink_to("nowhere")
    with pytest.raises(UnreadableInput, match=r"no file matches a\.log"):
        find_splits(("a.log",))
