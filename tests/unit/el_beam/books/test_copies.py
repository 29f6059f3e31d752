"""What may be the only copy of an event or a line is never put away."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from el_beam.books.ledger.accepted import accept
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing, finish, prepare, put_away_untracked
from el_beam.books.ledger.entries import enter_run, naming, read_ledger
from el_beam.books.ledger.model import Change, Ledger
from schemas.registry import open_registry
from transforms.counts.summary import Summary
from transforms.layout import ARCHIVE, JSON_LINES, PARQUET
from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
from transforms.write.files import Encoding, FileSink
from transforms.write.sink import NewFile, Receipt

HOUR = "year=2019/month=03/day=10/hour=07"
ENCODINGS: dict[str, Encoding] = {
    PARQUET: ParquetEncoding(open_registry(None)),
    JSON_LINES: JsonLinesEncoding(),
    ARCHIVE: RawEncoding(),
}


class Folder:
    """A sink's folder with files of some kind; rows are known by letters."""

    def __init__(self, root: Path, ending: str) -> None:
        self.root, self.ending = root, ending
        self.sink = FileSink("parquet", str(root), ENCODINGS[ending], "job")
        self.hour = root / ("" if ending == ARCHIVE else "Edit_1") / HOUR

    def file(self, name: str, rows: str) -> Path:
        path = self.hour / f"{name}{self.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.ending == JSON_LINES:
            lines = (json.dumps({"uuid": each if each != "?" else None}) for each in rows)
            path.write_bytes(gzip.compress("\n".join(lines).encode() + name.encode() * 0))
        elif self.ending == PARQUET:
            uuids = [each if each != "?" else None for each in rows]
            pq.write_table(pa.table({"uuid": uuids, "of": [name] * len(rows)}), path)
        else:
            count = len(rows)
            pq.write_table(
                pa.table({
                    "line": [each.encode() for each in rows], "kind": ["kafka"] * count,
                    "name": ["raw/0"] * count, "offset": [*map(ord, rows)],
                    "receipt": [float(len(name))] * count,
                }),
                path,
            )  # fmt: skip
        return path

    def receipt(self, path: Path) -> Receipt:
        content = path.read_bytes()
        new = NewFile(f"{self.root}/_temporary/{path.name}", str(path), "2019-03-10T07",
                      hashlib.sha256(content).hexdigest())  # fmt: skip
        return Receipt(str(self.sink), "a", "Edit", 1, str(path), 3, 3,
                       size=len(content), file=new)  # fmt: skip

    def ran(self, *paths: Path) -> None:
        files = {path.name: self.receipt(path) for path in paths}
        enter_run([self.sink], "file:a", {"a": Summary(3 * len(files), files=files)})

    def put_away(self) -> list[str]:
        return put_away_untracked(str(self.root), lambda _: True)

    def look(self) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger)
        return ledger


@pytest.fixture(params=[PARQUET, JSON_LINES, ARCHIVE])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    return Folder(tmp_path / "out", request.param)


def test_rows_that_are_elsewhere(folder: Folder) -> None:
    """Even if they are in several files, and the files have other bytes."""
    folder.ran(folder.file("a", "abc"), folder.file("b", "def"))
    stray = folder.file("stray", "bce")
    assert folder.put_away() == []
    assert not stray.exists() and folder.look().troubles == []


@pytest.mark.parametrize("rows", ["abx", "x"])
def test_rows_that_are_nowhere_else_stay(folder: Folder, rows: str) -> None:
    folder.ran(folder.file("a", "abc"))
    stray = folder.file("stray", rows)
    (why,) = folder.put_away()
    assert stray.exists() and f"{stray} stays, for nothing else here has 1 of its rows" in why
    assert f"`el ledger {folder.root} --accept " in why
    (trouble,) = folder.look().troubles
    assert trouble.kind == "unknown"
    accept(folder.look(), trouble.what, "a colleague's")
    assert folder.look().troubles == [] and folder.put_away() == [] and stray.exists()


