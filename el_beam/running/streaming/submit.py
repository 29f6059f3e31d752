"""Check a continuous job, and submit it; supervise.py stays with it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import apache_beam as beam
import grpc

from el_beam.job import Execution, Job
from el_beam.pipeline import build
from el_beam.running.failures import AGAIN, JobFailed, job_failed, root_cause
from el_beam.running.streaming.health import job_name
from el_beam.running.streaming.savepoints import NOT_MAPPED, is_of_another_job, refusal
from runners import flink, worker_pool
from runners.flink_rest import FlinkCluster, FlinkError, FlinkJob
from runners.jars import JarMissing, jar
from runners.job_server import KafkaExpansion
from runners.preflight import (
    BrokerFacts,
    Facts,
    FlinkFacts,
    PoolFacts,
    Unknown,
    refusals,
    warnings,
    wrong_runner,
)
from schemas.errors import WrongCall
from transforms.io.kafka.broker import broker_of, matching
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import CLOCK, Clock
from transforms.read.kafka import KafkaSource

Mine = Callable[[FlinkJob], bool]  # whether a job is the one that was submitted
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
    cluster: FlinkCluster
    warnings: tuple[str, ...]


def prepare(
    job: Job, execution: Execution, *, detach: bool = False, savepoint: str | None = None
) -> Stream:
    """Check that the job can run where it is to, from a savepoint where one is given. A pattern
    becomes the topics that it matches now.

    Raises PreflightFailed with all that stands against it."""
    source = job.source
    assert isinstance(source, KafkaSource)
    if reason := wrong_runner(execution.runner):
        raise PreflightFailed([reason])
    facts = _facts(job, source, execution, detach)
    reasons = refusals(facts)
    if savepoint and is_of_another_job(savepoint):
        reasons.append(refusal(savepoint, source.group))
    if reasons:
        raise PreflightFailed(reasons)
    cluster = flink.cluster(execution.beam)
    assert cluster, "refused without"
    chosen = source.settled(facts.topics, KafkaExpansion())
    job = replace(job, source=chosen)
    return Stream(job, chosen, facts.job_name, cluster, tuple(warnings(facts)))


def _facts(job: Job, source: KafkaSource, execution: Execution, detach: bool) -> Facts:
    brokers = _ask_brokers(source)
    topics = source.topics
    if source.pattern and isinstance(brokers, BrokerFacts):
        topics = matching(brokers.partitions, source.pattern)
    asked = flink.value_of(execution.beam, "checkpointing_interval")
    return Facts(
        exact_sinks=tuple(str(sink) for sink, _ in job.sinks if not sink.continuous),
        topics=topics,
        pattern=source.pattern,
        group=source.group,
        consumer=source.consumer_config(),
        schemas=len(job.registry.list()),
        workers=execution.workers,
        detach=detach,
        checkpointing=asked if asked is not None else str(flink.CHECKPOINT_EVERY),
        finishing=flink.value_of(execution.beam, "finish_bundle_before_checkpointing"),
        job_name=job_name(source),
        about=worker_pool.about(),
        jars=_find_jars(),
        brokers=brokers,
        flink=_ask_flink(execution),
        pool=_ask_pool(execution),
    )


def _find_jars() -> tuple[str, ...] | Unknown:
    try:
        return jar("flink-job-server"), jar("kafka-expansion")
    except JarMissing as error:
        return Unknown(str(error))


def _ask_brokers(source: KafkaSource) -> BrokerFacts | Unknown:
    try:
        kafka = broker_of(source.cluster)
        return BrokerFacts(kafka.partitions(), kafka.members(source.group))
    except (KafkaAway, ValueError) as error:
        return Unknown(str(error))


def _ask_flink(execution: Execution) -> FlinkFacts | Unknown:
    cluster = flink.cluster(execution.beam)
    if not cluster:
        return Unknown(
            "a continuous job needs a Flink cluster: set FLINK=host:port, or give "
            "--flink_master=host:port after --"
        )
    try:
        jobs = {each.name: each.id for each in cluster.jobs() if not each.ended}
        return FlinkFacts(jobs, cluster.slots()[0], cluster.settings().get(_FAILOVER, "region"))
    except FlinkError as error:
        return Unknown(str(error))


def _ask_pool(execution: Execution) -> PoolFacts | Unknown | None:
    address = flink.pool(execution.beam)
    try:
        return PoolFacts(address, worker_pool.ask(address)) if address else None
    except OSError as error:
        return Unknown(str(error))


def submit(
    stream: Stream, execution: Execution, savepoint: str | None = None, clock: Clock = CLOCK
) -> FlinkJob:
    """Submit the job, to go on from a savepoint where one is given, and return it once all its
    tasks run. If that fails, or is interrupted, or another one of the group was submitted at the
    same moment and came first, Flink is left without the job.

    Raises JobFailed."""
    mine: Mine | None = None
    try:
        for sink, _ in stream.job.sinks:
            sink.prepare()
        options = flink.options(
            execution.workers, execution.beam, name=stream.name, streaming=True, savepoint=savepoint
        )
        pipeline = beam.Pipeline(flink.RUNNER, options=options)
        build(pipeline, stream.job)
        mine = flink.submitted(options)
        job = _started(stream.cluster, mine, _run(pipeline), clock)
        _refuse_second(stream, job)
        flink.end_job_servers()  # a cluster that has taken a job needs them no more
        return job
    except BaseException as error:
        also = _withdrawn(stream, mine, error)
        if isinstance(error, KeyboardInterrupt):
            raise JobFailed(f"interrupted{also or '; Flink has not got the job'}") from error
        if savepoint and NOT_MAPPED in str(error):
            raise JobFailed(f"{refusal(savepoint, stream.source.group)}{also}") from error
        if isinstance(error, Exception):  # a runner's may be any
            raise job_failed(error, also) from error
        raise


def _run(pipeline: beam.Pipeline) -> Callable[[], str]:
    """Submit a pipeline. Returns what asks the job server how it goes: '' if that has died, and if
    it has died already. Flink may have the job nevertheless."""
    try:
        result = pipeline.run()
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise  # it answers: there is something wrong with the job
        return lambda: ""

    def state() -> str:
        try:
            return str(result.state)
        except grpc.RpcError:
            return ""

    return state


def _withdrawn(stream: Stream, mine: Mine | None, error: BaseException) -> str:
    """End what has come to Flink, unless another interruption comes. Returns what is to be added to
    the error."""
    seconds = 0.0
    try:
        if isinstance(error, KeyboardInterrupt):
            logging.getLogger("el_beam").info("interrupted: what Flink has of the job is cancelled")
            seconds = flink.SETTLES
        flink.end_job_servers()  # what comes to Flink from now on was on its way
        if mine is None:
            return ""
        ended = flink.end_jobs(stream.cluster, mine, seconds=seconds)
    except (FlinkError, KeyboardInterrupt) as its:
        why = str(its) or "interrupted again"
        return f"; look whether Flink has the job ({stream.name}): {why}"
    return f"; the job that Flink had ({', '.join(ended)}) was cancelled" if ended else ""


def _refuse_second(stream: Stream, mine: FlinkJob) -> None:
    """The checks before have seen none of them, if two were submitted at once."""
    of_group = [job for job in stream.cluster.jobs() if job.name == stream.name and not job.ended]
    first = min([mine, *of_group], key=lambda job: (job.started, job.id))
    if first.id != mine.id:
        raise JobFailed(f"another el run has just submitted a job of the group ({first.id})")


def _started(cluster: FlinkCluster, mine: Mine, state: Callable[[], str], clock: Clock) -> FlinkJob:
    end = clock.monotonic() + _STARTING
    found, comes = None, end  # until then, if it comes at all
    while clock.monotonic() < (end if found else comes):
        found = next(filter(mine, cluster.jobs()), None)
        if found and found.works:
            return found
        if found and found.ended:
            break
        told = state()
        if told == "FAILED":
            raise JobFailed("Flink didn't take the job")
        if not told:
            comes = min(comes, clock.monotonic() + flink.SETTLES)
        clock.sleep(_TICK)
    if comes < end and not found:
        raise JobFailed(f"the job server has died before Flink had the job; {AGAIN}")
    why = root_cause(cluster.failure(found.id)) if found else "it never came to Flink"
    raise JobFailed(f"the job has not started: {why}")
