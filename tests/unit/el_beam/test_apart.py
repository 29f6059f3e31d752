"""Folders inside each other are refused before anything is read."""

import os
from pathlib import Path

import pytest

from el_beam import cli
from el_beam.books.folder import NestedFolders, check_apart


def el(*words: str) -> int:
    try:
        return cli.main(words)
    except SystemExit as error:
        return int(error.code or 0)


@pytest.mark.parametrize(
    ("words", "inner", "outer"),
    [
        (("parquet:D/el", "raw:D/el/raw"), "raw:D/el/raw", "parquet:D/el"),
        (("raw:D/el", "jsonl:D/el/x/y"), "jsonl:D/el/x/y", "raw:D/el"),
        (("parquet:D/el", "--errors", "jsonl:D/el/bad"), "jsonl:D/el/bad", "parquet:D/el"),
        (("parquet:D/el", "raw:D/link/raw"), "raw:D/link/raw", "parquet:D/el"),
        (("parquet:D/e/../el", "--state", "D/el/s"), "the state D/el/s", "parquet:D/e/../el"),
        (("parquet:D/s/el", "--state", "D/s"), "parquet:D/s/el", "the state D/s"),
        (("parquet:D/s", "--state", "D/s"), "the state D/s", "parquet:D/s"),
    ],
)  # fmt: skip
def test_in_one_call(
    words: tuple[str, ...], inner: str, outer: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "el").mkdir()
    (tmp_path / "link").symlink_to("el")
    (tmp_path / "log").write_text("x\n")
    here = [each.replace("D/", f"{tmp_path}/") for each in words]
    source = f"file:{tmp_path}/log"
    if "--state" in words:
        source, here = "kafka://127.0.0.1:1/?topics=a&group=g", [*here, "--once"]
    assert el("run", source, *here) == 2
    inner, outer = (each.replace("D/", f"{tmp_path}/") for each in (inner, outer))
    assert capsys.readouterr().err == (
        f"el run: {inner} is inside the folder of {outer}: give each its own, beside the other; "
        "one that is there already can be moved (docs/upgrade.md)\n"
    )
    assert [*(tmp_path / "el").iterdir()] == [] and not (tmp_path / "s").exists()


def test_an_archive_and_what_is_made_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = ("--from", "2019-03-10", "--to", "2019-03-10")
    assert el("backfill", "apply", f"{tmp_path}/el", f"parquet:{tmp_path}/el/p", *hours) == 2
    assert f"parquet:{tmp_path}/el/p is inside the folder of " in capsys.readouterr().err


def test_folders_of_the_same_name_are_beside_each_other(tmp_path: Path) -> None:
    """`el` and `el2`; and two kinds of files may share one."""
    (tmp_path / "log").write_text("x\n")
    sinks = (f"parquet:{tmp_path}/el", f"raw:{tmp_path}/el2", f"jsonl:{tmp_path}/el")
    assert el("run", f"file:{tmp_path}/log", *sinks, "--dry-run") == 0


def test_by_different_calls(tmp_path: Path) -> None:
    (tmp_path / "el/_ledger").mkdir(parents=True)
    for inner in ("el/raw", "el/a/b"):
        with pytest.raises(NestedFolders, match=f"{inner} is inside {tmp_path}/el, and"):
            check_apart(f"{tmp_path}/{inner}")
    with pytest.raises(NestedFolders, match=f"{tmp_path}/el is inside {tmp_path}, and"):
        check_apart(str(tmp_path))
    check_apart(f"{tmp_path}/el")
    check_apart(f"{tmp_path}/el2")
    (tmp_path / "link").symlink_to("el")
    with pytest.raises(NestedFolders, match=f"is inside {tmp_path}/el, and"):
        check_apart(f"{tmp_path}/link/raw")


def test_a_run_into_a_folder_inside_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "el/_ledger").mkdir(parents=True)
    (tmp_path / "log").write_text("x\n")
    assert el("run", f"file:{tmp_path}/log", f"raw:{tmp_path}/el/raw") == 2
    assert f"{tmp_path}/el/raw is inside {tmp_path}/el, and" in capsys.readouterr().err
    assert not (tmp_path / "el/raw").exists()


def test_what_is_made_again_into_a_folder_inside_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text('{"schema": "Edit"}\n')
    os.utime(tmp_path / "log", (1552201200, 1552201200))  # 2019-03-10T07
    run = (f"file:{tmp_path}/log", f"jsonl:{tmp_path}/el", f"raw:{tmp_path}/raw")
    assert el("run", *run, "--format", "json") == 0
    capsys.readouterr()
    hours = ("--from", "2019-03-10", "--to", "2019-03-10")
    sink = f"jsonl:{tmp_path}/el/inner"
    assert el("backfill", "apply", f"{tmp_path}/raw", sink, *hours) == 2
    assert f"{tmp_path}/el/inner is inside {tmp_path}/el, and" in capsys.readouterr().err
    assert el("bad", "replay", f"jsonl:{tmp_path}/el", sink, "--apply") == 2
    assert f"{tmp_path}/el/inner is inside {tmp_path}/el, and" in capsys.readouterr().err
    assert not (tmp_path / "el/inner").exists()
