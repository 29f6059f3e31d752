"""The folders of an import: who may write into them, and what enters when."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from el_beam.books import folder
from el_beam.books.imports import ImportEntry, in_root
from el_beam.books.ledger.changes import changing, finish, prepare
from el_beam.books.ledger.hours import retire
from el_beam.books.ledger.model import Change
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Commit, LeaseLost, State, StateError
from el_beam.running.increments.folders import Entries, ImportFolders
from runners.orphans import Processes
from schemas.registry import open_registry
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.read.offsets import OffsetRange, Ranges
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding, RawEncoding
from transforms.write.files import FileSink
from transforms.write.sink import NewFile, Receipt, Sink

HOUR = "2019-03-10T07"
PLACE = "Edit_1/year=2019/month=03/day=10/hour=07"
EVENT_ERRORS_TOO, NO_EVENT_ERRORS = Choice(), Choice(errors=False)


class Import:
    """An instance of an import of the topic raw, with the folders p, a parquet: sink, and r, an
    archive."""

    def __init__(self, base: Path, stack: ExitStack) -> None:
        self.base, self._stack = base, stack

    def sink(self, name: str) -> Sink:
        encoding = RawEncoding() if name == "r" else ParquetEncoding(open_registry(None))
        scheme = "raw" if name == "r" else "parquet"
        return FileSink(scheme, f"{self.base}/{name}", encoding, "job")

    def begin(
        self, state: str = "state", names: str = "rp", choice: Choice = EVENT_ERRORS_TOO
    ) -> ImportFolders:
        """Raises StateError."""
        self.state = State(f"{self.base}/{state}")
        self.state.bind("cluster")
        lease = self._stack.enter_context(Lease(self.state))
        sinks = [(self.sink(name), choice) for name in names.split(",") for name in _each(name)]
        return ImportFolders(sinks, self.state, lease, "cluster", 3, Processes())

    def end(self) -> None:
        self._stack.close()

    def entries(self, folders: ImportFolders, start: int, end: int, increment: int = 1) -> Entries:
        """What an increment has for each folder: a file, which has its temporary name."""
        found = {}
        for key, log in folders.logs("raw", "id").items():
            name = f"{log.sink.root[-1]}-{start}-{end}"
            new = NewFile(f"_temporary/{self.state.id()[:16]}/1/{name}", f"{PLACE}/{name}.parquet",
                          HOUR, hashlib.sha256(name.encode()).hexdigest())  # fmt: skip
            filesystem.make_folder(f"{log.sink.root}/{new.temporary}".rpartition("/")[0])
            filesystem.write(f"{log.sink.root}/{new.temporary}", name.encode())
            receipt = Receipt("", "split", "Edit", 1, written=1, file=new)
            found[key] = ImportEntry(
                f"increment {increment}", "raw" if key.endswith("raw") else "parquet", "cluster",
                "raw", "id", Summary(1, files={new.temporary: receipt}),
                (OffsetRange(0, start, end),), choice=log.choice, state=self.state.id(),
                increment=increment,
            )  # fmt: skip
        return found

    def seen(self, name: str) -> list[str]:
        return filesystem.names(f"{self.base}/{name}/{PLACE}")


def _each(names: str) -> Iterator[str]:
    yield from [names] if names[-1].isdigit() else names


@pytest.fixture
def importing(tmp_path: Path) -> Iterator[Callable[[], Import]]:
    """Begins instances, one after the other."""
    with ExitStack() as stack:

        def begin() -> Import:
            stack.close()
            return Import(tmp_path, stack)

        yield begin


def held(folders: ImportFolders) -> list[Ranges]:
    return [log.held for log in folders.logs("raw", "id").values()]


@pytest.mark.parametrize(("taken", "others"), [("p", "q"), ("q", "p")])
def test_one_folder_that_cannot_have_it_stops_archives_alone(
    importing: Callable[[], Import], taken: str, others: str
) -> None:
    """Another import has put some of the records there. What an archive has all have, or a backfill
    of it would make doubles."""
    mine = importing()
    folders = mine.begin(names="rpq")
    logs = folders.logs("raw", "id")
    entries = mine.entries(folders, 0, 5)
    (log,) = (each for each in logs.values() if each.sink.root.endswith(taken))
    other = ImportEntry("other", "parquet", "cluster", "raw", "id", Summary(),
                        (OffsetRange(0, 3, 9),), state="other", increment=1)  # fmt: skip
    log.enter(other)
    assert not folders.enter(entries, logs)
    assert mine.seen(others) == [f"{others}-0-5.parquet"]
    assert mine.seen(taken) == mine.seen("r") == []


def test_what_a_change_has_replaced_is_not_brought_back(importing: Callable[[], Import]) -> None:
    """After a loss of power the file has its temporary name again."""
    mine = importing()
    folders = mine.begin(names="p")
    entries = mine.entries(folders, 0, 5)
    assert folders.enter(entries, folders.logs("raw", "id"))
    root = f"{mine.base}/p"
    (entry,) = entries.values()
    (file,) = in_root(entry.summary, root)
    with changing(root) as change:
        prepare(Change("gone", "a test", Summary(), {}, (f"{PLACE}/p-0-5.parquet",)), change)
        finish("gone", change)
    filesystem.make_folder(file.temporary.rpartition("/")[0])
    filesystem.write(file.temporary, b"p-0-5")
    mine = importing()
    again = mine.begin(names="p")
    assert mine.seen("p") == []
    assert again.enter(entries, again.logs("raw", "id")) and mine.seen("p") == []


def test_files_of_an_entry_get_their_names_whatever_the_state_knows(
    importing: Callable[[], Import],
) -> None:
    """And nothing that waits for its name is swept up."""
    mine = importing()
    folders = mine.begin()
    for entry, log in zip(mine.entries(folders, 0, 5).values(), folders.logs("raw", "id").values(),
                          strict=True):  # fmt: skip
        log.enter(entry)  # and dies
    folders.sweep([])
    assert mine.seen("p") == []
    mine = importing()
    mine.begin()
    assert (mine.seen("p"), mine.seen("r")) == (["p-0-5.parquet"], ["r-0-5.parquet"])


def test_a_damaged_log_sweeps_nothing_up(importing: Callable[[], Import]) -> None:
    mine = importing()
    folders = mine.begin(names="p")
    (log,) = folders.logs("raw", "id").values()
    assert folders.enter(mine.entries(folders, 0, 5), folders.logs("raw", "id"))
    mine.entries(folders, 5, 9)
    Path(log.log.folder, "00000001.commit.json").write_text("")
    mine = importing()
    again = mine.begin(names="p")
    assert "00000001.commit.json is damaged" in again.damaged[f"{mine.base}/p"]
    again.sweep([])
    assert filesystem.names(f"{mine.base}/p/_temporary/{mine.state.id()[:16]}/1") == ["p-5-9"]


def test_a_folder_and_its_copy(importing: Callable[[], Import]) -> None:
    mine = importing()
    mine.begin(names="p")
    shutil.copytree(mine.base / "p", mine.base / "p2")
    mine = importing()
    with pytest.raises(StateError, match=r"`el state new-id .*/p2` makes a copy a folder of its"):
        mine.begin(names="p,p2")
    folder.new_id(f"{mine.base}/p2")
    importing().begin(names="p,p2")


def test_a_state_and_its_copy(importing: Callable[[], Import]) -> None:
    mine = importing()
    mine.begin()
    mine.end()
    shutil.copytree(mine.base / "state", mine.base / "copy")
    mine = importing()
    with pytest.raises(StateError, match=r"copy is a copy of .*/state, which is there too"):
        mine.begin("copy")
    State(f"{mine.base}/copy").new_id()
    for state in ("copy", "state"):
        importing().begin(state)


@pytest.mark.parametrize("original", ["moved", "linked"])
def test_a_state_by_another_path(importing: Callable[[], Import], original: str) -> None:
    mine = importing()
    mine.begin()
    mine.end()
    if original == "moved":
        (mine.base / "state").rename(mine.base / "other")
    else:
        (mine.base / "other").symlink_to(mine.base / "state")
    importing().begin("other").check()


def test_an_instance_on_a_copy_elsewhere_ends_this_one(importing: Callable[[], Import]) -> None:
    """Where nobody sees the original any more, the folders know who has begun last."""
    mine = importing()
    folders = mine.begin()
    folders.check()
    shutil.copytree(mine.base / "state", mine.base / "elsewhere")
    (mine.base / "state").rename(mine.base / "unseen")
    with ExitStack() as stack:
        other = Import(mine.base, stack)
        with pytest.raises(StateError, match="works on this state"):
            other.begin("elsewhere")
        shutil.rmtree(mine.base / "elsewhere/lease")
        other.begin("elsewhere")
    (mine.base / "unseen").rename(mine.base / "state")
    with pytest.raises(LeaseLost, match="another instance works on a copy"):
        folders.check()


def test_imports_of_one_folder_choose_the_same(importing: Callable[[], Import]) -> None:
    mine = importing()
    folders = mine.begin()
    assert folders.enter(mine.entries(folders, 0, 5), folders.logs("raw", "id"))
    theirs = mine.state.id()
    same = mine.begin("other")
    assert same.conflicts(same.logs("raw", "id")) == ""
    mine = importing()
    different = mine.begin("other", choice=NO_EVENT_ERRORS)
    told = different.conflicts(different.logs("raw", "id"))
    assert "chooses all, and this one no EventErrors" in told
    for name in "pr":
        assert f"--retire {theirs}" in told
        retire(f"{mine.base}/{name}", theirs)
    assert different.conflicts(different.logs("raw", "id")) == ""
    mine = importing()
    mine.begin()  # it comes back
    different = importing().begin("other", choice=NO_EVENT_ERRORS)
    assert different.conflicts(different.logs("raw", "id")) != ""


def test_an_import_may_change_its_choice(importing: Callable[[], Import]) -> None:
    mine = importing()
    folders = mine.begin()
    assert folders.enter(mine.entries(folders, 0, 5), folders.logs("raw", "id"))
    later = importing().begin(choice=NO_EVENT_ERRORS)
    assert later.conflicts(later.logs("raw", "id")) == ""
    assert held(later) == [(OffsetRange(0, 0, 5),)] * 2


def test_where_an_import_begins_in_a_new_folder(importing: Callable[[], Import]) -> None:
    """What was before is passed, until a reset asks for it."""
    mine = importing()
    folders = mine.begin(names="p")
    (note,) = folders.settle(Commit(3, {0: 7, 1: 2}), "raw", "id")
    assert note.startswith(f"{mine.base}/p knows nothing of raw: it begins with the records")
    assert folders.settle(Commit(3, {0: 7, 1: 2}), "raw", "id") == []
    (log,) = folders.logs("raw", "id").values()
    assert log.held == (OffsetRange(0, 0, 7), OffsetRange(1, 0, 2))
    last = log.log.last()
    assert last and (last.number, last.why, last.held) == (1, "begin", ())
    for _ in range(2):
        folders.settle(Commit(4, {0: 4, 1: 2}, why="reset", reset={0: 4}), "raw", "id")
    assert log.held == (OffsetRange(0, 0, 4), OffsetRange(1, 0, 2))


@pytest.mark.parametrize(
    ("again", "expected"),
    [(False, (OffsetRange(0, 0, 9), OffsetRange(1, 0, 3))),
     (True, (OffsetRange(0, 0, 6), OffsetRange(1, 0, 3)))],
)  # fmt: skip
def test_a_reset(importing: Callable[[], Import], again: bool, expected: Ranges) -> None:
    """Where other records have the offsets folders forget what they hold, of that partition."""
    mine = importing()
    folders = mine.begin(names="p")
    logs = folders.logs("raw", "id")
    (log,) = logs.values()
    entry = ImportEntry("one", "parquet", "cluster", "raw", "id", Summary(),
                        (OffsetRange(0, 0, 9), OffsetRange(1, 0, 3)), state=mine.state.id(),
                        increment=1)  # fmt: skip
    log.enter(entry)
    reset = Commit(2, {0: 6, 1: 3}, committed=1e10, why="reset", reset={0: 6}, again=again)
    for _ in range(2):
        folders.settle(reset, "raw", "id")
        assert log.held == expected
