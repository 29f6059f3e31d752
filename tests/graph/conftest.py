"""A log, its lines, and what must come of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from graph_suite import LINES, SAMPLE, plain_loop, read_all
from schemas.bad_event import BadEvent
from schemas.event import Event
from schemas.line_format import DEFAULT_FORMAT


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "beacon.log"
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:LINES]))
    return path


@pytest.fixture(scope="session")
def lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


@pytest.fixture(scope="session")
def expected(log: Path) -> list[Event | BadEvent]:
    return plain_loop(read_all(log), DEFAULT_FORMAT)
