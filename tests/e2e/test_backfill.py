"""A day made again, killed twice on the way: equal to a run that never failed."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from el_beam.ledger import compare, read_ledger

ROOT = Path(__file__).parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]
DAY = "2019-03-10"
_TIME = re.compile(rb"(?<=\t)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\t)")
Rows = dict[str, dict[str, str]]  # table -> uuid -> hour's folder


def lines(number: int, start: int = 0, hours: int = 26) -> Iterator[bytes]:
    """The sample over this day and two hours of the next, each line with a seqId of its own."""
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines()
    for place in range(start, start + number):
        time_ = datetime(2019, 3, 10) + timedelta(hours=place % hours, seconds=place % 3_599)
        yield _TIME.sub(time_.isoformat().encode(), sample[place % len(sample)], count=1)


def el(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*EL, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False)  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def rows(root: Path) -> Rows:
    """Raises AssertionError where a uuid is there twice."""
    found: Rows = {}
    for path in sorted(root.glob("[!_]*/**/*.parquet")):
        table, folder = path.relative_to(root).parts[0], str(path.parent.relative_to(root))
        for uuid in pq.read_table(path, columns=["uuid"], partitioning=None)["uuid"].to_pylist():
            assert uuid not in found.setdefault(table, {}), f"{uuid} twice in {table}"
            found[table][uuid] = folder.partition("/")[2]
    return found


def contents(root: Path, glob: str) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob(glob))}


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A catalog in which Edit demands what no event has; `mended` by the one that comes along."""
    folder = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas" / "catalog", folder)
    path = folder / "Edit" / "17541122.json"
    broken = json.loads(path.read_text())
    broken["properties"]["nobodySendsIt"] = {"type": "string", "required": True}
    path.write_text(json.dumps(broken))
    return folder


def damage(root: Path, rng: random.Random) -> None:
    """Two hours: files lost, cut short, doubled."""
    for hour in ("05", "17"):
        files = sorted(root.glob(f"[!_]*/year=2019/month=03/day=10/hour={hour}/*.parquet"))
        lost, cut, doubled = rng.sample(files, 3)
        lost.unlink()
        cut.write_bytes(cut.read_bytes()[:100])
        shutil.copy(doubled, doubled.with_name("doubled.parquet"))


def test_a_day(tmp_path: Path, schemas: Path) -> None:
    rng = random.Random(20261123)
    raw, out, wanted = tmp_path / "raw", tmp_path / "out", tmp_path / "wanted"
    logs = {}
    for name, number, start in (("day", 5_200, 0), ("late", 300, 5_200)):
        logs[name] = tmp_path / f"{name}.log"
        logs[name].write_bytes(b"\n".join(lines(number, start)) + b"\n")
    el(
        "run",
        f"file:{logs['day']}?split=512KiB",
        f"parquet:{out}",
        f"raw:{raw}",
        "--schemas",
        schemas,
    )
    el("run", f"file:{logs['day']}", f"parquet:{wanted}")
    damage(out, rng)
    next_day = contents(out, "[!_]*/year=2019/month=03/day=11/**/*.parquet")
    assert next_day
    hours = ("--from", DAY, "--to", DAY)
    told = json.loads(el("backfill", "plan", raw, f"parquet:{out}", *hours, "--json").stdout)
    assert [each["hour"] for each in told["hours"]] == [f"{DAY}T{hour:02}" for hour in range(24)]
    damaged = {each["hour"][-2:]: each["sinks"][f"parquet:{out}"] for each in told["hours"]}
    assert {hour for hour, each in damaged.items() if each["damaged"]} == {"05", "17"}
    assert damaged["05"]["unknown"] == damaged["17"]["unknown"] == 1

    call = [*EL, "backfill", "apply", str(raw), f"parquet:{out}", *hours, "--json"]
    late = False
    for done in (3, 11):  # hours that are there when it is killed
        with subprocess.Popen(call, cwd=ROOT, stdout=subprocess.PIPE, text=True) as apply:
            assert apply.stdout is not None
            before = len([*(out / "_ledger").glob("change-*T??.json")])
            while len([*(out / "_ledger").glob("change-*T??.json")]) < done:
                assert apply.poll() is None
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.3))
            apply.send_signal(signal.SIGKILL)
        assert before < done
        if not late:  # lines of that day come while it is under way
            el("run", f"file:{logs['late']}", f"parquet:{out}", f"raw:{raw}")
            el("run", f"file:{logs['late']}", f"parquet:{wanted}")
            late = True
    finished = [json.loads(line)["hour"] for line in el(*call[3:]).stdout.splitlines()]
    assert len(finished) <= 13
    assert finished[-1] == f"{DAY}T23"

    found, expected = rows(out), rows(wanted)
    edits = {uuid for uuid, folder in expected["Edit_17541122"].items() if "day=10" in folder}
    assert len(edits) > 50
    for table in expected:
        there = {uuid: at for uuid, at in found[table].items() if "day=10" in at}
        assert there == {uuid: at for uuid, at in expected[table].items() if "day=10" in at}, table
    assert contents(out, "[!_]*/year=2019/month=03/day=11/**/*.parquet").items() >= next_day.items()
    ledger = read_ledger(str(out))
    compare(ledger, content=True)
    assert ledger.troubles == []
    assert not (out / "_temporary").exists()
    events = [each for each in ledger.hours() if "EventError" not in each.schema]
    assert {each.schema: each.valid for each in events if each.rows != each.valid} == {}
