"""Increments, from a broker in memory into files: the whole of an import without a server."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fake_broker import FakeBroker
from import_job import Reports
from run_configs import run_config

from el_beam.books.state.state import State
from el_beam.cli import main
from el_beam.config.assemble import assemble
from el_beam.running.increments.increments import Increments
from el_beam.running.increments.planning import MOST_RECORDS, IncrementsOptions
from el_beam.running.increments.report import Report
from el_beam.running.increments.topics import SourceTopics
from traffic.feed import lines
from transforms.io.kafka.broker import KafkaRecord, Partition
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.world import Clock, ticking
from transforms.read.kafka import KafkaSource

BROKERS = "broker:1"


class Import:
    """Imports the topic `raw` into Parquet files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(f"{folder}/state")
        (folder / "scratch").mkdir()

    def run(
        self, which: str = "topics=raw", *, previous: bool = False, patience: float = 3600.0,
        format_: str | None = None,
    ) -> Reports:  # fmt: skip
        config = run_config(
            source=f"kafka://{BROKERS}/?{which}&group=g",
            sinks=(f"parquet:{self.folder}/p",), state=self.state.path, once=True,
            format=format_,
        )  # fmt: skip
        job, execution = assemble(config, str(self.folder / "scratch"))
        options = IncrementsOptions(
            self.state.path, None, False, MOST_RECORDS, previous=previous, patience=patience
        )
        reports = Reports()
        good = Increments(job, execution, options).work(reports, threading.Event())
        assert good == (not reports[-1].problems)
        return reports

    def rows(self) -> Counter[str]:
        paths = (self.folder / "p").glob("[!_]*/**/*.parquet")
        tables = [pq.read_table(path, partitioning=None) for path in paths]
        return Counter(uuid for table in tables for uuid in table["uuid"].to_pylist())


@pytest.fixture
def sent() -> list[bytes]:
    return list(islice(lines(0), 60))


def test_each_record_becomes_a_row_once(tmp_path: Path, sent: list[bytes]) -> None:
    job = Import(tmp_path)
    broker = FakeBroker({"raw": [sent[:20], sent[20:30]], "other": [sent]}, time=1.7e9)
    with broker.at(BROKERS):
        (first,) = job.run()
        broker.topics["raw"][1] += sent[30:]
        (second,) = job.run()
        (nothing,) = job.run()
    assert [each.summary.read for each in (first, second, nothing)] == [30, 30, 0]
    assert len(job.rows()) == 60 and set(job.rows().values()) == {1}
    assert broker.committed == {("g", "raw", 0): 20, ("g", "raw", 1): 40}
    last = job.state.topic("raw").last()
    assert last and (last.number, last.ends) == (2, {0: 20, 1: 40})


def test_a_topic_that_vanished_under_a_pattern(tmp_path: Path, sent: list[bytes]) -> None:
    """People get to know it, once; no other topic waits, nor does any hour."""
    job = Import(tmp_path)
    broker = FakeBroker({"a": [sent[:20]], "b": [sent[20:30]], "c": [[]]}, time=1.7e9)
    with broker.at(BROKERS):
        job.run("pattern=[abc]")
        broker.topics = {"a": broker.topics["a"]}
        broker.topics["a"][0] += sent[30:]
        (report,) = job.run("pattern=[abc]")
        (nothing,) = job.run("topics=a")
    assert report.notes == [
        "b was read to 0:10, and nobody can read what it had after that: the brokers have no such "
        "topic"
    ]
    assert (report.topics, report.problems, nothing.notes) == (["a"], [], [])


