"""Increments from a broker that isn't as it should be: rights that lack, batches that nobody can
unpack, topics that are compacted, cut, or written in transactions."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewTopic
from import_job import ImportJob, problems
from in_process import call as el

from el_beam.books.state.state import State
from runners.local_stack import Stack
from traffic.feed import lines as lines_of_now
from traffic.feed import make_topic
from transforms.errors import UnreadableInput
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import Clock, ticking
from transforms.read.kafka_ranges import KafkaSplit, OffsetsGone, read_ranges, unread
from transforms.read.offsets import OffsetRange, UnreadPlace

ALLOW = AclPermissionType.ALLOW
LITERAL = ResourcePatternType.LITERAL


class Hurried(Clock):
    """A minute of it takes a second."""

    def monotonic(self) -> float:
        return super().monotonic() * 60


@pytest.fixture
def job(kafka: str, tmp_path: Path) -> ImportJob:
    return ImportJob(kafka, tmp_path)


class Rights:
    """What the tests' user may do; whatever has no rules is open to all."""

    def __init__(self, job: ImportJob) -> None:
        self._admin, self._given = job.admin, set[tuple[ResourceType, str]]()

    def give(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """These are all that he may do with a resource, from now on."""
        self.forget(kind, name)
        rules = [AclBinding(kind, name, LITERAL, "User:ANONYMOUS", "*", each, ALLOW)
                 for each in operations]  # fmt: skip
        for future in self._admin.create_acls(rules).values():
            future.result(10)
        self._given.add((kind, name))

    def forget(self, kind: ResourceType, name: str) -> None:
        """A resource is open to all."""
        anybody: Any = None
        rules = AclBindingFilter(
            kind, name, LITERAL, anybody, anybody, AclOperation.ANY, AclPermissionType.ANY
        )
        for future in self._admin.delete_acls([rules]).values():
            future.result(10)

    def forget_all(self) -> None:
        for each in self._given:
            self.forget(*each)


@pytest.fixture
def rights(job: ImportJob) -> Iterator[Rights]:
    rights = Rights(job)
    yield rights
    rights.forget_all()


def test_rights(job: ImportJob, rights: Rights) -> None:
    """An import needs Read and Describe; what else would help it asks for and does without. One
    that lacks is named, with the topic or group."""
    topic, kind = f"{job.name}.a", ResourceType.TOPIC
    job.put(100)
    rights.give(kind, topic, AclOperation.READ, AclOperation.DESCRIBE)
    ok, reports = job.run(most=100)
    assert ok and len(reports) > 1
    (told,) = (note for report in reports for note in report.notes)
    assert told.startswith(f"this user lacks the right DescribeConfigs on topic {topic}: it is")
    rights.give(kind, topic, AclOperation.DESCRIBE)
    cluster, split = KafkaCluster(job.kafka), KafkaSplit("s", topic, (OffsetRange(0, 0, 9),))
    with pytest.raises(UnreadableInput, match=f"lacks the right Read on topic {topic}"):
        [*read_ranges(cluster, split)]
    rights.give(kind, topic, AclOperation.WRITE)
    rights.give(ResourceType.GROUP, job.name, AclOperation.DESCRIBE)
    with pytest.raises(KafkaAway, match=f"lacks the right Read on group {job.name}"):
        KafkaTopics(cluster).commit(job.name, {(topic, 0): 7})


def test_a_batch_that_cannot_be_unpacked(job: ImportJob, stack: Stack) -> None:
    """The broker answers for ever; the reader's patience ends all the same, and it says why."""
    topic = f"{job.name}.a"
    make_topic(job.kafka, topic, 1)
    producer = Producer({"bootstrap.servers": job.kafka, "compression.type": "gzip"})
    for codec in ("", "zipped"):
        for line in islice(lines_of_now(), 20):
            producer.produce(topic, line)
        assert producer.flush(10) == 0, codec
    log = stack.kafka.folder / "data" / f"{topic}-0" / f"{0:020d}.log"
    content = bytearray(log.read_bytes())
    second = content.rindex(b"\x1f\x8b\x08")  # how gzip begins
    content[second + 10 : second + 60] = b"\xff" * 50
    log.write_bytes(content)
    split = KafkaSplit("s", topic, (OffsetRange(0, 0, 40),))
    found = []
    where = rf"no record of {topic}/0@20 for 30 s: .*BAD_COMPRESSION"
    with ticking(Hurried()), pytest.raises(UnreadableInput, match=where):
        found += [line.origin.offset for line in read_ranges(KafkaCluster(job.kafka), split)]


def transactions(kafka: str, topic: str, ends: str) -> None:
    """Each transaction is committed (c) or given up (a), and writes the same five keys."""
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic, "log_level": 0})
    producer.init_transactions()
    source = lines_of_now()
    for end in ends:
        producer.begin_transaction()
        for key in "vwxyz":
            producer.produce(topic, next(source), key=key)
        producer.flush()
        (producer.commit_transaction if end == "c" else producer.abort_transaction)()


