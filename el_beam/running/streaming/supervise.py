"""Stay with a continuous job: show how it is, stop it when asked to."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from el_beam.running.failures import JobFailed, root_cause
from runners.flink_rest import FlinkAway, FlinkCluster, FlinkError, FlinkJob
from transforms.io.kafka.broker import Broker, broker_of
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import CLOCK, Clock
from transforms.read.kafka import KafkaSource

_TICK = 1.0  # seconds between looks
_LOOKS = 60  # that the rate is a mean of: commits come in steps, one a checkpoint
_PATIENCE = 600.0  # seconds without any answer of Flink: its JobManager may be on its way back


class _View:
    """How a job is, for people: its state, how far its group is, its last checkpoint."""

    def __init__(
        self, cluster: FlinkCluster, job: FlinkJob, source: KafkaSource, clock: Clock
    ) -> None:
        self._cluster, self._source, self._clock = cluster, source, clock
        self.job = job
        self._kafka: Broker | None = None
        self._first: int | None = None  # lines that were done when we first looked
        self._looks: deque[tuple[float, int]] = deque(maxlen=_LOOKS)

    def __str__(self) -> str:
        parts = [self.job.state.lower() if self.job.works else f"{self.job.state} (not all tasks)"]
        with suppress(KafkaAway):
            parts += self._offsets()
        with suppress(FlinkError):
            parts += self._checkpoint()
        return "   ".join(parts)

    def _offsets(self) -> list[str]:
        self._kafka = self._kafka or broker_of(self._source.cluster)
        positions = self._kafka.positions(self._source.topics, self._source.group).values()
        done = sum(each.committed or each.low for each in positions)
        self._first = done if self._first is None else self._first
        self._looks.append((self._clock.monotonic(), done))
        (began, before), (now, _) = self._looks[0], self._looks[-1]
        parts = [f"since then {done - self._first:,}", f"lag {sum(at.lag for at in positions):,}"]
        if now - began > 1:
            parts.insert(1, f"{(done - before) / (now - began):,.0f} lines/s")
        return parts

    def _checkpoint(self) -> list[str]:
        told = self._cluster.checkpoints(self.job.id)
        latest = told["latest"]["completed"]
        if not latest:
            return []
        age = max(0.0, self._clock.time() - latest["latest_ack_timestamp"] / 1000)
        return [f"checkpoint {latest['id']} {age:.0f} s ago"]


def supervise(
    cluster: FlinkCluster,
    job: FlinkJob,
    source: KafkaSource,
    stop: threading.Event,
    show: Callable[[Callable[[], str]], AbstractContextManager[object]],
    clock: Clock = CLOCK,
) -> tuple[FlinkJob, str]:
    """Stay until the job has ended, or `stop` is set: then stop the job with a savepoint. The
    context of `show` is entered meanwhile, with a function that describes the job.

    Returns the job as it ended, and the savepoint's path or ''. While the JobManager is away this
    waits for ten minutes. Raises JobFailed."""
    view = _View(cluster, job, source, clock)
    away: float | None = None
    with show(lambda: str(view)):
        while not view.job.ended:
            if clock.wait(stop, _TICK):
                return view.job, _stopped(cluster, view.job)
            try:
                view.job, away = cluster.job(job.id), None
            except FlinkAway as error:
                away = away or clock.monotonic()
                view.job = view.job._replace(state="JobManager away", running=0)
                if clock.monotonic() - away > _PATIENCE:
                    raise JobFailed(f"{error}; the job may still run") from error
            except FlinkError as error:
                raise JobFailed(f"{error}; start the same command again and it goes on") from error
    if view.job.state == "FAILED":
        raise JobFailed(f"the job has failed: {root_cause(cluster.failure(job.id))}")
    return view.job, ""


def _stopped(cluster: FlinkCluster, job: FlinkJob) -> str:
    """Stop with a savepoint where the cluster keeps any, else cancel: the offsets are committed."""
    try:
        return cluster.stop(job.id)
    except FlinkError as error:
        with suppress(FlinkError):
            cluster.cancel(job.id)
            return f"none ({error})"
        raise JobFailed(f"cannot stop the job {job.id}: {error}") from error
