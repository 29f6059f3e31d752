"""Lines into a raw topic: all at once, or at a steady rate until it is stopped."""

from __future__ import annotations

import gzip
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

_SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sample.log.gz"
_IDENTITY = re.compile(rb"\t(\d+)\t(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\t")
FIRST_SEQ_ID = 100_000_000
_RUN = 500  # lines of one partition before it is another's turn


def lines(start: int = 0) -> Iterator[bytes]:
    """The sample log over and over, its bad lines too; each line of now, with a seqId of its own
    (from `start`) if it has any."""
    sample = [
        _IDENTITY.split(line, maxsplit=1)
        for line in gzip.decompress(_SAMPLE.read_bytes()).splitlines()
    ]
    dt, dt_of = b"", -1.0
    for number in count(start):
        parts = sample[number % len(sample)]
        if len(parts) == 4:
            if time.time() - dt_of > 0.5:
                dt_of = time.time()
                dt = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(dt_of)).encode()
            yield b"%b\t%d\t%b\t%b" % (parts[0], FIRST_SEQ_ID + number, dt, parts[3])
        else:
            yield parts[0]


def _producer(brokers: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
            "message.timeout.ms": 300_000,
            "log_level": 0,
        }
    )


def make_topic(brokers: str, topic: str, partitions: int) -> None:
    """Make a topic, unless it is there."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    with suppress(KafkaException):
        admin.create_topics([NewTopic(topic, partitions)])[topic].result(30)


def feed(brokers: str, topic: str, number: int, *, start: int = 0, partitions: int = 4) -> None:
    """Put `number` lines into a topic, which is made if need be, as fast as they go."""
    put(brokers, topic, islice(lines(start), number), partitions)


def put(brokers: str, topic: str, lines: Iterable[bytes], partitions: int = 4) -> None:
    """Put these lines into a topic, which is made if need be; they are all there then."""
    make_topic(brokers, topic, partitions)
    producer = _producer(brokers)
    for number, line in enumerate(lines):
        _put(producer, topic, line, number // _RUN % partitions)
    assert producer.flush(120) == 0


def _put(producer: Producer, topic: str, line: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(topic, line, partition=partition)
            return
        except BufferError:
            producer.poll(0.1)


class Feed:
    """A steady stream into a raw topic while the block runs; `sent` is how many lines so far.

    Partitions get their lines in turn; those in `idle` get none."""

    def __init__(
        self,
        brokers: str,
        topic: str,
        rate: int,
        *,
        start: int = 0,
        partitions: int = 4,
        idle: frozenset[int] = frozenset(),
        timed: bool = False,
    ) -> None:
        make_topic(brokers, topic, partitions)
        self.sent = 0
        self.times: dict[int, float] = {}  # line -> unix seconds when it was sent, if `timed`
        self._timed = timed
        self._brokers, self._topic, self._rate, self._start = brokers, topic, rate, start
        self._busy = [number for number in range(partitions) if number not in idle]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: Exception | None = None

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the stream; all its lines are in the topic then."""
        self._done.set()
        self._thread.join()
        if self._failed:
            raise self._failed

    def _run(self) -> None:
        try:
            self._stream()
        except Exception as error:  # `stop` raises it, whatever it is, where somebody sees it
            self._failed = error

    def _stream(self) -> None:
        producer, source = _producer(self._brokers), lines(self._start)
        began = time.monotonic()
        while not self._done.is_set():
            due = int((time.monotonic() - began) * self._rate)
            for _ in range(due - self.sent):
                partition = self._busy[self.sent // 50 % len(self._busy)]
                if self._timed:
                    self.times[self.sent] = time.time()
                _put(producer, self._topic, next(source), partition)
                self.sent += 1
            producer.poll(0)
            time.sleep(0.02)
        assert producer.flush(300) == 0
