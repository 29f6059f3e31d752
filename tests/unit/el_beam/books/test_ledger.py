"""The ledger: what was written, what of it is there, and what changes do to it."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from faulty_files import deaths

from el_beam.books.imports import ImportEntry, ImportLog, below_root
from el_beam.books.ledger.accepted import accept
from el_beam.books.ledger.audit import compare, repairs
from el_beam.books.ledger.changes import changing, finish, is_prepared, prepare, put_away_untracked
from el_beam.books.ledger.entries import enter_run, naming, not_replaced, read_ledger
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import (
    STATES,
    Change,
    Entry,
    EntryHour,
    FilePart,
    Ledger,
    LedgerError,
    StateNote,
    Trouble,
)
from el_beam.books.state.state import Attempt, Commit, Intent, Manifest, State, TopicState
from schemas.registry import open_registry
from transforms import layout
from transforms.counts.summary import HourKey, Summary
from transforms.errors import SinkError
from transforms.read.offsets import OffsetRange
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink, publish
from transforms.write.sink import NewFile, Receipt

SEVEN, EIGHT = "2019-03-10T07", "2019-03-10T08"


class Folder:
    """A sink's folder, and files in it that a run seems to have written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sink = FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")

    def path(self, schema: str, hour: str, split: str) -> str:
        day, _, number = hour.partition("T")
        year, month, day = day.split("-")
        folder = f"year={year}/month={month}/day={day}/hour={number}"
        return f"{schema}/{folder}/{split}.parquet"

    def file(self, schema: str, hour: str, rows: int, split: str, *, there: bool = True) -> Receipt:
        """A file of so many rows, under its name if it is `there`, else under a temporary one."""
        content = f"{schema} {hour} {rows} {split}".encode()
        path = self.root / self.path(schema, hour, split)
        temporary = self.root / "_temporary" / hashlib.sha256(content).hexdigest()
        place = path if there else temporary
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        name, _, revision = schema.rpartition("_")
        new = NewFile(str(temporary), str(path), hour, hashlib.sha256(content).hexdigest())
        return Receipt(str(self.sink), split, name, int(revision), str(path), rows, rows,
                       size=len(content), file=new)  # fmt: skip

    def summary(self, *files: Receipt, bad: int = 0) -> Summary:
        counts: dict[HourKey, int] = {}
        for each in files:
            assert each.file
            key = HourKey(each.file.hour, f"{each.schema}_{each.revision}", "")
            counts[key] = counts.get(key, 0) + each.written
        if bad:
            counts[HourKey(SEVEN, "unknown_-1", "bad_json")] = bad
        files_ = {each.file.temporary: each for each in files if each.file}
        return Summary(sum(counts.values()), 0, counts, files=files_)

    def ran(self, *files: Receipt, source: str = "file:a.log", **more: Any) -> None:
        enter_run([self.sink], source, {source: self.summary(*files, **more)})

    def imported(self, number: int, *files: Receipt) -> None:
        """An increment has made files, which may still wait for their names."""
        summary = below_root(self.summary(*files), str(self.sink))
        log = ImportLog.of(self.sink, Choice(), "cluster", "raw", "id", put)
        ranges = (OffsetRange(0, number - 1, number),)
        log.enter(ImportEntry(f"increment {number}", "parquet", "cluster", "raw", "id", summary,
                              ranges, increment=number, committed=number))  # fmt: skip

    def look(self, **how: Any) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger, **how)
        return ledger


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def brief(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [(each.hour, each.schema, each.valid, each.bad, each.rows, each.missing)
            for each in ledger.hours()]  # fmt: skip


def test_hours_by_schemas(folder: Folder) -> None:
    folder.ran(folder.file("Edit_1", SEVEN, 5, "a"), folder.file("Edit_1", EIGHT, 2, "a"), bad=3)
    folder.ran(folder.file("Edit_1", SEVEN, 4, "b"), source="file:b.log")
    ledger = folder.look()
    assert brief(ledger) == [
        (SEVEN, "Edit_1", 9, 0, 9, 0),
        (SEVEN, "unknown_-1", 0, 3, 0, 0),
        (EIGHT, "Edit_1", 2, 0, 2, 0),
    ]
    assert ledger.troubles == []
    assert ledger.totals == {
        "read": 14, "valid": 11, "bad": 3, "rows": 11, "repeated": 0, "missing": 0, "files": 3,
        "rejected": 0, "filtered": 0,
    }  # fmt: skip


def test_the_same_run_again_is_one_entry(folder: Folder) -> None:
    for _ in range(2):
        folder.ran(folder.file("Edit_1", SEVEN, 5, "a"))
    assert len(folder.look().entries) == 1


def test_a_split_that_has_grown_counts_once(folder: Folder) -> None:
    seven = folder.file("Edit_1", SEVEN, 5, "a")
    folder.ran(seven)
    folder.ran(seven, folder.file("Edit_1", EIGHT, 2, "a"))
    folder.ran(folder.file("Edit_1", EIGHT, 1, "b"), source="file:b.log")
    ledger = folder.look()
    assert brief(ledger) == [(SEVEN, "Edit_1", 5, 0, 5, 0), (EIGHT, "Edit_1", 3, 0, 3, 0)]
    assert ledger.troubles == []


def test_a_run_again_does_not_bring_back_what_was_replaced(folder: Folder) -> None:
    old, other = folder.file("Edit_1", SEVEN, 5, "a"), folder.file("Edit_1", EIGHT, 1, "a")
    assert old.file and other.file
    folder.ran(old, other)
    with changing(str(folder.root)) as change:
        new = folder.file("Edit_1", SEVEN, 6, "new", there=False)
        path = folder.path("Edit_1", SEVEN, "a")
        prepare(Change("c", "", folder.summary(new), {}, (path,)), change)
        finish("c", change)
    assert list(not_replaced([old.file, other.file])) == [other.file]
    with pytest.raises(SinkError, match=r"a\.parquet was there, and has been replaced"):
        list(not_replaced([old.file._replace(sha256="0" * 64)]))


@pytest.mark.parametrize(("content", "found"), [(False, []), (True, ["damaged"])])
def test_other_bytes_of_the_same_size(folder: Folder, content: bool, found: list[str]) -> None:
    file = folder.file("Edit_1", SEVEN, 5, "a")
    folder.ran(file)
    Path(file.where).write_bytes(b"x" * file.size)
    assert [each.kind for each in folder.look(content=content).troubles] == found


def test_what_is_lost_truncated_or_unknown(folder: Folder) -> None:
    files = [folder.file("Edit_1", SEVEN, rows, split) for rows, split in ((5, "a"), (6, "b"))]
    folder.ran(*files, folder.file("Edit_1", EIGHT, 7, "c"))
    Path(files[0].where).unlink()
    Path(files[1].where).write_bytes(b"short")
    double = Path(files[1].where).with_name("double.parquet")
    double.write_bytes(b"x")
    ledger = folder.look()
    assert [(each.kind, Path(each.what).name, each.hour) for each in ledger.troubles] == [
        ("lost", "a.parquet", SEVEN),
        ("damaged", "b.parquet", SEVEN),
        ("unknown", "double.parquet", SEVEN),
    ]
    assert "6 rows of Edit_1: has 5 bytes" in ledger.troubles[1].sentence
    assert brief(ledger)[0] == (SEVEN, "Edit_1", 11, 0, 11, 11)


def test_some_hours_alone(folder: Folder) -> None:
    folder.ran(folder.file("Edit_1", SEVEN, 5, "a"), folder.file("Edit_1", EIGHT, 2, "a"))
    (folder.root / folder.path("Edit_1", SEVEN, "stray")).write_bytes(b"x")
    ledger = read_ledger(str(folder.root), selected=lambda hour: hour == EIGHT)
    compare(ledger, selected=lambda hour: hour == EIGHT)
    assert brief(ledger) == [(EIGHT, "Edit_1", 2, 0, 2, 0)]
    assert ledger.troubles == []


def test_strays_are_put_away(folder: Folder) -> None:
    file = folder.file("Edit_1", SEVEN, 5, "a")
    folder.ran(file)
    double = Path(file.where).with_name("double.parquet")
    late = folder.root / folder.path("Edit_1", EIGHT, "double")
    for path in (double, late):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.where, path)
    assert repairs(folder.look()) == [f"el ledger {folder.root} --put-away"]
    put_away_untracked(str(folder.root), lambda hour: hour == SEVEN)
    assert [each.what for each in folder.look().troubles] == [str(late.relative_to(folder.root))]
    assert Path(file.where).exists() and not double.exists()
    put_away_untracked(str(folder.root), lambda _: True)
    assert folder.look().troubles == []
    assert len([*(folder.root / "_replaced").rglob("double.parquet")]) == 2


