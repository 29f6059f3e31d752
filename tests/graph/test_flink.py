"""The graph on Flink: files to files, and topic to topics."""

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest

from el_beam.config.run_config import RunConfig
from graph_suite import FACTS_OF_THE_GRAPH, Delivered, GraphSuite, as_events, el_run, plain_loop
from runners.flink_rest import FlinkCluster
from runners.local_stack import Stack
from schemas.line_format import DEFAULT_FORMAT
from traffic.feed import put
from traffic.job import wait_for
from traffic.truth import absolute_totals, raw_line, records, topics
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster


class TestFlink(GraphSuite):
    """A Flink cluster with a pool of workers, the job bounded."""

    workers = 2
    runner = "flink"
    shown_elsewhere: ClassVar = FACTS_OF_THE_GRAPH

    @pytest.fixture(autouse=True)
    def _cluster(self, servers: Stack) -> None:
        self.stack = servers

    def where(self) -> tuple[str, ...]:
        return (
            f"--flink_master={FlinkCluster(self.stack.flink.endpoint()).address}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.stack.workers.endpoint()}",
        )

    def config(self, source: str, *sinks: str, **options: Any) -> RunConfig:
        return super().config(source, *sinks, beam=self.where(), **options)


_FILES = "file sinks need splits, which a topic without an end hasn't: refused before submission"


class TestFlinkContinuous(TestFlink):
    """The same cluster, from a topic to topics, for as long as it is let run."""

    errors_apart = True  # without it they are among the events: tests/e2e/test_stream.py
    shown_elsewhere: ClassVar = frozenset(
        {
            "test_what_a_worker_raises_comes_home",  # of a bounded job
            "test_errors_have_an_end_of_their_own",  # here it is that of all lines
            "test_events_in_json_keep_their_uuid",
            "test_no_lines_are_no_trouble",
        }
    )
    unsupported: ClassVar[dict[str, str]] = {
        "test_every_sink_holds_everything": _FILES,
        "test_the_same_input_gives_the_same_files": _FILES,
        "test_running_it_again_changes_nothing": "topics are at least once: events come again",
        "test_other_content_under_the_same_name_is_refused": _FILES,
        "test_compressed_input_gives_the_same_events": "a topic has no compressed files",
        "test_the_archive_gives_back_the_same_events": _FILES,
    }

    def deliver(
        self, lines: list[bytes], folder: Path, *also: str, errors: bool = False, **options: Any
    ) -> Delivered:
        name = uuid.uuid4().hex
        kafka = self.stack.kafka.endpoint()
        uri = f"kafka://{kafka}/"
        topic = f"{uri}?topic={name}.{{schema}}_{{revision}}"
        put(kafka, f"raw-{name}", lines)
        given = options | ({"errors": topic.replace(f"{name}.", f"{name}-bad.")} if errors else {})
        job = el_run(
            f"{uri}?topics=raw-{name}&group={name}",
            topic,
            *(f"--metrics={uri}?topic=counts-{name}", "--runner=flink", "--workers=2", "--detach"),
            *(f"--{option}={value}" for option, value in given.items()),
            *("--json", "--", *self.where(), "--checkpointing_interval=1000"),
        )["job"]
        view = KafkaTopics(KafkaCluster(kafka))

        def lag() -> int:
            return sum(at.lag for at in view.positions([f"raw-{name}"], name).values())

        try:
            wait_for(lambda: lag() == 0, 60)
        finally:
            flink = FlinkCluster(self.stack.flink.endpoint())
            flink.cancel(job)
            wait_for(lambda: flink.job(job).ended, 60)  # its slots are free then
        raw = [raw_line(record) for record in records(kafka, [f"raw-{name}"])]
        wanted = plain_loop(raw, options.get("format", DEFAULT_FORMAT))
        counted_in = topics(kafka, f"counts-{name}")  # none where there was nothing to count
        counts = [record.value() or b"" for record in records(kafka, counted_in)]
        reasons: Counter[str] = Counter()
        for key, number in absolute_totals(counts).items():
            reasons[key.reason] += number
        found, bad = (
            [json.loads(record.value() or b"") for record in records(kafka, topics(kafka, prefix))]
            for prefix in (f"{name}.", f"{name}-bad.")
        )
        counted = reasons.total()
        del reasons[""]
        return Delivered(as_events(wanted), found, bad, dict(reasons), counted, folder, {})

    def test_errors_are_in_a_topic_of_their_own(self, whole: Delivered) -> None:
        assert {event["schema"] for event in whole.errors} == {"EventError"}
        assert "EventError" not in {event["schema"] for event in whole.events}
