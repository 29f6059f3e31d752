"""Files on a local disk and on HDFS: the same promises, also while servers are away."""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from runners.local_stack import Stack
from transforms.io.files import filesystem
from transforms.write.files import publish
from transforms.write.sink import NewFile


@pytest.fixture(params=["local", "hdfs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of its own, whose name is none of the usual ones."""
    name = "_a[1]*?%41#{b} é"
    if request.param == "local":
        return str(tmp_path / name)
    return f"{request.getfixturevalue('hdfs')}/files/{uuid.uuid4().hex}/{name}"


def test_write_and_read(root: str) -> None:
    path = f"{root}/a/b.txt"
    assert not filesystem.exists(path)
    for content in (b"one", b"", b"x" * 3_000_000):
        filesystem.write(path, content)
        assert filesystem.exists(path)
        assert filesystem.read(path) == content
    with filesystem.open_file(path) as file:
        file.seek(2_999_990)
        assert file.read() == b"x" * 10
        file.seek(5)
        assert len(file.read(100)) == 100


def test_a_file_is_made_once(root: str) -> None:
    """Whoever is first makes it, whole; the others are told, and nothing is left of theirs."""
    path = f"{root}/only"
    filesystem.make_folder(root)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: filesystem.create(path, b"%d" % n * 9_999), range(8)))
    assert sum(made) == 1
    assert filesystem.read(path) == b"%d" % made.index(True) * 9_999
    assert filesystem.names(root) == ["only"]


def test_move(root: str) -> None:
    filesystem.write(f"{root}/a", b"a")
    filesystem.write(f"{root}/b", b"b")
    assert not filesystem.move(f"{root}/a", f"{root}/b")
    assert filesystem.read(f"{root}/b") == b"b"
    assert filesystem.move(f"{root}/a", f"{root}/c")
    assert filesystem.read(f"{root}/c") == b"a"
    assert filesystem.names(root) == ["b", "c"]
    with pytest.raises(OSError):
        filesystem.move(f"{root}/nothing", f"{root}/d")


def test_what_is_there(root: str) -> None:
    for name in ("x/1.log", "x/2.txt", "x/y/3.log", "x/y=1 é/4.log"):
        filesystem.write(f"{root}/{name}", name.encode())

    def found(pattern: str) -> list[str]:
        return sorted(each.path.removeprefix(f"{root}/") for each in filesystem.find(pattern))

    assert found(f"{root}/x/*.log") == ["x/1.log"]
    assert found(f"{root}/x/**.log") == ["x/1.log", "x/y/3.log", "x/y=1 é/4.log"]
    assert found(f"{root}/*/y*/*.log") == ["x/y/3.log", "x/y=1 é/4.log"]
    assert found(f"{root}/x/2.txt") == ["x/2.txt"]
    assert found(f"{root}/x/[12].*") == ["x/1.log", "x/2.txt"]
    assert found(f"{root}/nothing/*") == found(f"{root}/x/nothing") == []
    (one,) = filesystem.find(f"{root}/x/2.txt")
    assert one.size == 7
    assert abs(one.updated - time.time()) < 60
    assert filesystem.names(f"{root}/x") == ["1.log", "2.txt", "y", "y=1 é"]
    assert filesystem.names(f"{root}/nothing") == []
    assert len([*filesystem.below(f"{root}/x")]) == 4
    assert [*filesystem.below(f"{root}/nothing")] == []


def test_which_folders_are_there(root: str) -> None:
    places = [f"{root}/{each}" for each in ("a/b/c", "a/b/none", "a/none/c", "none/b/c", "x", "a")]
    assert filesystem.folders_there(root, places) == set()
    filesystem.write(f"{root}/a/b/c/d", b"")
    filesystem.write(f"{root}/x", b"a file")
    assert filesystem.folders_there(root, places) == {places[0], places[4], places[5]}


def test_new_hours_cost_few_requests(hdfs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a file in two steps and a name: that is all that a file of its own hour needs."""
    asked = list[object]()
    send = requests.Session.send

    def noted(*args: Any, **named: Any) -> requests.Response:
        asked.append(args)
        return send(*args, **named)

    monkeypatch.setattr(requests.Session, "send", noted)
    root = f"{hdfs}/files/{uuid.uuid4().hex}"
    files = [
        NewFile(f"{root}/_temporary/j/{n}", f"{root}/S_{n % 2}/day={n % 4}/hour={n}/f", "", "")
        for n in range(80)
    ]
    for file in files:
        filesystem.write(file.temporary, b"x", file.path)
    publish(files)
    assert len(asked) <= 6 * len(files)  # with those for folders of days, by several threads
    assert len([*filesystem.below(root)]) == len(files)


def test_remove(root: str) -> None:
    filesystem.write(f"{root}/x/y/1", b"1")
    filesystem.remove(f"{root}/x/y/1")
    filesystem.remove(f"{root}/x/y/1")
    filesystem.write(f"{root}/x/y/2", b"2")
    filesystem.remove(f"{root}/x")
    assert filesystem.names(root) == []
    filesystem.make_folder(f"{root}/x/z")
    filesystem.make_folder(f"{root}/x/z")
    assert filesystem.names(f"{root}/x") == ["z"]


def away(stack: Stack, name: str, work: Callable[[], object]) -> float:
    """What `work` takes, seconds, while a server is dead for four of them."""
    server = stack.hdfs.process(name)
    server.kill()

    def back() -> None:
        time.sleep(4)
        server.start()

    thread = threading.Thread(target=back)
    thread.start()
    began = time.monotonic()
    work()
    thread.join()
    stack.hdfs.process("namenode").wait()
    stack.hdfs.process("datanode").wait()
    return time.monotonic() - began


@pytest.mark.parametrize("name", ["namenode", "datanode"])
def test_servers_that_are_away(hdfs: str, stack: Stack, name: str) -> None:
    """It waits for them, and what was done before they went is there."""
    root = f"{hdfs}/away/{name}"
    filesystem.write(f"{root}/before", b"before")

    def work() -> None:
        filesystem.write(f"{root}/meanwhile", b"x" * 100_000)
        assert filesystem.move(f"{root}/meanwhile", f"{root}/after")
        assert filesystem.create(f"{root}/made", b"made")

    assert away(stack, name, work) < 60
    assert filesystem.read(f"{root}/before") == b"before"
    assert filesystem.read(f"{root}/after") == b"x" * 100_000
    assert filesystem.names(root) == ["after", "before", "made"]


def test_what_lasts_is_told_at_once(hdfs: str) -> None:
    theirs = hdfs.replace("hdfs://", "hdfs://someone@") + "/forbidden"
    filesystem.make_folder(f"{hdfs}/readonly")
    began = time.monotonic()
    with pytest.raises(OSError, match="Permission denied") as caught:
        filesystem.write(theirs.replace("/forbidden", "/readonly/x"), b"")
    assert "\n" not in str(caught.value)
    filesystem.write(f"{hdfs}/readonly/file", b"")
    with pytest.raises(OSError):
        filesystem.make_folder(f"{hdfs}/readonly/file/below")
    assert time.monotonic() - began < 60
