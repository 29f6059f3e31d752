"""A day made again, killed twice on the way: equal to a run that never failed."""

import gzip
import json
import random
import re
import shlex
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
from in_process import Called, call

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger

ROOT = Path(__file__).parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]
DAY = "2019-03-10"
FIRST = 12  # hour of the day; the last are two of the next
_TIME = re.compile(rb"(?<=\t)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\t)")
Rows = dict[str, dict[str, str]]  # table -> uuid -> hour's folder


def lines(number: int, start: int = 0, first: int = 0, hours: int = 14) -> Iterator[bytes]:
    """The sample over so many hours of this day and the next, each line with a seqId of its own."""
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines()
    for place in range(start, start + number):
        time_ = datetime(2019, 3, 10) + timedelta(
            hours=first + place % hours, seconds=place % 3_599
        )
        yield _TIME.sub(time_.isoformat().encode(), sample[place % len(sample)], count=1)


def el(*arguments: object, code: int = 0) -> Called:
    done = call(*arguments)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
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
    for hour in ("14", "19"):
        files = sorted(root.glob(f"[!_]*/year=2019/month=03/day=10/hour={hour}/*.parquet"))
        lost, cut, doubled = rng.sample(files, 3)
        lost.unlink()
        cut.write_bytes(cut.read_bytes()[:100])
        shutil.copy(doubled, doubled.with_name("doubled.parquet"))


