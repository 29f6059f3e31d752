"""Retention: what is too old goes, or keeps what a list names."""

import hashlib
import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_files import deaths
from places import where

from el_beam.books.imports import ImportEntry, ImportLog
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.changes import changing
from el_beam.books.ledger.entries import enter_run, enter_state, read_ledger
from el_beam.books.ledger.hours import put
from el_beam.books.ledger.model import Ledger
from el_beam.books.state.state import Attempt, Intent, Manifest, State
from el_beam.cli import main as el
from el_beam.upkeep.compaction import compact, hours
from el_beam.upkeep.retention.keep_list import Keep, KeepError, read_keep
from el_beam.upkeep.retention.purge import (
    TooOld,
    check_files,
    cut,
    documents_of,
    left_over,
    purge,
    steps,
)
from schemas.registry import open_registry
from transforms.counts.summary import HourKey, Summary
from transforms.io.files import filesystem
from transforms.io.world import Clock, ticking
from transforms.layout import REPLACED
from transforms.route import Choice
from transforms.write.encodings import ParquetEncoding, parquet
from transforms.write.files import FileSink
from transforms.write.sink import NewFile, Receipt

OLD, NEW = "2019-03-10T07", datetime.now(UTC).isoformat()[:13]
SECRETS = ("10.1.2.3", "Firefox", "a name", "kept aside")
RESCUED = json.dumps({"event.action": 5, "event.user": SECRETS[3], "event.no_such": SECRETS[3]})


def folder_of(schema: str, hour: str) -> str:
    day, _, number = hour.partition("T")
    year, month, day = day.split("-")
    return f"{schema}/year={year}/month={month}/day={day}/hour={number}"


