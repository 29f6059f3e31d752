"""What runs a job leaves its process as it found it: only the command line changes anything."""

from __future__ import annotations

import ast
import atexit
import fcntl
import gc
import logging
import os
import signal
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
import grpc
import psutil
import pytest
from run_configs import run_config

import el_beam.running.increments.increments
import el_beam.running.streaming.submit
import el_beam.running.streaming.supervise
import el_beam.upkeep.replay.replay  # noqa: F401  importing is no change, either
from el_beam.cli import main
from el_beam.config.assemble import assemble
from el_beam.config.run_config import RunConfig
from el_beam.job import Execution
from el_beam.running import bounded
from el_beam.running.process import (
    for_command,
    for_job,
    in_use,
    interruptible,
    interrupting,
    stop_requested,
)
from runners.direct import RUNNER, options

ROOT = Path(__file__).parents[4]
CALLS = {
    *("gc.disable", "gc.enable", "gc.freeze", "gc.set_threshold", "logging.basicConfig"),
    *("os.chdir", "os.dup2", "os.environ.clear", "os.environ.setdefault", "os.environ.update"),
    *("signal.set_wakeup_fd", "signal.signal", "warnings.filterwarnings", "warnings.simplefilter"),
}
TARGETS = (
    *("grpc.", "os.environ[", "sys.excepthook", "sys.std", "tempfile.", "threading.excepthook"),
    "warnings.",
)
MAY_CHANGE = {
    "el_beam/cli.py": "the entry of `el`",
    "el_beam/running/process.py": "what that entry uses",
    "runners/direct.py": "a worker's own process",
    "runners/forkserver.py": "a worker's own process",
    "runners/memory.py": "for the entries above",
    "runners/worker_pool.py": "the entry of a pool",
}
_SIGNALS = [number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP)]


def state_of_process() -> dict[str, Any]:
    """All that a library could change for others."""
    root = logging.getLogger()
    return {
        "descriptors": {path.name: _target(path) for path in Path("/proc/self/fd").iterdir()},
        "signals": {number: signal.getsignal(number) for number in _SIGNALS},
        "environment": dict(os.environ),
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "logging": (root.level, [*root.handlers], logging.getLogger("el_beam").level),
        "warnings": (warnings.showwarning, [*warnings.filters]),
        "temporaries": tempfile.tempdir,
        "hooks": (threading.excepthook, sys.excepthook),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "folder": Path.cwd(),
        "grpc": grpc.server,
        "at exit": atexit._ncallbacks(),
        "children": [child.pid for child in psutil.Process().children()],
    }


def differs(before: dict[str, Any]) -> dict[str, Any]:
    """What is other than it was, by its names. Of descriptors those that are new: others may go at
    any time, with the garbage of tests that ran before in this process. Those into /proc are of who
    looks: this listing, and the thread of conftest that watches who listens."""
    now = state_of_process()
    now["descriptors"] = {number: target for number, target in now["descriptors"].items()
                          if target and not target.startswith("/proc/")
                          and before["descriptors"].get(number) != target}  # fmt: skip
    return {name: its for name, its in now.items() if its != (before | {"descriptors": {}})[name]}


def _target(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:  # that of the listing itself
        return ""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    log = tmp_path / "a.log"
    log.write_text("".join(f'{{"schema": "S", "n": {n}}}\n' for n in range(50)))
    return run_config(source=f"file:{log}", sinks=[f"jsonl:{tmp_path}/j"], format="json")


def _run(config: RunConfig, scratch: Path, workers: int) -> int:
    scratch.mkdir(exist_ok=True)
    job, _ = assemble(config, str(scratch))
    summaries = bounded.run(job, Execution("direct", workers))
    return sum(each.read for each in summaries.values())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_leaves_its_process_alone(config: RunConfig, tmp_path: Path, workers: int) -> None:
    beam.Pipeline(RUNNER, options=options(workers)).run()  # Beam's own first time
    assert _run(config, tmp_path / "0", workers) == 50  # the process that forks workers stays
    before = state_of_process()
    assert _run(config, tmp_path / "1", workers) == 50
    assert not differs(before)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(_run, config, tmp_path / "2", workers).result() == 50
    assert not differs(before)


def test_the_command_line_sets_back_what_it_changes(config: RunConfig, tmp_path: Path) -> None:
    call = ["run", str(config.source), f"jsonl:{tmp_path}/j", "--format", "json"]
    assert main(call) == 0
    before = state_of_process()
    assert main(call) == 0
    assert not differs(before)
    assert main(["run", f"file:{tmp_path}/none", f"jsonl:{tmp_path}/j"]) == 2
    assert not differs(before)


def test_what_the_command_line_changes(tmp_path: Path) -> None:
    before, noise = state_of_process(), tmp_path / "noise"
    with for_command(str(noise)), for_job(str(tmp_path)):
        now = state_of_process()
        os.write(2, b"noise\n")
        assert tempfile.gettempdir() == str(tmp_path)
        for settings in (interruptible(str(tmp_path)), interrupting(),
                         stop_requested(lambda: None)):  # fmt: skip
            with settings:
                assert signal.getsignal(signal.SIGTERM) != before["signals"][signal.SIGTERM]
    assert noise.read_text() == "noise\n"
    assert {name for name in before if now[name] != before[name]} == {
        "descriptors", "gc", "logging", "warnings", "temporaries", "hooks", "streams",
    }  # fmt: skip
    assert not differs(before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_has_something_to_undo_is_interrupted(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interrupting():
        signal.raise_signal(number)


def test_only_entries_change_the_process() -> None:
    found = set()
    for package in ("el_beam", "runners", "schemas", "transforms"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                targets = [node.func] if isinstance(node, ast.Call) else []
                if isinstance(node, ast.Assign):
                    targets = [*node.targets]
                for name in map(ast.unparse, targets):
                    called = isinstance(node, ast.Call) and name in CALLS
                    if called or (isinstance(node, ast.Assign) and name.startswith(TARGETS)):
                        found.add(str(path.relative_to(ROOT)))
    assert found <= MAY_CHANGE.keys()


def test_a_folder_in_use_is_locked(tmp_path: Path) -> None:
    """As systemd-tmpfiles looks at it."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with in_use(str(tmp_path)), pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
