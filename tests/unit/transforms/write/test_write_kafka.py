"""The Kafka sink without a server: what is produced again, what is refused, what is told."""

import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from schemas import strict_json
from schemas.bad_event import EVENT_ERROR, BadEvent, Reason, Stage, event_error, shorter
from schemas.event import LONGEST_LINE, Destination, Event, Origin, RawLine
from schemas.registry import open_registry
from schemas.validation.validator import Validator
from transforms.errors import SinkError
from transforms.io.kafka import producer as kafka_producer
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import SMALL, trouble
from transforms.io.kafka.producer import KafkaProducer, LastError
from transforms.route import Choice
from transforms.write import kafka
from transforms.write.events import _WriteFn
from transforms.write.kafka import KafkaSink, RecordBundle, TargetTopic
from transforms.write.sink import Bundle, Receipt, Rejected, RejectedEvent, Sink, Writer
from transforms.write.topics import TopicError

HERE = Destination("S", 1)
CLUSTER = KafkaCluster("127.0.0.1:1")
PRESENT = 1_700_000_000_000  # unix ms


def event(number: int, text: str = "t", **capsule: Any) -> Event:
    data = {"uuid": f"{number}", "dt": "2019-03-10T07:00:00Z", "event": {"text": text}} | capsule
    return Event(data, RawLine(b"raw %d" % number, Origin("file", "a.log", number, 7.0, "a-0")))


class Broker:
    """A client and the broker behind it: a batch fails as a whole, and batches are cut by size."""

    def __init__(self, limit: int, batch: int = 10**9, queue: int = 10**9) -> None:
        """`limit` is max.message.bytes, `batch` batch.size, both without overhead; `queue` is how
        many records may be on their way."""
        self.limit, self.batch, self.queue = limit, batch, queue
        self.stored: list[tuple[bytes, int]] = []
        self.refuses: Callable[[int], bool] = lambda _: False  # a record for its time
        self.fault: int | None = None
        self._waiting: list[tuple[str, bytes, bytes | None, Any, int]] = []
        self.produced = 0  # bytes

    def produce(
        self, topic: str, value: bytes, key: bytes | None, on_delivery: Any, timestamp: int
    ) -> None:
        if len(self._waiting) >= self.queue:
            raise BufferError
        self.produced += len(value)
        self._waiting.append((topic, value, key, on_delivery, timestamp))

    def flush(self, _: float) -> int:
        waiting, self._waiting = self._waiting, []
        while waiting:
            batch, size = [waiting.pop(0)], 0
            size = len(batch[0][1])
            while waiting and size + len(waiting[0][1]) <= self.batch:
                size += len(waiting[0][1])
                batch.append(waiting.pop(0))
            self._deliver(batch, size)
        return 0

    def _deliver(self, batch: list[Any], size: int) -> None:
        code = self.fault
        if code is None and size > self.limit:
            code = KafkaError.MSG_SIZE_TOO_LARGE
        if code is None and any(self.refuses(when) for *_, when in batch):
            code = KafkaError.INVALID_TIMESTAMP
        for topic, value, key, told, when in batch:
            if code is None:
                self.stored.append((value, when))
            else:
                told(KafkaError(code), Returned(topic, key, value))

    def poll(self, _: float) -> int:
        return self.flush(0)

    def __len__(self) -> int:
        return len(self._waiting)


class Returned:
    """A message that failed."""

    def __init__(self, topic: str, key: bytes | None, value: bytes) -> None:
        self.topic, self.key, self.value = (lambda: topic), (lambda: key), (lambda: value)


def bundle_on(broker: Broker) -> RecordBundle:
    producer = KafkaProducer.__new__(KafkaProducer)
    producer.client = broker  # type: ignore[assignment]
    producer._cluster, producer._heard = CLUSTER, LastError()
    return RecordBundle("kafka:", producer, lambda it: TargetTopic(str(it), 2 * 86_400_000))


class _On(Sink, Writer):
    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def writer(self) -> Writer:
        return self

    def bundle(self) -> Bundle:
        return bundle_on(self.broker)

    def __str__(self) -> str:
        return "kafka:"


def write(sink: Sink, *routed: tuple[Destination, Event | BadEvent]) -> list[Receipt]:
    writing = _WriteFn(sink, Choice())
    writing.setup()
    writing.start_bundle()
    for each in routed:
        writing.process(each)
    return [windowed.value for windowed in writing.finish_bundle()]


def books(receipts: list[Receipt]) -> tuple[int, int, int]:
    """given, written, rejected"""
    return (
        sum(receipt.given for receipt in receipts),
        sum(receipt.written for receipt in receipts),
        sum(receipt.rejected for receipt in receipts),
    )


