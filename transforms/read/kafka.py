"""KafkaSource: lines from Kafka topics, for as long as the job runs.

KafkaIO reads; it keeps its offsets in the runner's checkpoints and, once a checkpoint is complete,
commits them to the group: a job that starts again without its state goes on from there. Topics and
partitions are those of the start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
from apache_beam.io.kafka import ReadFromKafka
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.event import Origin, RawLine
from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.collecting import without_collecting

_GLOBAL = (GlobalWindow(),)


@dataclass(frozen=True)
class KafkaSource:
    """Topics of a cluster, read on behalf of a consumer group."""

    cluster: KafkaCluster
    topics: tuple[str, ...]
    group: str
    shown: str
    start: str = "earliest"  # where a group without offsets begins; or `latest`
    pattern: str | None = None  # of topics, instead of their names: see `settled`
    expansion: Any = None  # Beam's expansion service, which tells it how KafkaIO is made

    def settled(self, topics: tuple[str, ...], expansion: Any) -> KafkaSource:
        """The same source, ready to be read: its pattern has become these topics."""
        return replace(self, topics=topics, pattern=None, expansion=expansion)

    bounded = False

    def lines(self) -> beam.PTransform:
        return _ReadKafka(self)

    def consumer_config(self) -> dict[str, str]:
        """For KafkaIO's Java consumer."""
        return {
            **self.cluster.for_java(),
            "group.id": self.group,
            "auto.offset.reset": self.start,
            # Kafka's own commits run ahead of what was processed.
            "enable.auto.commit": "false",
        }

    def __str__(self) -> str:
        return self.shown


class _ReadKafka(beam.PTransform):
    def __init__(self, source: KafkaSource) -> None:
        super().__init__()
        self._source = source

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        records = root | "Records" >> ReadFromKafka(
            self._source.consumer_config(),
            list(self._source.topics),
            with_metadata=True,
            commit_offset_in_finalize=True,
            expansion_service=self._source.expansion,
        )
        return records | "Lines" >> beam.ParDo(_LinesFn())


def line_of(record: Any) -> RawLine:
    """A record of KafkaIO's as a line. Its split is its partition, its offset the record's."""
    partition = f"{record.topic}/{record.partition}"
    origin = Origin("kafka", partition, record.offset, max(record.timestamp, 0) / 1000, partition)
    return RawLine((record.value or b"").removesuffix(b"\n"), origin)


class _LinesFn(beam.DoFn):
    """Each record has a time of its own. Lines get one that is the same for all, so that they go on
    in batches; none is kept for finish_bundle, whose elements Beam gives to a step that takes
    batches no sooner than with its next bundle."""

    def setup(self) -> None:
        without_collecting()

    def process(self, record: Any) -> tuple[WindowedValue]:
        return (WindowedValue(line_of(record), MIN_TIMESTAMP, _GLOBAL),)
