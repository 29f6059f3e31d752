"""Names and settings of a machine: none hides anything, is taken for another, or changes a byte."""

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

ROOT = Path(__file__).parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]
SAMPLE = ROOT / "examples" / "sample.log.gz"
NUMBER, FEW = 40, 20
HOURS = ("--from", "2000-01-01T00", "--to", "2030-01-01T00")
El = Callable[..., Any]


@pytest.fixture(scope="module")
def lines(beacon: Callable[..., bytes]) -> bytes:
    sample = gzip.decompress(SAMPLE.read_bytes()).splitlines()[: NUMBER - 1]
    odd = {"event": {"a": "é☃"}, "schema": "É☃", "revision": 1, "wiki": "w"}
    return b"\n".join([*sample, beacon(odd, seq="0" * 5000 + "7", agent="é ☃")])


def test_all_that_is_done_in_a_folder_of_an_odd_name(
    el_here: El, tmp_path: Path, lines: bytes
) -> None:
    """Beside it is one whose name it would match, if it were a pattern, with the same log."""
    root, beside = tmp_path / "_a[1]*{x},%41:b~#é", tmp_path / "_a1{x},%41:b~#é"
    for where in (root, beside):
        where.mkdir()
        (where / "a.log").write_bytes(b"\n".join(lines.splitlines()[-FEW:]))
    kinds = {kind: f"{kind}:{root}/{kind}" for kind in ("parquet", "raw", "jsonl", "sqlite")}

    def el(*arguments: str) -> str:
        done = el_here(*arguments, folder=tmp_path)
        assert done.code == 0, (arguments, done.err)
        return str(done.out)

    wrong = el_here(
        "run", f"file:{root.name.replace(',', '[,]')}/a.log", *kinds.values(), folder=tmp_path
    )
    assert wrong.code == 2 and "it is the name of" in wrong.err
    log = f"{root}/a.log".translate({ord(each): f"[{each}]" for each in "*[,"})
    el("run", f"file:{log}", *kinds.values())
    shutil.copytree(root / "raw", beside / "raw")
    for kind in ("parquet", "raw", "jsonl"):
        assert "lost" not in el("ledger", f"{root}/{kind}")
    for kind in ("jsonl", "sqlite"):
        el("reconcile", kinds["parquet"], kinds[kind])
    tables = [each for each in (root / "parquet").iterdir() if each.name[0] != "_"]
    assert sum(ds.dataset(each).count_rows() for each in tables) == FEW
    assert ds.dataset(root / "raw").count_rows() == FEW
    el("backfill", "apply", f"{root}/raw", kinds["parquet"], *HOURS)
    el("bad", "replay", kinds["parquet"], kinds["parquet"], "--apply")
    el("reconcile", kinds["parquet"], kinds["sqlite"])
    assert "lost" not in el("ledger", f"{root}/parquet")
    with sqlite3.connect(root / "sqlite") as database:
        (uuid,) = database.execute("SELECT uuid FROM EventError_14035058 LIMIT 1").fetchone()
    assert "raw.parquet" in el("find", uuid, kinds["parquet"], "--raw", f"{root}/raw")
    el("purge", f"{root}/parquet", "--older-than", "1d", "--yes")
    assert not list((root / "parquet").rglob("hour=*/*.parquet"))


PLAIN: dict[str, str] = {}
ODD = {
    "TZ": "Asia/Kathmandu",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONHASHSEED": "7",
    "HOME": "/nonexistent",
}
LATIN = {"LANG": "tr_TR.ISO8859-9", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}


def test_no_setting_of_a_machine_changes_a_byte(tmp_path: Path, lines: bytes) -> None:
    """Nor umask, nor the folder where `el` is called; a terminal gets what it can show."""
    (tmp_path / "é☃.log").write_bytes(lines)
    usual = written(tmp_path / "usual", f"{tmp_path}/é☃.log", PLAIN, 0o022)
    odd = written(tmp_path / "odd", "../é☃.log", ODD, 0o077)
    assert len(usual[0]) > 10 and len(usual[2]) == NUMBER
    assert odd == usual
    for settings, encoding in ((ODD, "ascii"), (LATIN, "latin-1")):
        listed = el_by(settings, tmp_path, "bad", "list", "sqlite:odd/é.db")
        assert "/é☃.log@".encode(encoding, "backslashreplace") in listed


def el_by(settings: dict[str, str], folder: Path, *arguments: str, umask: int = 0o022) -> bytes:
    """What `el` prints under these settings."""
    changed = {*ODD, *LATIN} - {"HOME"}
    usual = {name: value for name, value in os.environ.items() if name not in changed}
    done = subprocess.run(
        [*EL, *arguments], env={**usual, "PYTHONPATH": str(ROOT), **settings}, cwd=folder,
        umask=umask, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    return done.stdout


def written(folder: Path, log: str, settings: dict[str, str], umask: int) -> tuple[Any, ...]:
    """What sinks of each kind get of a log: by file, table and line."""
    folder.mkdir()
    kinds = [f"{kind}:é/{kind}" for kind in ("parquet", "raw", "jsonl")]
    call = ("run", f"file:{log}", *kinds, "sqlite:é.db", "stdout:")
    printed = el_by(settings, folder, *call, umask=umask)
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "é").rglob("*")
        if path.is_file() and "_ledger" not in path.parts
    }
    with sqlite3.connect(folder / "é.db") as database:
        return files, sorted(database.iterdump()), sorted(printed.splitlines())
