"""The graph on Beam's own runner."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import apache_beam as beam
import pytest

from graph_suite import FACTS_OF_THE_GRAPH, GraphSuite
from runners import direct
from runners.forkserver import Fork


class TestDirect(GraphSuite):
    """One process, as in the demo."""


class TestDirectTwoWorkers(GraphSuite):
    """Two processes, which share the splits."""

    workers = 2
    shown_elsewhere: ClassVar = FACTS_OF_THE_GRAPH


@pytest.mark.timeout(60)
def test_a_worker_that_dies_while_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Fork] = []

    def fork(*how: Any) -> Fork:
        if made:
            made[0].kill()
            time.sleep(1)
        made.append(Fork(*how))
        return made[-1]

    monkeypatch.setattr(direct, "Fork", fork)
    pipeline = beam.Pipeline(direct.RUNNER, options=direct.options(2))
    assert pipeline | beam.Create(range(10)) | beam.Reshuffle() | beam.Map(str)
    with pytest.raises(Exception, match="a worker process has died"):
        pipeline.run().wait_until_finish()
    assert len(made) == 2
    assert all(each.wait(10) is not None for each in made)