def stored(broker: Broker) -> list[dict[str, Any]]:
    return [strict_json.loads(value) for value, _ in broker.stored]


def sizes(*large: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([1, 10, 100, 1000, SMALL - 300, SMALL + 10, *large]))


@given(sizes(15_000, 30_000), st.sampled_from([1, 5_000, 10**6]), st.sampled_from([3, 40, 10**6]))
def test_what_fits_arrives_and_what_does_not_is_rejected(
    lengths: list[int], batch: int, queue: int
) -> None:
    broker = Broker(20_000, batch, queue)
    events = [event(number, "x" * length) for number, length in enumerate(lengths)]
    receipts = write(_On(broker), *((HERE, each) for each in events))
    large = [length > 20_000 for length in lengths].count(True)
    fit = sorted(str(at) for at, length in enumerate(lengths) if length <= 20_000)
    found = stored(broker)
    assert sorted(each["uuid"] for each in found if "schema" not in each) == fit
    errors = [each["event"] for each in found if each.get("schema") == "EventError"]
    assert len(errors) == large
    for error in errors:
        assert (error["reason"], error["stage"]) == ("row_rejected", "write")
        assert error["origin"].startswith("a.log@")
        assert "takes no record of 30," in error["message"]
    assert books(receipts) == (len(events) + large, len(events), large)


def test_one_large_record_costs_its_neighbours_little() -> None:
    broker = Broker(1_000_000)  # all in one batch
    events = [event(number, "x" * 400) for number in range(1_000)]
    events[500] = event(500, "x" * 600_000)
    size = sum(len(strict_json.dumps(each.data)) for each in events)
    broker.limit = 550_000
    write(_On(broker), *((HERE, each) for each in events))
    assert len(broker.stored) == 1_000
    assert broker.produced < 15 * size  # as many halves as there are bits in 1,000


def test_a_topic_that_takes_hardly_anything() -> None:
    broker = Broker(300)
    with pytest.raises(SinkError, match=r"max.message.bytes is too small: records of 4096 bytes"):
        write(_On(broker), (HERE, event(1, "x" * 200)), (HERE, event(2, "x" * 400)))


def test_no_line_is_longer_than_a_record_may_be() -> None:
    bundle = bundle_on(Broker(10**9))
    bundle.add(HERE, event(1, "x" * (LONGEST_LINE - 100)))
    with pytest.raises(Rejected, match=r"topic S_1 takes no record of 1,048,6\d\d bytes"):
        bundle.add(HERE, event(1, "x" * LONGEST_LINE))


RAW = RawLine(b"\x01" * 60_000, Origin("file", "a.log", 7, 1_552_200_000.0, "a-0"))
BAD = BadEvent(RAW, Stage.PARSE, Reason.BAD_JSON, "m" * 9_000, "p")


@pytest.mark.parametrize("limit", [10**6, 300_000, 100_000, 10_000, 3_000])
def test_an_event_error_is_cut_until_it_fits(limit: int) -> None:
    whole = event_error(BAD).data
    broker = Broker(limit)
    receipts = write(_On(broker), (EVENT_ERROR, BAD), (EVENT_ERROR, BAD))
    assert books(receipts) == (2, 2, 0)
    for data in stored(broker):
        told = data["event"]
        assert Validator(open_registry(None).get(*EVENT_ERROR)).violations(data) == []
        assert whole["event"]["rawEvent"].startswith(told["rawEvent"])
        assert told["truncated"] == (limit < 10**6)
        assert (told["origin"], data["uuid"]) == ("a.log@7", whole["uuid"])


def test_an_event_error_that_fits_nowhere() -> None:
    with pytest.raises(SinkError, match=r"at its shortest: raise its max.message.bytes"):
        write(_On(Broker(300)), (EVENT_ERROR, BAD))


def test_base64_is_cut_where_it_can_be_read() -> None:
    error = event_error(BAD._replace(line=RAW._replace(data=b"\xff\xfe" * 30_000)))
    assert error.data["event"]["encoding"] == "base64"
    cut: Event | None = error
    while cut is not None:
        assert len(cut.data["event"]["rawEvent"]) % 4 == 0
        last, cut = cut, shorter(cut)
    assert len(last.data["event"]["rawEvent"]) < 300
    assert error == event_error(BAD._replace(line=RAW._replace(data=b"\xff\xfe" * 30_000)))


def test_short_texts_are_not_cut() -> None:
    assert shorter(event_error(BAD._replace(line=RAW._replace(data=b"?x"), message="m"))) is None