def test_a_day(tmp_path: Path, schemas: Path) -> None:
    rng = random.Random(20261123)
    raw, out, wanted = tmp_path / "raw", tmp_path / "out", tmp_path / "wanted"
    logs = {}
    for name, number, start in (("day", 2_800, 0), ("late", 280, 2_800)):
        logs[name] = tmp_path / f"{name}.log"
        logs[name].write_bytes(b"\n".join(lines(number, start, FIRST)) + b"\n")
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
    told = json.loads(el("backfill", "plan", raw, f"parquet:{out}", *hours, "--json").out)
    assert [each["hour"] for each in told["hours"]] == [
        f"{DAY}T{hour:02}" for hour in range(FIRST, 24)
    ]
    damaged = {each["hour"][-2:]: each["sinks"][f"parquet:{out}"] for each in told["hours"]}
    assert {hour for hour, each in damaged.items() if each["damaged"]} == {"14", "19"}
    assert damaged["14"]["unknown"] == damaged["19"]["unknown"] == 1

    apply = ["backfill", "apply", str(raw), f"parquet:{out}", *hours, "--json"]
    late = False
    for done in (2, 6):  # hours that are there when it is killed
        with subprocess.Popen([*EL, *apply], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            before = len([*(out / "_ledger").glob("change-*T??.json")])
            while len([*(out / "_ledger").glob("change-*T??.json")]) < done:
                assert process.poll() is None
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
        assert before < done
        if not late:  # lines of that day come while it is under way
            el("run", f"file:{logs['late']}", f"parquet:{out}", f"raw:{raw}")
            el("run", f"file:{logs['late']}", f"parquet:{wanted}")
            late = True
    finished = [json.loads(line)["hour"] for line in el(*apply).out.splitlines()]
    assert len(finished) <= 24 - FIRST - 6
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


def small(tmp_path: Path, *options: object) -> tuple[Path, Path]:
    """The archive and the tables of some hours."""
    log, raw, out = tmp_path / "some.log", tmp_path / "raw", tmp_path / "out"
    log.write_bytes(b"\n".join(lines(1_000, hours=3)) + b"\n")
    el("run", f"file:{log}", f"parquet:{out}", f"raw:{raw}", *options)
    return raw, out


def test_one_schema(tmp_path: Path, schemas: Path) -> None:
    """Its table is made again, and what it had as bad is no longer; all else stays as it was."""
    raw, out = small(tmp_path, "--schemas", schemas)
    before = contents(out, "[!_]*/**/*.parquet")
    assert not [path for path in before if path.startswith("Edit_17541122")]
    hours = ("--from", f"{DAY}T00", "--to", f"{DAY}T01")
    el("backfill", "apply", raw, f"parquet:{out}", *hours, "--schema", "Edit_17541122")
    after = contents(out, "[!_]*/**/*.parquet")
    tables = {path.partition("/")[0] for path in after.keys() - before.keys()}
    assert tables == {"Edit_17541122", "EventError_14035058"}
    gone = before.keys() - after.keys()
    assert {path.partition("/")[0] for path in gone} == {"EventError_14035058"}
    assert len(gone) == 2
    assert all(after[path] == content for path, content in before.items() if path not in gone)
    el("run", f"file:{tmp_path}/some.log", f"parquet:{tmp_path}/wanted")
    found, wanted = rows(out), rows(tmp_path / "wanted")
    for table in wanted:
        some = {uuid for uuid, folder in wanted[table].items() if not folder.endswith("=02")}
        assert {uuid for uuid, at in found[table].items() if not at.endswith("=02")} == some, table
    told = json.loads(el("ledger", out, "--json").out)
    assert told["totals"]["read"] == told["totals"]["rows"] == 1_000


def test_what_is_found_is_mended_by_what_is_advised(tmp_path: Path) -> None:
    """Files lost, cut short, doubled: named by `el ledger` and `el reconcile`."""
    raw, out = small(tmp_path)
    shutil.copytree(out, tmp_path / "wanted")
    files = sorted(out.glob("[!_]*/**/hour=01/*.parquet"))
    lost, doubled, cut = random.Random(20261123).sample(files, 3)
    missing = pq.read_table(lost, partitioning=None)["uuid"].to_pylist()
    lost.unlink()
    shutil.copy(doubled, doubled.with_name("doubled.parquet"))
    ends = (f"parquet:{out}", f"parquet:{tmp_path}/wanted")
    differing = el("reconcile", *ends, "--json", code=1).out
    again = pq.read_table(doubled, partitioning=None)["uuid"].to_pylist()
    assert all(uuid in differing for uuid in (*missing, *again))
    cut.write_bytes(cut.read_bytes()[:-7])
    assert str(cut) in el("reconcile", *ends, code=2).err

    told = json.loads(el("ledger", out, "--json", code=1).out)
    names = {(each["kind"], Path(each["what"]).name) for each in told["troubles"]}
    assert names == {("lost", lost.name), ("damaged", cut.name), ("unknown", "doubled.parquet")}
    assert told["mending"] == [
        f"el backfill apply {raw} parquet:{out} --from {DAY}T01 --to {DAY}T01",
        f"el ledger {out} --put-away",
    ]
    for command in told["mending"]:
        el(*shlex.split(command)[1:])
    assert json.loads(el("ledger", out, "--content", "--json").out)["troubles"] == []
    el("reconcile", *ends)


def test_a_run_made_again_after_a_backfill(tmp_path: Path) -> None:
    """What was replaced doesn't come back."""
    _, out = small(tmp_path)
    el("backfill", "apply", tmp_path / "raw", f"parquet:{out}", "--from", DAY, "--to", DAY)
    before = contents(out, "[!_]*/**/*.parquet")
    el("run", f"file:{tmp_path}/some.log", f"parquet:{out}", f"raw:{tmp_path}/raw")
    assert contents(out, "[!_]*/**/*.parquet") == before
    el("compact", out, "--after", "0")  # and made again of what was made one
    el("backfill", "apply", tmp_path / "raw", f"parquet:{out}", "--from", DAY, "--to", DAY)
    totals = json.loads(el("ledger", out, "--json").out)["totals"]
    assert totals["read"] == totals["rows"] == 1_000


@pytest.mark.parametrize("runner", ["flink", pytest.param("spark", marks=pytest.mark.every_runner)])
def test_on_any_runner(tmp_path: Path, runner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLINK", "SPARK", "WORKERS"):  # nowhere but in the job server
        monkeypatch.delenv(name, raising=False)
    raw, out = small(tmp_path)
    before = rows(out)
    names = {*contents(out, "[!_]*/**/day=10/hour=01/*.parquet")}
    hour = ("--from", f"{DAY}T01", "--to", f"{DAY}T01")
    options = ("--runner", runner, "--workers", "2", "--json")
    told = json.loads(el("backfill", "apply", raw, f"parquet:{out}", *hour, *options).out)
    assert told["totals"]["read"] == sum(len(found) for found in hourly(before, "01").values())
    assert rows(out) == before
    assert names.isdisjoint(contents(out, "[!_]*/**/*.parquet"))


def hourly(rows: Rows, hour: str) -> Rows:
    return {table: {uuid: at for uuid, at in found.items() if at.endswith(f"day=10/hour={hour}")}
            for table, found in rows.items()}  # fmt: skip
