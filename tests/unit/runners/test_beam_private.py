"""What we use of Beam's private members is as it was when it was read."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import time
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import apache_beam
import pytest
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.runners.worker.statesampler import StateSampler
from apache_beam.utils.counters import CounterFactory

from runners import worker_pool
from runners.beam_private import SOURCES

ROOT = Path(__file__).parents[3]
PRIVATE = re.compile(
    r"\._(?:DONE_MARKER|artifacts_dir|futures_by_id|job_port|worker_manager|workers_by_id)\b"
    r"|__defaults__"
)


@pytest.mark.parametrize("where", SOURCES)
def test_beam_is_as_it_was_read(where: str) -> None:
    module, _, name = where.partition(":")
    source = inspect.getsource(attrgetter(name)(import_module(module)))
    found = hashlib.sha256(source.encode()).hexdigest()[:12]
    assert found == SOURCES[where], (
        f"{where} is another one in apache-beam {apache_beam.__version__}: read it, and what "
        "runners/ makes of it; then put the new digest there"
    )


def test_private_members_are_used_in_one_file() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("el_beam", "runners", "transforms")
        for path in (ROOT / package).rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8").replace("self._", ""))
    }
    assert found == {"runners/beam_private.py"}


def test_a_bundle_does_not_wait_for_its_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a worker. Beam's own period is a fifth of a second, at the end of a long bundle."""
    found: list[float] = []

    def run(_: SdkHarness) -> None:
        sampler = StateSampler("stage", CounterFactory())
        sampler.start()
        time.sleep(0.02)
        sampler.stop()
        found.append(sampler.sampling_period_ms)

    monkeypatch.setattr(StateSampler.__init__, "__defaults__", StateSampler.__init__.__defaults__)
    monkeypatch.setattr(SdkHarness, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(SdkHarness, "run", run)
    monkeypatch.setattr(worker_pool, "collect_seldom", lambda: None)
    with Path(os.devnull).open("wb") as begun:
        worker_pool.work("localhost:1", "1", begun.fileno())
    assert found == [5]