def test_two_unknown_files_are_no_proof_of_each_other(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    strays = [folder.file(name, "xyz") for name in ("one", "two")]
    assert len(folder.put_away()) == 2
    assert all(each.exists() for each in strays)


def test_rows_of_another_hour_or_table_are_no_proof(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    stray = folder.file("stray", "cab")
    other = folder.root / "Other_1" / HOUR / stray.name
    other.parent.mkdir(parents=True)
    stray.rename(other)
    assert len(folder.put_away()) == 1 and other.exists()


def test_what_nobody_can_read_stays(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    stray = folder.hour / f"stray{folder.ending}"
    stray.write_bytes(b"garbage")
    (why,) = folder.put_away()
    assert stray.exists() and "nobody can read it" in why


def test_what_is_not_of_events_stays(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    other = folder.root / "notes/why.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")
    (why,) = folder.put_away()
    assert other.exists() and f"{other} is not a file of events" in why


def test_a_lost_file_under_another_name(folder: Folder) -> None:
    """Its digest is in the books, but it is the only one."""
    path = folder.file("a", "abc")
    folder.ran(path)
    moved = path.rename(path.with_name(f"moved{folder.ending}"))
    (why,) = folder.put_away()
    below = path.relative_to(folder.root)
    assert moved.exists()
    assert why == f"{moved} is the {below} that is missing or damaged: move it to there"
    moved.rename(path)
    assert folder.put_away() == [] and folder.look().troubles == []


@pytest.mark.parametrize("replaced", [False, True])
def test_a_copy_of_what_is_damaged_stays(folder: Folder, replaced: bool) -> None:
    """The listed file has its size, but nobody knows its rows any more: nor those of what took
    its place."""
    path = folder.file("a", "abc")
    folder.ran(path)
    copy = folder.hour / f"copy{folder.ending}"
    shutil.copy(path, copy)
    if replaced:
        new = folder.file("new", "abc")
        (folder.root / "_temporary").mkdir()
        with changing(str(folder.root)) as change:
            receipt = folder.receipt(new)
            summary, below = Summary(files={"new": receipt}), str(path.relative_to(folder.root))
            prepare(Change("c", "again", summary, {}, (below,)), change)
            finish("c", change)
        path = new
    size = path.stat().st_size
    path.write_bytes(bytes(size))
    (why,) = folder.put_away()
    assert copy.exists() and (replaced or "missing or damaged: move it to there" in why)


def test_folders_inside_stay_as_they_are(folder: Folder) -> None:
    """A sink's of the same events, and a state: none of their files is put away, one by one or
    all; where they were moved nothing of them lacks."""
    folder.ran(folder.file("a", "abc"))
    inner = Folder(folder.root / "deep/inner", folder.ending)
    inner.ran(inner.file("a", "abc"), inner.file("b", "x"))
    beat = folder.root / "state/lease/00000001.json"
    beat.parent.mkdir(parents=True)
    beat.write_text("{}")
    before = {path for path in folder.root.rglob("*") if "_ledger/lease" not in str(path)}
    assert folder.put_away() == [] and before <= {*folder.root.rglob("*")}
    troubles = [(each.kind, each.what) for each in folder.look().troubles]
    assert troubles == [("nested", "deep/inner"), ("nested", "state")]
    assert f"{folder.root}/deep/inner is a folder of its own" in folder.look().troubles[0].sentence
    for each in ("deep/inner", "state"):
        (folder.root / each).rename(folder.root.parent / Path(each).name)
    assert folder.look().troubles == []
    moved = read_ledger(str(folder.root.parent / "inner"))
    compare(moved, content=True)
    assert moved.troubles == [] and moved.totals["files"] == 2


def test_a_folder_inside_may_be_accepted(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    inner = Folder(folder.root / "inner", folder.ending)
    inner.ran(inner.file("a", "abc"))
    accept(folder.look(), "inner", "its readers can't follow")
    assert folder.look().troubles == []


def test_files_of_a_run_that_died_stay_with_its_note(folder: Folder) -> None:
    folder.ran(folder.file("a", "abc"))
    left = folder.file("b", "xyz")
    new = NewFile(f"{folder.root}/_temporary/x", str(left), "2019-03-10T07", "")
    with pytest.raises(KeyboardInterrupt), naming([new]):
        raise KeyboardInterrupt
    (note,) = (folder.root / "_ledger").glob("naming-*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"at": 0.0}))  # long ago
    assert len(folder.put_away()) == 1 and left.exists() and note.exists()
    shutil.copy(left, folder.hour / f"again{folder.ending}")
    folder.ran(folder.hour / f"again{folder.ending}", folder.hour / f"a{folder.ending}")
    assert folder.put_away() == [] and not left.exists() and not note.exists()


def test_a_row_without_a_uuid_is_found_nowhere(tmp_path: Path) -> None:
    for ending in (PARQUET, JSON_LINES):
        folder = Folder(tmp_path / ending, ending)
        folder.ran(folder.file("a", "abc?"))
        stray = folder.file("stray", "a??")
        assert len(folder.put_away()) == 1 and stray.exists()