@pytest.fixture
def cleaner(job: ImportJob) -> Iterator[None]:
    """The broker compacts as soon as it can."""
    name = "log.cleaner.backoff.ms"
    broker = ConfigResource(ConfigResource.Type.BROKER, "1")
    for operation in (AlterConfigOpType.SET, AlterConfigOpType.DELETE):
        entry = ConfigEntry(name, "100", incremental_operation=operation)
        broker.incremental_configs = [entry]
        job.admin.incremental_alter_configs([broker])[broker].result(10)
        if operation is AlterConfigOpType.SET:
            yield


@pytest.mark.usefixtures("cleaner")
def test_compacted_topics_with_transactions(job: ImportJob) -> None:
    """The marks of transactions never were records; what was compacted away before it was read has
    been one."""
    topic = f"{job.name}.a"
    config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
    job.admin.create_topics([NewTopic(topic, 1, config=config)])[topic].result(10)
    transactions(job.kafka, topic, "cacc")
    ok, (report,) = job.run()
    assert ok and report.summary.read == 15
    last = job.state.topic(topic).last()
    assert last is not None and last.ends == {0: 24}

    def read(start: int, end: int) -> int:
        split = KafkaSplit("s", topic, (OffsetRange(0, start, end),))
        return sum(1 for _ in read_ranges(KafkaCluster(job.kafka), split, whole=frozenset([topic])))

    assert [read(0, 6), read(5, 12), read(6, 12), read(11, 12), read(0, 18)] == [5, 0, 0, 0, 10]
    place = ConfigResource(ConfigResource.Type.TOPIC, topic)
    place.incremental_configs = [
        ConfigEntry("segment.ms", "100", incremental_operation=AlterConfigOpType.SET)
    ]
    job.admin.incremental_alter_configs([place])[place].result(10)
    end = time.monotonic() + 20
    with pytest.raises(
        OffsetsGone, match=rf"of the records 0 to \d+ of {topic}/0 are not there: com"
    ):
        while time.monotonic() < end:
            transactions(job.kafka, topic, "c")
            read(0, 24)
    assert job.run(on_expired="skip")[0]


def lose_last_batch(stack: Stack, topic: str) -> int:
    """Let the broker lose what partition 0 of a topic got last, as when its disk does. Returns the
    offset that comes next."""
    data = stack.kafka.folder / "data"
    stack.kafka.stop()
    (data / ".kafka_cleanshutdown").unlink()  # so that it looks what there is
    log = data / f"{topic}-0" / f"{0:020d}.log"
    content, start, offset = log.read_bytes(), 0, 0
    while len(content) > (end := start + 12 + int.from_bytes(content[start + 8 : start + 12])):
        start, offset = end, int.from_bytes(content[end : end + 8])
    log.write_bytes(content[:start])
    stack.kafka.start()
    return offset


