"""The counts topic on a real broker: how it is made, what arrives, what totals survive."""

import gzip
import logging
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic
from thorough import some

from el_beam.job import Execution, Job
from el_beam.running.bounded import execute
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from traffic.truth import absolute_totals
from transforms.counts.count import CountKey, Counts
from transforms.counts.stages import _MetricsFn
from transforms.counts.totals import COUNTS, KafkaMetrics
from transforms.errors import SinkError
from transforms.io.kafka import producer as kafka_producer
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.lines import FileSource

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample.log.gz"
LINES = 3_000
KEYS = [CountKey(60 * n, "Edit", 1, why) for n in range(5) for why in ("", "bad_json")]


@pytest.fixture
def target(kafka: str) -> KafkaMetrics:
    return on(kafka, f"counts-{uuid.uuid4().hex[:8]}")


def on(brokers: str, topic: str) -> KafkaMetrics:
    return KafkaMetrics(KafkaCluster(brokers), topic, f"kafka://{brokers}/?topic={topic}")


@pytest.fixture
def admin(kafka: str) -> AdminClient:
    quiet: Any = logging.getLogger("librdkafka")
    return AdminClient({"bootstrap.servers": kafka, "logger": quiet})


def values(target: KafkaMetrics) -> Iterator[bytes]:
    """All records, those of each partition of the topic in order."""
    consumer = Consumer({"bootstrap.servers": target.cluster.brokers, "group.id": "test"})
    topic = consumer.list_topics(target.topic, timeout=10).topics[target.topic]
    for number in topic.partitions:
        place = TopicPartition(target.topic, number, 0)
        _, high = consumer.get_watermark_offsets(place)
        consumer.assign([place])
        at = 0
        while at < high:
            (record,) = consumer.consume(1, timeout=10)
            key, value, at = record.key(), record.value() or b"", (record.offset() or 0) + 1
            assert key == COUNTS.load(value, "").counts.split.encode()
            yield value
    consumer.close()


def counts(first: int, after: int, split: str = "raw/0") -> Counts:
    """Of lines of which number n has the key n modulo all."""
    sums = Counter(KEYS[n % len(KEYS)] for n in range(first, after))
    return Counts(split, first, after - 1, after - first, tuple(sums.items()))


def largest(first: int) -> Counts:
    """With as many keys as there may be, each as long as can be."""
    keys = [CountKey(n, f"{n}".rjust(63, "S"), 2**62 + n, "unstorable_value") for n in range(4_500)]
    return Counts("s", first, first + 4_499, 4_500, tuple((key, 1) for key in keys))


def truth(lines: int) -> Counter[CountKey]:
    return Counter(KEYS[n % len(KEYS)] for n in range(lines))


def write(target: KafkaMetrics, *bundles: list[Counts]) -> None:
    writing = _MetricsFn(target)
    writing.setup()
    for bundle in bundles:
        writing.start_bundle()
        for each in bundle:
            writing.process(each)
        writing.finish_bundle()
    writing.teardown()


def test_the_topic_is_made_and_never_compacted(target: KafkaMetrics, admin: AdminClient) -> None:
    write(target, [counts(0, 9)])
    resource = ConfigResource(ResourceType.TOPIC, target.topic)
    settings = admin.describe_configs([resource])[resource].result(10)
    assert settings["cleanup.policy"].value == "delete"


def test_a_topic_that_is_there_stays_as_it_is(target: KafkaMetrics, admin: AdminClient) -> None:
    admin.create_topics([NewTopic(target.topic, 3, 1)])[target.topic].result(10)
    write(target, [counts(0, 9, split) for split in ("raw/0", "raw/1", "raw/2", "raw/3")])
    assert len(admin.list_topics(timeout=10).topics[target.topic].partitions) == 3
    assert len(list(values(target))) == 4


def test_what_a_bundle_says_is_there_when_it_ends(target: KafkaMetrics) -> None:
    many = [counts(n, n + 10) for n in range(0, 500, 10)]
    write(target, many[:20], [], many[20:])
    found = [COUNTS.load(value, "") for value in values(target)]
    assert [each.counts for each in found] == many
    assert len({each.worker for each in found}) == 1
    assert absolute_totals(values(target)) == truth(500)


