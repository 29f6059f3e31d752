"""WriteMetrics: the counts of a continuous job, durable in a counts topic.

Each record is a partial sum that is never changed, keyed by its split, so that the records of a
split stay in order. What they add up to, whatever happened to the job, is explained in totals.py.
"""

from __future__ import annotations

import os
import uuid
from typing import Final

import apache_beam as beam
from confluent_kafka import KafkaError, Message

from transforms.counts.count import Counts
from transforms.counts.metrics import KafkaMetrics
from transforms.counts.totals import COUNTS, CountRecord
from transforms.errors import SinkError
from transforms.io.kafka.producer import KafkaProducer, make_topic

_TOPIC: Final = {"cleanup.policy": "delete"}  # sums are added up: compaction would lose them
_WORKERS: Final[dict[int, str]] = {}  # process -> its name: what is forked is another worker


class _MetricsFn(beam.DoFn):
    def __init__(self, target: KafkaMetrics) -> None:
        self._target = target

    def setup(self) -> None:
        self._worker = _WORKERS.setdefault(os.getpid(), uuid.uuid4().hex)
        self._producer = KafkaProducer(self._target.cluster)
        self._is_there = False

    def start_bundle(self) -> None:
        self._fault: SinkError | None = None

    def process(self, counts: Counts) -> None:
        topic = self._target.topic
        if not self._is_there:
            make_topic(self._target.cluster, topic, config=_TOPIC)
            self._is_there = True
        value = COUNTS.dump(CountRecord(self._worker, counts))
        self._producer.send(topic, value, counts.split.encode(), self._told)

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._fault = self._producer.trouble(self._target.topic, error)

    def finish_bundle(self) -> None:
        self._producer.flush()
        if self._fault:
            raise self._fault

    def teardown(self) -> None:
        if producer := getattr(self, "_producer", None):
            producer.close()


class WriteMetrics(beam.PTransform):
    """Counts -> nothing: each is a record of a counts topic when its bundle ends."""

    def __init__(self, target: KafkaMetrics) -> None:
        super().__init__()
        self._target = target

    def expand(self, counts: beam.PCollection) -> beam.PCollection:
        return counts | "Write" >> beam.ParDo(_MetricsFn(self._target))