def test_records_that_were_lost_and_written_over(job: ImportJob, stack: Stack) -> None:
    """The topic is longer than before, and the last record that was read is another one: people get
    to know it, and from where on; then what is new is read, and nothing twice."""
    topic = f"{job.name}.a"
    for number in (60, 40):
        job.put(number, partitions=1)
    assert job.run()[1][0].summary.read == 100
    cut = lose_last_batch(stack, topic)
    assert 0 < cut < 100
    job.put(200, partitions=1)
    ok, (report,) = job.run()
    assert not ok
    told = problems(report)[topic]
    assert f"other records than were read are in {topic}/0 from {cut} on: a broker has" in told
    command = told.partition("`el ")[2].partition("`")[0]
    assert el(*command.split()).code == 0
    assert job.run()[1][0].summary.read == 200
    assert sum(job.uuids().values()) == len(job.uuids()) == 300


def test_a_transaction_that_stays_open(job: ImportJob) -> None:
    """What follows it can't be read: it is named, by the import and by `el check`, and no hour of
    its time is complete until people release it."""
    topic, past = f"{job.name}.a", int((time.time() - 3 * 3600) * 1000)
    make_topic(job.kafka, topic, 1)
    source = lines_of_now()
    settings = {"bootstrap.servers": job.kafka, "transactional.id": job.name, "log_level": 0}
    sender, writer = Producer({"bootstrap.servers": job.kafka}), Producer(settings)
    writer.init_transactions()
    writer.begin_transaction()
    for producer, at in ((sender, past), (writer, past), (sender, past + 2 * 3_600_000)):
        for line in islice(source, 10):
            producer.produce(topic, line, timestamp=at)
        producer.flush(10)
    hidden = unread(KafkaCluster(job.kafka), {topic: 1})
    assert hidden == [UnreadPlace(topic, 0, 10, past / 1000)]
    (report,) = job.run()[1]
    assert report.summary.read == 10
    told = f"a transaction that begins at {topic}/0@10 doesn't end: its first record is 180 minutes"
    assert [note for note in report.notes if told in note]
    checked = el("check", job.uri(f"topics={topic}")).out
    assert f"one that begins at {topic}/0@10 doesn't end" in checked
    assert el("state", "release", job.state.path, f"{topic}/0").code == 0
    writer.commit_transaction()
    assert job.run()[1][0].summary.read == 20


def test_commits_are_lost_and_their_records_have_expired(job: ImportJob) -> None:
    """The folders know what they have; nobody needs the records again."""
    topic = f"{job.name}.a"
    for lost in ((2,), (3, 4)):
        for _ in range(3 if lost == (2,) else 1):
            job.put(50, partitions=1)
            assert job.run()[1][0].summary.read == 50
        for number in lost:
            Path(job.state.path, "topics", topic, f"{number:08d}.commit.json").unlink()
        place = TopicPartition(topic, 0, job.sent - 30)
        job.admin.delete_records([place])[place].result(10)
        ok, reports = job.run()
        assert (ok, sum(report.summary.read for report in reports)) == (True, 0)
    job.put(10, partitions=1)
    assert job.run()[1][0].summary.read == 10
    assert sum(job.uuids().values()) == len(job.uuids()) == 210
    assert el("ledger", f"{job.folder}/p").code == 0


def test_moved_to_another_disk(job: ImportJob, tmp_path: Path) -> None:
    """State and folders together: the import goes on there, and takes nothing for unknown."""
    for name in ("old", "new"):
        if name == "new":
            job.folder.rename(tmp_path / name)
        job.folder, job.state = tmp_path / name, State(f"{tmp_path}/{name}/state")
        job.folder.mkdir(exist_ok=True)
        job.put(50, partitions=1)
        assert job.run()[1][0].summary.read == 50
    for sink in ("p", "r"):
        assert el("ledger", f"{job.folder}/{sink}", "--put-away").code == 0
    job.check()
