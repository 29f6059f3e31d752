"""Changes of a folder: one after the other; what can't be finished any more changes nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_files import FaultyFiles, Killed, deaths

from el_beam.books.ledger.changes import (
    Changing,
    changing,
    finish,
    finish_left,
    is_prepared,
    prepare,
    written,
)
from el_beam.books.ledger.model import CHANGES, Change, LedgerFile
from el_beam.books.state.state import LeaseLost, StateError
from transforms.counts.summary import Summary
from transforms.io.files import filesystem

FOLDER = "Edit_1/year=2019/month=03/day=10/hour=07"


def path_of(name: str) -> str:
    return f"{FOLDER}/{name}.parquet"


def write(root: Path, *names: str) -> None:
    """Files, each with a row that has its name."""
    for name in names:
        path = root / path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"uuid": [name]}), path)


def seen(root: Path | str) -> dict[str, str]:
    """Name -> the uuid in it, of each file that readers see."""
    return {path.stem: pq.read_table(path, partitioning=None)["uuid"][0].as_py()
            for path in sorted(Path(root, FOLDER).glob("*.parquet"))}  # fmt: skip


def change(right: Changing, name: str, new: str, *removed: str) -> Change:
    """A file `new` instead of others. Its row has the name of the change."""
    like = LedgerFile(path_of(new), "Edit_1", "2019-03-10T07", 1, 0, "", ())
    receipt = written(right, path_of(new), [like], pa.table({"uuid": [name]}))
    paths = tuple(map(path_of, removed))
    return Change(name, "a test", Summary(files={receipt.where: receipt}), {}, paths)


def do(root: Path, name: str, new: str, *removed: str) -> None:
    with changing(str(root)) as right:
        prepare(change(right, name, new, *removed), right)
        finish(name, right)


class _Sleeper(Changing):
    """A holder that was taken for dead and hasn't noticed: it has looked just before."""

    def check(self) -> None:
        return


@contextmanager
def sleeper(root: Path) -> Iterator[_Sleeper]:
    """It works on where another instance may begin."""
    with changing(str(root)) as right:
        mine = _Sleeper(str(root), right._lease, right.known)
        mine.temporary = f"{root}/_temporary/asleep"  # or whoever comes next sweeps its files up
    yield mine


def test_files_instead_of_others(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "c")
    do(tmp_path, "one", "ab", "a", "b")
    assert seen(tmp_path) == {"ab": "one", "c": "c"}
    kept = tmp_path / "_replaced/one" / path_of("a")
    assert pq.read_table(kept, partitioning=None)["uuid"].to_pylist() == ["a"]
    assert is_prepared(str(tmp_path), "one")
    assert CHANGES.names(str(tmp_path), undone=True) == []
    assert not (tmp_path / "_temporary").exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    write(tmp_path, "a")
    refused = pytest.raises(StateError, match="works on this state")
    with changing(str(tmp_path)), refused, changing(str(tmp_path)):
        raise AssertionError("two are there")


