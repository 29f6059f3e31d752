"""Lines into a raw topic: all at once, or at a steady rate until it is stopped."""

import gzip
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from traffic.started import ROOT

SAMPLE = ROOT / "examples" / "sample.log.gz"
_IDENTITY = re.compile(rb"\t(\d+)\t(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\t")
FIRST_SEQ_ID = 100_000_000
_RUN = 500  # lines of one partition before it is another's turn


def lines(start: int = 0) -> Iterator[bytes]:
    """The sample log over and over, its bad lines too; each line of now, with a seqId of its own
    (from `start`) if it has any."""
    return copies(SAMPLE, lambda _: time.time(), start=start)


def copies(
    log: Path, second: Callable[[int], float], *, start: int = 0, first_seq_id: int = FIRST_SEQ_ID
) -> Iterator[bytes]:
    """A gzipped log over and over, from line `start` on; each line that has a seqId and a time with
    ones of its own: `second` gives the unix time of a line."""
    found = [_IDENTITY.split(line, maxsplit=1)
             for line in gzip.decompress(log.read_bytes()).splitlines()]  # fmt: skip
    for number in count(start):
        parts = found[number % len(found)]
        if len(parts) == 4:
            dt = _date_time(int(second(number)))
            yield b"%b\t%d\t%b\t%b" % (parts[0], first_seq_id + number, dt, parts[3])
        else:
            yield parts[0]


@lru_cache(maxsize=1)
def _date_time(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def producer_of(brokers: str) -> Producer:
    """One that loses nothing, and nothing twice."""
    return Producer(
        {
            "bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 20,
            "compression.type": "lz4", "queue.buffering.max.messages": 200_000,
            "message.timeout.ms": 300_000, "log_level": 0,
        }
    )  # fmt: skip


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
    producer = producer_of(brokers)
    for number, line in enumerate(lines):
        send(producer, topic, line, number // _RUN % partitions)
    assert producer.flush(120) == 0


def send(producer: Producer, topic: str, line: bytes, partition: int) -> None:
    """Give a producer a record, as soon as it has room."""
    while True:
        try:
            return producer.produce(topic, line, partition=partition)
        except BufferError:
            producer.poll(0.1)


class Stream(ABC):
    """A steady stream into Kafka while the block runs; `sent` is how many records so far."""

    def __init__(self, brokers: str, rate: int) -> None:
        """`rate`: records a second."""
        self.sent = 0
        self._brokers, self._rate = brokers, rate
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the stream; all its records are there then. Raises what kept it from sending."""
        self._done.set()
        self._thread.join()
        if self._failed:
            raise self._failed

    @abstractmethod
    def _send(self, producer: Producer, due: int) -> None:
        """Send records until `sent` is what is due."""

    def _run(self) -> None:
        try:
            self._stream()
        except Exception as error:  # `stop` raises it, whatever it is, where somebody sees it
            self._failed = error

    def _stream(self) -> None:
        producer, began = producer_of(self._brokers), time.monotonic()
        while not self._done.is_set():
            self._send(producer, int((time.monotonic() - began) * self._rate))
            producer.poll(0)
            time.sleep(0.02)
        assert producer.flush(300) == 0


class Feed(Stream):
    """Lines of the sample, into the partitions `busy` of a raw topic in turn."""

    def __init__(
        self, brokers: str, topic: str, rate: int, start: int, busy: Sequence[int] = range(4),
        *, timed: bool = False,
    ) -> None:  # fmt: skip
        make_topic(brokers, topic, 4)
        super().__init__(brokers, rate)
        self.times: dict[int, float] = {}  # line -> unix seconds when it was sent, if `timed`
        self._timed, self._topic, self._lines, self._busy = timed, topic, lines(start), busy

    def _send(self, producer: Producer, due: int) -> None:
        while self.sent < due:
            partition = self._busy[self.sent // 50 % len(self._busy)]
            if self._timed:
                self.times[self.sent] = time.time()
            send(producer, self._topic, next(self._lines), partition)
            self.sent += 1