def test_the_largest_record_arrives(target: KafkaMetrics) -> None:
    write(target, [largest(0)])
    (value,) = values(target)
    assert COUNTS.load(value, "").counts == largest(0)


def test_the_graph_counts_into_it(target: KafkaMetrics, tmp_path: Path) -> None:
    """And run again it counts nothing twice."""
    log = tmp_path / "beacon.log"
    lines = gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:LINES]))
    job = Job(
        FileSource((str(log),), 200_000), (), DEFAULT_FORMAT, open_registry(None),
        summary=str(tmp_path / "summary"), metrics=target,
    )  # fmt: skip
    for _ in range(2):
        summary = execute(job, Execution())
        totals = absolute_totals(values(target))
        assert sum(totals.values()) == LINES
        assert sum(n for key, n in totals.items() if key.reason) == summary.bad
        by_schema = Counter[str]()
        for key, number in totals.items():
            by_schema[f"{key.schema}_{key.revision}"] += number
        assert by_schema == {name: sum(both) for name, both in summary.schemas.items()}


WORKER = """
import sys, time
from pathlib import Path
from typing import Any
sys.path[:0] = sys.argv[1:3]
import test_metrics_topic as here
brokers, topic, checkpoint, lines, size = *sys.argv[3:6], int(sys.argv[6]), int(sys.argv[7])
writing = here._MetricsFn(here.on(brokers, topic))
writing.setup()
at = int(Path(checkpoint).read_text())
while at < lines:
    after = min(at + size, lines)
    writing.start_bundle()
    writing.process(here.counts(at, after))
    writing.finish_bundle()
    if at % 3 == 0:
        new = Path(checkpoint + ".new")
        new.write_text(str(after))
        new.replace(checkpoint)
    at = after
    time.sleep(0.002)
"""


def test_totals_survive_kills(target: KafkaMetrics, tmp_path: Path) -> None:
    """kill -9, each time somewhere else; each life has bundles of another size."""
    lines, checkpoint = some([20_000], [15_000])[0], tmp_path / "checkpoint"
    checkpoint.write_text("0")
    for size in some([17, 7, 11, 13, 23], [17, 7]):
        before = checkpoint.read_text()
        with live(target, checkpoint, lines, size) as worker:
            wait_for(checkpoint, before)
            time.sleep(random.uniform(0, 0.7))
            worker.kill()
        assert worker.returncode == -signal.SIGKILL
    with live(target, checkpoint, lines, 20) as worker:
        pass
    assert worker.returncode == 0
    found = list(values(target))
    assert absolute_totals(found) == truth(lines)
    assert sum(COUNTS.load(value, "").counts.lines for value in found) > lines  # some came again


def live(target: KafkaMetrics, checkpoint: Path, lines: int, size: int) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parent)
    place = (target.cluster.brokers, target.topic, str(checkpoint))
    call = [sys.executable, "-W", "ignore", "-c", WORKER, str(ROOT), here]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/scripts:{ROOT}/tests/support"}
    return subprocess.Popen([*call, *place, str(lines), str(size)], env=environment)


def wait_for(checkpoint: Path, before: str) -> None:
    """Wait until it is another."""
    end = time.monotonic() + 60
    while checkpoint.read_text() == before:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_cluster_that_stays_away_fails_the_bundle(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_producer, "PATIENCE", 1.0)
    monkeypatch.setattr(kafka_producer, "_REQUEST", 0.3)
    with pytest.raises(SinkError, match=r"cannot make topic counts on 127\.0\.0\.1:9"):
        write(on("127.0.0.1:9", "counts"), [counts(0, 9)])
    assert capfd.readouterr().err == ""  # no words of librdkafka's


def test_a_topic_that_cannot_be(kafka: str) -> None:
    with pytest.raises(SinkError, match="topic no/topic"):
        write(on(kafka, "no/topic"), [counts(0, 9)])


def test_a_bundle_that_is_not_taken_is_an_error(target: KafkaMetrics, admin: AdminClient) -> None:
    small = NewTopic(target.topic, 1, 1, config={"max.message.bytes": "4096"})
    admin.create_topics([small])[target.topic].result(10)
    write(target, [counts(0, 1)])
    with pytest.raises(SinkError, match=f"topic {target.topic}: .*max.message.bytes"):
        write(target, [largest(1)])
    assert absolute_totals(values(target)) == truth(1)
