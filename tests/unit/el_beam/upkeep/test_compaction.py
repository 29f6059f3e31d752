"""Compaction: the same rows in fewer files."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_files import FaultyFiles, deaths
from hypothesis import given, settings
from hypothesis import strategies as st
from places import where

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing
from el_beam.books.ledger.entries import enter_run, read_ledger
from el_beam.books.ledger.model import FilePart, Ledger
from el_beam.cli import main as el
from el_beam.upkeep.compaction import Compacted, closed, compact, hours, name_of
from schemas.registry import open_registry
from transforms.counts.summary import HourKey, Summary
from transforms.io.files import filesystem
from transforms.io.files.base import FileAway
from transforms.write.encodings import ParquetEncoding, parquet
from transforms.write.files import FileSink
from transforms.write.sink import NewFile, Receipt

HOUR = "2019-03-10T07"
FOLDER = "Edit_1/year=2019/month=03/day=10/hour=07"


class Folder:
    """A table of one hour, in files of rows that a run seems to have written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sink = FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")

    def write(self, split: str, table: pa.Table, ending: str = ".parquet") -> Path:
        path = self.root / FOLDER / f"{split}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = parquet(table)
        path.write_bytes(content)
        new = NewFile(
            f"{self.root}/_temporary/{split}", str(path), HOUR, hashlib.sha256(content).hexdigest()
        )
        receipt = Receipt(str(self.sink), split, "Edit", 1, str(path), table.num_rows,
                          table.num_rows, size=len(content), file=new)  # fmt: skip
        counts = {HourKey(HOUR, "Edit_1", ""): table.num_rows}
        summary = Summary(table.num_rows, 0, counts, files={"t": receipt})
        enter_run([self.sink], split, {split: summary})
        return path

    def ledger(self) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger

    def compact(self, **most: int) -> Compacted:
        with changing(str(self.root)) as change:
            found = hours(read_ledger(str(self.root)))
            return compact(found[0], change, **most) if found else Compacted()

    def files(self) -> list[Path]:
        return sorted((self.root / FOLDER).glob("[!_]*"))

    def rows(self) -> list[list[dict[str, Any]]]:
        """Of each file."""
        return [pq.read_table(path, partitioning=None).to_pylist() for path in self.files()]

    def uuids(self) -> list[list[str]]:
        return [[row["uuid"] for row in rows] for rows in self.rows()]


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


def uuids(*numbers: int) -> list[str]:
    return [f"uuid-{number}" for number in numbers]


def test_few_of_many(folder: Folder) -> None:
    folder.write("a", events(5, 3))
    folder.write("b", events(4, 1))
    folder.write("c", events(2))
    (folder.root / FOLDER / "_SUCCESS").touch()
    (folder.root / FOLDER / "_REOPENED").touch()
    assert folder.compact() == Compacted(1)
    (rows,) = folder.rows()
    assert [row["uuid"] for row in rows] == uuids(1, 2, 3, 4, 5)
    assert [row["event"]["list"] for row in rows] == [[1], [2], [3], [4], [5]]
    ledger = folder.ledger()
    (file,) = ledger.files.values()
    assert file.of == (FilePart("a", HOUR), FilePart("b", HOUR), FilePart("c", HOUR))
    assert [(each.valid, each.rows, each.files) for each in ledger.hours()] == [(5, 5, 1)]
    before = file.path
    assert folder.compact() == Compacted()
    assert [*folder.ledger().files] == [before], "there is nothing left to do"
    assert len([*(folder.root / FOLDER).glob("_*")]) == 2, "marks are no data"


def test_one_file(folder: Folder) -> None:
    """It is sorted too, and has repeats."""
    folder.write("a", events(2, 1, 2))
    assert folder.compact() == Compacted(1, repeated=1)
    assert folder.uuids() == [uuids(1, 2)]
    (path,) = folder.files()
    assert folder.compact() == Compacted()
    assert folder.files() == [path]


