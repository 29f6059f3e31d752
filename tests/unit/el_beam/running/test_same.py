"""A log that is read again: the same files are made of it, or none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from el_beam import cli
from el_beam.books.folder import is_previous
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger, run_name

SAMPLE = Path(cli.__file__).parents[1] / "examples/sample.log.gz"
LINES = gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)


def lines(name: bytes, hour: bytes = b"T07:") -> list[bytes]:
    return [line for line in LINES if b"%22" + name + b"%22" in line and hour in line]


EDIT = [line for line in lines(b"Edit") if b"17541122" in line][:4]  # all of them are valid
OTHERS = lines(b"Popups")[:6]


class Runs:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.log, self.out = folder / "a.log", folder / "out"
        self.schemas = folder / "schemas"
        self.log.write_bytes(b"".join(EDIT + OTHERS))

    def schema(self, name: str) -> None:
        catalog = Path(cli.__file__).parents[1] / "schemas" / "catalog" / name
        (self.schemas / name).mkdir(parents=True)
        for path in catalog.iterdir():
            (self.schemas / name / path.name).write_bytes(path.read_bytes())

    def run(self, *more: str, out: Path | None = None, split: str = "1G") -> tuple[int, str]:
        self._capsys.readouterr()
        schemas = ("--schemas", str(self.schemas)) if self.schemas.exists() else ()
        sinks = [f"parquet:{out or self.out}"]
        code = cli.main(["run", f"file:{self.log}?split={split}", *sinks, *schemas, *more])
        return code, self._capsys.readouterr().err

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.folder.rglob("*.parquet")}

    def totals(self, out: Path | None = None) -> tuple[int, int]:
        """Lines read, rows; nothing is wrong."""
        ledger = read_ledger(str(out or self.out))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger.totals["read"], ledger.totals["rows"]


@pytest.fixture
def runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Runs:
    return Runs(tmp_path, capsys)


def test_all_that_was_bad_is_valid_now(runs: Runs) -> None:
    """No file of the second run has the name of another one, and yet each line would be there
    twice."""
    runs.schema("Popups")
    assert runs.run()[0] == 0
    before = runs.files()
    runs.schema("Edit")
    code, told = runs.run()
    assert code == 1
    assert "EventError_14035058/" in told and "is there, and would not be made any more" in told
    assert "the schemas, --only, or the version of el_beam have changed since" in told
    assert runs.files() == before and runs.totals() == (10, 10)


def test_a_choice_that_leaves_out_what_is_there(runs: Runs) -> None:
    assert runs.run()[0] == 0
    code, told = runs.run("--only", "Popups")
    assert code == 1 and "Edit_17541122/" in told and runs.totals() == (10, 10)
    assert runs.run()[0] == 0, "as before it is finished"


def test_what_differs_is_said(runs: Runs) -> None:
    assert runs.run()[0] == 0
    runs.log.write_bytes(runs.log.read_bytes() + EDIT[0].replace(b"T07:", b"T08:") + OTHERS[0])
    told = runs.run()[1]
    assert "is there with other content: the input has grown or changed" in told
    assert "from 10 to 12 lines of a.log-" in told
    runs.log.write_bytes(b"".join(EDIT + OTHERS))
    told = runs.run("--format", "json")[1]
    assert "it was written with no options, and not with --format json" in told
    assert runs.totals() == (10, 10)


def test_lines_that_have_changed_without_becoming_more(runs: Runs) -> None:
    """As where the last line was not whole yet."""
    whole = runs.log.read_bytes()
    runs.log.write_bytes(whole[:-200])
    assert runs.run()[0] == 0
    runs.log.write_bytes(whole)
    told = runs.run()[1]
    assert "the input has grown or changed" in told and "bytes of a.log-" in told
    assert runs.totals() == (10, 10)


@pytest.mark.parametrize("change", ["other split", "cut short"])
def test_parts_of_a_log_that_are_none_now(runs: Runs, change: str) -> None:
    """What they hold is of a schema that no other part had: no file has the name of another."""
    runs.log.write_bytes(b"".join([*OTHERS, *EDIT]))
    only = "--only", "Edit", "--except", "EventError"
    assert runs.run(*only, split="1000")[0] == 0
    before = runs.files()
    if change == "cut short":
        runs.log.write_bytes(b"".join([*OTHERS, EDIT[0]])[:-1])
    code, told = runs.run(*only, split="1M")
    assert code == 1 and "was made of a part of" in told and "nothing was added to folders" in told
    assert runs.files() == before
    runs.log.write_bytes(b"".join([*OTHERS, *EDIT]))
    assert runs.run(*only, split="1000")[0] == 0 and runs.files() == before


def test_what_is_no_folder_has_it_already(runs: Runs) -> None:
    database = f"sqlite:{runs.folder}/e.db"
    assert runs.run(database)[0] == 0
    runs.log.write_bytes(runs.log.read_bytes() + EDIT[0].replace(b"T07:", b"T08:") + OTHERS[0])
    told = runs.run(database)[1]
    assert f"nothing was added to folders (what is for {database} is there)" in told


def test_a_log_that_has_grown_by_another_hour(runs: Runs) -> None:
    runs.log.write_bytes(EDIT[0] + OTHERS[0])
    assert runs.run()[0] == 0
    late = lines(b"Echo", b"T08:")[:3]
    runs.log.write_bytes(EDIT[0] + OTHERS[0] + b"".join(late))
    assert runs.run()[0] == 0
    assert runs.totals() == (5, 5)


def test_a_folder_that_was_moved_between(runs: Runs) -> None:
    """Its lines count once: also by the notes of earlier releases, which have its path."""
    assert runs.run()[0] == 0
    ledger, sink = runs.out / "_ledger", f"parquet:{runs.out}"
    (note,) = ledger.glob("run-*.json")
    split = json.loads(note.read_text())["split"]
    old = note.name.replace(run_name("parquet", split), run_name(sink, split))
    note.rename(ledger / old)
    assert runs.run()[0] == 0 and runs.totals() == (10, 10)
    assert [each.name for each in read_ledger(str(runs.out)).entries] == [old.rpartition("-")[0]]
    moved = runs.out.rename(runs.folder / "moved")
    assert runs.run(out=moved)[0] == 0 and runs.totals(moved) == (10, 10)
    assert runs.run("--only", "Popups", out=moved)[0] == 1


def test_the_release_before_finds_its_notes(runs: Runs) -> None:
    assert runs.run("--write-format", "previous")[0] == 0 and is_previous(str(runs.out))
    names = [path.name for path in (runs.out / "_ledger").glob("run-*.json")]
    split = json.loads((runs.out / "_ledger" / names[0]).read_text())["split"]
    assert names[0].startswith(f"run-{run_name(f'parquet:{runs.out}', split)}-")