class Folder:
    """Tables, in files that a run seems to have written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sink = FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")

    def write(
        self, schema: str, hour: str, split: str = "a", ending: str = ".parquet", **more: list[Any]
    ) -> Path:
        path = self.root / folder_of(schema, hour) / f"{split}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = parquet(pa.table({
            "dt": [f"{hour}:00:00Z"] * 2, "uuid": [f"{schema}-{split}-{n}" for n in range(2)],
            "wiki": ["enwiki", None], "ip": [SECRETS[0]] * 2,
            "userAgent": [{"browser_family": SECRETS[1]}, None],
            "event": [{"action": "save", "user": {"name": SECRETS[2], "edits": 5}}, None],
            **more, "_rescued_data": [None, RESCUED],
        }))  # fmt: skip
        path.write_bytes(content)
        name, _, revision = schema.rpartition("_")
        new = NewFile(
            f"{self.root}/_temporary/{path.name}",
            str(path),
            hour,
            hashlib.sha256(content).hexdigest(),
        )
        receipt = Receipt(str(self.sink), split, name, int(revision), str(path), 2, 2,
                          size=len(content), file=new)  # fmt: skip
        summary = Summary(2, 0, {HourKey(hour, schema, ""): 2}, files={"t": receipt})
        enter_run([self.sink], str(path), {str(path): summary})
        return path

    def ledger(self) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger

    def purge(self, keep: Keep) -> int:
        """How many files had something to be removed."""
        with changing(str(self.root)) as change:
            found = list(steps(self.ledger(), keep, TooOld(datetime.now(UTC), timedelta(90))))
            for step in found:
                assert step.files
                assert purge(step, change) == {}
        return sum(len(step.files) for step in found)

    def compact(self) -> None:
        with changing(str(self.root)) as change:
            for hour in hours(read_ledger(str(self.root))):
                assert compact(hour, change).problems == {}

    def rows(self, schema: str) -> list[dict[str, Any]]:
        return [row for path in sorted((self.root / schema).rglob("*.parquet"))
                for row in pq.read_table(path, partitioning=None).to_pylist()]  # fmt: skip

    def secrets(self) -> list[str]:
        """Files that have what may not stay, as far as this can be seen."""
        return [str(path) for path in self.root.rglob("*") if path.is_file()
                and not str(path.parent).endswith(folder_of("", NEW))
                and any(each in _told(path) for each in SECRETS)]  # fmt: skip


def _told(path: Path) -> str:
    """What is in a file: values, and the least and greatest ones in a footer."""
    if path.suffix != ".parquet":
        return path.read_text()
    file = pq.ParquetFile(path)
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    return f"{file.read().to_pylist()} {columns} {file.metadata.metadata}"


def is_old(hour: str) -> bool:
    return hour < "2020"


def keeping(**fields: str) -> Keep:
    return Keep({name: frozenset(told.split()) for name, told in fields.items()})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "out")
    for schema in ("Edit_1", "EventError_2"):
        for hour in (OLD, NEW):
            folder.write(schema, hour)
    return folder


def test_all_that_is_old(folder: Folder) -> None:
    assert folder.purge(Keep({})) == 2
    for schema in ("Edit_1", "EventError_2"):
        assert {row["dt"][:13] for row in folder.rows(schema)} == {NEW}
    assert {hour.hour: hour.rows for hour in folder.ledger().hours()} == {OLD: 0, NEW: 2}
    assert folder.purge(Keep({})) == 0


def test_what_stays(folder: Folder) -> None:
    keep = keeping(Edit="wiki event.action event.user.edits no.such")
    before = folder.ledger()
    schema = pq.read_schema(next((folder.root / "Edit_1").rglob("*.parquet")))
    assert folder.purge(keep) == 2
    first, second, *new = folder.rows("Edit_1")
    assert first == {
        "dt": f"{OLD}:00:00Z", "uuid": "Edit_1-a-0", "wiki": "enwiki", "ip": None,
        "userAgent": None, "event": {"action": "save", "user": {"name": None, "edits": 5}},
        "_rescued_data": None,
    }  # fmt: skip
    assert second["event"] is None
    assert second["uuid"] == "Edit_1-a-1"
    assert json.loads(second["_rescued_data"]) == {"event.action": 5}, "it is a field's value"
    assert new[0]["ip"] == SECRETS[0], "it isn't old"
    (kept,) = (folder.root / "Edit_1" / "year=2019").rglob("*.parquet")
    assert pq.read_schema(kept).equals(schema)
    made_of = folder.ledger().files[str(kept.relative_to(folder.root))].of
    assert made_of == before.files[f"{folder_of('Edit_1', OLD)}/a.parquet"].of
    assert folder.purge(keep) == 0, "there is nothing left to do"
    assert folder.purge(keeping(Edit="wiki", Other="wiki")) == 1, "another list may leave less"
    assert folder.rows("Edit_1")[0]["event"] is None
    assert folder.purge(keeping(Edit="wiki")) == 0, "what is said of others is no matter"


def test_rows_without_fields(folder: Folder) -> None:
    """A table that is named with no fields keeps its rows."""
    assert folder.purge(keeping(Edit="")) == 2
    first, second, *_ = folder.rows("Edit_1")
    assert {name for name, value in (first | second).items() if value} == {"dt", "uuid"}
    assert [first["uuid"], second["uuid"]] == ["Edit_1-a-0", "Edit_1-a-1"]


def test_a_struct_as_a_whole(folder: Folder) -> None:
    folder.purge(keeping(Edit="event userAgent"))
    first, second, *_ = folder.rows("Edit_1")
    assert first["event"] == {"action": "save", "user": {"name": SECRETS[2], "edits": 5}}
    assert first["userAgent"] == {"browser_family": SECRETS[1]}
    rescued = json.loads(second["_rescued_data"])
    assert rescued == json.loads(RESCUED), "with all in it, also what has no column"
    assert first["ip"] is None


def test_names_that_begin_alike(folder: Folder) -> None:
    folder.write("Edit_1", OLD, "b", event_more=["x", "y"])
    folder.purge(keeping(Edit="event_more"))
    row = next(row for row in folder.rows("Edit_1") if row["uuid"] == "Edit_1-b-0")
    assert (row["event_more"], row["event"]) == ("x", None)


def test_rescued_data_as_a_whole(folder: Folder) -> None:
    folder.purge(keeping(Edit="_rescued_data"))
    assert folder.rows("Edit_1")[1]["_rescued_data"] == RESCUED
    assert folder.rows("Edit_1")[0]["event"] is None


def test_columns_that_only_a_schema_tells_apart(folder: Folder, tmp_path: Path) -> None:
    """`event.a_b` is the property a_b, wherever its column's name comes from."""
    folder.write("K_2", OLD, event=[{"a_b": "dot", "a_b_2": "line", "c": "c"}, None])
    (tmp_path / "s/K").mkdir(parents=True)
    keys = {"a.b": {"type": "string"}, "a_b": {"type": "string"}, "c": {"type": "string"}}
    (tmp_path / "s/K/2.json").write_text(json.dumps({"properties": keys}))
    documents = documents_of(open_registry(f"{tmp_path}/s"))
    ledger = read_ledger(str(folder.root))
    for field in ("event.a_b", "event.a_b_2"):
        with pytest.raises(KeepError, match=f"no registry has K_2, .* {field} are: --schemas"):
            check_files(keeping(K_2=field), ledger)
        check_files(keeping(K_2=field), ledger, documents)
    check_files(keeping(K_2="event.c"), ledger)
    with changing(str(folder.root)) as change:
        (step,) = (step for step in steps(ledger, keeping(K_2="event.a_b"), TooOld(
            datetime.now(UTC), timedelta(90))) if step.files[0].schema == "K_2")  # fmt: skip
        assert purge(step, change, documents) == {}
    assert folder.rows("K_2")[0]["event"] == {"a_b": None, "a_b_2": "line", "c": None}


