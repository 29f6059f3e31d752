"""Bad lines that the release before has filed under their receipt, though they have a time: they
stay there, whatever is done again; new ones are filed under their own time."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from old_release import OldRelease

from el_beam import cli
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger

RECEIPT = 1_552_240_800  # 2019-03-10T18:00:00
OWN, LATER = "2019-03-10T07", "2019-03-10T18"
GOOD = {"schema": "Echo", "revision": 7731316, "wiki": "w", "recvFrom": "cp1", "uuid": "0" * 32,
        "event": {"version": "1.1", "eventId": 7, "notificationType": "thank-you", "sender": "a",
                  "recipientUserId": 2, "deliveryMethod": "web"}}  # fmt: skip


class Runs:
    def __init__(self, folder: Path) -> None:
        self.log, self.raw, self.out = folder / "a.json", folder / "raw", folder / "out"
        self.call = ("run", f"file:{self.log}", f"parquet:{self.out}", f"raw:{self.raw}",
                     "--format", "json")  # fmt: skip

    def write(self, *hours: int) -> None:
        lines = [
            json.dumps(
                GOOD
                | {
                    "timestamp": RECEIPT - hour * 3600,
                    "seqId": number,
                    "uuid": f"{number:032x}",
                    "event": event,
                }
            )
            for number, (hour, event) in enumerate(
                (hour, event) for hour in hours for event in (GOOD["event"], {"bad": 1})
            )
        ]
        self.log.write_text("\n".join([*lines, '{"timestamp": 1552201200, "cut']) + "\n")
        os.utime(self.log, (RECEIPT, RECEIPT))

    def el(self, *words: str) -> None:
        assert cli.main([*words]) == 0

    def rows(self) -> Counter[tuple[str, bool, str]]:
        """(uuid, whether it is an EventError, hour); nothing is wrong with the books."""
        for root in (self.out, self.raw):
            ledger = read_ledger(str(root))
            compare(ledger, content=True)
            assert ledger.troubles == []
        return Counter(
            (uuid, "EventError" in str(path), str(path.parent).rpartition("=")[2])
            for path in self.out.rglob("*.parquet") if "/_" not in str(path)
            for uuid in pq.read_table(path, columns=["uuid"], partitioning=None)["uuid"].to_pylist()
        )  # fmt: skip

    def hours(self) -> Counter[tuple[bool, str]]:
        """(whether they are EventErrors, hour) of the events; none is twice."""
        rows = self.rows()
        assert {*rows.values()} == {1} and len({uuid for uuid, _, _ in rows}) == len(rows)
        return Counter(row[1:] for row in rows)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> OldRelease:
    return OldRelease(tmp_path / "old")


def test_new_ones_are_of_their_own_hour(runs: Runs) -> None:
    runs.write(11, 3)
    runs.el(*runs.call)
    assert runs.hours() == {(False, "07"): 1, (False, "15"): 1, (True, "07"): 2, (True, "15"): 1}


def test_old_ones_stay_where_they_are(runs: Runs, old: OldRelease) -> None:
    """A run that is repeated makes the same files; a backfill makes the hours again, each alone."""
    runs.write(11, 3)
    done = old.el(*runs.call)
    assert done.returncode == 0, done.stderr
    before = runs.rows()
    assert runs.hours() == {(False, "07"): 1, (False, "15"): 1, (True, "18"): 3}
    runs.el(*runs.call)
    assert runs.rows() == before
    for hour in (LATER, OWN, LATER):
        runs.el("backfill", "apply", str(runs.raw), f"parquet:{runs.out}", "--format", "json",
                "--from", hour, "--to", hour)  # fmt: skip
        assert runs.rows() == before
    runs.el("compact", str(runs.raw))
    runs.el("backfill", "apply", str(runs.raw), f"parquet:{runs.out}", "--format", "json",
            "--from", OWN, "--to", LATER)  # fmt: skip
    assert runs.rows() == before


def test_old_and_new_ones_in_one_archive(runs: Runs, old: OldRelease, tmp_path: Path) -> None:
    """Each hour has lines by both rules; their files are merged."""
    runs.write(11)
    assert old.el(*runs.call).returncode == 0
    runs.log = tmp_path / "b.json"
    runs.call = (runs.call[0], f"file:{runs.log}", *runs.call[2:])
    runs.write(11, 0)
    lines = runs.log.read_text().replace('"uuid": "0', '"uuid": "a')
    runs.log.write_text(lines)
    os.utime(runs.log, (RECEIPT, RECEIPT))
    runs.el("state", "upgrade", str(runs.out), str(runs.raw))
    runs.el(*runs.call)
    before = runs.rows()
    assert runs.hours() == {(False, "07"): 2, (False, "18"): 1, (True, "07"): 2, (True, "18"): 3}
    runs.el("compact", str(runs.raw))
    for hour in (OWN, LATER):
        runs.el("backfill", "apply", str(runs.raw), f"parquet:{runs.out}", "--format", "json",
                "--from", hour, "--to", hour)  # fmt: skip
        assert runs.rows() == before
