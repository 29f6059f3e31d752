"""Events that come late, and lines over time: what no bounded input shows."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_stream import TestStream

from el_beam.job import Job
from el_beam.pipeline import build
from graph_suite import LINES, as_events, uuids_in
from schemas.bad_event import BadEvent
from schemas.event import Event
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.counts.summary import total
from transforms.read.lines import Source
from transforms.route import Choice
from transforms.write.tables import SqliteSink


class _Stream(Source):
    """Lines that arrive over time, with watermarks between them: what a topic is like."""

    bounded = False

    def __init__(self, steps: TestStream) -> None:
        self._steps = steps

    def lines(self) -> beam.PTransform:
        return self._steps

    def __str__(self) -> str:
        return "stream"


def _keep(part: Any, path: str) -> None:
    with Path(path).open("ab") as books:
        pickle.dump(part, books)


def _load_all(books: Any) -> Iterable[Any]:
    while True:
        try:
            yield pickle.load(books)
        except EOFError:
            return


def test_late_is_not_lost(expected: list[Event | BadEvent], tmp_path: Path) -> None:
    """Events a week late, when their minute was counted long ago, in several panes."""
    lines = [outcome.line for outcome in expected]
    week = 7 * 24 * 3600
    steps = TestStream()
    for number, start in enumerate(range(0, LINES, 500)):
        steps = steps.add_elements(lines[start : start + 500])
        steps = steps.advance_watermark_to(1_562_200_000 + number * week)
        steps = steps.advance_processing_time(60)
    database, sink = tmp_path / "db", SqliteSink(str(tmp_path / "db"), open_registry(None))
    job = Job(
        _Stream(steps.advance_watermark_to_infinity()),
        ((sink, Choice()),),
        DEFAULT_FORMAT,
        open_registry(None),
    )
    options = PipelineOptions()
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline("BundleBasedDirectRunner", options=options)
    for number, part in enumerate(build(pipeline, job)):
        part | f"Keep {number}" >> beam.Map(_keep, str(tmp_path / "books"))
    pipeline.run().wait_until_finish()

    with (tmp_path / "books").open("rb") as books:
        summary = total(_load_all(books), [str(sink)])
    assert summary.imbalances == []
    assert summary.valid == sum(isinstance(outcome, Event) for outcome in expected)
    (book,) = summary.sinks.values()
    assert (book.written, book.repeated) == (LINES, 0)
    assert uuids_in(database) == sorted(event["uuid"] for event in as_events(expected))
    connection = sqlite3.connect(database)
    for destination, (valid, _) in summary.schemas.items():
        if valid:
            (rows,) = connection.execute(f'SELECT COUNT(*) FROM "{destination}"').fetchone()
            assert rows == valid


def test_windows_close_for_nobody() -> None:
    """Minute windows, a pane for each event, and a century of lateness: nothing is dropped."""
    from transforms.window import WindowEvents

    pipeline = beam.Pipeline("BundleBasedDirectRunner")
    windowing = (pipeline | beam.Create([]) | WindowEvents()).windowing
    assert windowing.windowfn.size == 60
    assert windowing.allowed_lateness > 50 * 365 * 24 * 3600
    assert "DISCARDING" in str(windowing.accumulation_mode) or windowing.accumulation_mode == 1
