"""The line that says how far a job is."""

import re
import time
from pathlib import Path

import pytest

from el_beam.terminal import console
from transforms.progress import Progress, ProgressFile, progress, progress_file


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LOG_EVERY", 0.05)


def test_how_far_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console.watching(str(tmp_path), lambda: "ending"):
        time.sleep(0.12)
        ours = ProgressFile(str(tmp_path))
        for number in range(2 * 4096):
            ours.one(bad=number % 4 == 0)
        time.sleep(0.12)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "under way   0 s   ending"
    rate = re.fullmatch(r"read 8,192   valid 6,144   bad 2,048   ([\d,]+) lines/s   0 s   ending",
                        last)  # fmt: skip
    assert rate and int(rate[1].replace(",", "")) > 10_000


def test_how_far_files_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with console.watching(str(tmp_path)):
        workers = [progress_file(str(tmp_path), "attempt") for _ in range(2)]
        for _ in range(16):
            workers[0].wrote()
            workers[1].wrote()
        time.sleep(0.12)
        ours = ProgressFile(str(tmp_path), to_name=33)
        for _ in range(33):
            ours.named()
        time.sleep(0.12)
    told = [line.partition("   0 s")[0] for line in capsys.readouterr().err.splitlines()]
    assert [*dict.fromkeys(told)] == [
        "under way   files written 32", "under way   files named 33 of 33"
    ]  # fmt: skip


def test_each_job_begins_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one folder, however many increments there are."""
    for _ in range(2):
        ours = ProgressFile(str(tmp_path))
        for _ in range(4096):
            ours.one(bad=False)
    assert progress(str(tmp_path)) == Progress(8192)
    with console.watching(str(tmp_path)):
        time.sleep(0.12)
    assert {*capsys.readouterr().err.splitlines()} == {"under way   0 s"}
    assert not [*tmp_path.iterdir()]


def test_what_is_for_watchers_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with console.live(lambda: "next increment in 9 s", logs=False):
        time.sleep(0.12)
    assert not capsys.readouterr().err
