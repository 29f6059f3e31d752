"""Hours: opened by whoever writes, complete once the source has passed them, opened again."""

import hashlib
import shutil
import time
from pathlib import Path

import pytest
from faulty_files import FaultyFiles, Killed

from el_beam.books.imports import ImportEntry, ImportLog, below_root
from el_beam.books.ledger import hours
from el_beam.books.ledger.audit import compare, folders
from el_beam.books.ledger.changes import finish_left
from el_beam.books.ledger.entries import enter_state, read_ledger
from el_beam.books.ledger.hours import (
    LATENESS,
    OPEN_HOURS,
    PASSED_HOURS,
    QUIET,
    Closing,
    close,
    close_hour,
    due,
    open_hours,
    passed,
    put,
    retire,
    source_time,
)
from el_beam.books.ledger.model import LedgerError
from el_beam.books.state.state import State
from schemas.registry import open_registry
from transforms import layout
from transforms.counts.summary import HourKey, Summary
from transforms.read.offsets import OffsetRange
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink, publish
from transforms.write.sink import NewFile, Receipt

SEVEN = "2019-03-10T07"
HOUR = "year=2019/month=03/day=10/hour=07"
END = 1552204800.0  # 2019-03-10T08:00:00Z


class Import:
    """A folder, and a state whose increments seem to write into it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = f"{folder}/out", State(f"{folder}/state")
        self.sink = FileSink("parquet", self.root, ParquetEncoding(open_registry(None)), "job")
        enter_state([self.sink], self.state)
        self.log = ImportLog.of(self.sink, Choice(), "cluster", "t", "id", put)
        self.number = 0

    def file(self, schema: str, split: str) -> NewFile:
        content = f"{schema} {split}".encode()
        temporary = Path(self.root, "_temporary", "job", f"{schema}-{split}")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        path = f"{self.root}/{schema}/{HOUR}/{split}.parquet"
        return NewFile(str(temporary), path, SEVEN, hashlib.sha256(content).hexdigest())

    def increment(self, schema: str, split: str) -> list[str]:
        """One file, one row. Returns the hours that it has opened again."""
        file = self.file(schema, split)
        name, _, revision = schema.rpartition("_")
        size = Path(file.temporary).stat().st_size
        receipt = Receipt(str(self.sink), split, name, int(revision), file.path, 1, 1, size=size,
                          file=file)  # fmt: skip
        books = Summary(1, 0, {HourKey(SEVEN, schema, ""): 1}, files={file.temporary: receipt})
        self.number += 1
        self.log.enter(
            ImportEntry(
                f"increment {self.number}", "parquet", "cluster", "t", "id",
                below_root(books, str(self.sink)), (OffsetRange(0, self.number - 1, self.number),),
                state=self.state.id(), increment=self.number, committed=time.time(),
            )
        )  # fmt: skip
        return put([file])

    def close(self) -> str:
        """Returns what keeps the hour open."""
        return close_hour(self.sink, SEVEN, finish_left)

    def marks(self) -> dict[str, str]:
        ledger = read_ledger(self.root)
        compare(ledger)
        assert not [each for each in ledger.troubles if each.kind == "unknown"]
        return {book.schema: book.mark for book in ledger.hours()}


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    return Import(tmp_path)


def test_an_hour_is_open_then_complete_then_open_again(imported: Import) -> None:
    assert imported.increment("Edit_1", "a") == []
    assert imported.increment("Move_2", "a") == []
    assert OPEN_HOURS.names(imported.root) == [SEVEN]
    assert imported.marks() == {"Edit_1": "", "Move_2": ""}

    assert imported.close() == ""
    assert OPEN_HOURS.names(imported.root) == []
    assert imported.marks() == {"Edit_1": "complete", "Move_2": "complete"}

    assert imported.increment("Edit_1", "late") == [SEVEN]
    assert [*open_hours(imported.root)] == [SEVEN]
    assert imported.marks() == {"Edit_1": "reopened", "Move_2": "complete"}
    assert imported.increment("Edit_1", "later") == []

    assert imported.close() == ""
    assert imported.marks() == {"Edit_1": "complete", "Move_2": "complete"}
    assert Path(imported.root, "Edit_1", HOUR, layout.REOPENED).exists()
    assert imported.increment("Edit_1", "latest") == [SEVEN]  # where it was reopened before
    assert imported.marks()["Edit_1"] == "reopened"


def test_putting_again_does_no_harm(imported: Import) -> None:
    file = imported.file("Edit_1", "a")
    for _ in range(2):
        put([file])
    assert Path(file.path).exists()
    since = OPEN_HOURS.read(imported.root, SEVEN).since
    put([imported.file("Edit_1", "b")])
    assert OPEN_HOURS.read(imported.root, SEVEN).since == since


def test_where_no_import_writes_nobody_closes_hours(tmp_path: Path) -> None:
    imported = Import(tmp_path)
    shutil.rmtree(f"{imported.root}/_ledger")
    put([imported.file("Edit_1", "a")])
    assert OPEN_HOURS.names(imported.root) == []


def test_a_kill_while_an_hour_is_closed_leaves_no_stray_file(imported: Import) -> None:
    put([imported.file("Edit_1", "a")])

    def killed(operation: str, _: str) -> Killed | None:
        return Killed() if operation in ("move", "remove") else None

    with FaultyFiles(imported.root, fault=killed).mounted(), pytest.raises(Killed):
        close(imported.root, SEVEN, [SEVEN])
    found = sorted(path.name for path in Path(imported.root, "Edit_1", HOUR).iterdir())
    assert found == ["_SUCCESS", "a.parquet"]


def test_an_import_that_closes_the_hour_between(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    put([imported.file("Edit_1", "a")])

    def while_publishing(files: list[NewFile], **_: object) -> None:
        publish(files)
        close(imported.root, SEVEN, [SEVEN])

    monkeypatch.setattr(hours, "publish", while_publishing)
    assert put([imported.file("Edit_1", "b")]) == [SEVEN]
    assert [*open_hours(imported.root)] == [SEVEN]
    assert not Path(imported.root, "Edit_1", HOUR, layout.COMPLETE).exists()


def test_an_hour_is_not_complete_while_files_get_their_names(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes it for complete would miss one."""
    put([imported.file("Edit_1", "a")])
    close(imported.root, SEVEN, [SEVEN])
    mark, seen = Path(imported.root, "Edit_1", HOUR, layout.COMPLETE), list[bool]()
    assert mark.exists()
    monkeypatch.setattr(hours, "publish", lambda *_, **__: seen.append(mark.exists()))
    assert put([imported.file("Edit_1", "b")]) == [SEVEN]
    assert seen == [False]