def test_lists_go_whole() -> None:
    table = pa.table({"uuid": ["a"], "event": [{"structs": [{"a": 1}], "texts": ["x"]}]})
    rows = cut(parquet(table), frozenset({"event.structs.a", "event.texts"})).to_pylist()
    assert rows == [{"uuid": "a", "event": {"structs": None, "texts": ["x"]}}]


def test_many_rows() -> None:
    """They are cut batch by batch, and structs are so with what is null in them."""
    numbers = range(25_000)
    table = pa.table({
        "uuid": [str(n) for n in numbers],
        "event": [{"a": n, "b": n} if n % 3 else None for n in numbers],
    })  # fmt: skip
    rows = cut(parquet(table), frozenset({"event.a"})).to_pylist()
    assert rows == [{"uuid": str(n), "event": {"a": n, "b": None} if n % 3 else None}
                    for n in numbers]  # fmt: skip


def test_nothing_of_it_is_left_anywhere(folder: Folder) -> None:
    folder.write("Edit_1", OLD, "b")
    folder.compact()
    assert folder.secrets()
    with changing(str(folder.root)):
        pass
    folder.purge(keeping(Edit="wiki"))
    assert all(f"/{REPLACED}/compact-" in path for path in folder.secrets())
    for path in left_over(str(folder.root), TooOld(datetime.now(UTC), timedelta(90))):
        filesystem.remove(path)
    assert folder.secrets() == []
    assert len([row for row in folder.rows("Edit_1") if row["dt"] < "2020"]) == 4


def test_after_compactions(folder: Folder) -> None:
    """Names don't grow, and nothing is done twice."""
    keep = keeping(Edit="wiki")
    for split in "bcd":
        folder.compact()
        assert folder.purge(keep) > 0
        folder.compact()
        assert folder.purge(keep) == 0
        folder.write("Edit_1", OLD, split)
    folder.compact()
    assert folder.purge(keep) == 1
    folder.compact()
    (path,) = (folder.root / "Edit_1" / "year=2019").rglob("*.parquet")
    assert len(path.name) == len("a-c0123456789ab-kept01234567.parquet")
    assert len(folder.rows("Edit_1")) == 8 + 2
    assert folder.rows("Edit_1")[0]["ip"] is None


def test_the_archive_keeps_nothing(folder: Folder) -> None:
    path = folder.write("*_0", OLD, ending=".raw.parquet")
    folder.purge(Keep({"*": frozenset({"line"}), "*_0": frozenset({"line"})}))
    assert not path.exists() and not [*path.parent.iterdir()]