@pytest.mark.parametrize(
    ("capsule", "when"),
    [
        ({"dt": "2023-11-14T22:13:20Z"}, PRESENT),
        ({"dt": "2023-11-14T22:13:20.123456+01:00"}, PRESENT - 3_600_000 + 123),
        ({"dt": "2023-11-13T22:13:20Z"}, PRESENT - 86_400_000),
        ({"dt": "2023-11-13T22:13:19Z"}, PRESENT),  # brokers would remove it too soon
        ({"dt": "0001-01-01T00:00:00Z"}, PRESENT),
        ({"dt": "1970-01-01T00:00:00Z"}, PRESENT),
        ({"dt": "9999-12-31T23:59:59Z"}, PRESENT),  # brokers refuse what is to come
        ({"dt": "garbage", "timestamp": 1_699_999_990}, PRESENT - 10_000),
        ({"dt": None}, PRESENT),  # the line was received in 1970
    ],
)
def test_times(monkeypatch: pytest.MonkeyPatch, capsule: dict[str, Any], when: int) -> None:
    monkeypatch.setattr(time, "time", lambda: PRESENT / 1000)
    broker = Broker(10**6)
    write(_On(broker), (HERE, event(1, **capsule)))
    assert [found for _, found in broker.stored] == [when]


def test_the_present_goes_on_while_a_bundle_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [PRESENT / 1000]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    broker = Broker(10**6)
    bundle = bundle_on(broker)
    clock[0] += 5
    bundle.add(HERE, event(1, dt="2023-11-14T22:13:24Z"))
    bundle.settle()
    assert [found for _, found in broker.stored] == [PRESENT + 4_000]


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


def test_a_topic_that_does_not_like_a_time_gets_the_present() -> None:
    broker = Broker(10**6)
    broker.refuses = lambda when: 0 < when < (time.time() - 3_000) * 1000
    given = [event(n, dt=ago(3_600 if n == 1 else 60)) for n in range(8)]
    write(_On(broker), *((HERE, each) for each in given))
    assert len(broker.stored) == 8
    assert 1 <= [when for _, when in broker.stored].count(0) <= 2
    broker.refuses = lambda _: True
    with pytest.raises(SinkError, match=r"message\.timestamp settings"):
        write(_On(broker), (HERE, event(1)))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "topic S_1: .*; this user needs the right"),
        (KafkaError._MSG_TIMED_OUT, "127.0.0.1:1 took no records for 600 s: no answer"),
        (KafkaError.KAFKA_STORAGE_ERROR, "topic S_1: "),
    ],
)
def test_what_is_no_fault_of_a_record(code: int, told: str) -> None:
    broker = Broker(10**6)
    broker.fault = code
    bundle = bundle_on(broker)
    bundle.add(HERE, event(1))
    with pytest.raises(SinkError, match=told) as caught:
        bundle.settle()
    assert "\n" not in str(caught.value)
    with pytest.raises(SinkError, match=told):
        list(bundle.commit())


def test_records_that_are_invalid_together_are_seen_alone() -> None:
    """A topic that refuses the time of several says so only of one."""

    class Terse(Broker):
        def _deliver(self, batch: list[Any], size: int) -> None:
            several = len(batch) > 1 and any(self.refuses(when) for *_, when in batch)
            self.fault = KafkaError._INVALID_DIFFERENT_RECORD if several else None
            super()._deliver(batch, size)

    broker = Terse(10**6)
    broker.refuses = lambda when: 0 < when < (time.time() - 3_000) * 1000
    write(_On(broker), *((HERE, event(n, dt=ago(3_600))) for n in range(9)))
    assert len(broker.stored) == 9
    other = Broker(10**6)
    other.fault = KafkaError.INVALID_RECORD  # each, even alone
    with pytest.raises(SinkError, match=r"topic S_1: .*; is it compacted"):
        write(_On(other), *((HERE, event(n)) for n in range(9)))


def test_a_client_that_gives_up() -> None:
    class Broken(Broker):
        def produce(self, *_: Any, **__: Any) -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL, "sequence lost"))

    with pytest.raises(SinkError, match="topic S_1: sequence lost"):
        bundle_on(Broken(1)).add(HERE, event(1))


def test_advice_is_for_people() -> None:
    said = str(trouble("t", KafkaError(KafkaError.INVALID_REPLICATION_FACTOR)))
    assert said.startswith("topic t: ") and said.endswith("give replication=, no more than "
                                                         "there are brokers")  # fmt: skip


