"""KafkaMetrics: where the counts of a continuous job are durable."""

from dataclasses import dataclass

from transforms.io.kafka.cluster import KafkaCluster


@dataclass(frozen=True)
class KafkaMetrics:
    """A counts topic. It belongs to one job: two that read the same splits can't share it.

    It is made where it isn't there, with as many partitions as the brokers' default. How long its
    records stay is the brokers' business too, and how far back totals can be made of them."""

    cluster: KafkaCluster
    topic: str
    shown: str

    def __str__(self) -> str:
        return self.shown