def test_files_that_are_being_named_are_no_strays(folder: Folder) -> None:
    """Nor those of a run that has died meanwhile, until it must be dead for long."""
    first = folder.file("Edit_1", SEVEN, 1, "z")
    folder.ran(first, source="file:z.log")
    file = folder.file("Edit_1", SEVEN, 5, "a")
    assert file.file

    class Killed(Exception):
        pass

    with pytest.raises(Killed), naming([file.file]):
        assert folder.look().troubles == []
        raise Killed
    put_away_untracked(str(folder.root), lambda _: True)
    assert folder.look().troubles == []

    (note,) = (folder.root / "_ledger").glob("naming-*.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"at": 0.0}))  # long ago
    assert [each.kind for each in folder.look().troubles] == ["unfinished", "unknown"]
    with naming([file.file]):  # the same run again
        folder.ran(file)
    assert folder.look().troubles == []

    with pytest.raises(Killed), naming([folder.file("Edit_1", SEVEN, 3, "b").file]):  # type: ignore[list-item]
        raise Killed
    put_away_untracked(str(folder.root), lambda _: True)
    assert folder.look().troubles == []


def test_an_increment_whose_files_wait_for_their_names_lacks_none(folder: Folder) -> None:
    """Nor has it strays, whether some of them have their names already or all."""
    files = [folder.file("Edit_1", SEVEN, 1, split, there=False) for split in "ab"]
    folder.imported(1, *files)
    for left in (2, 1, 0):
        ledger = folder.look()
        assert ledger.troubles == []
        assert len(ledger.naming) == left
        assert brief(ledger) == [(SEVEN, "Edit_1", 2, 0, 2, 0)]
        if left:
            file = files.pop().file
            assert file
            publish([file])


def old_state(folder: Folder, tmp_path: Path) -> TopicState:
    """A topic of a state that imports into a folder which has no books of imports."""
    state = State(str(tmp_path / "state"))
    (folder.root / layout.LEDGER).mkdir(parents=True)
    STATES.create(
        str(folder.root), "old", StateNote(str(folder.root), str(folder.sink), state.path)
    )
    return state.topic("raw")


def test_an_old_increment_that_is_prepared_has_no_strays(folder: Folder, tmp_path: Path) -> None:
    file = folder.file("Edit_1", SEVEN, 1, "a")
    topic = old_state(folder, tmp_path)
    topic.intend(Intent("raw", 1, (), {0: 1}), Attempt(1, 1))
    topic.prepare(1, Attempt(1, 1), Manifest({0: 1}, summary=folder.summary(file)))
    assert folder.look().troubles == []


@pytest.mark.parametrize(
    ("troubles", "commands"),
    [
        ([("lost", "h2"), ("damaged", "h1")],
         ["el backfill apply 'raw it' parquet:/p --from h1 --to h2 --format json"]),
        ([("unfinished", ""), ("unknown", "h1")], ["el ledger /p --put-away"]),
        ([("gap", "")], []),
    ],
)  # fmt: skip
def test_how_to_mend(
    troubles: list[tuple[str, str]], commands: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("raw it").mkdir()
    ledger = Ledger("/p", troubles=[Trouble(kind, "", hour, "") for kind, hour in troubles])
    ledger.sinks, ledger.archives = {"parquet:/p", "raw:/p"}, {"raw:raw it", "raw:gone"}
    ledger.options = ("--format", "json")
    assert repairs(ledger) == commands


def test_more_rows_than_lines_are_told_until_somebody_accepts_them(folder: Folder) -> None:
    file = folder.file("Edit_1", SEVEN, 5, "a")
    summary = folder.summary(file)
    summary.read = 3
    enter_run([folder.sink], "file:a.log", {"a": summary})
    ledger = folder.look()
    (trouble,) = ledger.troubles
    assert trouble.kind == "surplus" and trouble.sentence.endswith("wrote 5 rows, but had 3")
    command = f"el ledger {folder.root} --accept {trouble.what} --why 'WHY IT STAYS SO'"
    assert repairs(ledger) == [command]
    with pytest.raises(LedgerError, match=f"can be accepted; there are: {trouble.what}"):
        accept(ledger, "another", "a reason")
    accept(ledger, trouble.what, "a bad release")
    for each in (ledger, folder.look()):
        assert each.troubles == [] and repairs(each) == []
        assert [(known.sentence, known.why) for known in each.accepted] == [
            (trouble.sentence, "a bad release")
        ]


def test_a_lost_file_without_an_archive_can_be_accepted(folder: Folder) -> None:
    """Then it counts no more, and whoever reads the ledger doesn't look for it."""
    folder.ran(folder.file("Edit_1", SEVEN, 5, "a"), folder.file("Edit_1", SEVEN, 2, "b"))
    lost = folder.path("Edit_1", SEVEN, "a")
    (folder.root / lost).unlink()
    (command,) = repairs(folder.look())
    assert command == f"el ledger {folder.root} --accept {lost} --why 'WHY IT STAYS SO'"
    accept(folder.look(), lost, "the disk is gone")
    ledger = folder.look()
    assert ledger.troubles == [] and [*ledger.files] == [folder.path("Edit_1", SEVEN, "b")]


def test_a_change_that_makes_more_rows_is_told(folder: Folder) -> None:
    folder.ran(folder.file("Edit_1", SEVEN, 5, "a"))
    new = folder.file("Edit_1", SEVEN, 6, "b", there=False)
    old = folder.path("Edit_1", SEVEN, "a")
    assert new.file
    books = Summary(files={new.file.temporary: new})
    with changing(str(folder.root)) as change:
        prepare(Change("more", "a test", books, {}, (old,)), change)
        finish("more", change)
    (trouble,) = folder.look().troubles
    assert trouble.sentence == "change-more: wrote 6 rows, but had 5"


def test_what_expired_and_what_had_no_record(folder: Folder) -> None:
    log = ImportLog.of(folder.sink, Choice(), "cluster", "raw", "id", put)
    for number in (1, 2):
        gone, read = ((OffsetRange(0, 10 * number + each, 10 * number + each + 5),)
                      for each in (0, 5))  # fmt: skip
        log.enter(ImportEntry("", "parquet", "cluster", "raw", "id", Summary(), read, gone, 2))
    ledger = folder.look()
    assert ledger.expired == {"raw": (OffsetRange(0, 10, 15), OffsetRange(0, 20, 25))}
    assert ledger.holes == {"raw": 4}


def test_the_state_of_an_old_import_is_away(folder: Folder, tmp_path: Path) -> None:
    """Nobody knows its files then, and nothing is put away."""
    old_state(folder, tmp_path)
    stray = folder.root / folder.path("Edit_1", SEVEN, "a")
    stray.parent.mkdir(parents=True)
    stray.write_text("x")
    ledger = folder.look()
    assert [each.kind for each in ledger.troubles] == ["away", "unknown"]
    assert repairs(ledger) == []
    with pytest.raises(LedgerError, match="is not there"):
        put_away_untracked(str(folder.root), lambda _: True)
    assert stray.exists()


def test_the_same_stray_is_put_away_twice(folder: Folder) -> None:
    files = [folder.file("Edit_1", SEVEN, rows, "a" * rows) for rows in (1, 2)]
    folder.ran(*files)
    stray = folder.root / folder.path("Edit_1", SEVEN, "stray")
    for file in files:
        shutil.copy(file.where, stray)
        put_away_untracked(str(folder.root), lambda _: True)
        assert not stray.exists() and folder.look().troubles == []


def test_what_was_put_away_because_nobody_knew_it_may_come_again(folder: Folder) -> None:
    """A run that was killed is started again after its files were put away."""
    folder.ran(folder.file("Edit_1", SEVEN, 1, "a"))
    new = folder.file("Edit_1", SEVEN, 2, "b", there=False)
    assert new.file
    publish([new.file])
    put_away_untracked(str(folder.root), lambda _: True)
    assert [*not_replaced([new.file])] == [new.file]


def test_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="has no ledger"):
        read_ledger(str(tmp_path))


def test_increments_are_entries(folder: Folder) -> None:
    for number, split in ((1, "a"), (2, "b"), (4, "d")):
        folder.imported(number, folder.file("Edit_1", SEVEN, number, split))
    ledger = folder.look()
    assert ledger.troubles == []
    assert brief(ledger) == [(SEVEN, "Edit_1", 7, 0, 7, 0)]
    assert [each.name for each in ledger.entries] == ["increment 1", "increment 2", "increment 4"]


def test_commits_of_an_old_state_are_entries(folder: Folder, tmp_path: Path) -> None:
    """Each once, by whatever paths the state is known."""
    topic = old_state(folder, tmp_path)
    for number, split in ((1, "a"), (2, "b")):
        summary, ends = folder.summary(folder.file("Edit_1", SEVEN, number, split)), {0: number}
        topic.commit(Commit(number, ends, manifest=Manifest(ends, summary=summary)))
    topic.commit(Commit(3, {0: 9}, why="reset"))
    shutil.copytree(tmp_path / "state", tmp_path / "moved")
    note = StateNote(str(folder.root), str(folder.sink), str(tmp_path / "moved"))
    STATES.create(str(folder.root), "moved", note)
    ledger = folder.look()
    assert ledger.troubles == []
    assert brief(ledger) == [(SEVEN, "Edit_1", 3, 0, 3, 0)]


def change(folder: Folder, name: str, made: Receipt, old: Receipt, entry: Entry) -> Change:
    def below(receipt: Receipt) -> str:
        return receipt.where.removeprefix(f"{folder.root}/")

    return Change(name, "a test", folder.summary(made), {below(made): [FilePart("a", SEVEN)]},
                  (below(old),), (EntryHour(entry.name, SEVEN),))  # fmt: skip


def test_a_change(folder: Folder) -> None:
    """Decided, it counts for the ledger; finished, the files are there."""
    old = folder.file("Edit_1", SEVEN, 5, "a")
    folder.ran(old, folder.file("Edit_1", EIGHT, 2, "a"))
    new = folder.file("Edit_1", SEVEN, 6, "new", there=False)
    (entry,) = folder.look().entries
    with changing(str(folder.root)) as right:
        assert not is_prepared(str(folder.root), "one")
        prepare(change(folder, "one", new, old, entry), right)
        assert is_prepared(str(folder.root), "one")
    assert {each.kind for each in folder.look().troubles} == {"lost", "unknown"}
    assert brief(folder.look())[0] == (SEVEN, "Edit_1", 6, 0, 6, 6)
    with changing(str(folder.root)):  # whoever comes next finishes it
        pass
    for _ in range(2):
        ledger = folder.look(content=True)
        assert ledger.troubles == []
        assert brief(ledger) == [(SEVEN, "Edit_1", 6, 0, 6, 0), (EIGHT, "Edit_1", 2, 0, 2, 0)]
        assert ledger.files[new.where.removeprefix(f"{folder.root}/")].of == (FilePart("a", SEVEN),)
        with changing(str(folder.root)) as right:
            finish("one", right)
    assert not Path(old.where).exists()
    kept = folder.root / layout.REPLACED / "one" / folder.path("Edit_1", SEVEN, "a")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == (old.file and old.file.sha256)


def test_a_change_that_dies_in_the_midst_of_it(folder: Folder) -> None:
    """At whichever file operation: finished by the next, it is the same."""
    old = folder.file("Edit_1", SEVEN, 5, "a")
    folder.ran(old)
    new = folder.file("Edit_1", SEVEN, 6, "new", there=False)
    (entry,) = folder.look().entries
    with changing(str(folder.root)) as right:
        prepare(change(folder, "one", new, old, entry), right)
    root = str(folder.root)

    def finished(root: str) -> None:
        with changing(root) as right:
            finish("one", right)

    assert len([*deaths(lambda _: root, finished)]) > 10
    assert is_prepared(root, "one"), "it wasn't given up"
    assert folder.look(content=True).troubles == []
