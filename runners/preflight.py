"""What would go wrong later, said before a continuous job is submitted, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """What is to run, and what was found where it is to run. None is what could not be asked."""

    runner: str
    exact_sinks: tuple[str, ...]  # URIs of sinks that only a job with splits may write to
    topics: tuple[str, ...]  # to be read
    pattern: str | None  # that gave the topics
    group: str
    consumer: Mapping[str, str]  # settings of the consumer
    schemas: int  # revisions in the registry
    workers: int
    detach: bool
    checkpointing: str | None  # milliseconds, as it will be given to Flink
    finishing: str | None  # finish_bundle_before_checkpointing, as it was asked for
    job_name: str
    brokers_away: str | None = None  # why nobody answers
    partitions: Mapping[str, int] = field(default_factory=dict)  # of all topics
    members: int = 0  # consumers in the group
    jar_missing: str | None = None
    flink_away: str | None = None
    running_jobs: Mapping[str, str] = field(default_factory=dict)  # name -> id, not ended
    free_slots: int | None = None
    failover: str | None = None  # Flink's jobmanager.execution.failover-strategy
    pool: str | None = None  # address; None for workers in the submitting process
    pool_away: str | None = None
    pool_about: Mapping[str, str] | None = None  # versions; None where a pool can't tell
    our_about: Mapping[str, str] = field(default_factory=dict)


def refusals(facts: Facts) -> list[str]:
    """All reasons not to submit the job; empty where there are none."""
    if facts.runner != "flink":
        return [_not_here(facts.runner)]
    return [*_of_the_job(facts), *_of_kafka(facts), *_of_flink(facts), *_of_the_pool(facts)]


def warnings(facts: Facts) -> list[str]:
    """What a person should know, though the job can run."""
    told = []
    if facts.pool and not facts.pool_away and facts.pool_about is None:
        told.append(f"the worker pool at {facts.pool} is not ours and can't say its version")
    if facts.pattern:
        told.append(
            f"the pattern stands for {len(facts.topics)} topic(s) of now; those made later are "
            "read after a restart without a savepoint (el check tells of them)"
        )
    return told


_INSTEAD = "use --runner flink, or read by increments: add --state DIR --every 60s"


def _not_here(runner: str) -> str:
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
    if not (facts.checkpointing or "").isdecimal() or not int(facts.checkpointing or 0):
        yield "no checkpoints: nothing would ever be committed; give --checkpointing_interval=10000"
    if (facts.finishing or "true").lower() != "true":
        yield (
            "finish_bundle_before_checkpointing must stay true: offsets would be committed ahead "
            "of the work, which is lost when the job starts again without its state"
        )
    if not facts.schemas:
        yield "the registry is empty: every event would be a bad one; see --schemas"
    if facts.jar_missing:
        yield facts.jar_missing


def _of_kafka(facts: Facts) -> Iterator[str]:
    if facts.brokers_away:
        yield facts.brokers_away
        return
    if missing := [topic for topic in facts.topics if topic not in facts.partitions]:
        yield f"no topic {', '.join(missing)} at the brokers: make it first, or mend its name"
    if facts.pattern and not facts.topics:
        yield f"no topic matches the pattern {facts.pattern}"
    if facts.members:
        yield (
            f"the group {facts.group} has {facts.members} consumer(s) now, which would move the "
            "same offsets: choose another group, or stop them"
        )


def _of_flink(facts: Facts) -> Iterator[str]:
    if facts.flink_away:
        yield facts.flink_away
        return
    if facts.failover not in ("full", None) and facts.workers > 1:
        yield (
            "when a worker dies this Flink restarts one slot, which finds the dead worker again "
            "for ever: set jobmanager.execution.failover-strategy: full, or use --workers 1"
        )
    if job := facts.running_jobs.get(facts.job_name):
        yield (
            f"a job of the group {facts.group} runs already ({job}): el jobs stop {job}, "
            "or choose another group"
        )
    elif facts.free_slots is not None and facts.free_slots < facts.workers:
        yield (
            f"Flink has {facts.free_slots} free slot(s), --workers asks for {facts.workers}: "
            "ask for fewer, stop another job, or add a TaskManager"
        )


def _of_the_pool(facts: Facts) -> Iterator[str]:
    if facts.pool is None:
        if facts.detach:
            yield (
                "--detach needs a worker pool, for the workers would end with this process: "
                "set WORKERS=host:port, or --environment_config=host:port after --"
            )
        return
    if facts.pool_away:
        yield f"{facts.pool_away}: start one there with python -m runners.worker_pool"
    elif facts.pool_about is not None and facts.pool_about != facts.our_about:
        theirs, ours = _told(facts.pool_about), _told(facts.our_about)
        yield (
            f"the worker pool at {facts.pool} has {theirs}, this is {ours}: workers must have the "
            "code of those who submit; restart the pool with this version"
        )


def _told(about: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(about.items()))
