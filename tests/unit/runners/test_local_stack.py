"""A stack's folder, and what goes wrong before a server is started."""

import json
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runners.local_stack import ServerProcess, Stack, StackError
from runners.local_stack.component import SERVER_NOTE
from runners.local_stack.stack import NoSuchComponent
from runners.orphans import Processes
from schemas.errors import WrongCall


def test_it_is_below_the_users_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert Stack().folder == tmp_path / "el_beam" / "stack"
    assert Stack().status() == {} and not Stack().folder.exists()


@pytest.mark.parametrize("act", [
    lambda stack: next(stack.up(["kafak"])), lambda stack: stack.down(["kafak"]),
    lambda stack: stack.missing(["kafak"]), lambda stack: stack.component("kafak"),
])  # fmt: skip
def test_a_component_that_is_not_there(tmp_path: Path, act: object) -> None:
    assert callable(act)
    with pytest.raises(NoSuchComponent, match="no component kafak; there are kafka, workers,"):
        act(Stack(tmp_path))


@pytest.mark.parametrize("name", ["a:b", "a,b", "a[1]", "*", "a#b", "50%", "a&b", "a\nb"])
def test_a_folder_that_its_servers_would_misread(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongCall, match=r"has a meaning in the settings .* \(--dir\)"):
        next(Stack(tmp_path / name).up(["kafka"]))
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EL_JARS", raising=False)
    stack = Stack(tmp_path / "stack")
    assert stack.missing(["workers"]) == []
    assert stack.missing(["kafka", "hdfs", "flink"]) == ["the Java parts", "Flink 1.19.3"]
    assert not list(tmp_path.iterdir())


def test_a_damaged_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(StackError, match=r"stack\.json is damaged, .*remove the folder"):
        Stack(tmp_path).status()


def test_notes_without_a_format_are_read(tmp_path: Path) -> None:
    """As versions before formats have written them."""
    (tmp_path / "stack.json").write_text('{"workers": {"pool": 18230}}')
    assert Stack(tmp_path).workers.endpoint() == "127.0.0.1:18230"
    assert [each.name for each in Stack(tmp_path).components()] == ["workers"]
    me = psutil.Process()
    server = ServerProcess("this", tmp_path, [], lambda: True)
    server.pid_file.parent.mkdir()
    server.pid_file.write_text(json.dumps({"pid": me.pid, "started": me.create_time()}))
    assert server.pid == me.pid and server.is_ready
    server.pid_file.write_text(json.dumps({"pid": me.pid, "started": me.create_time() - 1}))
    assert server.pid is None and not server.is_ready


def test_the_machine_has_another_name_now(tmp_path: Path) -> None:
    server, its = ServerProcess("this", tmp_path, [], lambda: True), Processes().here()
    server.pid_file.parent.mkdir()
    server.pid_file.write_bytes(SERVER_NOTE.dump(replace(its, host="before")))
    assert server.pid == its.pid
    server.pid_file.write_bytes(SERVER_NOTE.dump(replace(its, boot="before")))
    assert server.pid is None


def test_a_newer_stack_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"format": 3, "ports": {}}')
    with pytest.raises(StackError, match=r"is written in format 3 .*: use a newer el_beam"):
        Stack(tmp_path).down()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    server = ServerProcess("java", tmp_path, ["/nowhere/java"], lambda: True)
    with pytest.raises(StackError, match=r"java can't be started: .*/nowhere/java"):
        server.start()
