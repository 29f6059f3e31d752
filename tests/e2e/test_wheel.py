"""The wheel, installed into another folder: `el` works there without the checkout."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from runners import jars
from runners.local_stack import Stack

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "transforms", "runners", "el_beam")
El = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: a build leaves files beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "target")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "out", source)
    (built,) = (source / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def el(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> El:
    """Runs the `el` of the wheel, in a folder of its own, with the libraries that are installed."""
    site, home = tmp_path_factory.mktemp("a site"), tmp_path_factory.mktemp("home")
    pip("install", "--no-deps", "--no-index", "--target", site, wheel)
    environment = {**os.environ, "PYTHONPATH": str(site), "XDG_STATE_HOME": str(home)}
    environment.pop(jars.FOLDER, None)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([site / "bin" / "el", *arguments], cwd=home, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip

    where = "import el_beam, runners.jars as j; print(el_beam.__file__, j.built())"
    said = subprocess.run([sys.executable, "-c", where], cwd=home, env=environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert said.stdout == f"{site}/el_beam/__init__.py {jars.built()}\n"
    return run


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr


def test_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        inside = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in inside} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside
    ours = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    files = {str(path.relative_to(ROOT)) for path in ours
             if not {"__pycache__", "target"} & {*path.parts}}  # fmt: skip
    assert inside == files


def test_help_and_a_mistake(el: El) -> None:
    assert "el [-h] COMMAND" in el("--help").stdout
    wrong = el("stack", "up", "kafak")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


def test_a_run(el: El, tmp_path: Path) -> None:
    done = el("run", f"file:{ROOT}/examples/sample.log.gz", f"sqlite:{tmp_path}/events.db")
    assert not done.returncode, done.stderr
    rows = sqlite3.connect(tmp_path / "events.db").execute("SELECT COUNT(*) FROM Edit_17541122")
    assert rows.fetchone()[0]


def test_the_jars(el: El, tmp_path: Path) -> None:
    done = el("jars", "build", "--to", str(tmp_path / "jars"))
    assert done.stdout == f"{tmp_path}/jars\n", done.stderr
    found = {path.name for path in (tmp_path / "jars").iterdir()}
    assert {"flink-job-server-2.jar", "kafka-expansion-2.jar", "spark-job-server"} <= found
    shutil.rmtree(tmp_path / "jars")


def test_the_stack(el: El, tmp_path: Path) -> None:
    """It starts servers in any folder, says where they are, and leaves nothing of them."""
    assert "nothing was started" in el("stack", "status").stdout
    folder = tmp_path / "stack"
    there = ("--dir", str(folder))
    assert el("stack", "status", *there, "--json").stdout == "{}\n"
    up = el("stack", "up", *there, "kafka", "workers")
    assert up.returncode == 0, up.stderr
    try:
        status = json.loads(el("stack", "status", *there, "--json").stdout)
        assert set(status) == {"kafka", "workers"}
        assert [line.split() for line in up.stdout.splitlines()] == [[*it] for it in status.items()]
        admin = AdminClient({"bootstrap.servers": status["kafka"]})
        assert admin.list_topics(timeout=10).brokers
        exported = el("stack", "env", *there).stdout
        assert f"export KAFKA={status['kafka']}\n" in exported
        again = el("stack", "up", *there, "kafka")
        assert again.stdout.split() == ["kafka", status["kafka"]]
        table = el("stack", "status", *there).stdout
        assert f"pid {Stack(folder).kafka.process('kafka').pid}" in table
        assert "nothing was started" in el("stack", "status").stdout
    finally:
        down = el("stack", "down", *there, "--purge")
    assert sorted(down.stdout.split()) == ["kafka", "stopped", "stopped", "workers"]
    assert not folder.exists()
