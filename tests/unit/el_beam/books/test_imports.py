"""What folders know of imports: each record enters once, whoever brings it, whatever dies."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_files import deaths

from el_beam.books.folder import folder_id, is_previous
from el_beam.books.imports import (
    ImportEntry,
    ImportLog,
    Overlap,
    all_unfinished,
    below_root,
    in_root,
    logs,
    offsets,
    unfinished,
)
from el_beam.books.ledger.hours import put
from schemas.registry import open_registry
from transforms.counts.summary import HourKey, SinkBook, Summary
from transforms.io.files import filesystem
from transforms.read.offsets import OffsetRange
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding
from transforms.write.files import FileSink
from transforms.write.sink import NewFile, Receipt, Sink

SEVEN = "2019-03-10T07"


def sink_of(root: Path | str) -> Sink:
    return FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")


def log_of(root: Path | str, topic_id: str = "id", choice: Choice | None = None) -> ImportLog:
    return ImportLog.of(
        sink_of(root), choice or Choice(), "cluster", "raw/é", topic_id, put, kept=3
    )


def entry(start: int, end: int, increment: int = 1, state: str = "one") -> ImportEntry:
    """An increment without files."""
    return ImportEntry(f"increment {increment}", "parquet", "cluster", "raw/é", "id", Summary(),
                       (OffsetRange(0, start, end),), state=state, increment=increment)  # fmt: skip


def telling_of_a_file(each: ImportEntry) -> ImportEntry:
    """The increment, which has made a file."""
    name = f"{each.state}-{each.increment}"
    new = NewFile(f"_temporary/{name}", f"Edit_1/{name}.parquet", SEVEN,
                  hashlib.sha256(name.encode()).hexdigest())  # fmt: skip
    receipt = Receipt("", "split", "Edit", 1, written=1, file=new)
    return replace(each, summary=Summary(1, files={new.temporary: receipt}))


def with_file(root: Path | str, each: ImportEntry) -> ImportEntry:
    """The increment with a file that is there, under a temporary name."""
    name = f"{each.state}-{each.increment}"
    filesystem.write(f"{root}/_temporary/{name}", name.encode())
    return telling_of_a_file(each)


def seen(root: Path | str) -> list[str]:
    return filesystem.names(f"{root}/Edit_1")


def test_entries_know_all_that_came_before(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    assert log.held == ()
    log.enter(entry(0, 5))
    log.enter(replace(entry(5, 8, 2), expired=(OffsetRange(1, 0, 3),)))
    for each in (log, log_of(tmp_path)):
        assert each.held == (OffsetRange(0, 0, 8), OffsetRange(1, 0, 3))
    (found,) = logs(str(tmp_path))
    assert [(each.number, each.increment) for each in found.entries()] == [(1, 1), (2, 2)]


def test_again(tmp_path: Path) -> None:
    """The last entry may be made again, by another process too; it is there once."""
    for log in (first := log_of(tmp_path), first, log_of(tmp_path)):
        log.enter(entry(0, 5))
        assert log.has(entry(0, 5))
    assert not first.has(entry(0, 5, 2)) and not first.has(entry(0, 5, state="other"))
    (found,) = logs(str(tmp_path))
    assert len([*found.entries()]) == 1


@pytest.mark.parametrize(
    "other",
    [
        entry(4, 9, 2),
        entry(0, 5, 2),
        entry(2, 3, 1, "other"),
        replace(entry(5, 9, 2), expired=(OffsetRange(0, 3, 5),)),
    ],
)
def test_overlap(tmp_path: Path, other: ImportEntry) -> None:
    """Nothing of such an increment enters."""
    log = log_of(tmp_path)
    log.enter(entry(0, 5))
    with pytest.raises(Overlap):
        log.enter(other)
    assert log_of(tmp_path).held == (OffsetRange(0, 0, 5),)


def test_two_writers(tmp_path: Path) -> None:
    """One of them enters first. The other one sees it then, though it hasn't looked before."""
    one, two, three = log_of(tmp_path), log_of(tmp_path), log_of(tmp_path)
    one.enter(entry(0, 5))
    with pytest.raises(Overlap):
        two.enter(entry(3, 7, state="other"))
    three.enter(entry(5, 9, state="other"))
    (found,) = logs(str(tmp_path))
    assert [(each.number, each.state) for each in found.entries()] == [(1, "one"), (2, "other")]
    assert three.held == (OffsetRange(0, 0, 9),)


def test_a_writer_that_has_slept_long(tmp_path: Path) -> None:
    """Also where the entries that it doesn't know of share a file by now."""
    slow = log_of(tmp_path)
    for number in range(8):
        log_of(tmp_path).enter(entry(number, number + 1, number + 1))
    with pytest.raises(Overlap):
        slow.enter(entry(0, 5, state="other"))


