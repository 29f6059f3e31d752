"""The graph, on one page. From job to job only what it reads, writes and runs on changes."""

from __future__ import annotations

import apache_beam as beam

from el_beam.job import Job
from transforms.counts.stages import CountEvents, CountLines, WriteMetrics, WriteSummary
from transforms.stages import ParseEvents, ReadEvents, RouteBySchema, ValidateEvents
from transforms.window import WindowEvents
from transforms.write.events import WriteEvents


def build(pipeline: beam.Pipeline, job: Job) -> tuple[beam.PCollection, ...]:
    """Put the whole graph of a job into a pipeline: the same for every runner.

    A bad line is a value that flows on to EventError: nothing is dropped between read and write,
    and nothing stands between them that a runner would have to store.

    Returns the books: what was read, counted and written. A bounded job has them in its summary;
    of a continuous one its counts topic tells.
    """
    read = pipeline | "Read" >> ReadEvents(job.source)
    lines, reads = read if job.source.bounded else (read, read | "Count lines" >> CountLines())
    outcomes = lines | "Parse" >> ParseEvents(job.format, job.times)
    outcomes = outcomes | "Validate" >> ValidateEvents(job.registry, job.times)
    routed = outcomes | "Route" >> RouteBySchema()
    routed = routed | "Window" >> WindowEvents()

    receipts = [
        routed | f"Write {number} {sink}" >> WriteEvents(sink, choice, job.times)
        for number, (sink, choice) in enumerate(job.sinks, 1)
    ]
    counts = routed | "Count" >> CountEvents(job.progress)
    books = (reads, counts, *receipts)
    if job.metrics:
        counts | "Metrics" >> WriteMetrics(job.metrics)
    if job.summary:
        books | "Summary" >> WriteSummary(job.summary)
    return books
