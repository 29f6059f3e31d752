"""Who can see that a process is dead, and which processes are orphans then: those that a process
has started which is surely dead, and which is the one that is asked about."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runners import orphans
from runners.orphans import Processes, ProcessId

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
STARTER = """
import subprocess, sys
from runners.orphans import Processes, environment
here = Processes().here()
child = subprocess.Popen(sys.argv[1:], env=environment(), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, here.namespaces, here.ticks, flush=True)
sys.stdin.read()
"""
HOLDS = """
import sys
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import State
with Lease(State(sys.argv[1])) as lease:
    print(len(lease.dead), flush=True)
    sys.stdin.read()
    lease.check()
"""
ROOT = () if os.geteuid() == 0 else ("--map-root-user",)
CONTAINER = ("unshare", *ROOT, "--pid", "--fork", "--mount-proc", "--kill-child")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python with some code, and waits for a line of it."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str, within: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        call = [*within, sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for each in started:
        each.kill()
        each.communicate()


@pytest.fixture
def left(start: Start) -> Iterator[tuple[ProcessId, psutil.Process]]:
    """A process that is dead, and what it has started."""
    starter = start(STARTER, *SLEEP)
    assert starter.stdout
    child, namespaces, ticks = starter.stdout.readline().split()
    here = Processes().here()
    dead = replace(here, pid=starter.pid, namespaces=namespaces, ticks=int(ticks))
    assert Processes().alive(dead) is True
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert Processes().alive(dead) is False
    process = psutil.Process(int(child))
    yield dead, process
    with suppress(psutil.NoSuchProcess):
        process.kill()


def test_what_a_dead_process_has_started_is_ended(left: tuple[ProcessId, psutil.Process]) -> None:
    dead, child = left
    Processes().end_orphans([dead])
    child.wait(10)


def test_nobody_elses_orphans_are_ended(left: tuple[ProcessId, psutil.Process]) -> None:
    """Be they of another import, or of a process of the same number in another container."""
    dead, child = left
    others = [replace(dead, pid=dead.pid + 1), replace(dead, ticks=dead.ticks + 1),
              replace(dead, namespaces="pid:[1],time:[2]")]  # fmt: skip
    Processes().end_orphans([])
    Processes().end_orphans(others)
    assert child.is_running() and child.status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("tied", [True, False])
def test_what_outlives_its_starter_on_purpose_has_no_mark(tied: bool) -> None:
    """As the workers of a pool do: they end with their runner, not with the pool. The release
    before knows no such mark, or it would take living processes for orphans."""
    environment = orphans.environment(tied=tied)
    wanted = Processes().here().mark if tied else os.environ.get(orphans.STARTER)
    assert environment.get(orphans.STARTER) == wanted
    assert orphans.STARTER != "EL_SUBMITTER"
    assert environment["PYTHONWARNINGS"] == "ignore" and environment["MALLOC_ARENA_MAX"]


def test_what_is_known_of_a_process() -> None:
    machine, here = Processes(), Processes().here()
    assert machine.alive(here) is True
    assert machine.alive(replace(here, ticks=here.ticks - 1)) is False
    assert machine.alive(replace(here, pid=2**22 + 1)) is False
    assert machine.alive(replace(here, pid=10**20)) is False
    nobody = replace(here, pid=2**22 + 1)
    for name in ("another", ""):
        for unseen in (replace(nobody, host=name), replace(nobody, boot=name),
                       replace(nobody, namespaces=name), replace(nobody, ticks=0)):  # fmt: skip
            assert machine.alive(unseen) is None


def test_one_that_nobody_has_waited_for_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    its = Processes().child(child.pid)
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert Processes().alive(its) is False
    child.wait()


def test_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil's start of a process moves then."""
    before, moved = Processes().here(), psutil.Process().create_time() + 2
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: moved)
    monkeypatch.setattr(psutil, "boot_time", lambda: moved)
    assert Processes().here() == before
    assert Processes().alive(before) is True


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_process_that_is_hidden_may_live(
    error: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /proc hides them that is mounted with hidepid=1, or 2."""
    init = replace(Processes().here(), pid=1)
    real = Path.read_bytes

    def hidden(path: Path) -> bytes:
        if str(path) == "/proc/1/stat":
            raise error
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", hidden)
    assert Processes().alive(init) is None


def test_the_processes_of_another_namespace_are_not_those_of_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container in which nobody has mounted a /proc of its own."""
    here, real = Processes().here(), Path.readlink
    monkeypatch.setattr(
        Path, "readlink", lambda path: Path("1") if str(path) == "/proc/self" else real(path)
    )
    assert Processes().alive(replace(here, pid=2**22 + 1)) is None


@pytest.mark.parametrize("holder", [(), CONTAINER])
def test_the_lease_of_another_container(start: Start, tmp_path: Path, holder: tuple[str]) -> None:
    """It has the same host name, on the same machine; there the holder's pid is another's, or
    nobody's."""
    state = f"{tmp_path}/state"
    first = start(HOLDS, state, within=holder)
    assert first.stdout and first.stdout.readline() == "0\n"
    second = start(HOLDS, state, within=CONTAINER)
    out, err = second.communicate()
    assert (out, "its lease ends 30 s after that sign" in err) == ("", True)
    assert first.communicate("")[1] == "", "it still has its lease"


def test_the_lease_when_the_clock_was_set(start: Start, tmp_path: Path) -> None:
    """By a second, as each process sees it from then on: the machine seems to have started later,
    and so does all that runs."""
    state, stat = f"{tmp_path}/state", tmp_path / "stat"
    later = re.sub(r"btime (\d+)", lambda found: f"btime {int(found[1]) + 1}",
                   Path("/proc/stat").read_text())  # fmt: skip
    stat.write_text(later)
    bound = 'mount --bind "$0" /proc/stat && exec "$@"'
    first = start(HOLDS, state)
    assert first.stdout and first.stdout.readline() == "0\n"
    second = start(HOLDS, state, within=("unshare", *ROOT, "--mount", "sh", "-c", bound, str(stat)))
    out, err = second.communicate()
    assert (out, f"process {first.pid} on " in err) == ("", True)
    assert first.communicate("")[1] == "", "it still has its lease"
