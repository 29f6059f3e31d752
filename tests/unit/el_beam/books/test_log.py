"""A log: each entry once and in its order, whatever dies, and whoever writes it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from faulty_files import FaultyFiles, deaths
from hypothesis import given
from hypothesis import strategies as st

from el_beam.books.log import Log
from schemas.durable import DocumentError, DocumentFormat


@dataclass(frozen=True)
class Note:
    """An entry."""

    number: int
    committed: float = 0.0
    text: str = ""


FORMAT = DocumentFormat("note", Note)


def log(folder: Path | str, kept: int = 3) -> Log[Note]:
    return Log(str(folder), FORMAT, kept)


def note(number: int, text: str = "") -> Note:
    return Note(number, float(number), text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_yet(tmp_path: Path) -> None:
    assert log(tmp_path / "none").last() is None
    assert [*log(tmp_path / "none").entries()] == []
    assert not (tmp_path / "none").exists()


@given(st.integers(1, 4), st.integers(1, 30), st.integers(0, 3))
def test_all_entries_in_order(
    tmp_path_factory: pytest.TempPathFactory, kept: int, many: int, gap: int
) -> None:
    """Numbers may leave some out; old entries share files, and few have one of their own."""
    folder = tmp_path_factory.mktemp("log")
    wanted = [note(1 + each * (gap + 1)) for each in range(many)]
    writer = log(folder, kept)
    for each in wanted:
        assert writer.add(each)
        assert writer.last() == each
        assert log(folder, kept).last() == each
    for reader in (writer, log(folder, kept)):
        assert [*reader.entries()] == wanted
    assert len([*folder.glob("*.commit.json")]) < 2 * kept
    assert len(names(folder)) < 2 * kept + many / kept


def test_numbers_of_more_than_eight_digits(tmp_path: Path) -> None:
    """In the order of numbers, which is not that of names any more."""
    wanted = [note(number) for number in range(99_999_990, 100_000_020)]
    for each in wanted:
        assert log(tmp_path).add(each)
    assert [*log(tmp_path).entries()] == wanted
    assert log(tmp_path).last() == wanted[-1]
    assert "100000019.commit.json" in names(tmp_path)


def test_entries_since_a_time(tmp_path: Path) -> None:
    """At least those: of a file that some share all may come."""
    wanted = [note(number) for number in range(1, 21)]
    writer = log(tmp_path)
    for each in wanted:
        writer.add(each)
    for since in range(1, 23):
        found = [*log(tmp_path).entries(since)]
        assert found == wanted[len(wanted) - len(found) :]
        late = [each for each in wanted if each.committed >= since]
        assert len(late) <= len(found) < len(late) + 3
    assert log(tmp_path).last() in [*log(tmp_path).entries(18)]


def test_two_writers_of_one_number(tmp_path: Path) -> None:
    """The later one gets to know it, and what it wanted to say is nowhere."""
    one, two = log(tmp_path), log(tmp_path)
    assert one.add(note(1, "first"))
    assert not two.add(note(1, "second"))
    assert two.last() is None, "it has not looked since"
    two.look()
    assert two.last() == note(1, "first")
    assert two.add(note(2, "third"))
    one.look()
    assert [*one.entries()] == [note(1, "first"), note(2, "third")]


def test_a_writer_that_has_not_seen_a_fold(tmp_path: Path) -> None:
    """Numbers whose entries share a file are taken, too."""
    slow = log(tmp_path)
    assert slow.add(note(1))
    other = log(tmp_path)
    for number in range(2, 9):
        assert other.add(note(number))
    assert not (tmp_path / "00000002.commit.json").exists(), "it is in a file with others"
    assert not slow.add(note(2, "again"))
    assert [*log(tmp_path).entries()] == [note(number) for number in range(1, 9)]


def test_killed_while_entries_become_one_file(tmp_path: Path) -> None:
    """Before each operation on files: each entry is there once, and the next one can be made."""
    before = tmp_path / "before"
    for number in range(1, 6):
        log(before).add(note(number))
    assert len(names(before)) == 5

    def copied(number: int) -> str:
        return str(shutil.copytree(before, tmp_path / f"at{number}"))

    died = 0
    for root in deaths(copied, lambda root: log(root).add(note(6))):
        found = [*log(root).entries()]
        died += 1
        assert found in ([note(each) for each in range(1, 6)], [note(each) for each in range(1, 7)])
        last = found[-1].number
        for number in range(last + 1, last + 8):
            assert log(root).add(note(number))
        assert [*log(root).entries()] == [note(each) for each in range(1, last + 8)]
        assert len([*Path(root).glob("*.commit.json")]) < 6, "what was left is swept up"
    assert died > 10


def test_a_loss_of_power_while_entries_become_one_file(tmp_path: Path) -> None:
    """After each operation, too."""
    number, ended = 0, False
    while not ended:
        number += 1
        root = tmp_path / f"at{number}"
        root.mkdir()
        for each in range(1, 6):
            log(root).add(note(each))
        files = FaultyFiles(str(root), dies_at=number, after=True, forgets=True)
        with files.mounted():
            try:
                log(root).add(note(6))
            except BaseException:
                assert files.dead
        ended = not files.dead
        found = [*log(root).entries()]
        assert found in ([note(each) for each in range(1, 6)], [note(each) for each in range(1, 7)])
    assert number > 10


def test_many_old_entries_at_once(tmp_path: Path) -> None:
    """They are in few files, and others come after them."""
    wanted = [note(number) for number in range(1, 12)]
    many = log(tmp_path)
    many.add_all(wanted[:10])
    assert len(names(tmp_path)) == 4
    assert many.last() == wanted[9]
    assert many.add(wanted[10])
    for reader in (many, log(tmp_path)):
        assert [*reader.entries()] == wanted


def test_many_entries_after_one_of_its_own(tmp_path: Path) -> None:
    log(tmp_path).add(note(1))
    log(tmp_path).add_all([note(number) for number in range(2, 5)])
    assert [*log(tmp_path).entries()] == [note(number) for number in range(1, 5)]


def test_a_damaged_entry_is_told(tmp_path: Path) -> None:
    log(tmp_path).add(note(1))
    (tmp_path / "00000001.commit.json").write_text("{")
    with pytest.raises(DocumentError, match=r"00000001\.commit\.json is damaged"):
        log(tmp_path).last()


def test_half_made_files_are_no_entries(tmp_path: Path) -> None:
    log(tmp_path).add(note(1))
    (tmp_path / "_00000002.commit.json.0123").write_text("{")
    assert [*log(tmp_path).entries()] == [note(1)]


def test_old_entries_hide_none_that_was_made_meanwhile(tmp_path: Path) -> None:
    """Who adds many old ones knows then that they must come after it."""
    late, other = log(tmp_path), log(tmp_path)
    assert other.add(note(1, "other"))
    assert not late.add_all([note(1, "old"), note(2, "old")])
    assert [each.text for each in log(tmp_path).entries()] == ["other"]
    late.look()
    assert late.add_all([note(2, "old"), note(3, "old")])
    assert [each.text for each in log(tmp_path).entries()] == ["other", "old", "old"]


def test_what_is_none_of_a_log_is_passed_over(tmp_path: Path) -> None:
    assert log(tmp_path).add(note(1))
    for name in ("README", "copy of 00000001.commit.json", "_00000002.commit.json.0f3a"):
        (tmp_path / name).write_text("")
    assert [*log(tmp_path).entries()] == [note(1)]


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "00000001.commit.json").write_text("")
    with pytest.raises(DocumentError, match=r"00000001\.commit\.json is damaged"):
        log(tmp_path).last()
