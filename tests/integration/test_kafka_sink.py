"""The Kafka sink and a real broker: what arrives, what is too large, what a broker's death does."""

import base64
import json
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from el_beam.job import Execution, Job
from el_beam.running.bounded import execute
from runners.local_stack import Stack
from schemas import strict_json
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, event_error
from schemas.event import LONGEST_LINE, Destination, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.errors import SinkError
from transforms.io.kafka import producer as kafka_producer
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.lines import FileSource
from transforms.route import Choice
from transforms.write import kafka
from transforms.write.events import _WriteFn
from transforms.write.kafka import KafkaSink
from transforms.write.sink import Receipt

S, T = Destination("S", 1), Destination("T", 2)
LINE = RawLine(b"raw", Origin("file", "a.log", 7, 1_552_200_000.0, "a-0"))
PASSWORD = "hunter2-and-more"


def event(number: int, text: str = "t", **capsule: Any) -> Event:
    data = {"dt": "2019-03-10T07:00:00Z", "wiki": "w", "event": {"n": number, "text": text}}
    return Event(data | capsule, LINE._replace(origin=LINE.origin._replace(offset=number)))


def ago(seconds: float) -> str:
    """The time so many seconds ago, to the second."""
    return datetime.fromtimestamp(int(time.time() - seconds), UTC).isoformat()


