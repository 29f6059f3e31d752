"""What the el_beam of d61c54f has left (format 1) is read, gone on with, compacted and purged.

Its increments go on in tests/integration/test_old_increments.py, for they need a broker."""

import json
from pathlib import Path

import pytest
from old_folders import unpack

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import enter_state, read_ledger
from el_beam.books.ledger.model import Ledger
from el_beam.books.state.state import State, show
from el_beam.cli import main
from transforms.write.encodings import RawEncoding
from transforms.write.files import FileSink

HOURS = ("--from", "2019-03-10T07", "--to", "2019-03-10T08")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return unpack(tmp_path)


def el(*words: str | Path) -> None:
    assert main([*map(str, words)]) == 0


def look(root: Path) -> Ledger:
    ledger = read_ledger(str(root))
    compare(ledger, content=True)
    return ledger


def balanced(root: Path) -> dict[str, int]:
    """The totals of a folder in which nothing is wrong."""
    ledger = look(root)
    assert ledger.troubles == []
    return ledger.totals


@pytest.mark.parametrize(
    ("folder", "rows", "files"),
    [
        ("bounded/parquet", 11, 6), ("bounded/jsonl", 11, 6), ("bounded/raw", 11, 4),
        ("compacted/parquet", 11, 4), ("purged/parquet", 9, 4), ("import/parquet", 11, 6),
        ("import/raw", 11, 5), ("backfilling/raw", 11, 4), ("backfilling/parquet", 11, 6),
        ("decided/parquet", 6, 3), ("intended/raw", 6, 2),
    ],
)  # fmt: skip
def test_ledgers_are_read(old: Path, folder: str, rows: int, files: int) -> None:
    totals = balanced(old / folder)
    assert (totals["rows"], totals["files"]) == (rows, files)
    assert totals["read"] == (6 if folder.startswith(("decided", "intended")) else 11)


@pytest.mark.parametrize("folder", ["bounded", "import", "compacting", "compacted"])
def test_compaction_goes_on(old: Path, folder: str) -> None:
    root = old / folder / "parquet"
    if folder == "compacting":
        assert {each.kind for each in look(root).troubles} == {"lost", "unknown"}
    el("compact", root)
    totals = balanced(root)
    assert (totals["rows"], totals["read"], totals["files"]) == (11, 11, 4)


@pytest.mark.parametrize("folder", ["bounded", "compacted", "purged", "compacting"])
def test_purge(old: Path, folder: str) -> None:
    root = old / folder / "parquet"
    el("purge", root, "--older-than", "90d", "--keep", old / "keep.yaml", "--yes")
    assert balanced(root)["rows"] == 9
    assert not [*(root / "_replaced").glob("purge-*")]


def test_a_backfill_goes_on(old: Path) -> None:
    """The plan is the one that was half done; its hour of then stays as it is."""
    root = old / "backfilling/parquet"
    (plan,) = (root / "_ledger").glob("plan-*.json")
    before = {path for path in root.glob("*/**/hour=07/*.parquet") if "_replaced" not in str(path)}
    el("backfill", "apply", old / "backfilling/raw", f"parquet:{root}", *HOURS)
    assert (root / "_ledger" / plan.name.replace(".json", ".done.json")).exists()
    assert len([*(root / "_ledger").glob("plan-*.json")]) == 2
    name = plan.stem.removeprefix("plan-")
    files = {path for path in root.glob("*/**/*.parquet") if "_replaced" not in str(path)}
    assert before < files
    assert all(path.name.startswith(name) for path in files)
    totals = balanced(root)
    assert (totals["rows"], totals["read"]) == (11, 11)


def test_a_backfill_of_all_that_was_written(old: Path) -> None:
    root = old / "bounded/parquet"
    el("backfill", "apply", old / "bounded/raw", f"parquet:{root}", *HOURS)
    totals = balanced(root)
    assert (totals["rows"], totals["read"]) == (11, 11)


def test_a_run_that_died_is_given_up(old: Path) -> None:
    root = old / "naming/jsonl"
    (note,) = (root / "_ledger").glob("naming-*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"at": 0.0}))  # long ago
    assert {each.kind for each in look(root).troubles} == {"unfinished", "unknown"}
    assert main(["ledger", str(root), "--put-away"]) == 0
    assert balanced(root)["rows"] == 6


def test_states_are_read(old: Path) -> None:
    (shown,) = show(State(f"{old}/import/state"))["topics"]
    assert (shown["number"], shown["offsets"], shown["pending"]) == (2, {"0": 11}, None)
    (shown,) = show(State(f"{old}/decided/state"))["topics"]
    assert (shown["offsets"], shown["pending"]["records"]) == ({"0": 6}, 5)
    assert shown["pending"]["decided"]
    (shown,) = show(State(f"{old}/intended/state"))["topics"]
    assert not shown["pending"]["decided"]


def test_an_import_is_noted_once(old: Path) -> None:
    """Else its commits would count twice."""
    root = old / "import/raw"
    before = {path: json.loads(path.read_text()) for path in (root / "_ledger").glob("state-*")}
    sink = FileSink("raw", str(root), RawEncoding(), "job")
    enter_state([sink], f"{old}/import/state")
    assert {*(root / "_ledger").glob("state-*")} == {*before}
    assert balanced(root)["read"] == 11