@pytest.mark.parametrize(
    "lost",
    [
        "a",
        "b",
    ],
)  # fmt: skip
def test_an_hour_that_lacks_a_file_stays_open(imported: Import, lost: str) -> None:
    """Of the increment that has opened it, or of a later one."""
    imported.increment("Edit_1", "a")
    imported.increment("Edit_1", "b")
    Path(imported.root, "Edit_1", HOUR, f"{lost}.parquet").unlink()
    assert imported.close() == (
        f"{SEVEN} stays open: Edit_1/{HOUR}/{lost}.parquet, 1 rows of Edit_1: is not there; "
        f"see `el ledger {imported.root} --from {SEVEN} --to {SEVEN}`"
    )
    assert imported.marks() == {"Edit_1": ""}


def test_folders_of_a_raw_archive_and_of_odd_schemas(tmp_path: Path) -> None:
    for place in (HOUR, f"Edit_1/{HOUR}", f"%2Ehidden_1/{HOUR}", f"_temporary/{HOUR}",
                  "Edit_1/year=2019/month=03/day=10/hour=08"):  # fmt: skip
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    found = [each.removeprefix(f"{tmp_path}/") for each in folders(str(tmp_path), SEVEN)]
    assert sorted(found) == [f"%2Ehidden_1/{HOUR}", f"Edit_1/{HOUR}", HOUR]


@pytest.mark.parametrize(
    ("time", "is_passed"), [(END, False), (END + LATENESS - 1, False), (END + LATENESS, True)]
)
def test_when_an_hour_is_passed(imported: Import, time: float, is_passed: bool) -> None:
    imported.increment("Edit_1", "a")
    assert passed(SEVEN, time) is is_passed
    assert list(due([imported.sink], time)) == ([(imported.sink, SEVEN)] if is_passed else [])


