"""What is refused before a continuous job is submitted, each with its remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runners.preflight import Facts, refusals, warnings

GOOD = Facts(
    runner="flink",
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
    partitions={"raw": 4},
    running_jobs={"el other": "f00"},
    free_slots=2,
    failover="full",
    pool="127.0.0.1:50000",
    pool_about={"el_beam": "0.1.0", "apache-beam": "2.70.0"},
    our_about={"el_beam": "0.1.0", "apache-beam": "2.70.0"},
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
        ({"brokers_away": "cannot ask the brokers b:1: timed out"}, "cannot ask the brokers"),
        ({"topics": ("raw", "x", "y")}, "no topic x, y at the brokers: make it first"),
        ({"topics": (), "pattern": "^no"}, "no topic matches the pattern ^no"),
        ({"schemas": 0}, "the registry is empty"),
        ({"jar_missing": "x.jar is missing: run el jars build"}, "run el jars build"),
        ({"flink_away": "no Flink answers at f:1"}, "no Flink answers"),
        ({"running_jobs": {"el processor": "abc"}}, "(abc): el jobs stop abc"),
        ({"free_slots": 1}, "1 free slot(s), --workers asks for 2"),
        ({"failover": "region"}, "set jobmanager.execution.failover-strategy: full"),
        ({"members": 3}, "the group processor has 3 consumer(s)"),
        ({"pool_away": "no worker pool answers at p:1"}, "python -m runners.worker_pool"),
        ({"pool_about": {"el_beam": "0.1.0", "apache-beam": "2.69.0"}}, "apache-beam 2.69.0"),
        ({"pool_about": {"el_beam": "0.0.9", "apache-beam": "2.70.0"}}, "el_beam 0.0.9"),
        ({"pool": None}, "--detach needs a worker pool"),
        ({"exact_sinks": ("raw:a", "raw:b")}, "raw: can't be a sink of a continuous job"),
        ({"exact_sinks": ("sqlite:a",)}, "sqlite: can't be a sink"),
        ({"runner": "spark"}, "Spark can't run a continuous job"),
        ({"runner": "direct"}, "--runner direct can't run a continuous job: use --runner flink"),
    ],
)
def test_what_stands_against_it(changes: dict[str, Any], told: str) -> None:
    (reason,) = refusals(replace(GOOD, **changes))
    assert told in reason


def test_all_reasons_at_once() -> None:
    wrong = replace(GOOD, checkpointing="0", schemas=0, topics=("x",), free_slots=0)
    assert len(refusals(wrong)) == 4


def test_workers_of_the_submitting_process() -> None:
    assert refusals(replace(GOOD, pool=None, detach=False)) == []


def test_what_a_person_should_know() -> None:
    (told,) = warnings(replace(GOOD, pool_about=None))
    assert "can't say its version" in told
    (told,) = warnings(replace(GOOD, pattern="^raw", topics=("raw", "raw2")))
    assert "2 topic(s)" in told
    assert "el check" in told
