"""Disks and machines that are not as usual: full, without hard links, a user without a name, a
folder or an output that is gone. Each is told with its path, and what can go on goes on."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from el_beam import cli
from traffic.kills import full, small_disk

ROOT = Path(cli.__file__).parents[1]
SAMPLE = ROOT / "examples/sample.log.gz"
LINES = 2_000
NO_LINKS = """
#include <errno.h>
int link(const char *a, const char *b) { errno = EPERM; return -1; }
int fchmod(int f, unsigned m) { errno = EPERM; return -1; }
int fchown(int f, unsigned u, unsigned g) { errno = EPERM; return -1; }
int linkat(int x, const char *a, int y, const char *b, int f) { errno = EPERM; return -1; }
"""
NO_RENAMES = """
int renameat2(int x, const char *a, int y, const char *b, unsigned f) { errno = EINVAL; return -1; }
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(b"".join(gzip.decompress(SAMPLE.read_bytes()).splitlines(True)[:LINES]))
    return path


EL = [sys.executable, "-m", "el_beam.cli"]


def el(*words: object, **more: Any) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    call = [*EL, *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run(call, text=True, env=env, check=False, **options)


def rows(root: Path) -> int:
    files = [each for each in root.rglob("*.parquet") if "/_" not in str(each)]
    return sum(pq.ParquetFile(each).metadata.num_rows for each in files)


def test_a_full_disk(log: Path, tmp_path: Path) -> None:
    """Nothing is there until all of it is; with room again the same run does it."""
    disk = tmp_path / "disk"
    out = disk / "out"
    with small_disk(disk, "8m"):
        with full(disk, leave=96 * 1024):
            told = el("run", f"file:{log}", f"parquet:{out}")
            assert told.returncode == 1 and "Traceback" not in told.stderr
            assert f"{out}/" in told.stderr and "No space left on device" in told.stderr
            assert rows(out) == 0
        assert el("run", f"file:{log}", f"parquet:{out}").returncode == 0
        assert rows(out) == LINES
        shutil.rmtree(out / "_temporary", ignore_errors=True)


@pytest.mark.parametrize("code", [NO_LINKS, NO_LINKS + NO_RENAMES], ids=["links", "renames"])
def test_a_disk_without_hard_links(log: Path, tmp_path: Path, code: str) -> None:
    (tmp_path / "no.c").write_text(code)
    library = tmp_path / "no.so"
    build = ["cc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "no.c")]
    subprocess.run(build, check=True)
    out = tmp_path / "out"
    for _ in range(2):  # again it finds all there
        sinks = (f"parquet:{out}", f"raw:{tmp_path}/raw")  # these would be private elsewhere
        told = el("run", f"file:{log}", *sinks, env={"LD_PRELOAD": str(library)})
        assert told.returncode == 0, told.stderr
        assert rows(out) == LINES
    assert el("ledger", out, "--content").returncode == 0
    assert [each for each in out.rglob("*") if each.name.endswith(".claim")] == []


def test_a_user_without_a_name() -> None:
    code = (
        "import os, sys; from el_beam import cli\n"
        "import el_beam.commands.ledger, el_beam.running.process, transforms.io.files.hdfs\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345); os.environ.clear()\n"
        "sys.exit(cli.main(['ledger', 'hdfs://127.0.0.1:1/el']))"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env,
                          check=False)  # fmt: skip
    assert told.stderr == (
        "el ledger: hdfs://127.0.0.1:1: the user id 12345 has no name here: write "
        "hdfs://USER@127.0.0.1:1, or set HADOOP_USER_NAME\n"
    )


def test_outputs_that_can_not_be_written(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Path("/dev/full").open("w") as nowhere:
        told = el("run", f"file:{log}", f"parquet:{out}", stderr=nowhere)
        assert told.returncode == 0 and rows(out) == LINES
        for buffered in ("", "1"):
            told = el("ledger", out, stdout=nowhere, env={"PYTHONUNBUFFERED": buffered})
            assert told.returncode == 1
            assert told.stderr == "el ledger: standard output: No space left on device\n"
        told = el("run", f"file:{log}", "stdout:", stdout=nowhere)
        assert told.returncode == 1
        assert told.stderr == "el run: cannot write standard output: No space left on device\n"


def test_streams_that_are_closed(log: Path, tmp_path: Path) -> None:
    """A file of ours would get the number of one, and with it what libraries print."""
    out = tmp_path / "out"

    def closed(which: str, *words: object) -> tuple[int, str, str]:
        told = subprocess.run(
            ["bash", "-c", f'"$@" {which}', "-", *EL, *map(str, words)],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return told.returncode, told.stdout, told.stderr

    sinks = f"parquet:{out}", f"sqlite:{tmp_path}/e.db"
    assert closed("<&- >&- 2>&-", "run", f"file:{log}", *sinks, "--workers", "2") == (0, "", "")
    assert rows(out) == LINES
    code, printed, _ = closed("2>&-", "run", f"file:{log}", *sinks, "--json")
    assert code == 0 and json.loads(printed)["totals"]["read"] == LINES
    for words in (("ledger", out), ("schema", "show", "Edit"), ("run", f"file:{log}", "stdout:")):
        code, _, told = closed(">&-", *words)
        assert code == 1 and "Bad file descriptor" in told and len(told.splitlines()) == 1
    code, _, told = closed("<&-", "run", "stdin:", f"jsonl:{tmp_path}/no")
    assert (code, told) == (1, "el run: cannot read standard input: Bad file descriptor\n")


def test_a_working_folder_that_is_gone(log: Path, tmp_path: Path) -> None:
    """Whole paths need none."""
    code = (
        "import os, sys; os.makedirs(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'el_beam.cli', *sys.argv[2:]])"
    )

    def gone(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-c", code, f"{tmp_path}/gone", "run", *words],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip

    told = gone(f"file:{log}", f"parquet:{tmp_path}/out")
    assert told.returncode == 0 and rows(tmp_path / "out") == LINES, told.stderr
    told = gone(f"file:{log}", "parquet:out")
    assert told.returncode == 1
    assert told.stderr.startswith("el run: the working folder is gone: go to another one")