def test_repeats(folder: Folder) -> None:
    """Within a file, between two, and between those that become different ones."""
    for split, numbers in (("a", (1, 2)), ("b", (2, 3, 3)), ("c", (4, 1)), ("d", (5, 4))):
        folder.write(split, events(*numbers))
    sizes = [path.stat().st_size for path in folder.files()]
    assert folder.compact(large=sizes[0] + sizes[1]) == Compacted(2, repeated=4)
    assert folder.uuids() == [uuids(1, 2, 3), uuids(4, 5)]
    assert sum(each.repeated for each in folder.ledger().hours()) == 4


def test_a_property_that_came_without_a_new_revision(folder: Folder) -> None:
    """Files of both shapes become one of the wider shape, whichever comes first; of other types
    they stay apart."""

    def table(number: int, event: dict[str, Any] | None) -> pa.Table:
        event_ = pa.array([event, None])
        return events(number, number + 1).set_column(2, "event", event_)

    folder.write("a", table(1, {"a": "x", "n": {"b": True, "l": ["y"]}}))
    folder.write("b", table(3, {"a": "z"}))
    folder.write("c", table(5, {"new": 5, "n": {"b": None, "c": 1.5}}))
    folder.write("d", events(7).drop_columns(["event"]))
    assert folder.compact() == Compacted(1)
    (rows,) = folder.rows()
    empty = {"a": None, "n": None, "new": None}
    assert [row["event"] for row in rows] == [
        {"a": "x", "n": {"b": True, "l": ["y"], "c": None}, "new": None}, None,
        empty | {"a": "z"}, None,
        empty | {"new": 5, "n": {"b": None, "l": None, "c": 1.5}}, None,
        None,
    ]  # fmt: skip
    folder.write("e", table(8, {"a": 8}))
    assert folder.compact() == Compacted(2)
    assert [len(rows) for rows in folder.rows()] == [7, 2]
    assert folder.compact() == Compacted()


def test_of_two_the_first_stays(folder: Folder) -> None:
    """Whichever was written first: names are in the order of what was read."""
    folder.write("b", events(1, mark=["second"]))
    folder.write("a", events(1, mark=["first"]))
    folder.compact()
    assert [row["mark"] for row in folder.rows()[0]] == ["first"]
    assert folder.files()[0].name.startswith("a-c")


