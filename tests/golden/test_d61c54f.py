"""What the el_beam of d61c54f has left (format 1) is read, gone on with, compacted and purged.

Its increments go on in tests/integration/test_old_increments.py, for they need a broker."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_files import deaths
from old_folders import unpack

from el_beam.books.imports import ImportLog, logs
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import enter_state, read_ledger
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import Entry, Ledger, LedgerFile
from el_beam.books.ledger.upgrade import adopt
from el_beam.books.state.acts import show
from el_beam.books.state.state import State
from el_beam.cli import main
from schemas.registry import open_registry
from transforms.read.offsets import OffsetRange
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding, RawEncoding
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


def test_a_backfill_of_what_was_compacted_meanwhile_is_planned_anew(old: Path) -> None:
    """The files that the killed one was to read are gone."""
    root = old / "backfilling/parquet"
    el("compact", old / "backfilling/raw")
    el("backfill", "apply", old / "backfilling/raw", f"parquet:{root}", *HOURS)
    assert balanced(root)["rows"] == 11


def test_a_backfill_of_all_that_was_written(old: Path) -> None:
    root = old / "bounded/parquet"
    el("backfill", "apply", old / "bounded/raw", f"parquet:{root}", *HOURS)
    totals = balanced(root)
    assert (totals["rows"], totals["read"]) == (11, 11)


def test_what_a_run_has_left_that_died_stays(old: Path) -> None:
    """Its files may be the only ones with these events."""
    root = old / "naming/jsonl"
    (note,) = (root / "_ledger").glob("naming-*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"at": 0.0}))  # long ago
    assert {each.kind for each in look(root).troubles} == {"unfinished", "unknown"}
    before = set(root.rglob("*.jsonl.gz"))
    assert main(["ledger", str(root), "--put-away"]) == 1
    assert set(root.rglob("*.jsonl.gz")) == before
    assert {each.kind for each in look(root).troubles} == {"unfinished", "unknown"}


def test_states_are_read(old: Path) -> None:
    (shown,) = show(State(f"{old}/import/state"))["topics"]
    assert (shown["number"], shown["offsets"], shown["pending"]) == (2, {"0": 11}, None)
    (shown,) = show(State(f"{old}/decided/state"))["topics"]
    assert (shown["offsets"], shown["pending"]["records"]) == ({"0": 6}, 5)
    assert shown["pending"]["decided"]
    (shown,) = show(State(f"{old}/intended/state"))["topics"]
    assert not shown["pending"]["decided"]


def adopted(folder: Path, wrong: str = "") -> State:
    """The folders of an import get the books that newer versions keep there. This is `wrong`."""
    state = State(f"{folder}/state")
    encodings = {"raw": RawEncoding(), "parquet": ParquetEncoding(open_registry(None))}
    sinks = [FileSink(name, f"{folder}/{name}", encoding, "job")
             for name, encoding in encodings.items()]  # fmt: skip

    def logs_of(topic: str, topic_id: str) -> dict[str, ImportLog]:
        found = (ImportLog.of(sink, Choice(), "cluster", topic, topic_id, put) for sink in sinks)
        return {log.key: log for log in found}

    enter_state(sinks, state)
    found = adopt(state, "cluster", sinks, logs_of)
    assert [bool(re.search(wrong, text)) for text in found.values()] == [True] * bool(wrong)
    return state


def looks(root: Path) -> list[tuple[Entry, list[LedgerFile]]]:
    """What each entry says, whatever its sink is called now, and itself."""
    ledger = look(root)
    assert ledger.troubles == []
    return [(replace(entry, files=(), sink=None, id=""), sorted(entry.files))
            for entry in ledger.entries]  # fmt: skip


@pytest.mark.parametrize("name", ["parquet", "raw"])
def test_an_import_is_adopted(old: Path, name: str) -> None:
    """Its commits count once, also where it is adopted again, and its offsets are known."""
    root = old / "import" / name
    totals, entries = balanced(root), looks(root)
    for _ in range(2):
        adopted(old / "import")
        assert (balanced(root), looks(root)) == (totals, entries)
        (log,) = logs(str(root))
        assert [(each.number, each.ranges) for each in log.entries()] == [
            (1, (OffsetRange(0, 0, 6),)), (2, (OffsetRange(0, 6, 11),))
        ]  # fmt: skip
        last = log.last()
        assert last and last.held == (OffsetRange(0, 0, 11),)
    State(f"{old}/import/state").upgrade()
    adopted(old / "import")
    shutil.rmtree(old / "import/state")
    assert balanced(root) == totals, "nobody needs the state any more to know what is there"


def test_a_commit_that_is_refused_is_named_and_stops_nobody(old: Path) -> None:
    """One whose files would be outside of their folder. Put right, it is adopted."""
    (commit,) = (old / "import/state/topics").rglob("00000001.commit.json")
    before = commit.read_text()
    commit.write_text(before.replace("/hour=07/", "/hour=07/../../../../../../../"))
    adopted(old / "import", wrong=r"00000001\.commit\.json is damaged, .* leads out of its folder")
    commit.write_text(before)
    adopted(old / "import")
    balanced(old / "import/parquet")
    assert [len([*log.entries()]) for log in logs(f"{old}/import/parquet")] == [2]


def test_an_import_that_was_killed_is_adopted(old: Path) -> None:
    """As far as it was committed; its decided increment still waits."""
    for folder in ("decided", "intended"):
        for name in ("parquet", "raw"):
            before = balanced(old / folder / name)
            state = adopted(old / folder)
            assert balanced(old / folder / name) == before
            (topic,) = state.topics()
            manifest = state.topic(topic).pending()[1]
            assert (manifest is not None) == (folder == "decided")


def test_an_import_dies_while_it_is_adopted(old: Path, tmp_path: Path) -> None:
    """At whichever operation on files: its commits count once, then and at last."""
    totals = balanced(old / "import/parquet")

    def copied(number: int) -> str:
        root = str(tmp_path / f"at{number}")
        shutil.copytree(old / "import", root)
        for path in Path(root).rglob("*.json*"):
            path.write_text(path.read_text().replace(f"{old}/import", root))
        return root

    number = 0
    for root in deaths(copied, lambda root: adopted(Path(root))):
        number += 1
        assert balanced(Path(root, "parquet")) == totals
        adopted(Path(root))
        assert balanced(Path(root, "parquet")) == totals
    assert number > 20


@pytest.mark.parametrize(("work", "rows", "files"), [("compact", 11, 4), ("purge", 10, 5)])
def test_what_was_adopted_is_changed(old: Path, work: str, rows: int, files: int) -> None:
    root = old / "import/parquet"
    adopted(old / "import")
    if work == "compact":
        el("compact", root)
    else:
        el("purge", root, "--older-than", "90d", "--keep", old / "keep.yaml", "--yes")
    totals = balanced(root)
    assert (totals["rows"], totals["read"], totals["files"]) == (rows, 11, files)
