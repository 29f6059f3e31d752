"""KafkaSource: lines from Kafka topics, for as long as the job runs.

KafkaIO reads; it keeps its offsets in the runner's checkpoints and, once a checkpoint is complete,
commits them to the group: a job that starts again without its state goes on from there. Topics and
partitions are those of the start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from transforms.io.kafka.cluster import KafkaCluster
from transforms.read.lines import Source

if TYPE_CHECKING:
    import apache_beam as beam


@dataclass(frozen=True)
class KafkaSource(Source):
    """Topics of a cluster, read on behalf of a consumer group."""

    cluster: KafkaCluster
    topics: tuple[str, ...]
    group: str
    shown: str
    start: str = "earliest"  # where a group without offsets begins; or `latest`
    pattern: str | None = None  # of topics, instead of their names: see `settled`
    isolation: str = "read_committed"  # of transactions; or `read_uncommitted`: all of them
    expansion: Any = None  # Beam's expansion service, which tells it how KafkaIO is made

    def settled(self, topics: tuple[str, ...], expansion: Any) -> KafkaSource:
        """The same source, ready to be read: its pattern has become these topics."""
        return replace(self, topics=topics, pattern=None, expansion=expansion)

    bounded = False

    def lines(self) -> beam.PTransform:
        from transforms.read.stages import ReadKafka

        return ReadKafka(self.consumer_config(), self.topics, self.expansion)

    def details(self) -> str:
        return f"topics {', '.join(self.topics)}, group {self.group}"

    def brokers(self) -> str:
        """A URI that names its cluster, for commands that people type."""
        return self.shown if self.cluster.settings else f"kafka://{self.cluster}/"

    def consumer_config(self) -> dict[str, str]:
        """For KafkaIO's Java consumer."""
        return {
            **self.cluster.for_java(),
            "group.id": self.group,
            "auto.offset.reset": self.start,
            "isolation.level": self.isolation,
            # Kafka's own commits run ahead of what was processed.
            "enable.auto.commit": "false",
        }
