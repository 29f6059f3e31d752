"""README's first command, as a newcomer runs it: output, tables, Parquet and page."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from playwright.sync_api import sync_playwright

from schemas.bad_event import Reason

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
LINES, BAD = 10_000, 500
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What scripts/demo prints: from another folder, without a home, a terminal or a language.

    Run in place: a copy of the checkout would have to be installed anew."""
    bare = {"PATH": os.environ["PATH"]}
    elsewhere = tmp_path_factory.mktemp("some where")
    result = subprocess.run(
        [ROOT / "scripts" / "demo"], cwd=elsewhere, env=bare, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert all("setup-env:" in line for line in result.stderr.splitlines()), "a warning leaks"
    assert not list(elsewhere.iterdir())
    return result.stdout


@pytest.fixture(scope="module")
def database(demo: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(Path(demo.splitlines()[-1]).parent / "events.db")
    yield connection
    connection.close()


def test_the_last_line_is_the_page(demo: str) -> None:
    page = Path(demo.splitlines()[-1])
    assert page == ROOT / "demo-output" / "report.html"
    assert page.is_file()


def test_it_prints_what_people_may_see(demo: str) -> None:
    assert not CONTROLS.search(demo)
    assert re.search(r"^10,000 lines in [\d.]+ s .*: 9,500 valid, 500 bad$", demo, re.MULTILINE)
    assert re.search(r"^VirtualPageView_17780078 +1,265 +15$", demo, re.MULTILINE)
    assert re.search(r"^  bad_json: .+\n    \?\{", demo, re.MULTILINE), "an example of each reason"
    assert re.search(r"^enwiki +pageLoaded +83 +\d+ +\d+$", demo, re.MULTILINE)
    assert "\nSELECT wiki," in demo


def test_every_line_is_in_a_table(database: sqlite3.Connection) -> None:
    named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    counts = {
        name: database.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
        for (name,) in database.execute(named).fetchall()
    }
    assert counts["EventError_14035058"] == BAD
    assert sum(counts.values()) == LINES
    reasons = "SELECT DISTINCT event_reason FROM EventError_14035058"
    assert {reason for (reason,) in database.execute(reasons)} <= {each.value for each in Reason}


def test_every_line_is_in_parquet(demo: str) -> None:
    root = Path(demo.splitlines()[-1]).parent / "parquet"
    rows = {
        folder.name: ds.dataset(folder, format="parquet").count_rows()
        for folder in root.glob("[!_]*")
    }
    assert rows["EventError_14035058"] == BAD
    assert sum(rows.values()) == LINES


def test_its_pyarrow_example_works(demo: str) -> None:
    example = re.search(r'^\.venv/bin/python -c "(.*?)"$', demo, re.MULTILINE | re.DOTALL)
    assert example
    said = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "{'wiki': 'enwiki', 'count_all': 83}" in said.stdout


def test_its_duckdb_example_works(demo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    monkeypatch.chdir(ROOT)
    example = re.search(r"^In DuckDB:\n\n(.*?)\n\n", demo, re.MULTILINE | re.DOTALL)
    assert example
    with duckdb.connect() as connection:
        answer = dict(connection.execute(example[1]).fetchall())
    assert answer["enwiki"] == 83 - 17  # without the bots


def test_the_page_shows_it(demo: str) -> None:
    page_file = Path(demo.splitlines()[-1])
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(offline=True)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri(), wait_until="load")
        for folded in page.locator("summary").all():
            folded.click()
        assert page.get_by_text("10,000 read = 9,500 valid + 500 bad").is_visible()
        assert page.get_by_text("✓ balances").count() == 3  # the lines, and two sinks
        assert page.get_by_text("no known schema").first.is_visible()
        assert page.get_by_text("Chrome Mobile", exact=True).is_visible()
        assert page.get_by_text("An example").count() == page.locator(".example").count() > 10
        assert page.get_by_role("cell", name="enwiki").first.is_visible()
        browser.close()
    assert not complaints


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with odd characters that needs no installation."""
    folder = tmp_path / "a check,out [1] ${X} ?y=1"
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "demo", folder / "scripts")
    (folder / "scripts" / "setup-env").write_text("#!/bin/sh\n")
    (folder / "scripts" / "setup-env").chmod(0o755)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def demo_in(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / "demo"], capture_output=True, encoding="utf-8", timeout=300,
        check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_again_in_a_checkout_with_odd_characters(checkout: Path) -> None:
    started = time.monotonic()
    for _ in range(2):
        result = demo_in(checkout)
        assert result.returncode == 0, result.stdout
        assert "10,000   10,000" in result.stdout, "made anew: nothing is repeated"
        assert Path(result.stdout.splitlines()[-1]) == checkout / "demo-output" / "report.html"
    assert time.monotonic() - started < 60


def test_without_a_sample_it_says_so(checkout: Path) -> None:
    (checkout / "examples" / "sample.log.gz").unlink()
    result = demo_in(checkout)
    assert result.returncode == 2
    assert result.stdout == "el run: no file matches examples/sample.log.gz\n"
