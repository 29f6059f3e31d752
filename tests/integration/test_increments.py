"""Increments from a real broker: what they read, what holds them up, and what doesn't."""

import gc
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.cimpl import NewPartitions, NewTopic
from import_job import ImportJob, Reports, problems
from in_process import call as el

from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Attempt, Commit, Intent
from el_beam.job import Job
from el_beam.running.bounded import run
from el_beam.running.failures import JobFailed
from el_beam.running.hooks import Hook
from el_beam.running.increments.report import Report
from schemas.validation.validator import Validator
from traffic.feed import lines as lines_of_now
from traffic.feed import make_topic, put
from transforms.io.kafka import broker
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.kafka_ranges import KafkaRanges, splits_of
from transforms.read.offsets import OffsetRange

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(kafka: str, tmp_path: Path) -> ImportJob:
    return ImportJob(kafka, tmp_path)


def test_again_and_again(job: ImportJob) -> None:
    job.put(700)
    ok, reports = job.run()
    assert ok
    assert [(report.summary.read, report.lag) for report in reports] == [(700, 0)]
    job.check()
    assert job.run()[1][0].summary.read == 0
    for workers in (2, 1):
        job.put(300)
        assert job.run(workers=workers)[1][0].summary.read == 300
    job.check()
    (topic,) = job.state.topics()
    history = [*job.state.topic(topic).history()]
    assert [commit.number for commit in history] == [1, 2, 3]
    for folder in "pr":
        entries = job.entries(folder)
        assert [each.summary.read for each in entries] == [700, 300, 300]
        assert sum(entries[0].summary.counts.values()) == 700
        assert sum(each.records for each in entries[-1].held) == 1_300
    positions = KafkaTopics(KafkaCluster(job.kafka)).positions([topic], job.name).values()
    assert sum(position.lag for position in positions) == 0  # for those who watch


@pytest.mark.parametrize("before", ["_", "."])
def test_names_that_are_hidden_or_look_like_patterns(
    kafka: str, tmp_path: Path, before: str
) -> None:
    """Of a topic, and of a folder: readers see all files, and so does the next instance."""
    folder = tmp_path / "el [prod]*?%41"
    folder.mkdir()
    job = ImportJob(kafka, folder)
    job.name = f"{before}{job.name}"
    job.put(60)
    assert job.run()[0]
    job.check()
    assert ds.dataset(str(folder / "r")).count_rows() == 60
    told = el("ledger", folder / "p")
    assert told.code == 0 and "60" in told.out, told
    with Lease(job.state):
        sinks = (f"parquet:{folder}/p", f"raw:{folder}/r")
        refused = el(
            "run", job.uri(f"topics={job.name}.a"), *sinks, "--state", job.state.path, "--once"
        )
        assert refused.code == 2 and f"process {os.getpid()} on " in refused.err


def test_new_topics_and_partitions(job: ImportJob) -> None:
    pattern = f"pattern={job.name}[.][ab]"
    job.put(200)
    assert job.run(pattern)[0]
    job.put(200, "b")
    make_topic(job.kafka, f"{job.name}.c", 1)
    name = f"{job.name}.a"
    job.admin.create_partitions([NewPartitions(name, 4)])[name].result(10)
    job.put(2_500, partitions=4)
    ok, reports = job.run(pattern)
    assert ok
    assert reports[0].topics == [f"{job.name}.a", f"{job.name}.b"]
    assert reports[0].summary.read == 2_700
    job.check("a", "b")


def test_a_topic_that_is_not_there(job: ImportJob) -> None:
    job.put(100)
    ok, (report,) = job.run(f"topics={job.name}.a,{job.name}.nope")
    assert not ok
    assert problems(report) == {f"{job.name}.nope": "the brokers have no such topic"}
    job.check()


def test_hooks_after_a_commit_hold_up_nothing(job: ImportJob) -> None:
    commits: list[Commit] = []

    def broken(_: Commit) -> None:
        raise OSError("no Hive answers")

    hooks = [Hook("good", commits.append), Hook("the sync", broken)]
    job.put(100)
    ok, (report,) = job.run(after_commit=hooks)
    assert ok and report.notes == ["the sync failed: no Hive answers"]
    (topic,) = job.state.topics()
    (commit,) = commits
    assert replace(commit, manifest=None) == job.state.topic(topic).last()
    entries = (commit.manifest.entries or {}).values() if commit.manifest else ()
    assert [each.summary.read for each in entries] == [100, 100], "what each folder got"
    job.check()


def test_from_the_latest(job: ImportJob) -> None:
    job.put(100)
    assert job.run(source={"start": "latest"})[1][0].summary.read == 0
    job.put(60)
    assert job.run(source={"start": "latest"})[1][0].summary.read == 60
    assert sum(job.uuids().values()) == 60


def test_much_to_read_comes_in_parts(job: ImportJob) -> None:
    job.put(1_000)
    ok, reports = job.run(most=400)
    assert ok
    assert [report.lag for report in reports] == [600, 200, 0]
    job.check()


