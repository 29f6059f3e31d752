"""ReadKafka: KafkaIO's records become lines."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.io.kafka import ReadFromKafka
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from schemas.event import Origin, RawLine

_GLOBAL = (GlobalWindow(),)


class ReadKafka(beam.PTransform):
    """Nothing -> RawLine, for as long as the job runs."""

    def __init__(self, consumer: dict[str, str], topics: tuple[str, ...], expansion: Any) -> None:
        """`consumer` is the Java consumer's configuration; `expansion` is Beam's expansion service,
        which tells it how KafkaIO is made."""
        super().__init__()
        self._consumer, self._topics, self._expansion = consumer, topics, expansion

    def expand(self, root: beam.pvalue.PBegin) -> beam.PCollection:
        records = root | "Records" >> ReadFromKafka(
            self._consumer,
            list(self._topics),
            with_metadata=True,
            commit_offset_in_finalize=True,
            expansion_service=self._expansion,
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

    def process(self, record: Any) -> tuple[WindowedValue]:
        return (WindowedValue(line_of(record), MIN_TIMESTAMP, _GLOBAL),)
