"""What would go wrong later, said before a continuous job is submitted, each with its remedy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Unknown(NamedTuple):
    """What could not be found out."""

    why: str  # a sentence for people


class BrokerFacts(NamedTuple):
    """What the brokers say."""

    partitions: Mapping[str, int]  # of all topics
    members: int = 0  # consumers in the group of the job


class FlinkFacts(NamedTuple):
    """What the cluster says."""

    jobs: Mapping[str, str]  # name -> id, of those that have not ended
    free_slots: int
    failover: str  # its jobmanager.execution.failover-strategy


class PoolFacts(NamedTuple):
    """What the worker pool says."""

    address: str
    about: Mapping[str, str] | None  # versions; None: a pool of Beam's own, which can't say


@dataclass(frozen=True)
class Facts:
    """What is to run, and what was found where it is to run."""

    exact_sinks: tuple[str, ...]  # URIs of sinks that only a job with splits may write to
    topics: tuple[str, ...]  # to be read
    pattern: str | None  # that gave the topics
    group: str
    consumer: Mapping[str, str]  # settings of the consumer
    schemas: int  # revisions in the registry
    workers: int
    detach: bool
    checkpointing: str  # milliseconds, as it will be given to Flink
    finishing: str | None  # finish_bundle_before_checkpointing, as it was asked for
    job_name: str
    about: Mapping[str, str]  # our versions
    jars: tuple[str, ...] | Unknown
    brokers: BrokerFacts | Unknown
    flink: FlinkFacts | Unknown
    pool: PoolFacts | Unknown | None  # None: workers are processes of the submitter


def refusals(facts: Facts) -> list[str]:
    """All reasons not to submit the job; empty where there are none."""
    unknown = (each.why for each in (facts.jars, facts.brokers, facts.flink)
               if isinstance(each, Unknown))  # fmt: skip
    return [*_of_the_job(facts), *unknown, *_of_kafka(facts), *_of_flink(facts), *_of_pool(facts)]


def warnings(facts: Facts) -> list[str]:
    """What a person should know, though the job can run."""
    found = []
    match facts.pool:
        case PoolFacts(address, None):
            found.append(f"the worker pool at {address} is not ours and can't say its version")
    if facts.pattern:
        found.append(
            f"the pattern stands for {len(facts.topics)} topic(s) of now; those made later are "
            "read after a restart without a savepoint (el check tells of them)"
        )
    return found


_INSTEAD = "use --runner flink, or read by increments: add --state DIR --every 60s"


def wrong_runner(runner: str) -> str | None:
    """Why a runner can't run a continuous job; None for one that can."""
    if runner == "flink":
        return None
    if runner == "spark":
        return (
            "Spark can't run a continuous job from Python (unbounded reads fail there, state is "
            f"silently wrong): {_INSTEAD}"
        )
    return f"--runner {runner} can't run a continuous job: {_INSTEAD}"


def _of_the_job(facts: Facts) -> Iterator[str]:
    for scheme in sorted({uri.partition(":")[0] for uri in facts.exact_sinks}):
        yield (
            f"{scheme}: can't be a sink of a continuous job, which has no splits to make it exact: "
            "write to kafka: here; files and tables are made of topics by increments, with "
            "--state DIR --every 60s"
        )
    if facts.consumer.get("enable.auto.commit", "true").lower() != "false":
        yield "enable.auto.commit must be false: Kafka would commit what was not processed yet"
    if not facts.checkpointing.isdecimal() or not int(facts.checkpointing):
        yield "no checkpoints: nothing would ever be committed; give --checkpointing_interval=10000"
    if (facts.finishing or "true").lower() != "true":
        yield (
            "finish_bundle_before_checkpointing must stay true: offsets would be committed ahead "
            "of the work, which is lost when the job starts again without its state"
        )
    if not facts.schemas:
        yield "the registry is empty: every event would be a bad one; see --schemas"


def _of_kafka(facts: Facts) -> Iterator[str]:
    if isinstance(facts.brokers, Unknown):
        return
    if missing := [topic for topic in facts.topics if topic not in facts.brokers.partitions]:
        yield f"no topic {', '.join(missing)} at the brokers: make it first, or correct its name"
    if facts.pattern and not facts.topics:
        yield f"no topic matches the pattern {facts.pattern}"
    if members := facts.brokers.members:
        yield (
            f"the group {facts.group} has {members} consumer(s) now, which would move the "
            "same offsets: choose another group, or stop them"
        )


def _of_flink(facts: Facts) -> Iterator[str]:
    if isinstance(facts.flink, Unknown):
        return
    if facts.flink.failover != "full" and facts.workers > 1:
        yield (
            "when a worker dies this Flink restarts one slot, which finds the dead worker again "
            "for ever: set jobmanager.execution.failover-strategy: full, or use --workers 1"
        )
    if job := facts.flink.jobs.get(facts.job_name):
        yield (
            f"a job of the group {facts.group} runs already ({job}): el jobs stop {job}, "
            "or choose another group"
        )
    elif facts.flink.free_slots < facts.workers:
        yield (
            f"Flink has {facts.flink.free_slots} free slot(s), --workers asks for "
            f"{facts.workers}: ask for fewer, stop another job, or add a TaskManager"
        )


def _of_pool(facts: Facts) -> Iterator[str]:
    match facts.pool:
        case None if facts.detach:
            yield (
                "--detach needs a worker pool, for the workers would end with this process: "
                "set WORKERS=host:port, or --environment_config=host:port after --"
            )
        case Unknown(why):
            yield f"{why}: start one there with python -m runners.worker_pool"
        case PoolFacts(address, about) if about is not None and about != facts.about:
            yield (
                f"the worker pool at {address} has {_versions(about)}, this is "
                f"{_versions(facts.about)}: workers must have the code of those who submit; "
                "restart the pool with this version"
            )


def _versions(about: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(about.items()))