def test_files_that_are_no_tables_keep_nothing(folder: Folder) -> None:
    path = folder.write("Edit_1", OLD, "j", ".jsonl.gz")
    assert folder.purge(keeping(Edit="wiki")) == 3
    assert not path.exists()
    assert len(folder.rows("Edit_1")) == 4


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_what_cannot_be_read(
    folder: Folder, damage: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is told, and the others are done; what goes as a whole needs not be read."""
    path = folder.write("Edit_1", OLD, "b")
    folder.write("Edit_1", OLD, "c")
    for each in (path, folder.root / folder_of("EventError_2", OLD) / "a.parquet"):
        if damage == "lost":
            each.unlink()
        else:
            each.write_bytes(each.read_bytes()[:-9])
    (tmp_path / "keep.yaml").write_text("Edit: [wiki]")
    call = ["purge", str(folder.root), "--older-than", "90d", "--yes", "--keep",
            str(tmp_path / "keep.yaml")]  # fmt: skip
    for done in ("1 files go, 2 keep some fields", "0 files go, 0 keep some fields"):
        assert el(call) == 1
        out, err = capsys.readouterr()
        assert "b.parquet" not in out
        counts, told = err.splitlines()
        assert counts == done
        assert told.startswith(f"el purge: left as it is: {folder_of('Edit_1', OLD)}/b.parquet: ")
        assert "no run has written it" not in told
    left = sorted(read_ledger(str(folder.root), selected=is_old).files)
    assert len(left) == 3 and left[1] == str(path.relative_to(folder.root))
    assert all("-kept" in each for each in (left[0], left[2]))


def left(folder: Folder, age: timedelta = timedelta(90)) -> set[str]:
    found = left_over(str(folder.root), TooOld(datetime.now(UTC), age))
    return {path.removeprefix(f"{folder.root}/") for path in found}


def test_what_was_put_away(folder: Folder) -> None:
    for change, hour in (("one", OLD), ("two", OLD), ("two", NEW)):
        path = folder.root / REPLACED / change / folder_of("Edit_1", hour) / "a.parquet"
        path.parent.mkdir(parents=True)
        path.touch()
    for name, days in (("stray", 100), ("other", 1)):
        path = folder.root / REPLACED / name / "copy.parquet"
        path.parent.mkdir(parents=True)
        path.touch()
        _aged(path, days)
    assert left(folder) == {
        "_replaced/one", f"_replaced/two/{folder_of('Edit_1', OLD)}/a.parquet", "_replaced/stray"
    }  # fmt: skip


def _aged(path: Path, days: float) -> None:
    then = datetime.now(UTC).timestamp() - days * 86_400
    os.utime(path, (then, then))


def entry_of(temporary: str) -> ImportEntry:
    """An increment whose file still has a temporary name."""
    new = NewFile(f"_temporary/{temporary}", f"x/{temporary}", NEW, "")
    summary = Summary(files={new.temporary: Receipt("", "a", "Edit", 1, file=new)})
    return ImportEntry("increment 1", "parquet", "cluster", "raw", "id", summary, ())


def test_what_killed_runs_have_left(folder: Folder, tmp_path: Path) -> None:
    """But for what an import will give its name, and what may be of one that works."""
    temporary = folder.root / "_temporary"
    for name, days in (("_change-x.json.1", 91.0), ("_change-x.json.2", 0.0)):
        (folder.root / "_ledger" / name).touch()
        _aged(folder.root / "_ledger" / name, days)
    for path in (folder.root / "_ledger").glob("run-*"):  # of the ledger itself nothing goes
        _aged(path, 99)
    for name, days in (("dead/a", 91), ("dead/b", 99), ("works/a", 91), ("works/b", 0.1),
                       ("waits/a", 99), ("entered/a", 99), ("file", 91)):  # fmt: skip
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).touch()
        _aged(temporary / name, days)
    (temporary / "begins").mkdir()
    state = State(str(tmp_path / "state"))
    enter_state([folder.sink], state)
    state.topic("raw").intend(Intent("raw", 1, (), {}), Attempt(1, 1))
    entry = entry_of("waits/a")
    state.topic("raw").prepare(1, Attempt(1, 1), Manifest({}, {"folder parquet": entry}))
    log = ImportLog.of(folder.sink, Choice(), "cluster", "raw", "id", put)
    log.enter(entry_of("entered/a"))
    assert left(folder) == {
        "_temporary/dead", "_temporary/file", "_temporary/works/a", "_ledger/_change-x.json.1"
    }  # fmt: skip
    assert left(folder, timedelta(hours=1)) == left(folder), "a day at least"


def test_killed_at_every_moment(folder: Folder, tmp_path: Path) -> None:
    """Whoever reads by the ledger sees all rows that stay; done again, all is as it should be."""
    folder.write("Edit_1", OLD, "b")
    (tmp_path / "keep.yaml").write_text("Edit: [wiki]")
    wanted = [f"Edit_1-{split}-{number}" for split in "ab" for number in range(2)]

    def copied(number: int) -> str:
        return str(shutil.copytree(folder.root, tmp_path / f"at{number}"))

    def work(root: str) -> None:
        keep = str(tmp_path / "keep.yaml")
        assert el(["purge", root, "--older-than", "90d", "--yes", "--keep", keep]) == 0

    number = 0
    for root in deaths(copied, work):
        number += 1
        now = [file for file in read_ledger(root).files.values() if file.hour == OLD]
        tables = [pq.read_table(where(Path(root), file)) for file in now if file.schema == "Edit_1"]
        assert sorted(uuid for table in tables for uuid in table["uuid"].to_pylist()) == wanted
        work(root)
        assert Folder(Path(root)).secrets() == []
        shutil.rmtree(root)
    assert number > 30


def test_by_revision_before_by_schema() -> None:
    keep = keeping(Edit="a", Edit_2="b", Edit_3="")
    found = [keep.of(f"Edit_{number}") for number in (1, 2, 3)]
    assert found == [frozenset("a"), frozenset("b"), frozenset()]
    assert keep.of("Other_1") is None


@pytest.mark.parametrize(
    "text",
    [
        *("Edit", "Edit: wiki", "- a", "{", "Edit: [[a]]", "", "Edit:", "[a]: [b]"),
        *("Edit: [a]\nEdit: [b]", "Edit: {wiki: keep}", "<<: [a]\n? {a: b}\n: c"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "keep.yaml").write_text(text)
    with pytest.raises(KeepError, match=r"keep\.yaml"):
        read_keep(str(tmp_path / "keep.yaml"))
    with pytest.raises(KeepError, match="cannot read"):
        read_keep(str(tmp_path / "none.yaml"))


def test_a_list_of_words_that_yaml_knows(tmp_path: Path) -> None:
    """They are names like any."""
    (tmp_path / "keep.yaml").write_text("Edit: [no, 1, null, !!int x]")
    assert read_keep(str(tmp_path / "keep.yaml")).of("Edit_9") == frozenset(
        {"no", "1", "null", "x"}
    )


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "keep.yaml").write_text("Edit: [wiki, event.action]\n")
    assert read_keep(str(tmp_path / "keep.yaml")).of("Edit_9") == frozenset(
        {"wiki", "event.action"}
    )
    assert read_keep(None).of("Edit_9") is None


def test_a_list_of_what_there_is(folder: Folder) -> None:
    """In any revision, or any file; also once others than these have become null."""
    folder.write("Edit_2", NEW, more=["x", "y"])
    folder.write("Edit_2", OLD, "z", later=["x", "y"])
    keep = keeping(Edit="wiki event event.user.name more later", Edit_1="_rescued_data", Edit_2="")
    check_files(keep, folder.ledger())
    folder.purge(keep)
    check_files(keep, folder.ledger())
    with pytest.raises(KeepError, match="Edit_1 has no more, it has"):
        check_files(keeping(Edit_1="more"), folder.ledger())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"Edit": "wiki event.acton"},
            "Edit has no event.acton, it has event.action, event, _rescued_",
        ),
        ({"Edit": "event.user.name.x"}, "Edit has no event.user.name.x, it has event.user.name, "),
        ({"Edit": "Wiki"}, "Edit has no Wiki, it has wiki, "),
        ({"Edti": "wiki"}, "there is no table of Edti, there are Edit_1, EventError_2"),
        ({"Lines": "wiki"}, "there is no table of Lines, there are Edit_1, EventError_2"),
        ({"*": "line"}, "there is no table of *, there are Edit_1, EventError_2"),
        ({"Edit_2": "", "X": ""}, "no table of Edit_2, there are Edit_1, EventError_2; there"),
    ],
)
def test_a_list_of_what_is_not_there(folder: Folder, fields: dict[str, str], told: str) -> None:
    folder.write("*_0", OLD, ending=".raw.parquet")
    folder.write("Lines_1", OLD, ending=".jsonl.gz")
    with pytest.raises(KeepError) as caught:
        check_files(keeping(**fields), folder.ledger())
    assert told in str(caught.value)


def test_a_list_where_nothing_can_be_read(folder: Folder) -> None:
    for path in (folder.root / "Edit_1").rglob("*.parquet"):
        path.write_bytes(b"")
    with pytest.raises(KeepError, match="cannot tell what Edit has: Edit_1/year"):
        check_files(keeping(Edit="wiki"), read_ledger(str(folder.root)))


def test_the_command(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keep.yaml").write_text("Edit: [wiki]")
    away = folder.root / REPLACED / "one" / folder_of("Edit_1", OLD) / "a.parquet"
    away.parent.mkdir(parents=True)
    away.touch()
    call = ["purge", str(folder.root), "--older-than", "36h", "--keep", str(tmp_path / "keep.yaml")]
    there = {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")}
    assert el(call) == 0
    told = capsys.readouterr()
    lines = [f"{folder_of('Edit_1', OLD)}/a.parquet: keeps dt, uuid, wiki",
             f"{folder_of('EventError_2', OLD)}/a.parquet: goes",
             "_replaced/one: goes"]  # fmt: skip
    assert told.out.splitlines() == lines
    assert told.err == "1 files would go, 1 would keep some fields; --yes does it\n"
    assert there == {path: path.stat().st_mtime_ns for path in folder.root.rglob("*")}
    assert el([*call, "--yes"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == lines
    assert told.err == "1 files go, 1 keep some fields\n"
    assert not away.exists() and folder.secrets() == []
    folder.write("EventError_2", OLD, "b")
    assert el([*call, "--yes", "--json"]) == 0
    path = f"{folder_of('EventError_2', OLD)}/b.parquet"
    assert json.loads(capsys.readouterr().out) == {"path": path, "keep": None}


def test_the_command_tells_what_it_cannot_remove(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file is of somebody else: both of what it has just put away, and of what was put
    away before. Once that is mended it goes on."""
    remove = os.unlink

    def refused(path: str, **where: Any) -> None:
        if where.get("dir_fd"):  # with a folder, not alone
            raise PermissionError(1, "Operation not permitted", path)
        remove(path, **where)

    call = ["purge", str(folder.root), "--older-than", "36h", "--yes"]
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refused)
        for _ in range(2):
            assert el(call) == 1
            assert "Operation not permitted" in capsys.readouterr().err
    assert folder.secrets() != []
    assert el(call) == 0
    assert folder.secrets() == [] and not [*folder.root.glob(f"{REPLACED}/*")]