class _Late(Sink, Writer, Bundle):
    """Learns only when all is over which events it can't hold: those of uuid 13."""

    def __init__(self) -> None:
        self.taken: list[tuple[Destination, Event]] = []
        self.settled = 0

    def writer(self) -> Writer:
        return self

    def bundle(self) -> Bundle:
        return self

    def add(self, destination: Destination, event: Event) -> None:
        self.taken.append((destination, event))

    def settle(self) -> None:
        self.settled = len(self.taken)

    def rejected(self) -> list[RejectedEvent]:
        bad = [each for each in self.taken[: self.settled] if each[1].data["uuid"] == "13"]
        self.taken = [each for each in self.taken if each not in bad]
        return [RejectedEvent(*each, Rejected("13 brings bad luck", "uuid")) for each in bad]

    def commit(self) -> list[Receipt]:
        assert self.settled >= len(self.taken), "the fate of all is known"
        return [Receipt("late:", "s", *to, given=1, written=1) for to, _ in self.taken]

    def __str__(self) -> str:
        return "late:"


def test_what_is_refused_late_is_there_as_an_event_error() -> None:
    sink = _Late()
    receipts = write(sink, (HERE, event(1)), (HERE, event(13)), (HERE, event(2)))
    assert [destination for destination, _ in sink.taken] == [HERE, HERE, EVENT_ERROR]
    told = sink.taken[2][1].data
    assert (told["dt"], told["event"]["path"]) == ("2019-03-10T07:00:00Z", "uuid")
    assert told["event"]["rawEvent"] == "raw 13"
    assert books(receipts) == (4, 3, 1)


@pytest.mark.parametrize(
    "wrong", [{"topic": "{x}"}, {"key": "{x}"}, {"key": ""}, {"partitions": 0}, {"replication": -1}]
)
def test_what_cannot_be_a_sink(wrong: dict[str, Any]) -> None:
    with pytest.raises(TopicError):
        KafkaSink(CLUSTER, shown="kafka:", **{"topic": "t_{schema}", **wrong})


def test_a_sink_travels_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2-and-more")
    settings = {
        "security.protocol": "SASL_SSL", "sasl.username": "el", "sasl.password": "${PASSWORD}",
    }  # fmt: skip
    sink = KafkaSink(KafkaCluster.of("//a:1/", settings), "t_{schema}", "kafka://a:1", key="{wiki}")
    sink.writer().close()  # connects to nothing yet, and leaves nothing behind
    pickled = pickle.dumps(sink)
    assert b"hunter2" not in pickled
    assert str(pickle.loads(pickled)) == "kafka://a:1"
    monkeypatch.delenv("PASSWORD")
    for call in (sink.prepare, sink.writer):
        with pytest.raises(SinkError, match="variable PASSWORD is not set"):
            call()


def test_brokers_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka, "_REACHABLE", 0.5)
    with pytest.raises(SinkError, match=r"cannot reach the brokers 127.0.0.1:1: .*refused"):
        KafkaSink(CLUSTER, "t", "kafka://127.0.0.1:1").prepare()
    monkeypatch.setattr(kafka_producer, "PATIENCE", 0.5)
    writer = KafkaSink(CLUSTER, "t", "kafka://127.0.0.1:1").writer()
    monkeypatch.setattr(kafka_producer, "_REQUEST", 0.1)
    with pytest.raises(SinkError, match=r"cannot make topic t on 127.0.0.1:1"):
        writer.bundle().add(HERE, event(1))
    writer.close()
    assert capfd.readouterr().err == ""  # what is said is said by us


def test_settings_that_the_client_refuses() -> None:
    cluster = KafkaCluster.of(
        "//a:1/", {"security.protocol": "SSL", "ssl.ca.location": "not/there.pem"}
    )
    for call in (
        KafkaSink(cluster, "t", "kafka://a:1").prepare,
        KafkaSink(cluster, "t", "k").writer,
    ):
        with pytest.raises(SinkError, match=r"ssl\.ca\.location"):
            call()


def test_a_name_that_kafka_does_not_allow_is_the_events_own_fault() -> None:
    writer = KafkaSink(CLUSTER, "t_{schema}", "kafka:").writer()
    with pytest.raises(Rejected, match=r"'t_a/b' is not a (valid )?topic"):
        writer.bundle().add(Destination("a/b", 1), event(1))
    writer.close()


def test_one_batch_is_on_its_way_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """If more are, librdkafka may count a refused one as delivered, as a later one was taken."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(kafka_producer, "Producer", given.update)
    KafkaProducer(CLUSTER)
    assert (given["max.in.flight"], given["enable.idempotence"], given["acks"]) == (1, True, "all")
