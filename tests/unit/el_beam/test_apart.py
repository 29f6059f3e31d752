"""Folders inside each other are refused before anything is read."""

import os
from itertools import permutations
from pathlib import Path

import pytest

from el_beam import cli
from el_beam.books.folder import NestedFolders, check_apart, check_kind
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, event_error
from schemas.event import Origin, RawLine
from schemas.registry import open_registry
from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
from transforms.write.files import Encoding, FileSink, publish

ENCODINGS: dict[str, Encoding] = {
    "parquet": ParquetEncoding(open_registry(None)),
    "jsonl": JsonLinesEncoding(),
    "raw": RawEncoding(),
}
BAD = Stage.PARSE, Reason.BAD_JSON, "x"


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
    """`el` and `el2`."""
    (tmp_path / "log").write_text("x\n")
    sinks = (f"parquet:{tmp_path}/el", f"raw:{tmp_path}/el2", f"jsonl:{tmp_path}/el3")
    assert el("run", f"file:{tmp_path}/log", *sinks, "--dry-run") == 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("parquet:D/el", "jsonl:D/el"),
        ("parquet:D/el", "raw:D/./x/../el/"),
        ("raw:D/el", "jsonl:D/link"),
        ("jsonl:D/el", "jsonl:D//el"),
        ("parquet:hdfs://127.0.0.1:1/el", "raw:hdfs://127.0.0.1:1//x/../el/"),
        ("parquet:D/el", "--errors=jsonl:D/el"),
    ],
)
def test_two_kinds_of_files_in_one_folder(
    first: str, second: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "el").mkdir()
    (tmp_path / "link").symlink_to("el")
    (tmp_path / "log").write_text("x\n")
    sinks = [each.replace("D/", f"{tmp_path}/") for each in (first, second)]
    assert el("run", f"file:{tmp_path}/log", *sinks) == 2
    shown = [sink.removeprefix("--errors=").rstrip("/") for sink in sinks]
    assert capsys.readouterr().err == (
        f"el run: {shown[1]} and {shown[0]} are one folder: give each its own, beside the other\n"
    )
    assert [*(tmp_path / "el").iterdir()] == []


@pytest.mark.parametrize("schemes", permutations(["parquet", "jsonl", "raw"], 2))
def test_two_kinds_of_files_by_different_calls(
    schemes: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, other = schemes
    origin = Origin("file", "/a.log", 0, 1_552_201_200.0, "a-0")
    sink = FileSink(there, f"{tmp_path}/el", ENCODINGS[there], "job")
    bundle = sink.bundle()
    bundle.add(EVENT_ERROR, event_error(BadEvent(RawLine(b"x", origin), *BAD)))
    publish([receipt.file for receipt in bundle.commit() if receipt.file])
    (tmp_path / "el/_ledger").mkdir()
    for name in ("_OTHER", "notes_1", "year=x"):
        (tmp_path / "el" / name).touch()
    (tmp_path / "log").write_text("x\n")
    assert el("run", f"file:{tmp_path}/log", f"{other}:{tmp_path}/el/../el") == 2
    assert f"/el has files {sink.ending}, and this sink's are ." in capsys.readouterr().err
    check_kind(f"{tmp_path}/el", sink.ending)


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
