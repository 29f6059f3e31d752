"""Run a job to its end, on a runner, and bring home its summary."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from el_beam.books.ledger.beginning import check_rotated, check_same, make_ready, time_rules
from el_beam.books.ledger.entries import enter_run, naming, not_replaced
from el_beam.books.ledger.hours import put
from el_beam.job import Execution, Job
from el_beam.running.failures import JobFailed, NotReady, job_failed
from transforms.counts.summary import Summary, load_summaries, total
from transforms.errors import SinkError, UnreadableInput
from transforms.read.files import FileMark, begins_with, mark_of
from transforms.write.sink import Sink


def execute(job: Job, execution: Execution) -> Summary:
    """Run the job and return its balanced summary. Doing it again after any failure, or a kill,
    finishes it: what is there already is found to be the same.

    Raises JobFailed; at once NestedFolders, LedgerError, UnreadableInput."""
    sinks = [sink for sink, _ in job.sinks]
    make_ready(sinks)
    source = job.source.listed()  # what is looked at is what is read
    marks = source.marks()
    check_rotated(sinks, marks)
    rules = time_rules(sinks, marks)
    job = replace(job, source=source, times=rules)
    books = run(job, execution)
    with _cleaned_up(sinks):
        _check_whole(marks.values())
        try:
            check_same(sinks, books, marks, job.options)
            summary = total(books.values(), [*map(str, sinks)])
            files = [*not_replaced(each.file for each in summary.files.values() if each.file)]
            with naming(files):
                put(files, progress=job.progress)
                enter_run(sinks, str(job.source), books, job.options, marks, rules.of)
            for sink in sinks:
                sink.finish()
        except OSError as error:  # the sentence is for people already
            raise JobFailed(str(error)) from error
    return summary


def _check_whole(marks: Iterable[FileMark]) -> None:
    """Raises UnreadableInput where a file was rotated while it was read."""
    for mark in {*marks}:
        if mark_of(mark.path).size < mark.size or not begins_with(mark.path, mark.head):
            raise UnreadableInput(
                f"{mark.path} was rotated, cut short or written anew while it was read: no "
                "file was made of it. Read the log by the name that it has now, and what is "
                "at this path by a name that no other log has had"
            )


def run(job: Job, execution: Execution) -> dict[str, Summary]:
    """Run the job and return a summary of each split: balanced, but for those that are
    deferred. New files don't have their names yet: see `files.publish`. The process stays as it is.

    Raises JobFailed, NotReady; nothing of the attempt is left then, or only what nobody sees."""
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems

    from el_beam.pipeline import build

    sinks = [sink for sink, _ in job.sinks]
    with _cleaned_up(sinks):
        options = options_of(execution)
        FileSystems.set_options(options)  # gs:// has some
        for sink in sinks:
            try:
                sink.prepare()
            except SinkError as error:
                raise NotReady(str(error), like=error) from error
        runner = import_module(f"runners.{execution.runner}")
        pipeline = beam.Pipeline(runner.RUNNER, options=options)
        build(pipeline, job)
        flink = runner if execution.runner == "flink" else None
        with flink.awaited(options) if flink else nullcontext():
            try:
                pipeline.run().wait_until_finish()
            except Exception as error:  # a runner's may be any; Flink may still have the job
                also = flink.end_failed(options, error) if flink else ""
                raise job_failed(error, also) from error
        books = load_summaries(job.summary or "")
        done = (each for each in books.values() if not each.deferred)
        if imbalances := total(done, [str(sink) for sink in sinks]).imbalances:
            raise JobFailed("the books do not balance: " + "; ".join(imbalances))
    return books


def options_of(execution: Execution) -> Any:
    """The pipeline options of a job. Raises JarMissing."""
    runner = import_module(f"runners.{execution.runner}")
    return runner.options(execution.workers, execution.beam)


@contextmanager
def _cleaned_up(sinks: list[Sink]) -> Iterator[None]:
    """Where the block fails, let go of what it left half done. Raises JobFailed."""
    try:
        yield
    except JobFailed:
        clean_up(sinks)
        raise
    except Exception as error:  # a runner's may be any; people get the sentence, we the details
        clean_up(sinks)
        raise job_failed(error) from error


def clean_up(sinks: list[Sink]) -> None:
    """Let go of what a failed attempt left half done, as far as can be."""
    for sink in sinks:
        with suppress(Exception):  # the first failure is the one to report
            sink.finish()
