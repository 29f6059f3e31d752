"""Processes forked from one that has imported what they need."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from el_beam.running.process import diverted
from runners.forkserver import Fork

SUBMITTER = """
import sys, time
from runners.forkserver import Fork
print(Fork(time.sleep, 600).pid, flush=True)
sys.stdin.read()
"""


def test_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As it is when it begins, not as it was for the first of them."""
    assert Fork(time.sleep, 0).wait(60) == 0
    monkeypatch.setenv("OF_A_FORK", "é")
    monkeypatch.chdir(tmp_path)
    reading, writing = os.pipe()
    fork = Fork(os.write, descriptors=(writing,))
    assert fork.wait(60) == 1  # os.write lacks what to write
    assert "TypeError" in capfd.readouterr().err
    assert Fork(os.system, "echo $OF_A_FORK $(pwd); echo err >&2").wait(60) == 0
    assert capfd.readouterr() == (f"é {tmp_path}\n", "err\n")
    os.close(writing)
    assert os.read(reading, 1) == b""  # nobody has kept it
    os.close(reading)


def test_descriptors_come_last() -> None:
    reading, writing = os.pipe()
    assert Fork(os.close, descriptors=(writing,)).wait(60) == 0
    assert os.write(writing, b".") == 1  # it was a copy
    for descriptor in (reading, writing):
        os.close(descriptor)


def warn() -> None:
    logging.getLogger("el_beam").warning("waiting for it: %s", "away")
    logging.getLogger("others").warning("never mind")


def test_what_it_says_is_for_people(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What libraries say isn't."""
    noise = tmp_path / "noise.log"
    with diverted(str(noise)):
        assert Fork(warn).wait(60) == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d  waiting for it: away\n", capfd.readouterr().err)
    assert "never mind" in noise.read_text()


@pytest.mark.parametrize(
    ("end", "code"), [(Fork.terminate, -signal.SIGTERM), (Fork.kill, -signal.SIGKILL)]
)
def test_it_is_ended(end: Callable[[Fork], None], code: int) -> None:
    fork = Fork(time.sleep, 600)
    assert fork.poll() is None
    assert fork.wait(0.05) is None
    end(fork)
    assert fork.wait(60) == fork.poll() == code
    assert not psutil.pid_exists(fork.pid)
    end(fork)  # again does no harm


def test_ctrl_c_is_not_for_it() -> None:
    fork = Fork(time.sleep, 600)
    os.kill(fork.pid, signal.SIGINT)
    os.kill(psutil.Process(fork.pid).ppid(), signal.SIGINT)
    assert fork.wait(0.3) is None
    fork.kill()
    assert fork.wait(60) == -signal.SIGKILL


def test_they_end_with_us() -> None:
    submitter = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert submitter.stdout
    fork = psutil.Process(int(submitter.stdout.readline()))
    server = fork.parent()
    assert server and server.ppid() == submitter.pid
    submitter.kill()
    submitter.wait()
    assert not psutil.wait_procs([fork, server], timeout=10)[1]


def test_who_forks_is_killed() -> None:
    """Those that it has forked are taken for dead, and are."""
    fork = Fork(time.sleep, 600)
    server = psutil.Process(fork.pid).parent()
    assert server
    server.kill()
    server.wait(10)
    assert fork.wait(60) == -signal.SIGKILL
    assert not psutil.wait_procs([psutil.Process(fork.pid)] if psutil.pid_exists(fork.pid) else [],
                                 timeout=10)[1]  # fmt: skip
    assert Fork(time.sleep, 0).wait(60) == 0  # by another


def test_what_it_is_given_may_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        monkeypatch.setenv(f"LARGE_{number}", "x" * 100_000)
    assert Fork(len, b"x" * 1_000_000).wait(60) == 0
