"""RawJob: a job that reads a raw topic of its own. StreamJob: a continuous one, on Flink."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runners.flink_rest import FlinkCluster, FlinkError
from runners.local_stack import Stack
from traffic.feed import Feed, feed
from traffic.started import Started, start
from traffic.truth import absolute_totals, delivered, records, truth
from transforms.io.kafka.broker import KafkaTopics, Position
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.kafka.errors import KafkaAway

CHECKPOINTS = 3.0  # seconds between them, unless others are asked for


@dataclass
class RawJob:
    """A job of a group of its own, from `raw-NAME` of a stack's broker."""

    stack: Stack
    name: str
    lines: int = field(default=0, kw_only=True)  # that were sent

    @property
    def kafka(self) -> str:
        return self.stack.kafka.endpoint()

    @property
    def raw(self) -> str:
        return f"raw-{self.name}"

    @property
    def source(self) -> str:
        return f"kafka://{self.kafka}/?topics={self.raw}&group={self.name}"

    def put(self, number: int, partitions: int = 4) -> None:
        """So many lines that were never sent before, as fast as they go."""
        feed(self.kafka, self.raw, number, start=self.lines, partitions=partitions)
        self.lines += number

    @contextmanager
    def traffic(self, rate: int, **options: Any) -> Iterator[Feed]:
        """`rate` lines a second that were never sent before, while the block runs."""
        stream = Feed(self.kafka, self.raw, rate, self.lines, **options)
        try:
            with stream:
                yield stream
        finally:
            self.lines += stream.sent


@dataclass
class StreamJob(RawJob):
    """From the raw topic to NAME.Schema_revision, with its counts."""

    job: str = ""

    @property
    def flink(self) -> FlinkCluster:
        return FlinkCluster(self.stack.flink.endpoint())

    @property
    def prefix(self) -> str:
        return f"{self.name}."

    @property
    def counts(self) -> str:
        return f"counts-{self.name}"

    def sink(self, query: str) -> str:
        """The URI of topics at the broker."""
        return f"kafka://{self.kafka}/?{query}"

    def arguments(
        self, *options: str, workers: int = 2, checkpoints: float = CHECKPOINTS
    ) -> tuple[str, ...]:
        """The call of `el` for this job; `checkpoints` is the time between two, in seconds."""
        return (
            *(
                "run",
                self.source,
                self.sink(f"topic={self.prefix}{{schema}}_{{revision}}&partitions=2"),
            ),
            *("--metrics", self.sink(f"topic={self.counts}")),
            *("--runner", "flink", "--workers", str(workers), "--json", *options),
            *("--", f"--checkpointing_interval={checkpoints * 1000:.0f}"),
        )

    def where(self, *, pool: bool = True) -> dict[str, str]:
        """The variables with which `el` finds the servers. Without `pool` the workers are part of
        its process."""
        workers = self.stack.workers.endpoint() if pool else ""
        return {"FLINK": self.flink.address, "WORKERS": workers}

    def el(self, *options: str, pool: bool = True, **more: Any) -> Started:
        """Start `el run` for this job."""
        return start(*self.arguments(*options, **more), env=self.where(pool=pool))

    def start(self, *options: str, **more: Any) -> None:
        """Submit the job and let it run by itself."""
        with self.el("--detach", *options, **more) as run:
            out, err = run.communicate(timeout=180)
        assert run.returncode == 0, err
        self.job = json.loads(out)["job"]

    def cancel(self) -> None:
        """End the job as it is, and wait until it has ended."""
        self.flink.cancel(self.job)
        wait_for(lambda: self.flink.job(self.job).ended, 60)

    def _positions(self) -> Mapping[tuple[str, int], Position]:
        return KafkaTopics(KafkaCluster(self.kafka)).positions([self.raw], self.name)

    def lag(self) -> int:
        """Lines that the group hasn't committed."""
        return sum(each.lag for each in self._positions().values())

    def promised(self) -> int:
        """The events of all lines below the group's offsets are in the topics; how many they are.

        Raises AssertionError."""
        below = {place: each.committed or 0 for place, each in self._positions().items()}
        wanted = truth(self.kafka, self.raw, below)
        missing = wanted.missing_from(delivered(self.kafka, self.prefix))
        assert not missing, f"{len(missing)} of {wanted.records} are committed and missing"
        return wanted.records

    def works(self) -> bool:
        """Whether all of the job's tasks run."""
        return self.flink.job(self.job).works

    def settled(self, seconds: float = 180) -> None:
        """Wait until the job runs and its group has committed all that is in the raw topic."""
        wait_for(lambda: self.lag() == 0 and self.works(), seconds)

    def check(self) -> int:
        """The topics hold what they must, and the counts are right; how many records came again.

        Raises AssertionError."""
        wanted, found = truth(self.kafka, self.raw), delivered(self.kafka, self.prefix)
        assert wanted.records == self.lines
        assert len(wanted.destinations) == wanted.records  # each line has an identity of its own
        missing, extra = wanted.missing_from(found), found.missing_from(wanted)
        assert not missing, f"{len(missing)} of {self.lines} are missing"
        assert not extra, f"{len(extra)} should not be there"
        values = (message.value() or b"" for message in records(self.kafka, [self.counts]))
        counted: Counter[bool] = Counter()
        for key, number in absolute_totals(values).items():
            counted[bool(key.reason)] += number
        assert (counted[False], counted[True]) == (wanted.valid, wanted.bad)
        return found.repeats


def wait_for(what: Callable[[], bool], seconds: float, why: str = "it isn't so") -> None:
    """Wait until it is so; servers may be away meanwhile. Raises AssertionError, which says `why`
    or what was the matter with a server."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return
        except (FlinkError, KafkaAway, OSError) as error:
            why = str(error)
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s: {why}")
