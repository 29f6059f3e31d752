"""`el bad replay` as it is called, and what it says."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from el_beam import cli
from el_beam.books.state.state import StateError
from el_beam.commands import bad
from el_beam.running.failures import JobFailed
from el_beam.upkeep.replay.replay import Replayed, SinkReport
from schemas.event import Destination
from transforms.errors import SinkError

SEVEN, EIGHT = "2019-03-10T07", "2019-03-10T08"
S = Destination("S", 1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (["parquet:/nowhere", "jsonl:{}"], "parquet:/nowhere: nothing is there"),
        (["parquet:/x", "raw:{}"], "raw:{} can't be asked what is there already; there are jsonl:"),
        (["parquet:/x", "stdout:"], "stdout: can't be asked what is there"),
        (["parquet:/x", "jsonl:{}", "--reason", "none"], "--reason 'none' is not a reason"),
        (["parquet:/x", "jsonl:{}", "--from", "soon"], "--from 'soon' is not an hour"),
        (["parquet:/x", "jsonl:{}", "--format", "x"], "--format: 'x' has no capsule"),
        (["parquet:/x", "jsonl:{}", "--workers", "0"], "--workers: must be a number from 1"),
        (["parquet:/x", "what:{}"], "unknown sink what:"),
    ],
)
def test_mistakes(
    call: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [each.format(tmp_path / "new") for each in call]
    assert cli.main(["bad", "replay", *given]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"el bad replay: {says.format(tmp_path / 'new')}")
    assert told.count("\n") == 1
    assert not (tmp_path / "new").exists()


def call(monkeypatch: pytest.MonkeyPatch, found: Replayed, *options: str) -> dict[str, Any]:
    """Call the command, whose replay is replaced by one that found this; how that was called."""
    given: dict[str, Any] = {}

    def replaced(end: str, sinks: Any, *args: Any, **how: Any) -> Replayed:
        given.update(end=end, sinks=list(sinks), rules=args[2], execution=args[3], **how)
        return found

    monkeypatch.setattr(bad, "replay", replaced)
    assert cli.main(["bad", "replay", "jsonl:/x", "jsonl:/x", "sqlite:/y", *options]) == 0
    return given


FOUND = Replayed(
    False, 12, Counter({"bad_json": 2, "\x1bown": 1}), 2, ["a.log@7", "\x1b[31m@8"], 1,
    [(S, SEVEN, 4), (S, EIGHT, 1), (Destination("T", 2), EIGHT, 1)],
    [SinkReport("jsonl:/x", 1, 5, 0, 6), SinkReport("sqlite:/y", 0, 6, 2)],
)  # fmt: skip


def test_as_people_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = call(monkeypatch, FOUND)
    assert (given["end"], given["sinks"]) == ("jsonl:/x", ["jsonl:/x", "sqlite:/y"])
    assert given["apply"] is False
    shown = capsys.readouterr().out
    assert shown.startswith("12 bad events: 6 valid now, 3 bad still\n2 can't be replayed: longer")
    assert "as a.log@7, \\x1b[31m@8\n1 can't be replayed: what is stored isn't" in shown
    assert re.search("^S_1 +5 *\nT_2 +1 *\n", shown, re.MULTILINE)
    assert re.search("^sink +there +to write +to remove *\njsonl:/x +1 +5 +6 *\n", shown, re.M)
    assert re.search("^sqlite:/y +0 +4 +0 *\nsqlite:/y can't hold 2 of them", shown, re.MULTILINE)
    assert re.search("^bad_json +2 +The capsule", shown, re.MULTILINE)
    assert shown.endswith("\nNothing was written (add --apply).\n")
    assert all(char.isprintable() or char == "\n" for char in shown)

    assert call(monkeypatch, replace(FOUND, applied=True), "--apply")["apply"] is True
    shown = capsys.readouterr().out
    assert re.search("^sink +there +written +removed *$", shown, re.MULTILINE)
    assert "Nothing was written" not in shown
    call(monkeypatch, Replayed(False))
    assert capsys.readouterr().out == (
        "0 bad events: 0 valid now, 0 bad still\nNothing was written (add --apply).\n"
    )


def test_as_machines_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = call(monkeypatch, FOUND, "--json", "--workers", "3", "--format", "json")
    assert (given["execution"].workers, given["rules"].format) == (3, "json")
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert json.loads(shown) == {
        "applied": False, "read": 12, "valid": 6, "bad": 3, "cut": 2, "other": 1,
        "schemas": [
            {"schema": "S", "revision": 1, "hour": SEVEN, "lines": 4},
            {"schema": "S", "revision": 1, "hour": EIGHT, "lines": 1},
            {"schema": "T", "revision": 2, "hour": EIGHT, "lines": 1},
        ],
        "reasons": {"bad_json": 2, "\x1bown": 1},
        "cut_from": ["a.log@7", "\x1b[31m@8"],
        "sinks": [
            {"sink": "jsonl:/x", "there": 1, "lacked": 5, "rejected": 0, "removed": 6},
            {"sink": "sqlite:/y", "there": 0, "lacked": 6, "rejected": 2, "removed": 0},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [(JobFailed("a worker has died"), 1), (SinkError("it is full"), 1), (StateError("held"), 2)],
)
def test_what_goes_wrong(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(bad, "replay", fails)
    assert cli.main(["bad", "replay", "jsonl:/x", "jsonl:/x", "--apply"]) == code
    told = capsys.readouterr().err
    goes_on = "; the same command goes on where it was" if code == 1 else ""
    assert told == f"el bad replay: {error}{goes_on}\n"
