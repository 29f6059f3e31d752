"""To add a sink takes one file, `toy_sink.py`: here is what it gets for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from el_beam.connectors import registry
from el_beam.uris import UriError
from graph_suite import GraphSuite
from toy_sink import TOY, ToyConnector

ROOT = Path(__file__).parents[2]


@pytest.fixture
def registered() -> Iterator[None]:
    registry.register(TOY)
    yield
    registry.unregister(TOY)


@pytest.mark.usefixtures("registered")
class TestToySink(GraphSuite):
    """The whole behaviour, written to the toy by two processes."""

    workers = 2
    scheme = same_files = "toy"

    def events_of(self, root: Path) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for path in sorted(root.glob("*.toy"))
            for line in path.read_bytes().splitlines()
        ]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nope:x", "there are jsonl: kafka: mysql: parquet: raw: sqlite: stdout: toy:"),
        ("toy:x?nope=1", "toy: has no parameter nope; there are suffix"),
        ("toy:", "write toy:FOLDER"),
    ],
)
def test_errors_list_what_exists(uri: str, message: str) -> None:
    with pytest.raises(UriError, match=message):
        registry.checked_uri("sink", uri)


@pytest.mark.usefixtures("registered")
def test_the_help_explains_it() -> None:
    rows = [" ".join(row.split()) for row in registry.help_table().splitlines()]
    assert "toy:FOLDER a file of JSON lines for each split" in rows
    assert "suffix= what the files' names end with, .toy by default" in rows


@pytest.mark.usefixtures("registered")
def test_a_scheme_has_one_connector() -> None:
    with pytest.raises(registry.BadConnector, match="there is a sink toy: already"):
        registry.register(ToyConnector())


def el(*arguments: str, package: Path) -> subprocess.CompletedProcess[str]:
    """`el` where another package is installed, which has the toy."""
    path = os.pathsep.join(map(str, (package, Path(__file__).parent, ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "el_beam.cli", *arguments], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def installed(folder: Path, names: str) -> Path:
    info = folder / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\ntoy = {names}\n")
    return folder


def test_the_command_finds_it_in_another_package(log: Path, tmp_path: Path) -> None:
    package = installed(tmp_path, "toy_sink:TOY")
    assert "  toy:FOLDER  " in el("run", "--help", package=package).stdout
    done = el("run", f"file:{log}", f"toy:{tmp_path}/out?suffix=.x", package=package)
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".x"]


def test_a_package_that_is_broken_is_named(log: Path, tmp_path: Path) -> None:
    package = installed(tmp_path, "toy_sink:NOPE")
    done = el("run", f"file:{log}", f"toy:{tmp_path}/out", package=package)
    assert done.returncode == 2
    assert "the connector toy (toy_sink:NOPE): " in done.stderr
