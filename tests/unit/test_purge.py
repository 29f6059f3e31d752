"""Retention: what is too old goes, or keeps what a list names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from el_beam.changes import REPLACED, changing
from el_beam.ledger import Ledger, compare, enter_run, read_ledger
from el_beam.purge import Keep, PurgeError, purge, read_keep, remove_replaced, steps
from el_beam.summary import HourKey, Summary
from schemas.registry import open_registry
from transforms.write.encodings import ParquetEncoding, parquet
from transforms.write.files import FileSink
from transforms.write.receipt import NewFile, Receipt

OLD, NEW = "2019-03-10T07", "2026-03-10T07"
SECRETS = ("10.1.2.3", "Firefox", "a name")


class Folder:
    """Tables, in files that a run seems to have written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sink = FileSink("parquet", str(root), ParquetEncoding(open_registry(None)), "job")

    def write(self, schema: str, hour: str, split: str = "a") -> Path:
        day, _, number = hour.partition("T")
        year, month, day = day.split("-")
        folder = f"{schema}/year={year}/month={month}/day={day}/hour={number}"
        path = self.root / folder / f"{split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({
            "dt": [f"{hour}:00:00Z"] * 2, "uuid": [f"{schema}-{split}-{n}" for n in range(2)],
            "wiki": ["enwiki", None], "ip": [SECRETS[0]] * 2,
            "userAgent": [{"browser_family": SECRETS[1]}, None],
            "event": [{"action": "save", "user": {"name": SECRETS[2], "edits": 5}}, None],
        })  # fmt: skip
        content = parquet(table)
        path.write_bytes(content)
        name, _, revision = schema.rpartition("_")
        new = NewFile(f"t-{path}", str(path), hour, hashlib.sha256(content).hexdigest())
        receipt = Receipt(str(self.sink), split, name, int(revision), str(path), 2, 2,
                          size=len(content), file=new)  # fmt: skip
        summary = Summary(2, 0, {HourKey(hour, schema, ""): 2}, files={"t": receipt})
        enter_run([self.sink], str(path), summary)
        return path

    def ledger(self) -> Ledger:
        ledger = read_ledger(str(self.root))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger

    def purge(self, keep: Keep) -> int:
        """How many files had something to be removed."""
        with changing(str(self.root)) as lease:
            found = list(steps(self.ledger(), keep, hours=lambda hour: hour < "2020"))
            for step in found:
                purge(str(self.root), step, keep, lease)
        return len(found)

    def rows(self, schema: str) -> list[dict[str, Any]]:
        return [row for path in sorted((self.root / schema).rglob("*.parquet"))
                for row in pq.read_table(path, partitioning=None).to_pylist()]  # fmt: skip


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
        assert [row["dt"][:4] for row in folder.rows(schema)] == ["2026", "2026"]
    assert {hour.hour: hour.rows for hour in folder.ledger().hours()} == {OLD: 0, NEW: 2}
    assert folder.purge(Keep({})) == 0


def test_what_stays(folder: Folder) -> None:
    keep = Keep({"Edit": frozenset({"wiki", "event.action", "event.user.edits", "no.such"})})
    schema = pq.read_schema(next((folder.root / "Edit_1").rglob("*.parquet")))
    assert folder.purge(keep) == 2
    first, second, *new = folder.rows("Edit_1")
    assert first == {
        "dt": f"{OLD}:00:00Z", "uuid": "Edit_1-a-0", "wiki": "enwiki", "ip": None,
        "userAgent": None, "event": {"action": "save", "user": {"name": None, "edits": 5}},
    }  # fmt: skip
    assert second["event"] is None
    assert second["uuid"] == "Edit_1-a-1"
    assert new[0]["ip"] == SECRETS[0], "it isn't old"
    (kept,) = (folder.root / "Edit_1" / "year=2019").rglob("*.parquet")
    assert pq.read_schema(kept).equals(schema)
    assert folder.purge(keep) == 0, "there is nothing left to do"
    assert folder.purge(Keep({"Edit": frozenset({"wiki"})})) == 1, "another list may leave less"
    assert folder.rows("Edit_1")[0]["event"] is None


def test_nothing_of_it_is_left_anywhere(folder: Folder) -> None:
    folder.purge(Keep({"Edit": frozenset({"wiki"})}))
    left = [path for path in folder.root.rglob("*.parquet") if "year=2019" in str(path)]
    assert len(left) == 1
    told = str(pq.read_table(left[0], partitioning=None).to_pylist())
    assert not any(secret in told for secret in SECRETS)
    assert not any((folder.root / REPLACED).rglob("*.parquet"))
    assert not any(secret.encode() in left[0].read_bytes() for secret in SECRETS)


def test_what_was_put_away(folder: Folder) -> None:
    for hour in (OLD, NEW):
        path = folder.write("Edit_1", hour, "b")
        away = folder.root / REPLACED / "change" / path.relative_to(folder.root)
        away.parent.mkdir(parents=True)
        away.write_bytes(b"x")
    remove_replaced(str(folder.root), hours=lambda hour: hour == OLD)
    (left,) = (folder.root / REPLACED).rglob("*.parquet")
    assert "year=2026" in str(left)


def test_by_revision_before_by_schema() -> None:
    keep = Keep({"Edit": frozenset({"a"}), "Edit_2": frozenset({"b"})})
    assert [keep.of(name) for name in ("Edit_1", "Edit_2", "Other_1")] == [{"a"}, {"b"}, set()]


@pytest.mark.parametrize("text", ["Edit", "Edit: wiki", "Edit: [1]", "- a", "{", "Edit: [[a]]"])
def test_a_list_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "keep.yaml").write_text(text)
    with pytest.raises(PurgeError, match=r"keep\.yaml"):
        read_keep(str(tmp_path / "keep.yaml"))
    with pytest.raises(PurgeError, match="cannot read"):
        read_keep(str(tmp_path / "none.yaml"))


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "keep.yaml").write_text("Edit: [wiki, event.action]\n")
    assert read_keep(str(tmp_path / "keep.yaml")).of("Edit_9") == {"wiki", "event.action"}
    assert read_keep(None).of("Edit_9") == set()
