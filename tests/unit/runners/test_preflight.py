"""What is refused before a continuous job is submitted, each with its remedy."""

from dataclasses import replace
from typing import Any

import pytest

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

FLINK = FlinkFacts({"el other": "f00"}, free_slots=2, failover="full")
OURS = {"el_beam": "0.1.0", "apache-beam": "2.70.0"}
POOL = PoolFacts("127.0.0.1:50000", OURS)
GOOD = Facts(
    exact_sinks=(),
    topics=("raw",),
    pattern=None,
    group="processor",
    consumer={"enable.auto.commit": "false"},
    schemas=15,
    workers=2,
    detach=True,
    checkpointing="10000",
    finishing=None,
    job_name="el processor",
    about=OURS,
    jars=("a.jar", "b.jar"),
    brokers=BrokerFacts({"raw": 4}),
    flink=FLINK,
    pool=POOL,
)


def test_a_sound_job_passes() -> None:
    assert refusals(GOOD) == []
    assert warnings(GOOD) == []
    assert refusals(replace(GOOD, pattern="^raw")) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"consumer": {"enable.auto.commit": "true"}}, "enable.auto.commit must be false"),
        ({"consumer": {}}, "enable.auto.commit must be false"),  # Kafka's default is true
        ({"checkpointing": "0"}, "no checkpoints"),
        ({"checkpointing": "-1"}, "no checkpoints"),
        ({"checkpointing": ""}, "no checkpoints"),
        ({"checkpointing": "soon"}, "no checkpoints"),
        ({"finishing": "false"}, "finish_bundle_before_checkpointing must stay true"),
        ({"brokers": Unknown("cannot ask the brokers b:1: timed out")}, "cannot ask the brokers"),
        ({"topics": ("raw", "x", "y")}, "no topic x, y at the brokers: make it first"),
        ({"topics": (), "pattern": "^no"}, "no topic matches the pattern ^no"),
        ({"schemas": 0}, "the registry is empty"),
        ({"jars": Unknown("x.jar is missing: run el jars build")}, "run el jars build"),
        ({"flink": Unknown("no Flink answers at f:1")}, "no Flink answers"),
        ({"flink": FLINK._replace(jobs={"el processor": "abc"})}, "(abc): el jobs stop abc"),
        ({"flink": FLINK._replace(free_slots=1)}, "1 free slot(s), --workers asks for 2"),
        (
            {"flink": FLINK._replace(failover="region")},
            "set jobmanager.execution.failover-strategy: full",
        ),
        ({"brokers": BrokerFacts({"raw": 4}, members=3)}, "the group processor has 3 consumer(s)"),
        ({"pool": Unknown("no worker pool answers at p:1")}, "python -m runners.worker_pool"),
        (
            {"pool": POOL._replace(about={"el_beam": "0.1.0", "apache-beam": "2.69.0"})},
            "apache-beam 2.69.0",
        ),
        (
            {"pool": POOL._replace(about={"el_beam": "0.0.9", "apache-beam": "2.70.0"})},
            "el_beam 0.0.9",
        ),
        ({"pool": None}, "--detach needs a worker pool"),
        ({"exact_sinks": ("raw:a", "raw:b")}, "raw: can't be a sink of a continuous job"),
        ({"exact_sinks": ("sqlite:a",)}, "sqlite: can't be a sink"),
    ],
)
def test_what_stands_against_it(changes: dict[str, Any], told: str) -> None:
    (reason,) = refusals(replace(GOOD, **changes))
    assert told in reason


def test_a_runner_that_cannot() -> None:
    assert wrong_runner("flink") is None
    assert "Spark can't run a continuous job" in (wrong_runner("spark") or "")
    told = "--runner direct can't run a continuous job: use --runner flink"
    assert told in (wrong_runner("direct") or "")


def test_all_reasons_at_once() -> None:
    wrong = replace(
        GOOD, checkpointing="0", schemas=0, topics=("x",), flink=FLINK._replace(free_slots=0)
    )
    assert len(refusals(wrong)) == 4


def test_workers_of_the_submitting_process() -> None:
    assert refusals(replace(GOOD, pool=None, detach=False)) == []


def test_what_a_person_should_know() -> None:
    (told,) = warnings(replace(GOOD, pool=POOL._replace(about=None)))
    assert "can't say its version" in told
    (told,) = warnings(replace(GOOD, pattern="^raw", topics=("raw", "raw2")))
    assert "2 topic(s)" in told
    assert "el check" in told
