"""Compaction: the same rows in fewer files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from el_beam.changes import changing
from el_beam.compact import Compacted, closed, compact, hours
from el_beam.ledger import Ledger, Part, compare, enter_run, read_ledger
from el_beam.summary import HourKey, Summary
from schemas.registry import open_registry
from transforms.write.encodings import ParquetEncoding, parquet
from transforms.write.files import FileSink
from transforms.write.receipt import NewFile, Receipt

HOUR = "2019-03-10T07"
FOLDER = "Edit_1/year=2019/month=03/day=10/hour=07"


class Folder:
    """A table of one hour, in files of rows that a run seems to have written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sink = FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")

    def write(self, split: str, table: pa.Table) -> None:
        path = self.root / FOLDER / f"{split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = parquet(table)
        path.write_bytes(content)
        new = NewFile(f"t-{split}", str(path), HOUR, hashlib.sha256(content).hexdigest())
        receipt = Receipt(str(self.sink), split, "Edit", 1, str(path), table.num_rows,
                          table.num_rows, size=len(content), file=new)  # fmt: skip
        counts = {HourKey(HOUR, "Edit_1", ""): table.num_rows}
        enter_run([self.sink], split, Summary(table.num_rows, 0, counts, files={"t": receipt}))

    def ledger(self) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger

    def compact(self, large: int = 10**9) -> Compacted:
        with changing(str(self.root)) as lease:
            found = hours(self.ledger(), large=large)
            return compact(str(self.root), found[0], lease, large=large) if found else Compacted()

    def rows(self) -> list[list[dict[str, Any]]]:
        """Of each file."""
        return [pq.read_table(path, partitioning=None).to_pylist()
                for path in sorted((self.root / FOLDER).iterdir())]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def events(*numbers: int, **more: list[Any]) -> pa.Table:
    return pa.table({
        "dt": [f"2019-03-10T07:{number % 60:02}:00Z" for number in numbers],
        "uuid": [f"uuid-{number}" for number in numbers],
        "event": [{"action": f"a{number}", "list": [number]} for number in numbers],
        **more,
    })  # fmt: skip


def test_few_of_many(folder: Folder) -> None:
    folder.write("a", events(5, 3))
    folder.write("b", events(4, 1))
    folder.write("c", events(2))
    assert folder.compact() == Compacted(1)
    (rows,) = folder.rows()
    assert [row["uuid"] for row in rows] == [f"uuid-{number}" for number in (1, 2, 3, 4, 5)]
    assert [row["event"]["list"] for row in rows] == [[1], [2], [3], [4], [5]]
    ledger = folder.ledger()
    (file,) = ledger.files.values()
    assert file.of == (Part("a", HOUR), Part("b", HOUR), Part("c", HOUR))
    assert [(each.valid, each.rows, each.files) for each in ledger.hours()] == [(5, 5, 1)]
    before = file.path
    assert folder.compact() == Compacted()
    assert [*folder.ledger().files] == [before], "there is nothing left to do"


def test_repeats(folder: Folder) -> None:
    """Within a file, between two, and with one that stays as it is."""
    for split, numbers in (("a", (1, 2)), ("b", (2, 3, 3)), ("c", (4, 1)), ("d", (5, 4))):
        folder.write(split, events(*numbers))
    sizes = [file.size for file in sorted(folder.ledger().files.values())]
    assert folder.compact(large=sizes[0] + sizes[1]) == Compacted(2, repeated=4)
    first, second = folder.rows()
    assert [row["uuid"] for row in first] == ["uuid-1", "uuid-2", "uuid-3"]
    assert [row["uuid"] for row in second] == ["uuid-4", "uuid-5"]


def test_columns_that_only_some_have(folder: Folder) -> None:
    folder.write("a", events(1))
    folder.write("b", events(2, later=["x"]))
    folder.compact()
    assert [row["later"] for row in folder.rows()[0]] == [None, "x"]


def test_a_column_of_two_types_is_left_as_it_is(folder: Folder) -> None:
    folder.write("a", events(1, odd=[1]))
    folder.write("b", events(2, odd=["x"]))
    before = folder.rows()
    assert "odd has incompatible types" in folder.compact().problem
    assert folder.rows() == before


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=6),
       st.integers(1, 12_000))  # fmt: skip
def test_no_row_is_lost_and_none_is_new(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], large: int
) -> None:
    folder = Folder(tmp_path_factory.mktemp("compact"))
    for place, numbers in enumerate(files):
        folder.write(f"s{place}", events(*numbers))
    folder.compact(large)
    rows = [row["uuid"] for file in folder.rows() for row in file]
    assert {*rows} == {f"uuid-{number}" for numbers in files for number in numbers}
    if large >= 12_000:
        assert len(folder.rows()) == 1


def test_raw_lines(folder: Folder) -> None:
    def lines(*offsets: int) -> pa.Table:
        return pa.table({
            "line": [b"\xff%d" % each for each in offsets], "kind": ["kafka"] * len(offsets),
            "name": ["raw/0"] * len(offsets), "offset": [*offsets],
            "receipt": [1.5 + each for each in offsets],
        })  # fmt: skip

    folder.write("a", lines(7, 8))
    folder.write("b", lines(5, 8))
    assert folder.compact().repeated == 1
    assert [row["offset"] for row in folder.rows()[0]] == [5, 7, 8]


@pytest.mark.parametrize(("minutes", "is_closed"), [(59, False), (119, False), (120, True)])
def test_closed(minutes: int, is_closed: bool) -> None:
    now = datetime(2019, 3, 10, 8, tzinfo=UTC) + timedelta(minutes=minutes)
    assert closed(HOUR, now, timedelta(hours=2)) == is_closed
