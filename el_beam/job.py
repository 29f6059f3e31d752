"""A job: what the graph of `pipeline.build` is made from, and who runs it."""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.registry import Registry
from transforms.counts.totals import KafkaMetrics
from transforms.line_time import NEWEST, LineTimes
from transforms.read.lines import Source
from transforms.route import Choice
from transforms.write.sink import Sink


@dataclass(frozen=True)
class Job:
    """Source, sinks and rules of one run. Everything in it is picklable and holds no connection."""

    source: Source
    sinks: tuple[tuple[Sink, Choice], ...]
    format: str  # EventLogging's format string, or `json`
    registry: Registry
    summary: str | None = None  # path of a file for the books, where the run has an end
    progress: str | None = None  # folder of this machine
    metrics: KafkaMetrics | None = None  # counts topic, for a run without an end
    options: tuple[str, ...] = ()  # of its format and schemas, as on a command line
    times: LineTimes = NEWEST  # of bad lines


class Rules(NamedTuple):
    """What makes events of lines: their format, and the schemas that they must keep to."""

    format: str  # as in Job
    registry: Registry


class Execution(NamedTuple):
    """Who runs the graph: a runner's name, its number of workers, options of Beam's own."""

    runner: str = "direct"
    workers: int = 1
    beam: tuple[str, ...] = ()