def test_the_command_refuses_a_list(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keep.yaml").write_text("Edit: [wikki]")
    call = ["purge", str(folder.root), "--older-than", "1d", "--keep", str(tmp_path / "keep.yaml")]
    for yes in ([], ["--yes"]):
        assert el([*call, *yes]) == 2
        assert "Edit has no wikki, it has wiki, " in capsys.readouterr().err
    assert len(folder.rows("Edit_1")) == 4 and folder.secrets()


def test_the_command_tells_of_strangers(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """It doesn't know what they are, and says so until they are gone; those of today may stay."""
    strange = [folder.root / folder_of("Edit_1", hour) / "copy.parquet" for hour in (OLD, NEW)]
    odd = folder.root / "Edit_1/year=2019/month=03/day=10/hour=xx/copy.parquet"
    for path in (*strange, odd, folder.root / "copy.parquet"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(SECRETS[0])
    call = ["purge", str(folder.root), "--older-than", "1d"]
    for yes in ([], ["--yes"], ["--yes"]):
        assert el([*call, *yes]) == 1
        told = capsys.readouterr().err
        for told_of in ("copy.parquet", strange[0].relative_to(folder.root)):
            assert f"el purge: left as it is: {told_of}: no run has written it" in told
        assert f"{folder_of('Edit_1', NEW)}" not in told
    strange[0].unlink()
    (folder.root / "copy.parquet").unlink()
    assert el(call) == 0


@pytest.mark.parametrize("age", ["0", "0d", "90", "d", "-1d", "1.5d", "9999999d", "٣d", "1w", ""])
def test_an_age_that_is_none(age: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        el(["purge", "/nowhere", f"--older-than={age}"])
    assert "is not a valid age: write 90d or 36h" in capsys.readouterr().err


@pytest.mark.parametrize(("age", "rows"), [("29h", 0), ("31h", 2), ("1d", 0), ("2d", 2)])
def test_an_age(tmp_path: Path, age: str, rows: int) -> None:
    """Since the end of an hour; this one ended between thirty and 31 hours ago."""
    folder = Folder(tmp_path / "out")
    hour = datetime.now(UTC) - timedelta(hours=31)
    folder.write("Edit_1", hour.isoformat()[:13])
    assert el(["purge", str(folder.root), "--older-than", age, "--yes"]) == 0
    assert len(folder.rows("Edit_1")) == rows


@pytest.mark.parametrize("age", ["99999d", "99999h"])
def test_an_age_beyond_all_hours(folder: Folder, age: str) -> None:
    assert el(["purge", str(folder.root), "--older-than", age, "--yes"]) == 0
    assert len(folder.rows("Edit_1")) == 4


FUTURE = "2099-01-01T00"


class Ago(Clock):
    """What is written while it ticks came in so many days ago."""

    def __init__(self, days: float) -> None:
        self._seconds = days * 86400

    def time(self) -> float:
        return time.time() - self._seconds


def test_what_is_of_a_time_to_come_goes_by_the_time_when_it_came(folder: Folder) -> None:
    """A client's clock was wrong: the event of the year 2099 is as old as its receipt."""
    with ticking(Ago(100)):
        long_ago = folder.write("Edit_1", FUTURE, "a"), folder.write("*_0", FUTURE, "a")
    with ticking(Ago(80)):
        lately = folder.write("Edit_1", FUTURE, "b")
    folder.purge(Keep({}))
    assert [path.exists() for path in (*long_ago, lately)] == [False, False, True]
    assert {row["dt"][:13] for row in folder.rows("Edit_1")} == {NEW, FUTURE}


def test_its_receipt_outlives_what_is_kept_of_it(folder: Folder) -> None:
    with ticking(Ago(100)):
        folder.write("Edit_1", FUTURE, "a")
    assert folder.purge(keeping(Edit="wiki")) == 3
    row, _ = (row for row in folder.rows("Edit_1") if row["dt"][:13] == FUTURE)
    assert row["wiki"] == "enwiki" and row["ip"] is None
    assert folder.purge(keeping(Edit="wiki")) == 0
    assert folder.purge(Keep({})) == 2
    put_away = folder.root / REPLACED / "x" / folder_of("Edit_1", FUTURE) / "a.parquet"
    put_away.parent.mkdir(parents=True)
    put_away.touch()
    assert not left(folder)
    _aged(put_away, 100)
    assert left(folder) == {f"{REPLACED}/x"}


def test_an_hour_that_has_come_since_goes_by_receipt_too(folder: Folder) -> None:
    """It came 100 days ago, as of ten days ago."""
    hour = (datetime.now(UTC) - timedelta(10)).isoformat()[:13]
    with ticking(Ago(100)):
        early = folder.write("Edit_1", hour, "a")
    with ticking(Ago(10)):
        in_time = folder.write("Edit_1", hour, "b")
    folder.purge(Keep({}))
    assert not early.exists() and in_time.exists()
