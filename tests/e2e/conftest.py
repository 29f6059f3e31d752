"""`el` in a process of its own, as people start it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from in_process import Called, call

ROOT = Path(__file__).parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `el` in a folder; its output goes to files `out` and `err` beside that."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent / "tmp")}
    (folder.parent / "tmp").mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    out, err = ((folder.parent / name).open("wb") for name in ("out", "err"))
    with out, err:
        return subprocess.Popen(
            [*EL, *arguments], cwd=folder, env=environment, stdout=out, stderr=err, **options
        )


def finished(folder: Path, process: subprocess.Popen[bytes]) -> Called:
    """Wait for what `start` has started. Its peak is looked at while it runs, as what the system
    tells afterwards has that of the process in it from which it was forked."""
    peak = 0
    while process.poll() is None:
        if found := re.search(
            r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()
        ):
            peak = int(found[1]) * 1024
        time.sleep(0.05)
    out, err = ((folder.parent / name).read_text() for name in ("out", "err"))
    return Called(process.returncode, out, err, peak)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of a module's tests; where `el` is started, unless they say."""
    folder = tmp_path_factory.mktemp("el") / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def el(home: Path) -> Callable[..., Called]:
    """Runs `el` to its end."""

    def run(*arguments: str, **options: Any) -> Called:
        return finished(home, start(home, *arguments, stdin=subprocess.DEVNULL, **options))

    return run


@pytest.fixture(scope="module")
def el_here(home: Path) -> Callable[..., Called]:
    """Runs `el` in this process."""
    return partial(call, folder=home)


@pytest.fixture(scope="module")
def el_started(home: Path) -> Callable[..., tuple[subprocess.Popen[bytes], Callable[[], Called]]]:
    """Starts `el`; gives the process, and a function that waits for it."""

    def begin(*arguments: str) -> tuple[subprocess.Popen[bytes], Callable[[], Called]]:
        process = start(home, *arguments, stdin=subprocess.PIPE)
        return process, lambda: finished(home, process)

    return begin


@pytest.fixture(scope="session")
def beacon() -> Callable[..., bytes]:
    """Makes a beacon's line of a capsule, or of the text of one."""

    def line(
        capsule: object,
        seq: object = 1,
        dt: str = "2019-03-10T07:00:00",
        agent: str = "Mozilla/5.0",
    ) -> bytes:
        text = capsule if isinstance(capsule, str) else quote(json.dumps(capsule))
        return f"?{text};\tcp1\t{seq}\t{dt}\t1.2.3.4\t{agent}".encode()

    return line
