"""Check a continuous job, and submit it; attend.py stays with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from el_beam.running.failures import JobFailed, job_failed
from el_beam.running.streaming.health import job_name
from runners import flink, preflight, worker_pool
from runners.flink_rest import FlinkCluster, FlinkError, FlinkJob
from runners.jars import JarMissing, jar
from runners.job_server import KafkaExpansion
from schemas.errors import WrongCall
from transforms.io.kafka.topics import KafkaAway, KafkaTopics, matching
from transforms.read.kafka import KafkaSource

if TYPE_CHECKING:
    from el_beam.job import Execution, Job

_FAILOVER = "jobmanager.execution.failover-strategy"
_TICK = 0.5  # seconds between looks
_STARTING = 180.0  # seconds that a job may take until all its tasks run


class PreflightFailed(WrongCall):
    """A job that must not be submitted: a sentence for each reason."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons

    @property
    def sentences(self) -> list[str]:
        return self.reasons


@dataclass(frozen=True)
class Stream:
    """A continuous job that passed its checks, ready to be submitted."""

    job: Job
    source: KafkaSource
    name: str
    cluster: FlinkCluster | None
    warnings: tuple[str, ...]


def prepare(job: Job, execution: Execution, *, detach: bool = False) -> Stream:
    """Check that the job can run where it is to. A pattern becomes the topics that it matches now.

    Raises PreflightFailed with all that stands against it."""
    source = job.source
    assert isinstance(source, KafkaSource)
    facts = _facts(job, source, execution, detach)
    if reasons := preflight.refusals(facts):
        raise PreflightFailed(reasons)
    chosen = source.settled(facts.topics, KafkaExpansion())
    warnings = tuple(preflight.warnings(facts))
    job = replace(job, source=chosen)
    return Stream(job, chosen, facts.job_name, flink.cluster(execution.beam), warnings)


def _facts(job: Job, source: KafkaSource, execution: Execution, detach: bool) -> preflight.Facts:
    topics, partitions, members, brokers_away = source.topics, {}, 0, None
    try:
        kafka = KafkaTopics(source.cluster)
        partitions = kafka.partitions()
        members = kafka.members(source.group)
        topics = matching(partitions, source.pattern) if source.pattern else topics
    except (KafkaAway, ValueError) as error:
        brokers_away = str(error)
    jar_missing = flink_away = free_slots = failover = pool_away = pool_about = None
    running: dict[str, str] = {}
    try:
        jar("flink-job-server")
        jar("kafka-expansion")
    except JarMissing as error:
        jar_missing = str(error)
    cluster = flink.cluster(execution.beam)
    if execution.runner == "flink" and not cluster:
        flink_away = "a continuous job needs a Flink cluster: set FLINK=host:port, or give "
        flink_away += "--flink_master=host:port after --"
    if execution.runner == "flink" and cluster:
        try:
            running = {each.name: each.id for each in cluster.jobs() if not each.ended}
            free_slots = cluster.slots()[0]
            failover = cluster.settings().get(_FAILOVER, "region")
        except FlinkError as error:
            flink_away = str(error)
    pool = flink.pool(execution.beam)
    if execution.runner == "flink" and pool:
        try:
            pool_about = worker_pool.ask(pool)
        except OSError as error:
            pool_away = str(error)
    given = flink.value_of(execution.beam, "checkpointing_interval")
    return preflight.Facts(
        runner=execution.runner,
        exact_sinks=tuple(str(sink) for sink, _ in job.sinks if not sink.continuous),
        topics=topics,
        pattern=source.pattern,
        group=source.group,
        consumer=source.consumer_config(),
        schemas=len(job.registry.list()),
        workers=execution.workers,
        detach=detach,
        checkpointing=given if given is not None else str(flink.CHECKPOINT_EVERY),
        finishing=flink.value_of(execution.beam, "finish_bundle_before_checkpointing"),
        job_name=job_name(source),
        brokers_away=brokers_away,
        partitions=partitions,
        members=members,
        jar_missing=jar_missing,
        flink_away=flink_away,
        running_jobs=running,
        free_slots=free_slots,
        failover=failover,
        pool=pool,
        pool_away=pool_away,
        pool_about=pool_about,
        our_about=worker_pool.about(),
    )


def submit(stream: Stream, execution: Execution, savepoint: str | None = None) -> FlinkJob:
    """Submit the job, to go on from a savepoint where one is given, and return it once all its
    tasks run. Raises JobFailed."""
    import apache_beam as beam

    from el_beam.pipeline import build

    assert stream.cluster is not None, "refused without"
    try:
        for sink, _ in stream.job.sinks:
            sink.prepare()
        pipeline = beam.Pipeline(
            flink.RUNNER,
            options=flink.options(
                execution.workers, execution.beam, name=stream.name, streaming=True,
                savepoint=savepoint,
            ),
        )  # fmt: skip
        build(pipeline, stream.job)
        older = {each.id for each in stream.cluster.jobs()}
        result = pipeline.run()
        return _started(stream.cluster, stream.name, older, lambda: str(result.state))
    except JobFailed:
        raise
    except Exception as error:  # a runner's may be any; people get the sentence, we the details
        raise job_failed(error) from error
    finally:
        flink.end_job_servers()  # a cluster that has taken a job needs them no more


def _started(
    cluster: FlinkCluster, name: str, older: set[str], state: Callable[[], str]
) -> FlinkJob:
    end = time.monotonic() + _STARTING
    found: FlinkJob | None = None
    while time.monotonic() < end:
        jobs = [job for job in cluster.jobs() if job.name == name and job.id not in older]
        found = jobs[0] if jobs else None
        if found and found.works:
            return found
        if found and found.ended:
            break
        if state() == "FAILED":
            raise JobFailed("Flink didn't take the job")
        time.sleep(_TICK)
    why = root_cause(cluster.failure(found.id)) if found else "it never came to Flink"
    raise JobFailed(f"the job has not started: {why}")


def root_cause(failure: str) -> str:
    """The last cause in a Java stack trace, on one line."""
    causes = [line for line in failure.splitlines() if line.startswith("Caused by: ")]
    first = failure.splitlines()[:1] or ["unknown cause; see the JobManager's log"]
    return (causes or first)[-1].removeprefix("Caused by: ")[:400]