@pytest.mark.parametrize(
    ("compacted", "epoch", "told"),
    [
        (False, -1, True),  # old brokers don't say it: the record does
        (False, 4, True),  # one that lost what it had, and got other records from a mirror
        (True, -1, False),
        (None, 4, False),
        (True, 5, True),
    ],
)
def test_other_records_than_were_read(
    tmp_path: Path, sent: list[bytes], compacted: bool | None, epoch: int, told: bool
) -> None:
    """A topic that is longer than it was, but has another record where the last one was."""
    job = Import(tmp_path)
    broker = FakeBroker({"raw": [sent[:20], sent[20:25]]}, time=1.7e9)
    broker.epoch, broker.is_compacted = min(epoch, 4), compacted
    with broker.at(BROKERS):
        job.run()
        broker.epoch = epoch
        broker.topics["raw"][0] = [*sent[:10], *sent[30:60]]
        (report,) = job.run()
        text = report.problems[0].text if told else ""
        assert [each.subject for each in report.problems] == ["raw"] * told
        assert report.summary.read == (0 if told else 20)
        if told:
            start = 0 if epoch == 5 else 19  # all of it is of the new epoch here
            assert f"other records than were read are in raw/0 from {start} on" in text
            command = text.partition("`el ")[2].partition("`")[0]
            assert main(command.split()) == 0
            assert job.run()[0].summary.read == 40 - start
    assert max(job.rows().values()) == 1 or epoch == 5


def test_the_release_before_gets_no_digests(tmp_path: Path, sent: list[bytes]) -> None:
    """It reads no names that it doesn't know."""
    for previous in (True, False):
        (folder := tmp_path / str(previous)).mkdir()
        job = Import(folder)
        with FakeBroker({"raw": [sent[:20]]}, time=1.7e9).at(BROKERS):
            job.run(previous=previous)
        written = [path.read_bytes() for path in folder.rglob("*.commit.json")]
        assert [b'"digest"' in each for each in written] == [not previous] * 2


@pytest.mark.parametrize("previous", [True, False])
def test_bad_lines_are_filed_by_the_rule_that_the_books_can_name(
    tmp_path: Path, previous: bool
) -> None:
    job = Import(tmp_path)
    with FakeBroker({"raw": [[b'{"timestamp": 1552201200, "cut']]}, time=1.7e9).at(BROKERS):
        (report,) = job.run(previous=previous, format_="json")
    assert report.summary.bad == 1
    (path,) = (tmp_path / "p").glob("EventError_*/**/*.parquet")
    assert ("year=2019" in str(path)) is not previous
    entries = [path.read_text() for path in (tmp_path / "p/_ledger").rglob("*.commit.json")]
    assert ['"time_rule":2' in each for each in entries] == [not previous] * len(entries)