def test_nothing_is_kept_from_one_to_the_next(job: ImportJob) -> None:
    """A process that imports for months: what a job made is gone after it."""
    job.put(100)
    kept = []

    class Counted(Reports):
        def done(self, report: Report, seconds: float) -> None:
            made = sum(isinstance(each, Validator) for each in gc.get_objects())
            kept.append((made, gc.get_freeze_count()))

    job.run(reports=Counted(), most=40)
    assert len(kept) > 3
    assert len({*kept[1:]}) == 1, kept


def test_what_was_intended_is_done_first(job: ImportJob) -> None:
    """What has come since belongs to the next increment."""
    job.put(500)
    name = f"{job.name}.a"
    splits = splits_of(name, 1, [OffsetRange(0, 0, 400)])
    intent = Intent(name, 1, tuple(splits), {0: 400})
    job.state.topic(name).intend(intent, Attempt(0, 1))
    ok, reports = job.run()
    assert ok
    assert [report.summary.read for report in reports] == [400, 100]
    job.check()


def expire(job: ImportJob, offset: int, topic: str = "a") -> None:
    places = [TopicPartition(f"{job.name}.{topic}", 0, offset)]
    for future in job.admin.delete_records(places).values():
        future.result(10)


def test_expired_before_they_were_read(job: ImportJob) -> None:
    job.put(300, partitions=1)
    assert job.run()[0]
    job.put(300, partitions=1)
    expire(job, 350)
    job.put(100, "b")
    both = f"pattern={job.name}[.][ab]"
    ok, (report,) = job.run(both)
    assert not ok
    (problem,) = problems(report).values()
    assert f"offsets 300 to 349 of {job.name}.a/0 expired before they were read" in problem
    assert report.topics == [f"{job.name}.b"]
    ok, (report,) = job.run(both, on_expired="skip")
    assert ok
    assert report.summary.read == 250
    last = job.state.topic(f"{job.name}.a").last()
    assert last is not None
    assert last.ends == {0: 600}
    for folder in "pr":
        (entry,) = (each for each in job.entries(folder) if each.expired)
        assert entry.expired == (OffsetRange(0, 300, 350),)
    assert sum(job.uuids().values()) == 300 + 100 + 250


def test_expired_from_the_start_is_nobodys_loss(job: ImportJob) -> None:
    job.put(300, partitions=1)
    expire(job, 100)
    assert job.run()[1][0].summary.read == 200


def test_a_topic_made_anew(job: ImportJob) -> None:
    job.put(300)
    assert job.run()[0]
    name = f"{job.name}.a"
    job.admin.delete_topics([name])[name].result(10)
    while name in KafkaTopics(KafkaCluster(job.kafka)).partitions():
        pass
    job.put(800)
    ok, (report,) = job.run()
    assert not ok
    assert "is not the topic that was read before" in problems(report)[name]
    told = problems(report)[name].partition("`")[2].partition("`")[0].removeprefix("el ")
    done = el(*told.removesuffix(" --yes").split())
    assert (done.code, "Nothing was changed" in done.err) == (0, True)
    assert not job.run()[0]
    assert el(*told.split()).code == 0
    assert job.run()[1][0].summary.read == 800
    assert sum(job.uuids().values()) == 1_100


def test_records_of_transactions(job: ImportJob) -> None:
    """Marks of transactions have offsets, too; records of those given up are no records."""
    topic = f"{job.name}.a"
    make_topic(job.kafka, topic, 1)
    producer = Producer({"bootstrap.servers": job.kafka, "transactional.id": job.name})
    producer.init_transactions()
    source = lines_of_now()
    for end in (producer.commit_transaction, producer.abort_transaction) * 3:
        producer.begin_transaction()
        for _ in range(20):
            producer.produce(topic, next(source))
        producer.flush()
        end()
    assert job.run()[1][0].summary.read == 60
    last = job.state.topic(topic).last()
    assert last is not None
    assert last.ends == {0: 126}
    assert [each.missing for folder in "pr" for each in job.entries(folder)] == [66, 66]


def test_who_fails_holds_up_nobody_else(job: ImportJob) -> None:
    """The files of one topic can't get their names: the others' do, and these when they can."""
    source = (line for line in lines_of_now() if b"%22ReadingDepth%22" in line)
    put(job.kafka, f"{job.name}.b", [next(source) for _ in range(40)], 1)
    others = (line for line in lines_of_now(10**6) if b"%22ReadingDepth%22" not in line)
    put(job.kafka, f"{job.name}.a", [next(others) for _ in range(300)], 1)
    blocked = job.folder / "p" / "ReadingDepth_18201205"
    blocked.parent.mkdir()
    blocked.write_text("in the way")
    both = f"topics={job.name}.a,{job.name}.b"
    for _ in range(2):
        ok, (report,) = job.run(both)
        assert not ok
        assert set(problems(report)) == {f"{job.name}.b"}
        assert "cannot write below" in problems(report)[f"{job.name}.b"]
    job.check("a", waiting=True)
    blocked.unlink()
    assert job.run(both)[0]
    job.check("a", "b")


