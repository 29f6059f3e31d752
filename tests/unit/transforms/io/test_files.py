"""Files: mounting others, patterns, errors, and what a loss of power leaves."""

import errno
import hashlib
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import requests
from faulty_files import FaultyFiles, Killed, deaths
from hdfs import HdfsError
from hypothesis import given
from hypothesis import strategies as st

from transforms.io.files import filesystem
from transforms.io.files.base import IS_GLOB, FileAway, escaped, glob
from transforms.io.files.hdfs import HdfsFiles
from transforms.io.retry import LONGEST_REQUEST
from transforms.write.files import publish
from transforms.write.sink import NewFile


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.log", "a.log", True),
        ("*.log", "x/a.log", False),
        ("**.log", "x/a.log", True),
        ("a.b", "axb", False),
        ("a?b", "a/b", False),
        ("a[12]", "a1", True),
        ("a[!12]", "a3", True),
        ("a[!12]", "a1", False),
        ("a[]]", "a]", True),
        ("a[^]", "a^", True),
        ("a[\\]", "a\\", True),
        ("[", "[", True),
        ("é*\n", "éx\n", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert bool(glob(pattern)(path)) == matches


@given(st.text("ab/.*?[]!^-\\"))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    try:
        glob(pattern)("a/b")
    except OSError as error:
        assert pattern in str(error)


def test_where_a_folder_looks_like_a_pattern(tmp_path: Path) -> None:
    root = str(tmp_path / "a[1]*")
    filesystem.write(f"{root}/x/y", b"")
    assert [each.path for each in filesystem.below(root)] == [f"{root}/x/y"]


NAMES = [
    "a [1].log",
    "a 1.log",
    "*.txt",
    "x[1]/y.log",
    "x[2]/z.log",
    "x2/z.log",
    "[z-a]",
    "[1/[2",
    "v[1],*/w.log",
]


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a [[]1].log", ["a [1].log"]),
        ("a ?.log", ["a 1.log"]),
        ("a*1*.log", ["a 1.log", "a [1].log"]),
        ("*.txt", ["*.txt"]),
        ("[*].txt", ["*.txt"]),
        ("x[1]/y.log", ["x[1]/y.log"]),
        ("x[1]/*", ["x[1]/y.log"]),
        ("x[1]/", ["x[1]/y.log"]),
        ("x[1]/?[.]log", ["x[1]/y.log"]),
        ("x[[]2]/*", ["x[2]/z.log"]),
        ("x[!3]/*", ["x2/z.log"]),
        ("x[1-2]/*", ["x2/z.log"]),
        ("*/z.log", ["x2/z.log", "x[2]/z.log"]),
        ("**/z.log", ["x2/z.log", "x[2]/z.log"]),
        (".//x[1]///y.log", ["./x[1]/y.log"]),
        ("[z-a]", ["[z-a]"]),
        ("[1/[2", ["[1/[2"]),
        ("x[3]/*", []),
        ("v[1][,]*/w.log", ["v[1],*/w.log"]),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_there_is_a_name(named: Path, pattern: str, found: list[str], whole: bool) -> None:
    """A folder with brackets in its name is one, whatever else its name would match."""
    before = f"{named}/" if whole else ""
    seen = [each.path for each in filesystem.find(before + pattern)]
    assert sorted(seen) == [before + each for each in found]


@pytest.mark.parametrize("pattern", ["a [1].log", "x[2]/z.log", "x[2]/*"])
@pytest.mark.usefixtures("named")
def test_what_may_be_a_name_or_a_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(OSError, match="it is the name of") as caught:
        filesystem.find(pattern)
    advised = str(caught.value).partition("for the one write ")[2].partition(", for all")[0]
    assert len(filesystem.find(advised)) == 1
    assert IS_GLOB.sub("", filesystem.find(advised)[0].path).startswith(pattern[0])


def test_what_may_be_escaped_or_a_name_is_refused(tmp_path: Path) -> None:
    for name in ("[[]1", "[1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.log").touch()
    with pytest.raises(OSError, match="it is the name of"):
        filesystem.find(f"{tmp_path}/[[]1/*.log")
    (found,) = filesystem.find(f"{tmp_path}/[1/*.log")
    assert found.path == f"{tmp_path}/[1/a.log"


@given(st.text("ab/.*?[]!^-,", min_size=1))
def test_an_escaped_path_is_that_path(path: str) -> None:
    assert glob(escaped(path))(path) and not glob(escaped(path))(f"{path}a")


def test_patterns_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.log").touch()
    monkeypatch.chdir(tmp_path)
    for pattern in ("*/*.log", "**", "x/1.log", "x/*"):
        assert [each.path for each in filesystem.find(pattern)] == ["x/1.log"]
    assert [each.path for each in filesystem.find("./*/1*")] == ["./x/1.log"]


def test_a_slash_at_the_end_means_what_is_in_the_folder(tmp_path: Path) -> None:
    for name in ("a.log", "sub/b.log"):
        (tmp_path / "logs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / name).touch()

    def found(pattern: str) -> list[str]:
        return [each.path.removeprefix(f"{tmp_path}/") for each in
                filesystem.find(f"{tmp_path}/{pattern}")]  # fmt: skip

    assert found("logs/") == found("log*/") == ["logs/a.log"]
    assert found("logs/*/") == ["logs/sub/b.log"]


def test_an_absolute_path_means_the_same_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By it a plan finds its archive from another working folder."""
    monkeypatch.chdir(tmp_path)
    assert filesystem.absolute("raw") == f"{tmp_path}/raw"
    for path in ("/data/raw", "hdfs://nn:9870/raw", "gs://bucket/raw"):
        assert filesystem.absolute(path) == path


def test_mounts(tmp_path: Path) -> None:
    """The longest prefix counts, of whole names; afterwards all is as before."""
    outer, inner = f"{tmp_path}/a", f"{tmp_path}/a/b"
    with FaultyFiles(outer).mounted() as of_outer, FaultyFiles(inner).mounted() as of_inner:
        for path in (outer, f"{outer}/x", f"{outer}b", inner, f"{inner}/x"):
            filesystem.exists(path)
        with FaultyFiles(outer).mounted() as again:
            filesystem.exists(f"{outer}/y")
    filesystem.exists(outer)
    seen = [outer, f"{outer}/x", inner, f"{inner}/x", f"{outer}/y"]
    assert [path for _, path in of_outer.done] == seen, "what is mounted over it goes on to it"
    assert [path for _, path in again.done] == [f"{outer}/y"]
    assert [path for _, path in of_inner.done] == [inner, f"{inner}/x"]


def test_a_bug_stays_a_bug(tmp_path: Path) -> None:
    """Only what a file system says is an OSError."""
    bug = FaultyFiles(str(tmp_path), fault=lambda *_: ValueError("a bug"))
    with bug.mounted(), pytest.raises(ValueError, match="a bug"):
        filesystem.exists(f"{tmp_path}/x")


@pytest.mark.parametrize("path", ["nope://x/y", "hdfs://h:port/x", "a\0b"])
def test_what_no_file_system_can_have(path: str) -> None:
    with pytest.raises(OSError):
        filesystem.exists(path)


def test_a_file_system_that_is_away_is_waited_for(tmp_path: Path) -> None:
    away = [FileAway("away")] * 3
    files = FaultyFiles(str(tmp_path), fault=lambda *_: away.pop() if away else None)
    with files.mounted():
        filesystem.write(f"{tmp_path}/x", b"")
    assert files.clock.now > 0 and files.done == [("write", f"{tmp_path}/x")]
    for_ever = FaultyFiles(str(tmp_path), fault=lambda *_: FileAway("away"))
    with for_ever.mounted(), pytest.raises(FileAway):
        filesystem.write(f"{tmp_path}/x", b"")
    assert for_ever.clock.now >= 600


def test_what_was_made_outlives_a_loss_of_power(tmp_path: Path) -> None:
    """What `create` and `publish` have said is done stays done."""
    path, new = f"{tmp_path}/made", f"{tmp_path}/named"
    filesystem.write(f"{tmp_path}/_temporary/x", b"x")
    file = NewFile(f"{tmp_path}/_temporary/x", new, "", hashlib.sha256(b"x").hexdigest())
    with FaultyFiles(str(tmp_path), forgets=True).mounted() as files:
        assert filesystem.create(path, b"made")
        publish([file])
        files.kill()
    assert filesystem.read(path) == b"made"
    assert filesystem.read(new) == b"x"


def test_the_disk_is_asked_to_keep_contents_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())),
    )

    def asked(work: Callable[[], object]) -> list[str]:
        synced.clear()
        work()
        return [each.removeprefix(str(tmp_path)) for each in synced]

    root = str(tmp_path)
    assert asked(lambda: filesystem.make_folder(f"{root}/a/b")) == ["", "/a"]
    assert asked(lambda: filesystem.write(f"{root}/x", b"x")) == ["/x"]
    assert asked(lambda: filesystem.move(f"{root}/x", f"{root}/a/b/x")) == ["/a/b"]
    assert asked(lambda: filesystem.sync(f"{root}/a")) == ["/a"]
    made, name = asked(lambda: filesystem.create(f"{root}/a/y", b"y"))
    assert made.startswith("/a/_y.") and name == "/a"


def test_a_name_that_was_not_synced_is_forgotten(tmp_path: Path) -> None:
    """But for that of a file which was moved; then its old name may be there again."""
    filesystem.write(f"{tmp_path}/old", b"o")
    with FaultyFiles(str(tmp_path), forgets=True).mounted() as files:
        filesystem.write(f"{tmp_path}/synced/x", b"x")
        filesystem.sync(f"{tmp_path}/synced")
        filesystem.write(f"{tmp_path}/lost/x", b"x")
        filesystem.move(f"{tmp_path}/old", f"{tmp_path}/new")
        files.kill()
        with pytest.raises(Killed):
            filesystem.read(f"{tmp_path}/new")
    assert filesystem.names(str(tmp_path)) == ["lost", "new", "old", "synced"]
    assert filesystem.read(f"{tmp_path}/old") == filesystem.read(f"{tmp_path}/new") == b"o"
    assert filesystem.names(f"{tmp_path}/synced") == ["x"]
    assert filesystem.names(f"{tmp_path}/lost") == []


def test_a_full_disk_keeps_nothing_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, content: bytes) -> None:
        Path(path).write_bytes(content[:1])
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(filesystem, "write", full)
    with pytest.raises(OSError, match="No space left"):
        filesystem.create(f"{tmp_path}/a", b"abc")
    assert filesystem.names(str(tmp_path)) == []


def test_deaths_are_at_every_operation(tmp_path: Path) -> None:
    def work(root: str) -> None:
        filesystem.write(f"{root}/a", b"")
        filesystem.move(f"{root}/a", f"{root}/b")

    roots = list(deaths(lambda number: f"{tmp_path}/{number}", work))
    assert [filesystem.names(root) for root in roots] == [[], ["a"]]
    with FaultyFiles(f"{tmp_path}/4", dies_at=2, after=True).mounted(), pytest.raises(Killed):
        work(f"{tmp_path}/4")
    assert filesystem.names(f"{tmp_path}/4") == ["b"]


@pytest.mark.parametrize("function", [filesystem.write, filesystem.open_file, filesystem.names])
def test_functions_go_to_other_processes(function: Callable[..., object]) -> None:
    assert pickle.loads(pickle.dumps(function)) is function


def test_no_request_to_hdfs_waits_longer_than_the_holder_of_a_lease_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def request(*_: object, **how: object) -> None:
        asked.append(how["timeout"])
        raise requests.ConnectionError

    monkeypatch.setattr(requests.Session, "request", request)
    files = HdfsFiles("namenode:9870")
    for call in (lambda: files.info("/x"), lambda: files.write("/x", b""),
                 lambda: files.move("/x", "/y"), lambda: files.remove("/x")):  # fmt: skip
        with pytest.raises(requests.ConnectionError):
            call()
    assert len(asked) >= 4 and {*asked} == {LONGEST_REQUEST}


def test_what_a_kill_left_long_ago_is_swept(tmp_path: Path) -> None:
    """By the clock of the disk, and nothing else."""
    old, new = f"_a.json.{'0' * 32}", f"_a.json.{'1' * 32}"
    others = ["a.json", "_SUCCESS", "_a.json.0123", f"a.{'0' * 32}"]
    for name in (old, new, *others):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0 if name != new else time.time()))
    folder = tmp_path / f"_b.{'2' * 32}"  # of a move without links
    folder.mkdir()
    (folder / "x").touch()
    os.utime(folder, (0, 0))
    filesystem.sweep([str(tmp_path), f"{tmp_path}/none"])
    assert {path.name for path in tmp_path.iterdir()} == {new, *others}


def test_a_folder_that_others_make_while_we_look() -> None:
    """Only one question is asked: a second one might have another answer."""
    files = HdfsFiles("namenode:9870")
    files.client = mock.Mock()
    gone = HdfsError("File /a does not exist.", exception="FileNotFoundException")
    files.client.list.side_effect = [gone, HdfsError("'/a' is not a directory.")]
    with filesystem.mount("hdfs://namenode:9870", files):
        assert filesystem.names("hdfs://namenode:9870/a") == []
        with pytest.raises(OSError, match="is not a directory"):
            filesystem.names("hdfs://namenode:9870/a")
    assert [call[0] for call in files.client.method_calls] == ["list", "list"]