class Later(Clock):
    """This machine's clock, some seconds ahead."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_hours_wait_for_an_open_transaction_but_not_for_ever(
    tmp_path: Path, sent: list[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """What it hides may belong to them. Its end opens them again."""
    job, clock = Import(tmp_path), Later()
    broker = FakeBroker({"raw": [sent[:20], sent[20:30]]}, time=time.time() - 3 * 3600)
    broker.open = {("raw", 0): 10}

    def run() -> tuple[Report, set[bytes]]:
        (report,) = job.run()
        marks = (tmp_path / "p").rglob("_SUCCESS")
        return report, {each.read_bytes() for each in marks}

    with broker.at(BROKERS), ticking(clock):
        report, marks = run()
        assert (report.summary.read, marks) == (20, set())
        (told,) = report.notes
        assert told.startswith(
            "a transaction that begins at raw/0@10 doesn't end: its first record"
        )
        assert main(["state", "release", job.state.path, "raw/7"]) == 2
        assert "no open transaction in raw/7; there are raw/0@10" in capsys.readouterr().err
        clock.ahead = 3 * 3600
        report, marks = run()
        assert marks == {b'{"unread": ["raw/0@10"]}'}
        assert [each for each in report.notes if "hours close without it" in each]
        assert main(["ledger", f"{tmp_path}/p"]) == 0
        assert "unread: " in (err := capsys.readouterr().err) and "after raw/0@10" in err
        broker.open = {}
        report, marks = run()
        assert (report.summary.read, bool(report.reopened)) == (10, True)
        clock.ahead = 6 * 3600
        assert run()[1] == {b""}
        assert main(["ledger", f"{tmp_path}/p"]) == 0
        assert "unread: " not in capsys.readouterr().err


def test_hours_lack_nothing_of_a_transaction_that_was_aborted(
    tmp_path: Path, sent: list[bytes]
) -> None:
    """It brings nothing: no hour opens again, and none is said to lack anything any more."""
    job, clock = Import(tmp_path), Later()
    broker = FakeBroker({"raw": [sent[:20], sent[20:30]]}, time=time.time() - 3 * 3600)
    broker.open = {("raw", 0): 20}

    def run() -> set[bytes]:
        assert not job.run()[0].problems
        return {each.read_bytes() for each in (tmp_path / "p").rglob("_SUCCESS")}

    with broker.at(BROKERS), ticking(clock):
        run()
        clock.ahead = 3 * 3600
        assert run() == {b'{"unread": ["raw/0@20"]}'}
        broker.open = {}
        assert run() == {b""}
        assert not [*(tmp_path / "p").rglob("_REOPENED")]
        assert not [*Path(job.state.path, "transactions").iterdir()]


class Mirror(FakeBroker):
    """While it is read, more comes, and its transactions end."""

    ahead = 0.0  # seconds that its newest record is later than what is read
    comes = 0.0  # the same, once anything was read

    def newest(self, counts: Mapping[str, int]) -> dict[Partition, float]:
        return {place: time + self.ahead for place, time in super().newest(counts).items()}

    def records(self, place: Partition, start: int, end: int) -> Iterator[KafkaRecord]:
        yield from super().records(place, start, end)
        if end - start > 1:
            self.ahead, self.open = max(self.ahead, self.comes), {}


@pytest.mark.parametrize("which", ["records", "a transaction"])
def test_what_comes_while_it_is_read_completes_no_hour(
    tmp_path: Path, sent: list[bytes], which: str
) -> None:
    """More records, or the end of a transaction: what they bring isn't in the folders yet."""
    job, clock, now = Import(tmp_path), Later(), time.time()
    broker = Mirror({"raw": [sent]}, time=now)
    if which == "records":
        broker.comes = 3 * 3600
    else:
        broker.ahead, broker.open = 3 * 3600, {("raw", 0): 20}
    clock.ahead = 10 * 3600
    with broker.at(BROKERS), ticking(clock):
        assert job.run()[0].closed == []
        assert job.run()[0].closed


def test_records_of_a_time_to_come_hold_up_no_hour(tmp_path: Path, sent: list[bytes]) -> None:
    """The brokers' newest record may be one of the year 2096, for a week: then what was read last
    says how far the source is. A transaction with such a record is as old as we know it."""
    job, clock, now = Import(tmp_path), Later(), time.time()
    broker = Mirror({"raw": [sent]}, time=now + 3 * 3600)
    broker.ahead, clock.ahead = 4e9, 10 * 3600
    with broker.at(BROKERS), ticking(clock):
        assert job.run()[0].closed
        broker.time, broker.open = 4e9, {("raw", 0): 20}
        options = IncrementsOptions(job.state.path)
        source = KafkaSource(KafkaCluster(BROKERS), ("raw",), "g", "")
        assert SourceTopics(source, options).look({"raw": 1}, now).awaited == (now,)


def test_people_release_what_hours_wait_for(tmp_path: Path, sent: list[bytes]) -> None:
    job, clock, day = Import(tmp_path), Later(), 86_400.0
    broker = FakeBroker({"raw": [sent[:20], sent[20:30]]}, time=time.time() - 3 * 3600)
    broker.open = {("raw", 0): 10}
    with broker.at(BROKERS), ticking(clock):
        assert job.run(patience=day)[0].closed == []
        clock.ahead = 6 * 3600  # all is silent: the hours would be complete
        assert job.run(patience=day)[0].closed == []
        assert main(["state", "release", job.state.path, "raw/0"]) == 0
        assert job.run(patience=day)[0].closed
