"""Paths in a folder's books: what leads out of it is refused, and nothing is done there. Who may
write into the books may be another one than who runs `el compact`."""

import json
from pathlib import Path
from typing import Any

import pytest
from in_process import call as el

from el_beam.books.state.state import INTENT
from el_beam.upkeep.backfill.plan import PLAN
from schemas.durable import DocumentError

SEVEN = "2019-03-10T07"
FOLDER = "Edit_1/year=2019/month=03/day=10/hour=07"
OUT = ["../secret", f"{FOLDER}/../../../../../../secret", "/secret", "_temporary/../../secret"]
COMMANDS = (["compact"], ["purge", "--older-than", "1d", "--yes"], ["ledger", "--put-away"])


def summary(path: str = f"{FOLDER}/a.parquet", temporary: str = "_temporary/a",
            hour: str = SEVEN) -> dict[str, Any]:  # fmt: skip
    """Of one file. Lines are counted, so its hour would be opened."""
    file = {"temporary": temporary, "path": path, "hour": hour, "sha256": "0" * 64}
    receipt = {"sink": "parquet:x", "split": "s", "schema": "Edit", "revision": 1, "file": file}
    counts = [{"hour": SEVEN, "schema": "Edit_1", "lines": 1}]
    return {"read": 1, "files": [receipt], "counts": counts}


def change(books: dict[str, Any], root: str, **more: Any) -> dict[str, Any]:
    books = books | {"roots": {"parquet:x": root}}
    return {"format": 2, "name": "x", "why": "", "summary": books, "of": {}, "removed": [],
            "root": root, **more}  # fmt: skip


def old_change(root: str, path: str) -> dict[str, Any]:
    """As it was written without a number of its format."""
    receipt = ["", "s", "Edit", 1, "", 1, 1, 0, 0, 0, 9, "",
               [f"{root}/_temporary/a", f"{root}/{path}", SEVEN, "0" * 64]]  # fmt: skip
    return {"root": root, "at": 0, "why": "", "files": [receipt], "of": {}, "removed": [],
            "instead_of": []}  # fmt: skip


def run(books: dict[str, Any], root: str) -> dict[str, Any]:
    books = books | {"roots": {"parquet:x": root}}
    return {"format": 2, "root": root, "sink": "parquet:x", "split": "s", "source": "", "at": 0.0,
            "summary": books}  # fmt: skip


def entry(books: dict[str, Any]) -> dict[str, Any]:
    return {"format": 1, "name": "increment 1", "sink": "parquet", "cluster": "c", "topic": "t",
            "topic_id": "i", "summary": books, "ranges": [], "number": 1}  # fmt: skip


def refused(folder: Path, name: str, document: dict[str, Any]) -> None:
    """Each command names the document, and does nothing anywhere."""
    root, place = folder / "out", folder / "out/_ledger" / name
    for path in (folder / "secret", root / FOLDER / "a.parquet", root / "_temporary/a", place):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document) if path == place else "of somebody")
    before = {path for path in folder.rglob("*") if "lease" not in path.parts}
    for command, *options in COMMANDS:
        done = el(command, root, *options)
        assert done.code == 2 and f"{place} is damaged" in done.told[0]
    assert {path for path in folder.rglob("*") if "lease" not in path.parts} == before


@pytest.mark.parametrize("path", OUT)
def test_a_change(tmp_path: Path, path: str) -> None:
    root = str(tmp_path / "out")
    for number, document in enumerate((
        change({}, root, removed=[path]), change({}, root, of={path: []}),
        change(summary(path), root), change(summary(temporary=path), root),
        old_change(root, path),
    )):  # fmt: skip
        refused(tmp_path / str(number), "change-x.json", document)


@pytest.mark.parametrize("path", OUT)
def test_a_run(tmp_path: Path, path: str) -> None:
    refused(tmp_path, "run-x-y.json", run(summary(path), str(tmp_path / "out")))


@pytest.mark.parametrize("path", OUT)
def test_an_import(tmp_path: Path, path: str) -> None:
    for number, books in enumerate((summary(path), summary(temporary=path))):
        refused(tmp_path / str(number), "imports/t-000000000000/00000001.commit.json", entry(books))


@pytest.mark.parametrize("hour", ["/../../../secret", "../secret", "2019-03-10T7", ""])
def test_hours_that_are_none(tmp_path: Path, hour: str) -> None:
    """Notes are named after them."""
    root = str(tmp_path / "out")
    refused(tmp_path / "1", "change-x.json", change(summary(hour=hour), root))
    refused(
        tmp_path / "2", "imports/t-000000000000/00000001.commit.json", entry(summary(hour=hour))
    )


@pytest.mark.parametrize(("name", "hour"), [("../../x", SEVEN), ("x", "/../../../x")])
def test_a_plan(name: str, hour: str) -> None:
    plan = {"format": 2, "name": name, "raw": "/r", "sinks": [], "first": SEVEN, "last": SEVEN,
            "hours": [{"hour": hour}]}  # fmt: skip
    with pytest.raises(DocumentError, match=r"plan-x\.json is damaged"):
        PLAN.load(json.dumps(plan).encode(), "plan-x.json")


def test_an_intent() -> None:
    """Files are named after its splits."""
    splits = [{"id": "../../x", "topic": "t", "ranges": []}]
    intent = {"format": 3, "topic": "t", "number": 1, "splits": splits, "ends": {}}
    with pytest.raises(DocumentError, match=r"x\.intent\.json is damaged"):
        INTENT.load(json.dumps(intent).encode(), "x.intent.json")