def noise(size: int) -> str:
    """Text of so many bytes that no compression of records makes smaller."""
    chosen = random.Random(size)
    return "".join(chr(chosen.randrange(0x4E00, 0x9FFF)) for _ in range(size // 3))


@pytest.fixture
def prefix() -> str:
    """Of this test's topics."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def sink(kafka: str, prefix: str) -> KafkaSink:
    return sink_on(kafka, prefix)


def sink_on(brokers: str, prefix: str, **options: Any) -> KafkaSink:
    return KafkaSink(KafkaCluster(brokers), prefix + "_{schema}", f"kafka://{brokers}/", **options)


def make(brokers: str, topic: str, **settings: str) -> None:
    new = NewTopic(topic, 1, 1, config={name.replace("_", "."): v for name, v in settings.items()})
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([new])[topic].result(10)


def topics(brokers: str, prefix: str) -> dict[str, int]:
    """Names of topics and the number of their partitions."""
    found = AdminClient({"bootstrap.servers": brokers}).list_topics(timeout=10).topics
    return {name: len(it.partitions) for name, it in found.items() if name.startswith(prefix)}


def records(brokers: str, topic: str) -> list[Message]:
    """All records of a topic, in the order of each partition."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {
        each: consumer.get_watermark_offsets(TopicPartition(topic, each)) for each in partitions
    }
    consumer.assign([TopicPartition(topic, each, low) for each, (low, _) in ends.items()])
    left = sum(high - low for low, high in ends.values())
    found: list[Message] = []
    while len(found) < left:
        more = consumer.consume(left - len(found), timeout=10)
        assert more, f"{len(found)} of {left} records of {topic}"
        found += more
    consumer.close()
    return found


def events(brokers: str, topic: str) -> list[dict[str, Any]]:
    return [strict_json.loads(record.value() or b"") for record in records(brokers, topic)]


def numbers(brokers: str, topic: str) -> list[int]:
    return sorted(data["event"]["n"] for data in events(brokers, topic))


def write(sink: KafkaSink, *routed: tuple[Destination, Event | BadEvent]) -> Counter[str]:
    """Write a bundle as the graph does; returns its books."""
    writing = _WriteFn(sink, Choice())
    writing.setup()
    writing.start_bundle()
    for each in routed:
        writing.process(each)
    receipts: list[Receipt] = [windowed.value for windowed in writing.finish_bundle()]
    writing.teardown()
    books: Counter[str] = Counter()
    for receipt in receipts:
        assert receipt.sink == str(sink)
        books.update({name: getattr(receipt, name) for name in ("given", "written", "rejected")})
    return books


def test_records(kafka: str, prefix: str) -> None:
    sink = sink_on(kafka, prefix, key="{wiki}", partitions=3, replication=1)
    sink.prepare()
    wikis = ["enwiki", "dewiki", "frwiki", ""]
    dt = ago(3_600)
    given = [event(n, wiki=wikis[n % 4], topic="elsewhere", dt=dt) for n in range(400)]
    assert write(sink, *((S, each) for each in given)) == {
        "given": 400, "written": 400, "rejected": 0,
    }  # fmt: skip
    found = records(kafka, f"{prefix}_S")
    assert topics(kafka, prefix) == {f"{prefix}_S": 3}
    values = sorted(record.value() or b"" for record in found)
    assert values == sorted(strict_json.dumps(each.data) for each in given)
    assert {record.timestamp()[1] for record in found} == {
        datetime.fromisoformat(dt).timestamp() * 1000
    }
    for record in found:
        wiki = strict_json.loads(record.value() or b"")["wiki"]
        assert record.key() == (wiki.encode() or None)
    places = {record.key(): record.partition() for record in found if record.key()}
    assert {(record.key(), record.partition()) for record in found if record.key()} == {
        *places.items()
    }


def test_keys_are_where_java_puts_them(kafka: str, prefix: str) -> None:
    sink = sink_on(kafka, prefix, key="{wiki}", partitions=10)
    write(sink, *((S, event(n, wiki=f"wiki{n}")) for n in range(8)))
    found = {record.key(): record.partition() for record in records(kafka, f"{prefix}_S")}
    # org.apache.kafka.common.utils.Utils: toPositive(murmur2(key)) % 10
    assert found == {key: murmur2(key) % 10 for key in found if key}
    assert murmur2(b"foobar") == -790332482 & 0x7FFFFFFF  # a test vector of Kafka's own


def murmur2(data: bytes) -> int:
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    found = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        found = found * m & mask ^ k
    if rest := data[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * m & mask
    found = (found ^ found >> 13) * m & mask
    return (found ^ found >> 15) & 0x7FFFFFFF


def test_many_topics_are_made_on_first_use(kafka: str, prefix: str, sink: KafkaSink) -> None:
    many = [Destination(f"Schema{n}", 1) for n in range(30)]
    books = write(sink, *((to, event(n)) for n in range(5) for to in many))
    assert books["written"] == 150
    assert topics(kafka, prefix) == {f"{prefix}_{to.schema}": 2 for to in many}
    assert {len(records(kafka, f"{prefix}_{to.schema}")) for to in many[:5]} == {5}


def test_two_workers_make_the_same_topic(kafka: str, prefix: str, sink: KafkaSink) -> None:
    work = [threading.Thread(target=write, args=(sink, (S, event(n)))) for n in range(4)]
    for each in work:
        each.start()
    for each in work:
        each.join()
    assert numbers(kafka, f"{prefix}_S") == [0, 1, 2, 3]


def test_a_bundle_again_is_there_again(kafka: str, prefix: str, sink: KafkaSink) -> None:
    """At least once: who reads knows events by their uuid."""
    for _ in range(2):
        write(sink, (S, event(1)))
    assert numbers(kafka, f"{prefix}_S") == [1, 1]


def test_times_that_brokers_would_refuse_or_remove(
    kafka: str, prefix: str, sink: KafkaSink
) -> None:
    make(kafka, f"{prefix}_S", retention_ms=str(7 * 24 * 3600 * 1000))
    before = time.time() * 1000
    times = ["0001-01-01T00:00:00Z", "2019-03-10T07:00:00Z", "9999-12-31T23:59:59Z"]
    write(sink, *((S, event(n, dt=dt)) for n, dt in enumerate(times)))
    found = [record.timestamp()[1] for record in records(kafka, f"{prefix}_S")]
    assert len(found) == 3
    assert all(before - 1 <= when <= time.time() * 1000 for when in found)


def test_times_that_a_topic_keeps(kafka: str, prefix: str, sink: KafkaSink) -> None:
    """A topic without an end keeps an event's time, as far as Kafka has such a time."""
    make(kafka, f"{prefix}_S", retention_ms="-1")
    before = time.time() * 1000
    times = ["2019-03-10T07:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
    write(sink, *((S, event(n, dt=dt)) for n, dt in enumerate(times)))
    found = {json.loads(each.value() or b"")["event"]["n"]: each.timestamp()[1]
             for each in records(kafka, f"{prefix}_S")}  # fmt: skip
    assert found[0] == 1_552_201_200_000
    assert all(before - 1 <= found[n] <= time.time() * 1000 for n in (1, 2))


def test_a_topic_that_takes_no_old_times(kafka: str, prefix: str, sink: KafkaSink) -> None:
    make(kafka, f"{prefix}_S", message_timestamp_before_max_ms="60000")
    before = time.time() * 1000
    assert write(sink, *((S, event(n, dt=ago(3_600))) for n in range(20)))["written"] == 20
    found = records(kafka, f"{prefix}_S")
    assert len(found) == 20
    assert all(record.timestamp()[1] >= before - 1 for record in found)


def test_a_record_too_large_for_the_client(kafka: str, prefix: str, sink: KafkaSink) -> None:
    large = event(5, "x" * LONGEST_LINE)
    books = write(sink, (S, event(1)), (S, large), (S, event(2)))
    assert books == {"given": 4, "written": 3, "rejected": 1}
    assert numbers(kafka, f"{prefix}_S") == [1, 2]
    (error,) = events(kafka, f"{prefix}_EventError")
    assert error["event"]["reason"] == "row_rejected"
    assert error["event"]["origin"] == "a.log@5"


def test_a_record_too_large_for_the_brokers_default(
    kafka: str, prefix: str, sink: KafkaSink
) -> None:
    large = event(5, noise(LONGEST_LINE - 120))
    assert len(strict_json.dumps(large.data)) <= LONGEST_LINE
    books = write(sink, (S, event(1)), (S, large), (S, event(2)))
    assert books == {"given": 4, "written": 3, "rejected": 1}
    assert numbers(kafka, f"{prefix}_S") == [1, 2]
    compressible = event(6, "x" * (LONGEST_LINE - 120))
    assert write(sink, (S, compressible))["written"] == 1


@pytest.mark.parametrize("limit", [10_000, 100_000])
def test_records_too_large_for_their_topic(
    kafka: str, prefix: str, sink: KafkaSink, limit: int
) -> None:
    """Small neighbours share their batches, and all of them arrive; other topics feel nothing."""
    make(kafka, f"{prefix}_S", max_message_bytes=str(limit))
    given = [
        event(n, noise(210_000) if n % 700 == 650 else noise(n % 400), raw=n) for n in range(3_000)
    ]
    books = write(sink, *((S, each) for each in given), (T, event(1)))
    large = [n for n in range(3_000) if n % 700 == 650]
    assert books == {
        "given": 3_001 + len(large), "written": 3_001, "rejected": len(large),
    }  # fmt: skip
    found = numbers(kafka, f"{prefix}_S")
    assert sorted({*found}) == [n for n in range(3_000) if n not in large]
    assert len(found) == 3_000 - len(large)
    assert numbers(kafka, f"{prefix}_T") == [1]
    errors = events(kafka, f"{prefix}_EventError")
    assert sorted(error["event"]["origin"] for error in errors) == sorted(
        f"a.log@{n}" for n in large
    )


def test_an_event_error_that_is_too_large_is_cut(kafka: str, prefix: str, sink: KafkaSink) -> None:
    make(kafka, f"{prefix}_EventError", max_message_bytes="5000")
    line = RawLine(os.urandom(200_000), LINE.origin)
    bad = BadEvent(line, Stage.PARSE, Reason.BAD_JSON, "m" * 9_000)
    small = [BadEvent(LINE, Stage.PARSE, Reason.BAD_JSON, "m", dt=f"2019-03-{n}") for n in (10, 11)]
    books = write(sink, *((EVENT_ERROR, each) for each in (small[0], bad, small[1])))
    assert books == {"given": 3, "written": 3, "rejected": 0}
    found = {each["uuid"]: each["event"] for each in events(kafka, f"{prefix}_EventError")}
    cut = found.pop(event_error(bad).data["uuid"])
    assert cut["truncated"] and cut["origin"] == "a.log@7"
    assert line.data.startswith(base64.b64decode(cut["rawEvent"]))
    assert {each["rawEvent"] for each in found.values()} == {"raw"}


def test_what_the_broker_refuses_for_all(kafka: str, prefix: str, sink: KafkaSink) -> None:
    make(kafka, f"{prefix}_S", cleanup_policy="compact")
    with pytest.raises(SinkError, match=f"topic {prefix}_S: .*give key="):
        write(sink, (S, event(1)))
    with pytest.raises(SinkError, match="replication=7, but brokers: 1"):
        sink_on(kafka, prefix, replication=7).prepare()
    with pytest.raises(SinkError, match="give replication="):
        write(sink_on(kafka, prefix, replication=7), (T, event(1)))
    make(kafka, f"{prefix}_A.b")
    with pytest.raises(SinkError, match=r"collide"):
        write(sink, (Destination("A_b", 1), event(1)))


def test_nothing_is_said_on_standard_error(
    sink: KafkaSink, capfd: pytest.CaptureFixture[str]
) -> None:
    sink.prepare()
    write(sink, (S, event(1)))
    assert capfd.readouterr().err == ""


class _Writing:
    """A bundle of more events than may be on their way at once, written by a thread."""

    count = 30_000

    def __init__(self, sink: KafkaSink) -> None:
        self.books: Counter[str] = Counter()
        self.fault: SinkError | None = None
        self._sink = sink
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            given = ((S, event(n, noise(n % 200))) for n in range(self.count))
            self.books = write(self._sink, *given)
        except SinkError as error:
            self.fault = error

    def join(self) -> None:
        self._thread.join(120)
        assert not self._thread.is_alive()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()


def stopped(stack: Stack) -> Callable[[], None]:
    """Stop the broker as if its machine hung; what is returned lets it go on."""
    pid = stack.kafka.process("kafka").pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def killed(stack: Stack) -> Callable[[], None]:
    """kill -9; what is returned starts the broker again."""
    broker = stack.kafka.process("kafka")
    broker.kill()

    def go_on() -> None:
        broker.start()
        broker.wait()

    return go_on


def test_a_broker_that_hangs_is_waited_for(
    stack: Stack, kafka: str, prefix: str, sink: KafkaSink
) -> None:
    write(sink, (S, event(-1)))  # the topic is there
    go_on = stopped(stack)
    try:
        writing = _Writing(sink)
        time.sleep(4)
        assert not writing.is_done
    finally:
        go_on()
    writing.join()
    assert writing.books["written"] == writing.count
    assert sorted({*numbers(kafka, f"{prefix}_S")}) == list(range(-1, writing.count))


def test_a_broker_killed_in_the_middle(
    stack: Stack, kafka: str, prefix: str, sink: KafkaSink
) -> None:
    """What comes meanwhile waits, and so does an event whose topic is to be made first."""
    writer = sink.writer()
    bundle = writer.bundle()
    for n in range(10_000):
        bundle.add(S, event(n, noise(n % 200)))
        if n == 5_000:
            bundle.settle()
    go_on = killed(stack)
    for n in range(10_000, 15_000):
        bundle.add(S, event(n, noise(n % 200)))
    threading.Timer(2, go_on).start()
    bundle.add(T, event(1))
    receipts = [*bundle.commit()]
    writer.close()
    assert sum(receipt.given for receipt in receipts) == 15_001
    assert sum(receipt.written for receipt in receipts) == 15_001
    assert sorted({*numbers(kafka, f"{prefix}_S")}) == list(range(15_000))
    assert numbers(kafka, f"{prefix}_T") == [1]


def test_patience_has_an_end(
    stack: Stack, kafka: str, sink: KafkaSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_producer, "PATIENCE", 3.0)
    writer = sink.writer()
    bundle = writer.bundle()
    bundle.add(S, event(-1))
    bundle.settle()
    go_on = stopped(stack)
    try:
        with pytest.raises(SinkError, match=f"{kafka} took no records for 3 s") as caught:
            for n in range(30_000):
                bundle.add(S, event(n))
        started = time.monotonic()
        writer.close()  # waits for nothing
        assert time.monotonic() - started < 60  # what is waited for is for ten minutes
    finally:
        go_on()
    assert "\n" not in str(caught.value)


def secured(stack: Stack, **changes: str) -> KafkaCluster:
    settings = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(stack.kafka.folder / "ca.pem"),
        "sasl.username": "el",
    }
    return KafkaCluster.of(f"//{stack.kafka.secure_endpoint()}/", settings | changes)


@pytest.mark.parametrize("where", ["sasl.password", "sasl.password.file"])
def test_a_password(
    secure: Stack, prefix: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EL_PASSWORD", PASSWORD)
    at = "${EL_PASSWORD}" if where == "sasl.password" else str(secure.kafka.folder / "secure.txt")
    sink = KafkaSink(secured(secure, **{where: at}), prefix + "_{schema}", "kafka://secure/")
    sink.prepare()
    assert write(sink, (S, event(1)))["written"] == 1
    assert numbers(secure.kafka.endpoint(), f"{prefix}_S") == [1]


def test_a_password_that_is_wrong(
    secure: Stack, prefix: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EL_PASSWORD", "guess-again")
    cluster = secured(secure, **{"sasl.password": "${EL_PASSWORD}"})
    started = time.monotonic()
    with pytest.raises(SinkError, match=r"cannot reach the brokers .*[Aa]uthentication") as caught:
        KafkaSink(cluster, prefix, "kafka://secure/").prepare()
    assert time.monotonic() - started < 60  # what is waited for is for ten minutes
    assert "guess-again" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_certificate_that_nobody_knows(
    secure: Stack, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EL_PASSWORD", PASSWORD)
    monkeypatch.setattr(kafka, "_REACHABLE", 2.0)
    changes = {"sasl.password": "${EL_PASSWORD}", "ssl.ca.location": "/etc/ssl/certs"}
    with pytest.raises(SinkError, match="certificate verify failed"):
        KafkaSink(secured(secure, **changes), prefix, "kafka://secure/").prepare()


CAPSULE = {"schema": "EmptyAllowed", "revision": 1, "wiki": "enwiki", "webHost": "en", "event": {}}
TAIL = '\tcp1.example\t%d\t2019-03-10T07:00:00\t1.2.3.4\t"Mozilla/5.0"\n'


@pytest.mark.parametrize("workers", [1, 2])
def test_a_whole_job_balances_its_books(
    kafka: str, prefix: str, tmp_path: Path, workers: int
) -> None:
    make(kafka, f"{prefix}_EmptyAllowed", max_message_bytes="20000")
    with (tmp_path / "beacon.log").open("w") as log:
        for n in range(2_000):
            capsule = CAPSULE | {"webHost": noise(60_000) if n % 500 == 499 else f"{n}"}
            query = quote(json.dumps(capsule)) if n % 10 else "%7B"
            log.write(f"?{query};{TAIL % n}")
    sink = sink_on(kafka, prefix)
    job = Job(
        FileSource((str(tmp_path / "beacon.log"),), split_bytes=100_000),
        ((sink, Choice()),),
        DEFAULT_FORMAT,
        open_registry(None),
        summary=str(tmp_path / "summary.json"),
    )
    summary = execute(job, Execution(workers=workers))
    assert summary.imbalances == []
    assert (summary.read, summary.valid, summary.bad) == (2_000, 1_800, 200)
    book = summary.sinks[str(sink)]
    assert (book.given, book.written, book.rejected, book.files) == (2_004, 2_000, 4, 0)
    good = events(kafka, f"{prefix}_EmptyAllowed")
    assert len({data["uuid"] for data in good}) == len(good) == 1_796
    reasons = Counter(data["event"]["reason"] for data in events(kafka, f"{prefix}_EventError"))
    assert reasons == {"bad_json": 200, "row_rejected": 4}