def test_files_of_an_entry_get_their_names_before_the_next_one(tmp_path: Path) -> None:
    """So who looks for what is unfinished needs only look at the last one."""
    first, second = with_file(tmp_path, entry(0, 5)), with_file(tmp_path, entry(5, 8, 2))
    log = log_of(tmp_path)
    log.enter(first)
    assert unfinished(first, str(tmp_path)) == in_root(first.summary, str(tmp_path))
    assert seen(tmp_path) == []
    log_of(tmp_path).enter(second)
    assert seen(tmp_path) == ["one-1.parquet"]
    assert [*all_unfinished(str(tmp_path))] == [in_root(second.summary, str(tmp_path))]
    put(*all_unfinished(str(tmp_path)))
    assert seen(tmp_path) == ["one-1.parquet", "one-2.parquet"]
    assert [*all_unfinished(str(tmp_path))] == []


def test_killed_while_increments_enter(tmp_path: Path) -> None:
    """Before each operation on files; who comes next does the same again, and all is there once."""

    def made(number: int) -> str:
        root = f"{tmp_path}/at{number}"
        for increment in range(1, 4):
            with_file(root, entry(increment, increment + 1, increment))
        return root

    def enter(root: str) -> None:
        last = log_of(root).log.last()
        for increment in range(last.increment if last else 1, 4):
            each = telling_of_a_file(entry(increment, increment + 1, increment))
            log_of(root).enter(each)
            put(unfinished(each, root))

    number = 0
    for root in deaths(made, enter):
        number += 1
        enter(root)
        (found,) = logs(root)
        assert [each.increment for each in found.entries()] == [1, 2, 3]
        assert seen(root) == ["one-1.parquet", "one-2.parquet", "one-3.parquet"]
        assert not filesystem.names(f"{root}/_temporary")
        shutil.rmtree(root)
    assert number > 30


def test_topics_have_logs_of_their_own(tmp_path: Path) -> None:
    """Who read another topic of the same name hasn't brought these; who chose others of the same
    topic has."""
    log_of(tmp_path).enter(entry(0, 5))
    other = log_of(tmp_path, "new")
    assert other.held == ()
    other.enter(entry(0, 5))
    assert log_of(tmp_path, choice=Choice(errors=False)).held == (OffsetRange(0, 0, 5),)
    assert len([*logs(str(tmp_path))]) == 2


def test_a_folder_keeps_its_id_where_it_is_moved(tmp_path: Path) -> None:
    before = log_of(tmp_path / "a")
    before.enter(with_file(tmp_path / "a", entry(0, 5)))
    shutil.move(tmp_path / "a", tmp_path / "b")
    after = log_of(tmp_path / "b")
    assert (after.key, after.held) == (before.key, before.held)
    put(*all_unfinished(f"{tmp_path}/b"))
    assert seen(tmp_path / "b") == ["one-1.parquet"]
    assert folder_id(f"{tmp_path}/b") != folder_id(f"{tmp_path}/c")


def test_what_a_summary_says_of_one_sink(tmp_path: Path) -> None:
    """With paths below the sink's folder, and back."""
    root, other = str(tmp_path / "a"), str(tmp_path / "b")
    files = {}
    for place in (root, other):
        new = NewFile(f"{place}/_temporary/x", f"{place}/Edit_1/x.parquet", SEVEN, "digest")
        files[new.temporary] = Receipt(f"parquet:{place}", "s", "Edit", 1, new.path, file=new)
    counts = {HourKey(SEVEN, "Edit_1", ""): 3}
    sinks = {f"parquet:{place}": SinkBook(given=3) for place in (root, other)}
    found = below_root(Summary(3, 90, counts, sinks, files), f"parquet:{root}")
    assert (found.read, found.size, found.counts, [*found.sinks]) == (3, 90, counts, [""])
    assert [*found.files] == ["_temporary/x"]
    assert in_root(found, "/moved") == [
        NewFile("/moved/_temporary/x", "/moved/Edit_1/x.parquet", SEVEN, "digest")
    ]


def test_offsets_for_people() -> None:
    ranges = (OffsetRange(0, 17, 43), OffsetRange(2, 5, 6))
    assert offsets(ranges) == "17 to 42 of partition 0, 5 to 5 of partition 2"


def test_two_that_begin_a_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a new one for both, whichever comes first."""
    root, make = str(tmp_path / "new"), filesystem.make_folder

    def made(path: str) -> None:
        make(path)
        monkeypatch.undo()
        folder_id(root)  # the other one

    monkeypatch.setattr(filesystem, "make_folder", made)
    assert folder_id(root) and not is_previous(root)
