"""A log, its lines, and what must come of them."""

import gzip
from pathlib import Path

import pytest

from graph_suite import LINES, SAMPLE, plain_loop, read_all
from schemas.bad_event import BadEvent
from schemas.event import Event
from schemas.line_format import DEFAULT_FORMAT


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another runner has shown, unless all of it is asked for on every runner."""
    if config.getoption("--every-runner"):
        return
    repeated = [item for item in items if _is_shown_elsewhere(item)]
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if item not in repeated]


def _is_shown_elsewhere(item: pytest.Item) -> bool:
    suite = getattr(item, "cls", None)
    name = getattr(item, "originalname", "")
    return suite is not None and name in getattr(suite, "shown_elsewhere", ())


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