def test_a_job_that_fails_is_taken_apart(job: ImportJob) -> None:
    """One of three topics breaks every job that it is in; the two others are read at once."""
    for topic in "abc":
        job.put(200, topic)
    ran = []

    def broken(job_: Job, *more: Any) -> Any:
        assert isinstance(job_.source, KafkaRanges)
        topics = sorted({split.topic[-1] for split in job_.source.splits})
        ran.append("".join(topics))
        if "b" in topics:
            raise JobFailed("b breaks it")
        return run(job_, *more)

    ok, (report,) = job.run(f"pattern={job.name}[.].", run=broken)
    assert (ok, ran) == (False, ["abc", "a", "b", "c"])
    assert problems(report) == {f"{job.name}.b": "b breaks it"}
    job.check("a", "c")
    for topic in "ac":
        job.put(200, topic)
    ok, reports = job.run(f"pattern={job.name}[.].", run=broken, most=200)
    assert len(reports) > 1
    assert not ok, "b was held up from the first round on"
    assert {*problems(reports[-1])} == {f"{job.name}.b"}
    job.check("a", "c")
    assert job.run(f"pattern={job.name}[.].")[0]
    job.check("a", "b", "c")


def test_tables(job: ImportJob) -> None:
    job.put(400)
    sinks = (f"sqlite:{job.folder}/events.db", f"jsonl:{job.folder}/p")
    (report,) = job.run(sinks=sinks)[1]
    book = report.summary.sinks[sinks[0]]
    assert (book.given, book.written) == (400, 400)


def test_as_people_run_it(job: ImportJob) -> None:
    job.put(400)
    call = ["run", job.uri(f"topics={job.name}.a"), f"parquet:{job.folder}/p"]
    state = ["--state", job.state.path]
    done = el(*call, *state, "--once", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["totals"]["read"], told["topics"], told["lag"]) == (400, [f"{job.name}.a"], 0)
    assert "400 lines of 1 topic(s) in" in " ".join(done.told)
    shown = el("state", "show", job.state.path)
    assert f"{job.name}.a" in shown.out and shown.err == ""
    assert json.loads(el("state", "show", job.state.path, "--json").out)["topics"]
    with Lease(job.state):
        refused = el(*call, *state, "--once")
        assert refused.code == 2
        assert f"process {os.getpid()} on " in refused.err
        reset = ["state", "reset", job.state.path, "--topic", f"{job.name}.a", "--to", "0:0"]
        assert el(*reset, "--yes").code == 2
    job.check()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--state", "S"), "increments need --every 60s, or --once"),
        (("--state", "S", "--once", "--every", "60s"), "increments need --every 60s, or --once"),
        (("--state", "S", "--every", "soon"), "--every: 'soon' is not a valid time"),
        (("--state", "gs://bucket/s", "--once"), "must be a local path or hdfs://"),
        (("--state", "s3://b/s", "--once"), "no file system s3://; there are local paths"),
        (("--state", "S", "--once", "--detach"), "--detach is for continuous jobs"),
        (("--state", "S", "--once", "--on-expired", "weep"), "--on-expired: must be fail or skip"),
        (("--state", "S", "--once", "--metrics", "kafka://h:1/?topic=c"), "--metrics is for"),
        (("--once",), "--once is for increments"),
        (("--state", "S", "--once"), "cannot ask the brokers 127.0.0.1:9"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, options: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "REQUEST_TIMEOUT", 1.0)  # s that it asks brokers who aren't there
    given = [f"{tmp_path}/state" if each == "S" else each for each in options]
    source = "kafka://127.0.0.1:9/?topics=a&group=g"
    done = el("run", source, f"parquet:{tmp_path}/p", *given)
    assert done.code in (1, 2)
    assert told in "".join(done.told)


def test_a_producer_that_counts_nanoseconds_stops_nothing(job: ImportJob) -> None:
    """Kafka takes a record's time as it comes, and its key and headers: what they say is nothing
    that a line needs."""
    name = f"{job.name}.a"
    longest = {"message.timestamp.after.max.ms": str(2**63 - 1)}
    job.admin.create_topics([NewTopic(name, 1, config=longest)])[name].result(30)
    job.put(20, partitions=1)
    producer, now = Producer({"bootstrap.servers": job.kafka}), time.time_ns()
    for sent in (now, now // 1_000, 2**63 - 1, 1):
        producer.produce(name, f"no line {sent}", key=b"\xff\x00", timestamp=sent,
                         headers=[("é", None), ("", b"\xff")])  # fmt: skip
    assert producer.flush(30) == 0
    job.put(20, partitions=1)
    sinks = tuple(
        f"{kind}:{job.folder}/{kind[0]}" for kind in ("parquet", "raw", "jsonl", "sqlite")
    )
    ok, (report,) = job.run(sinks=sinks)
    assert ok and not report.problems
    assert report.summary.read == 44
    job.check()
    errors = (job.folder / "p").glob("EventError_*/**/*.parquet")
    times = [row["dt"][:7] for path in errors for row in pq.read_table(path).to_pylist()
             if row["event"]["rawEvent"].startswith("no line")]  # fmt: skip
    month = time.strftime("%Y-%m")
    assert sorted(times) == sorted(["1970-01", month, month, "2262-04"])