@pytest.mark.parametrize("most", ["large", "memory"])
def test_late_lines(folder: Folder, most: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They become a file more where that of before is large; what it has is not there again."""
    folder.write("b", events(*range(50)))
    folder.compact()
    (large,) = folder.files()
    before = large.stat()
    folder.write("a", events(7, 70))
    folder.write("c", events(8, 60))
    limit = before.st_size if most == "large" else 2_000
    read, whole = [], filesystem.read

    def noted(path: str) -> bytes:
        read.append(path)
        return whole(path)

    monkeypatch.setattr(filesystem, "read", noted)
    assert folder.compact(**{most: limit}) == Compacted(3, repeated=2)
    assert folder.uuids() == [uuids(70), uuids(*range(50)), uuids(60)]
    assert large.stat().st_mtime_ns == before.st_mtime_ns
    assert (str(large) in read) == (most == "memory"), "it needs not be read to be left alone"
    folder.write("d", events(61))
    assert folder.compact() == Compacted(1), "what fits becomes one again"


def test_files_that_are_no_tables(folder: Folder) -> None:
    folder.write("a", events(1))
    folder.write("b", events(2), ".jsonl.gz")
    assert folder.compact() == Compacted(1)
    assert [path.name for path in folder.files()][1:] == ["b.jsonl.gz"]
    assert folder.compact() == Compacted()


def test_names_do_not_grow(folder: Folder) -> None:
    for number in range(4):
        folder.write(f"s{number}", events(number))
        folder.compact()
    (path,) = folder.files()
    assert len(path.name) == len("s0-c0123456789ab.parquet")


@pytest.mark.parametrize(
    ("endings", "kept"),
    [
        (("-kept01234567.parquet", "-kept01234567.parquet"), "01234567"),
        (("-kept01234567.parquet", ".parquet"), ""),
        (("-kept01234567.parquet", "-kept76543210.parquet"), ""),
    ],
)
def test_what_a_purge_has_left(folder: Folder, endings: tuple[str, str], kept: str) -> None:
    """The new file says what its rows have, where that is the same for all."""
    for number, ending in enumerate(endings):
        folder.write(f"s{number}", events(number), ending)
    folder.compact()
    name = name_of(folder.files()[0].name)
    assert name is not None
    assert (name.split, name.kept, name.ending) == ("s0", kept, ".parquet")


def test_columns_that_only_some_have(folder: Folder) -> None:
    folder.write("a", events(1))
    folder.write("b", events(2, later=["x"]))
    folder.compact()
    assert [row["later"] for row in folder.rows()[0]] == [None, "x"]


def test_columns_of_other_types(folder: Folder) -> None:
    """No value becomes another: files of different types stay apart."""
    folder.write("a", events(1))
    folder.write("b", events(2, odd=[2**53 + 1]))
    folder.write("c", events(3, odd=[0.5]))
    folder.write("d", events(4, odd=["x"]))
    folder.write("e", events(1, 5, odd=["y", "z"]))
    assert folder.compact() == Compacted(3, repeated=1)
    assert [[row["odd"] for row in rows] for rows in folder.rows()] == [
        [None, 2**53 + 1], [0.5], ["x", "z"]
    ]  # fmt: skip
    assert folder.compact() == Compacted()


def test_rows_without_uuid_are_no_repeats(folder: Folder) -> None:
    table = events(1, 2, 1).set_column(1, "uuid", pa.array([None, None, "uuid-1"]))
    folder.write("a", table)
    folder.write("b", table)
    assert folder.compact() == Compacted(1, repeated=1)
    assert sorted(map(str, folder.uuids()[0])) == ["None"] * 4 + ["uuid-1"]
    folder.write("c", table)
    folder.compact(memory=1)
    assert sum(map(len, folder.uuids())) == 7


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=6),
       st.integers(1, 12_000), st.integers(1, 4_000), st.integers(1, 6))  # fmt: skip
def test_no_row_is_lost_and_none_is_new(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], large: int, memory: int,
    late: int,
) -> None:  # fmt: skip
    """Whatever its bounds, also where some files come after a first compaction."""
    folder = Folder(tmp_path_factory.mktemp("compact"))
    repeated = 0
    for place, numbers in enumerate(files):
        if place == late:
            repeated = folder.compact(large=large, memory=memory).repeated
        folder.write(f"s{place * 5 % 7}", events(*numbers))
    in_memory = [pq.read_table(path, partitioning=None).nbytes for path in folder.files()]
    done = folder.compact(large=large, memory=memory)
    numbers = [number for file in files for number in file]
    assert sorted(chain(*folder.uuids())) == sorted(uuids(*{*numbers}))
    assert all(rows == sorted(rows, key=lambda row: (row["dt"], row["uuid"]))
               for rows in folder.rows())  # fmt: skip
    repeated += done.repeated
    assert done == Compacted(len(folder.files()), done.repeated)
    assert repeated == len(numbers) - len({*numbers})
    if large >= 12_000 and memory >= sum(in_memory):
        assert len(folder.files()) == 1
    assert sum(each.repeated for each in folder.ledger().hours()) == repeated


def test_memory(folder: Folder) -> None:
    """What compresses well isn't held all at once."""
    for number in range(9):
        folder.write(f"s{number}", events(number, text=["x" * 50_000]))
    assert folder.compact(memory=160_000) == Compacted(3)
    assert folder.uuids() == [uuids(0, 1, 2), uuids(3, 4, 5), uuids(6, 7, 8)]


def lines(
    *offsets: int, kind: str = "kafka", name: str = "raw/0", receipt: float = 1.5
) -> pa.Table:
    many = len(offsets)
    return pa.table({
        "line": [b"\xff%d" % each for each in offsets], "kind": [kind] * many,
        "name": [name] * many, "offset": [*offsets], "receipt": [receipt] * many,
    })  # fmt: skip


def test_raw_lines(folder: Folder) -> None:
    """By time, and then as they were read; one is there again only if all of its place is."""
    folder.write("a", lines(7, 100), ".raw.parquet")
    folder.write("b", lines(9, 7), ".raw.parquet")
    folder.write("c", lines(8, receipt=0.5), ".raw.parquet")
    folder.write("d", lines(7, receipt=2.5), ".raw.parquet")
    folder.write("e", lines(7, name="raw/1"), ".raw.parquet")
    folder.write("f", lines(7, kind="file"), ".raw.parquet")
    assert folder.compact() == Compacted(1, repeated=1)
    (path,) = folder.files()
    assert path.name.endswith(".raw.parquet") and path.name.startswith("a-c")
    assert [[*row.values()][1:] for row in folder.rows()[0]] == [
        ["kafka", "raw/0", 8, 0.5], ["file", "raw/0", 7, 1.5], ["kafka", "raw/0", 7, 1.5],
        ["kafka", "raw/0", 9, 1.5], ["kafka", "raw/0", 100, 1.5], ["kafka", "raw/1", 7, 1.5],
        ["kafka", "raw/0", 7, 2.5],
    ]  # fmt: skip
    folder.write("g", lines(100, 101), ".raw.parquet")
    assert folder.compact(memory=1).repeated == 1


@pytest.mark.parametrize("damage", ["lost", "cut short", "other rows", "nothing in it"])
def test_what_cannot_be_read(folder: Folder, damage: str) -> None:
    """It stays as it is, and people are told; the others become few."""
    paths = [folder.write(name, events(number)) for number, name in enumerate("abcd")]
    content = {"lost": b"", "cut short": paths[1].read_bytes()[:-9], "nothing in it": b"",
               "other rows": parquet(events(9))}[damage]  # fmt: skip
    paths[1].unlink()
    if damage != "lost":
        paths[1].write_bytes(content)
    done = folder.compact()
    told = "it is not there" if damage == "lost" else "it has other content than was written"
    assert done.problems == {f"{FOLDER}/b.parquet": told}
    assert done.files == 2
    ledger = read_ledger(str(folder.root))
    assert len(ledger.files) == 2 and f"{FOLDER}/b.parquet" in ledger.files
    assert folder.compact().problems == done.problems, "it is told again, and does no harm"


def test_an_earlier_one_that_cannot_be_read(folder: Folder) -> None:
    folder.write("a", events(1))
    folder.compact()
    (path,) = folder.files()
    path.write_bytes(b"")
    folder.write("b", events(1))
    folder.write("c", events(2))
    done = folder.compact(memory=1, large=1)
    assert [*done.problems] == [f"{FOLDER}/{path.name}"]
    assert done.files == 3


def test_a_file_system_that_is_away(folder: Folder) -> None:
    """That is no fault of a file's."""
    folder.write("a", events(1))

    def away(_: str, path: str) -> FileAway | None:
        return FileAway("nobody answers") if path.endswith(".parquet") else None

    with FaultyFiles(str(folder.root), fault=away).mounted(), pytest.raises(FileAway):
        folder.compact()


def seen(root: Path, ledger: Ledger) -> list[str]:
    tables = (pq.read_table(where(root, file), partitioning=None) for file in ledger.files.values())
    return [uuid for table in tables for uuid in table["uuid"].to_pylist()]


def test_killed_at_every_moment(tmp_path: Path) -> None:
    """Who reads by the ledger sees all events, by an old list too; nobody sees both."""
    before = Folder(tmp_path / "before")
    for split, numbers in (("a", (1, 2)), ("b", (2, 3)), ("c", (4, 1))):
        before.write(split, events(*numbers))
    old = {path.name for path in before.files()}
    list_of_before = read_ledger(str(before.root))

    def copied(number: int) -> str:
        return str(shutil.copytree(before.root, tmp_path / f"at{number}"))

    number = 0
    for root in deaths(copied, lambda root: Folder(Path(root)).compact()):
        folder, number = Folder(Path(root)), number + 1
        now = read_ledger(str(folder.root))
        assert {*seen(folder.root, now)} == {*uuids(1, 2, 3, 4)}
        assert len(seen(folder.root, list_of_before)) == 6
        plain = {path.name for path in folder.files()}
        assert plain <= old or not plain & old
        folder.compact()
        assert folder.uuids() == [uuids(1, 2, 3, 4)]
        assert len(folder.ledger().files) == 1
        assert len(seen(folder.root, list_of_before)) == 6
        shutil.rmtree(folder.root)
    assert number > 20


@pytest.mark.parametrize("minutes", [59, 119, 120])
def test_closed(minutes: int) -> None:
    now = datetime(2019, 3, 10, 8, tzinfo=UTC) + timedelta(minutes=minutes)
    assert closed(HOUR, now, timedelta(hours=2)) == (minutes >= 120)
    assert closed("0001-01-01T00", now, timedelta(hours=2))
    for hour in ("9999-12-31T23", "", "2019-03-10T", "2019-03-10T99"):
        assert not closed(hour, now, timedelta(0))
    assert not closed(HOUR, now, timedelta(days=999_999))


def test_the_command(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write("a", events(1, 2))
    folder.write("b", events(2))
    root = str(folder.root)
    assert el(["compact", root, "--dry-run"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{HOUR} Edit_1: 2 files, 3 rows\n"
    assert told.err == "2 files would be compacted\n"
    assert len(folder.files()) == 2 and not (folder.root / "_ledger" / "lease").exists()
    for hours_ in (("--to", "2019-03-10T06"), ("--after", "999999")):
        assert el(["compact", root, *hours_]) == 0
        assert capsys.readouterr().err == "0 files became 0\n"
    assert el(["compact", root, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "hour": HOUR, "schema": "Edit_1", "rows": 3, "before": 2, "files": 1, "repeated": 1,
        "problems": {},
    }  # fmt: skip
    assert told.err == "2 files became 1; 1 repeated rows removed\n"


def test_files_made_of_another_hour(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """They are of their own."""
    folder.write("a", events(1))
    (note,) = (folder.root / "_ledger").glob("run-*.json")
    of = {f"{FOLDER}/a.parquet": [["a", "2019-03-09T07"]]}
    note.write_text(json.dumps(json.loads(note.read_text()) | {"of": of}))
    assert el(["compact", str(folder.root), "--to", "2019-03-09"]) == 0
    assert capsys.readouterr().err == "0 files became 0\n"


def test_the_command_says_what_stays(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.write("a", events(1)).unlink()
    folder.write("b", events(2))
    folder.write("c", events(3))
    assert el(["compact", str(folder.root)]) == 1
    told = capsys.readouterr()
    assert told.out == f"{HOUR} Edit_1: 3 -> 2 files, 3 rows\n"
    assert told.err.splitlines()[1] == (
        f"el compact: left as it is: {FOLDER}/a.parquet: it is not there"
    )


@pytest.mark.parametrize("hours_", ["-1", "nan", "inf", "1e300", "two", ""])
def test_an_age_that_is_none(hours_: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        el(["compact", "/nowhere", f"--after={hours_}"])
    assert "is not a number of hours" in capsys.readouterr().err
