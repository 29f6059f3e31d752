"""What is an orphan: a process that carries the mark of a submitter that has gone."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from runners import orphans

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.parametrize("tied", [True, False])
def test_what_outlives_its_starter_on_purpose_is_no_orphan(
    children: list[subprocess.Popen[bytes]], tied: bool
) -> None:
    """As the workers of a pool do: they end with their runner, not with the pool."""
    environment = orphans.environment(tied=tied)
    if tied:  # whose start is another one: it has gone
        environment[orphans.SUBMITTER] = environment[orphans.SUBMITTER].partition("@")[0] + "@1.0"
    child = subprocess.Popen(SLEEP, env=environment, stdout=subprocess.PIPE)
    children.append(child)
    assert child.stdout is not None and child.stdout.readline()
    assert (child.pid in {each.pid for each in orphans.orphans()}) == tied
    assert environment["PYTHONWARNINGS"] == "ignore" and environment["MALLOC_ARENA_MAX"]
