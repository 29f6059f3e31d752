"""Completeness: hours are complete once the source has passed them; nothing is missing, and nothing
is there again, whatever a state has forgotten."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from confluent_kafka import Producer
from import_job import ImportJob, problems

from el_beam.books.ledger import hours
from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import Ledger
from el_beam.books.state.acts import reset
from traffic.feed import lines, make_topic

ROOT = Path(__file__).parents[2]
NOW = time.time()
HOUR_AGO = NOW - 4_000  # in an hour that ended at least five minutes ago


@pytest.fixture
def job(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportJob:
    monkeypatch.setattr(hours, "QUIET", 1e9)  # as if our own clock were not to be trusted
    return ImportJob(kafka, tmp_path)


def name_of(hour: float) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(hour))


def put_at(job: ImportJob, number: int, at: float, partition: int = 0) -> None:
    """Lines that were received at that time (unix seconds), and so say the brokers."""
    topic = f"{job.name}.a"
    make_topic(job.kafka, topic, 2)
    producer = Producer({"bootstrap.servers": job.kafka})
    for line in islice(timed(at, job.sent), number):
        producer.produce(topic, line, partition=partition, timestamp=int(at * 1000))
    assert producer.flush(30) == 0
    job.sent += number


def timed(at: float, start: int) -> Iterator[bytes]:
    dt = time.strftime("\t%Y-%m-%dT%H:%M:%S\t", time.gmtime(at)).encode()
    for line in lines(start):
        first, _, rest = line.partition(b"\t2")
        if rest:  # a line that has a time
            yield first + dt + rest.split(b"\t", 1)[1]


def marks(job: ImportJob, sink: str = "p") -> dict[str, set[str]]:
    """hour -> the marks of its schemas."""
    found: dict[str, set[str]] = {}
    for book in ledger(job, sink).hours():
        if book.files:
            found.setdefault(book.hour, set()).add(book.mark)
    return found


def ledger(job: ImportJob, sink: str = "p") -> Ledger:
    found = read_ledger(f"{job.folder}/{sink}")
    compare(found, content=True)
    return found


def test_an_hour_is_complete_when_the_brokers_have_passed_it(job: ImportJob) -> None:
    """Also if one of two partitions is idle; late lines open it again."""
    hour, now = name_of(HOUR_AGO), name_of(NOW)
    put_at(job, 200, HOUR_AGO)
    put_at(job, 200, HOUR_AGO, partition=1)
    assert job.run()[1][0].closed == []
    assert marks(job) == marks(job, "r") == {hour: {""}}

    put_at(job, 200, NOW)
    (report,) = job.run()[1]
    assert (report.closed, report.reopened) == ([hour], [])
    assert marks(job) == {hour: {"complete"}, now: {""}}
    assert marks(job, "r") == {hour: {"complete"}, now: {""}}

    put_at(job, 1, HOUR_AGO)
    (report,) = job.run()[1]
    assert (report.closed, report.reopened) == ([hour], [hour])
    assert len([*job.folder.rglob("_REOPENED")]) == 2  # of a schema, and of the archive
    assert job.run()[1][0].closed == []
    job.check()


def test_not_before_all_is_read(job: ImportJob) -> None:
    put_at(job, 150, HOUR_AGO)
    put_at(job, 50, NOW)
    assert [report.closed for report in job.run(most=200)[1]] == [[], [name_of(HOUR_AGO)]]
    put_at(job, 1, HOUR_AGO)
    (report,) = job.run(f"topics={job.name}.a,{job.name}.nope")[1]
    assert (report.closed, report.reopened) == ([], [name_of(HOUR_AGO)])


def test_a_lost_file_keeps_its_hour_open(job: ImportJob) -> None:
    put_at(job, 200, HOUR_AGO)
    assert job.run()[0]
    lost = next((job.folder / "p").rglob("Edit_*/**/*.parquet"))
    lost.unlink()
    put_at(job, 10, NOW)
    ok, (report,) = job.run()
    assert not ok
    (problem,) = problems(report).values()
    assert f"{name_of(HOUR_AGO)} stays open: " in problem and lost.name in problem
    assert marks(job)[name_of(HOUR_AGO)] == {""}
    assert marks(job, "r")[name_of(HOUR_AGO)] == {"complete"}


def test_el_ledger_tells(job: ImportJob) -> None:
    put_at(job, 100, HOUR_AGO)
    put_at(job, 10, NOW)
    assert job.run()[0]
    call = [sys.executable, "-m", "el_beam.cli", "ledger", f"{job.folder}/p"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown, told = (
        subprocess.run([*call, *more], capture_output=True, text=True, check=True, env=environment)
        for more in ((), ("--json",))
    )
    assert "complete" in shown.stdout
    hours = json.loads(told.stdout)["hours"]
    assert {each["mark"] for each in hours if each["files"]} == {"complete", ""}
    assert sum(each["read"] for each in hours) == 110


def commits(job: ImportJob) -> list[Path]:
    return sorted(Path(job.state.path, "topics", f"{job.name}.a").glob("*.commit.json"))


def put_and_run(job: ImportJob, times: int) -> None:
    for _ in range(times):
        job.put(200)
        assert job.run()[0]


@pytest.mark.parametrize("lost", [(2,), (3,), (2, 3), (0, 1, 2, 3)])
def test_what_a_state_has_forgotten_enters_no_folder_again(
    job: ImportJob, lost: tuple[int, ...]
) -> None:
    """Whichever of its commits are gone: the folders know what they have."""
    put_and_run(job, 4)
    before = {path: path.stat().st_mtime_ns for path in (job.folder / "p").rglob("*.parquet")}
    there = commits(job)
    for number in lost:
        there[number].unlink()
    assert ledger(job).troubles == []
    job.put(100)
    ok, reports = job.run()
    assert ok
    assert sum(report.summary.read for report in reports) == 100
    assert any("are in all folders already" in note for each in reports for note in each.notes) == (
        3 in lost
    )
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in (job.folder / "p").rglob("*.parquet")}.items()
    )
    job.check()
    assert ledger(job).troubles == ledger(job, "r").troubles == []
    assert sum(book.rows for book in ledger(job).hours()) == 900


def test_a_folder_that_is_lost_gets_all_again(job: ImportJob) -> None:
    """Once a reset says from where; the other one stays as it is."""
    put_and_run(job, 2)
    shutil.rmtree(job.folder / "r")
    assert job.run()[1][0].summary.read == 0
    reset(job.state, f"{job.name}.a", {0: 0, 1: 0})
    assert job.run()[1][0].summary.read == 400
    job.check()
    assert ledger(job).troubles == ledger(job, "r").troubles == []
    assert ledger(job, "r").totals["rows"] == ledger(job).totals["read"] == 400