@pytest.mark.parametrize(
    ("newest", "now", "expected"),
    [
        (END, END + 10, END),  # what goes on: the brokers' time
        (END - 2 * QUIET, END, END - QUIET),  # old records: our clock, behind
        (0.0, END, END - QUIET),  # nothing there
        (END + 60, END, END),  # a clock that is ahead of ours
        (END + 1e9, END, END - QUIET),  # a record from the future
    ],
)
def test_the_time_of_a_source(newest: float, now: float, expected: float) -> None:
    assert source_time([newest], now) == expected


@pytest.mark.parametrize(
    ("came", "expected"), [(END - QUIET + 1, END - 3 * QUIET), (END - QUIET, END - QUIET)]
)
def test_the_time_of_a_source_that_flows_late(came: float, expected: float) -> None:
    """A mirror that is hours behind, while it brings anything: our clock says nothing of it."""
    for records in ([END - 3 * QUIET], [END - 3 * QUIET, 1e15], [END - 4 * QUIET, END - 3 * QUIET]):
        assert source_time(records, END, came) == expected


def test_the_last_import_to_pass_an_hour_closes_it(imported: Import, tmp_path: Path) -> None:
    """Others that have put anything into the folder may still bring lines of it."""
    other = State(f"{tmp_path}/other")
    log = ImportLog.of(imported.sink, Choice(), "another cluster", "t", "id", put)
    entry = ImportEntry("increment 1", "parquet", "another cluster", "t", "id", Summary(),
                        (OffsetRange(0, 0, 1),), state=other.id(), increment=1)  # fmt: skip
    log.enter(entry)
    imported.increment("Edit_1", "a")

    def closing(state: State, its: ImportLog) -> Closing:
        return Closing([imported.sink], state.id(), lambda: {its.log.folder}, finish_left)

    mine, theirs = closing(imported.state, imported.log), closing(other, log)
    late = END + LATENESS
    assert mine.close(late, late) == ([], {}), "the other one is behind"
    assert imported.marks() == {"Edit_1": ""}
    assert theirs.close(END, END) == ([], {}), "it hasn't passed the hour"
    assert theirs.close(late, late) == ([SEVEN], {})
    assert imported.marks() == {"Edit_1": "complete"}
    assert (OPEN_HOURS.names(imported.root), PASSED_HOURS.names(imported.root)) == ([], [])

    imported.increment("Edit_1", "b")
    assert theirs.close(late, late) == ([], {}), "what was said before no longer counts"
    assert mine.close(late, late) == ([SEVEN], {})


def test_an_import_that_is_gone_is_told_and_retired(imported: Import, tmp_path: Path) -> None:
    """An hour waits for it, until somebody says that it won't come back."""
    other = Import(tmp_path)
    other.state = State(f"{tmp_path}/other")
    enter_state([other.sink], other.state)
    other.log = ImportLog.of(other.sink, Choice(), "cluster", "u", "id", put)
    other.increment("Edit_1", "b")
    imported.increment("Edit_1", "a")
    mine, theirs = imported.state.id(), other.state.id()
    closing = Closing([imported.sink], mine, lambda: [imported.log.log.folder], finish_left)

    def at(hours: float) -> tuple[list[str], dict[str, str]]:
        now = END + LATENESS + hours * 3600
        return closing.close(now, now)

    assert at(5) == ([], {})
    closed, problems = at(7)
    command = f"{other.state.path} (`el ledger {imported.root} --retire {theirs}`"
    assert not closed and command in problems[str(imported.sink)]
    with pytest.raises(LedgerError, match=f"there are .*{theirs}"):
        retire(imported.root, "nobody")
    retire(imported.root, theirs)
    assert at(7) == ([SEVEN], {})


def test_a_damaged_note_of_an_open_hour_closes_nothing_too_early(imported: Import) -> None:
    imported.increment("Edit_1", "a")
    Path(OPEN_HOURS.path(imported.root, SEVEN)).write_text("")
    shutil.rmtree(f"{imported.root}/Edit_1")
    assert "is not there" in imported.close()