def test_who_was_taken_for_dead_prepares_nothing(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with changing(str(tmp_path)) as right:
        mine = change(right, "one", "x", "a")
        (tmp_path / "_ledger/lease/00000009.json").write_text("{}")
        with pytest.raises(LeaseLost, match="instance 9 works here now"):
            prepare(mine, right)
        (tmp_path / "_ledger/lease/00000009.json").unlink()
    assert not is_prepared(str(tmp_path), "one")
    assert seen(tmp_path) == {"a": "a"}


def test_of_two_changes_of_a_file_the_later_is_given_up(tmp_path: Path) -> None:
    """The one that was prepared after the other was done."""
    write(tmp_path, "a", "b", "c")
    with sleeper(tmp_path) as late:
        mine = change(late, "late", "ab", "a", "b")
        do(tmp_path, "first", "bc", "b", "c")
        prepare(mine, late)
        told = f"another instance has changed the same files of {tmp_path}: nothing was done"
        with pytest.raises(LeaseLost, match=told):
            finish("late", late)
    assert seen(tmp_path) == {"a": "a", "bc": "first"}
    assert CHANGES.names(str(tmp_path)) == ["first"]
    assert not (tmp_path / "_replaced/late").exists()


def test_a_change_of_the_same_that_was_left_is_given_up(tmp_path: Path) -> None:
    """By whoever comes next, where the one that has prepared it is dead."""
    write(tmp_path, "a", "b", "c")
    with sleeper(tmp_path) as late:
        mine = change(late, "late", "ab", "a", "b")
        do(tmp_path, "first", "bc", "b", "c")
        prepare(mine, late)
    finish_left(str(tmp_path))
    assert seen(tmp_path) == {"a": "a", "bc": "first"}
    assert CHANGES.names(str(tmp_path)) == ["first"]


def test_of_two_that_are_prepared_one_is_finished(tmp_path: Path) -> None:
    """Neither knows the other; the one that is finished first gives itself up."""
    write(tmp_path, "a", "b", "c")
    with sleeper(tmp_path) as late, changing(str(tmp_path)) as right:
        prepare(change(late, "late", "ab", "a", "b"), late)
        prepare(change(right, "first", "bc", "b", "c"), right)
        with pytest.raises(LeaseLost):
            finish("first", right)
        assert seen(tmp_path) == {"a": "a", "b": "b", "c": "c"}
        finish("late", late)
    assert seen(tmp_path) == {"ab": "late", "c": "c"}


def test_changes_of_other_files_are_both_finished(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    with sleeper(tmp_path) as late:
        mine = change(late, "late", "x", "a")
        do(tmp_path, "first", "y", "b")
        prepare(mine, late)
        finish("late", late)
    assert seen(tmp_path) == {"x": "late", "y": "first"}


def test_where_new_files_are_gone_nothing_is_put_away(tmp_path: Path) -> None:
    """As after a loss of power on a file system that has forgotten them."""
    write(tmp_path, "a")
    with changing(str(tmp_path)) as right:
        mine = change(right, "one", "x", "a")
        prepare(mine, right)
        (new,) = (each.file for each in mine.summary.files.values())
        assert new
        filesystem.remove(new.temporary)
    finish_left(str(tmp_path))
    assert seen(tmp_path) == {"a": "a"}
    assert CHANGES.names(str(tmp_path)) == []
    do(tmp_path, "one", "x", "a")  # made again, by the same name
    assert seen(tmp_path) == {"x": "one"}


def test_two_equal_files_have_two_temporary_names(tmp_path: Path) -> None:
    """As where a purge leaves the same of both: each gets its own name."""
    write(tmp_path, "a", "b")
    with changing(str(tmp_path)) as right:
        one, two = (change(right, "one", new, old) for new, old in (("x", "a"), ("y", "b")))
        files = one.summary.files | two.summary.files
        temporary = {each.file.temporary for each in files.values() if each.file}
        assert len(temporary) == 2
        assert len({each.file.sha256 for each in files.values() if each.file}) == 1
        prepare(Change("one", "", Summary(files=files), {}, one.removed + two.removed), right)
        finish("one", right)
    assert seen(tmp_path) == {"x": "one", "y": "one"}


def test_what_dead_ones_have_written_is_swept_up(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with pytest.raises(Killed), changing(str(tmp_path)) as right:
        change(right, "one", "x", "a")
        raise Killed
    assert filesystem.names(f"{tmp_path}/_temporary/changes") == ["00000001"]
    with changing(str(tmp_path)):
        pass
    assert not (tmp_path / "_temporary").exists()
    assert seen(tmp_path) == {"a": "a"}


def killed(tmp_path: Path) -> Iterator[str]:
    """Folders of two files, in each of which a change died one operation later."""

    def made(number: int) -> str:
        root = tmp_path / f"at{number}"
        write(root, "a", "b")
        return str(root)

    return iter(deaths(made, lambda root: do(Path(root), "one", "ab", "a", "b")))


def test_killed_at_every_moment(tmp_path: Path) -> None:
    """Whoever comes next finishes it, or nothing of it was done; nobody sees both."""
    found = []
    for root in killed(tmp_path):
        before = seen(root)
        assert before == {"ab": "one"} or "ab" not in before
        with changing(root):
            pass
        found.append(seen(root))
    assert len(found) > 20
    assert all(each in ({"a": "a", "b": "b"}, {"ab": "one"}) for each in found)
    assert found[0] != found[-1]


def test_killed_then_moved_at_every_moment(tmp_path: Path) -> None:
    """Whoever comes next finishes it where the folder is now, and makes nothing where it was."""
    found = []
    for root in killed(tmp_path):
        moved = shutil.move(root, f"{root}-moved")
        finish_left(moved)
        assert not Path(root).exists()
        found.append(seen(moved))
    assert all(each in ({"a": "a", "b": "b"}, {"ab": "one"}) for each in found)
    assert found[0] != found[-1]


def test_a_loss_of_power_at_every_moment(tmp_path: Path) -> None:
    """What isn't synced is forgotten: still it is all or nothing."""
    number, ended, found = 0, False, []
    while not ended:
        number += 1
        root = tmp_path / f"at{number}"
        write(root, "a", "b")
        files = FaultyFiles(str(root), dies_at=number, after=True, forgets=True)
        with files.mounted():
            try:
                do(root, "one", "ab", "a", "b")
            except Killed:
                assert files.dead
        ended = not files.dead
        with changing(str(root)):
            pass
        found.append(seen(root))
    assert number > 20
    assert all(each in ({"a": "a", "b": "b"}, {"ab": "one"}) for each in found)
    assert found[0] != found[-1]


def test_what_was_put_away_comes_back_where_the_new_files_are_gone(tmp_path: Path) -> None:
    """Whoever swept them up had not seen the change yet, and it had begun."""
    write(tmp_path, "a", "b")
    with changing(str(tmp_path)) as right:
        made = change(right, "one", "ab", "a", "b")
        prepare(made, right)
    away = tmp_path / "_replaced/one" / path_of("a")
    away.parent.mkdir(parents=True)
    (tmp_path / path_of("a")).rename(away)
    (file,) = (each.file for each in made.summary.files.values() if each.file)
    Path(file.temporary).unlink()
    with changing(str(tmp_path)):
        pass
    assert seen(tmp_path) == {"a": "a", "b": "b"}
    assert not is_prepared(str(tmp_path), "one")
