"""How a continuous job is: what `el check` finds, each finding with what to do."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from el_beam.running.hooks import Finding, Probe
from runners.flink_rest import FlinkCluster, FlinkError
from transforms.errors import UnreadableInput
from transforms.io.kafka.broker import Position, broker_of, matching
from transforms.io.kafka.errors import KafkaAway
from transforms.io.world import CLOCK
from transforms.read.kafka import KafkaSource
from transforms.read.kafka_ranges import LONG_TRANSACTION, unread
from transforms.read.offsets import UnreadPlace

_OLD_CHECKPOINT = 120.0  # seconds, and at least ten intervals
Places = Mapping[tuple[str, int], Position]


def job_name(source: KafkaSource) -> str:
    """A group's job has one name: two jobs of a group would move the same offsets."""
    return f"el {source.group}"


def probes(source: KafkaSource, cluster: FlinkCluster, most_lag: int) -> dict[str, Probe]:
    """The probes of a continuous job: of the brokers, and of what the group `source.group` has
    done there; of its job on Flink.

    `most_lag` is the number of records from which on lag is a problem."""
    return {
        "kafka": lambda: _of_kafka(source, most_lag),
        "job": lambda: _of_flink(cluster, job_name(source), CLOCK.time()),
    }


def _of_kafka(source: KafkaSource, most_lag: int) -> Iterator[Finding]:
    try:
        kafka = broker_of(source.cluster)
        partitions = kafka.partitions()
        topics = matching(partitions, source.pattern) if source.pattern else source.topics
        positions = kafka.positions(topics, source.group)
        hidden = unread(source.cluster, {each: partitions[each] for each in topics
                                         if each in partitions})  # fmt: skip
    except (KafkaAway, UnreadableInput) as error:
        yield Finding("problem", "kafka", str(error))
    else:
        yield Finding("ok", "kafka", f"the brokers {source.cluster} answer")
        yield from of_topics(topics, partitions, positions)
        yield of_lag(positions, most_lag)
        yield from of_transactions(hidden, CLOCK.time())


def of_topics(
    topics: tuple[str, ...], partitions: Mapping[str, int], positions: Places
) -> Iterator[Finding]:
    """Topics that aren't there; topics and partitions that the running job doesn't know; records
    that were deleted unread."""
    for topic in topics:
        if topic not in partitions:
            yield Finding(
                "problem", "topics", f"{topic} is not there: make it, or correct its name"
            )
    began = any(each.committed is not None for each in positions.values())
    new = [place for place, each in positions.items() if each.committed is None] if began else []
    for topic in sorted({topic for topic, _ in new}):
        numbers = [number for name, number in new if name == topic]
        what = (
            f"{topic} is new"
            if len(numbers) == partitions[topic]
            else f"partition(s) {', '.join(map(str, numbers))} of {topic} are new"
        )
        remedy = "the running job doesn't read it: stop it, and start it without a savepoint"
        yield Finding("warning", "topics", f"{what}: {remedy}")
    for (topic, number), each in positions.items():
        if each.expired:
            lost = (
                f"{each.expired:,} records of {topic}/{number} were deleted before they were read"
            )
            yield Finding("problem", "topics", f"{lost}: raise the topic's retention")
    if not new and all(topic in partitions for topic in topics):
        yield Finding("ok", "topics", f"{len(topics)} topic(s), {len(positions)} partition(s)")


def of_lag(positions: Places, most: int) -> Finding:
    """How many records the group is behind."""
    lag = sum(each.lag for each in positions.values())
    told = f"{lag:,} records behind"
    if lag <= most:
        return Finding("ok", "lag", told)
    worst = max(positions, key=lambda place: positions[place].lag)
    where = f"most of them in {worst[0]}/{worst[1]}"
    return Finding("problem", "lag", f"{told}, {where}: does the job run? has it enough workers?")


def of_transactions(hidden: Iterable[UnreadPlace], now: float) -> Iterator[Finding]:
    """Transactions that don't end: jobs that read what is committed see nothing that comes after
    them. `now` is in unix seconds."""
    for place in hidden:
        age = now - place.time
        if place.time and age > LONG_TRANSACTION:
            yield Finding(
                "warning", "transactions",
                f"one that begins at {place} doesn't end: its first record is {age / 60:,.0f} "
                "minutes old, and nobody can read what follows it; let its producer end it",
            )  # fmt: skip


def _of_flink(cluster: FlinkCluster, name: str, now: float) -> Iterator[Finding]:
    try:
        job = cluster.job(name)
        checkpoints = cluster.checkpoints(job.id)
        settings = cluster.checkpoint_settings(job.id)
    except FlinkError as error:
        yield Finding("problem", "job", f"{error}; el run starts it, from where its group is")
        return
    shown = f"{job.id} is {job.state.lower()}, {job.running} of {job.tasks} tasks"
    if job.works:
        yield Finding("ok", "job", shown)
    else:
        yield Finding("problem", "job", f"{shown}: {cluster.ui(job.id)}")
    yield of_checkpoints(checkpoints, settings.get("interval", 0) / 1000, now, job.started)


def of_checkpoints(told: Mapping[str, Any], interval: float, now: float, started: float) -> Finding:
    """Whether checkpoints are made: without them offsets are not committed. Times in seconds."""
    latest = told["latest"]["completed"]
    since = latest["latest_ack_timestamp"] / 1000 if latest else started
    age, failed = max(0.0, now - since), told["counts"]["failed"]
    if age > max(_OLD_CHECKPOINT, 10 * interval):
        return Finding(
            "problem", "checkpoints",
            f"none for {age:.0f} s ({failed} failed): a sink or a worker is stuck; see its log",
        )  # fmt: skip
    if not latest:
        return Finding("ok", "checkpoints", f"none yet, {age:.0f} s after the start")
    size = latest["state_size"] / 1000
    return Finding("ok", "checkpoints", f"the last one {age:.0f} s ago, {size:,.0f} kB")
