"""A job without Beam: its lines go through the same functions, one after the other."""

from collections.abc import Callable, Iterator
from functools import cache

from el_beam.job import Execution, Job
from el_beam.running.bounded import clean_up
from el_beam.running.failures import JobFailed, NotReady
from schemas.bad_event import BadEvent, event_error
from transforms.counts.count import SplitTally, brief_of
from transforms.counts.summary import (
    SUMMARIES,
    SplitSummaries,
    Summary,
    SummaryPart,
    load_summaries,
    total,
)
from transforms.errors import SinkError, UnreadableInput
from transforms.io.files import filesystem
from transforms.parse import Parse, line_parser
from transforms.read.files import read_split
from transforms.read.kafka_ranges import KafkaRanges, read_ranges
from transforms.read.lines import FileSource
from transforms.read.receipt import ReadReceipt
from transforms.read.stages import Lines, Reading
from transforms.route import Routed, route
from transforms.validate import event_validator
from transforms.write.sink import Tally

_parser = cache(line_parser)


def run(
    job: Job, _: Execution, *, loses: bool = False,
    worked: Callable[[Callable[[], None]], object] = lambda work: work(),
) -> dict[str, Summary]:  # fmt: skip
    """As `bounded.run`. A bundle is a split. With `loses` a line vanishes after it was read. What
    workers do is given to `worked`."""
    sinks = [sink for sink, _ in job.sinks]
    try:
        for sink in sinks:
            try:
                sink.prepare()
            except SinkError as error:
                raise NotReady(str(error), like=error) from error
        worked(lambda: _work(job, loses=loses))
        books = load_summaries(job.summary or "")
        done = (each for each in books.values() if not each.deferred)
        if imbalances := total(done, [str(sink) for sink in sinks]).imbalances:
            raise JobFailed("the books do not balance: " + "; ".join(imbalances))
    except JobFailed:
        clean_up(sinks)
        raise
    except (SinkError, UnreadableInput, OSError) as error:
        clean_up(sinks)
        raise JobFailed(str(error)) from error
    return books


def _work(job: Job, *, loses: bool) -> None:
    found: dict[str, Summary] = {}
    for part in _parts(job, loses=loses):
        found.setdefault(part.split, Summary()).add(part)  # type: ignore[union-attr]
    assert job.summary
    filesystem.write(job.summary, SUMMARIES.dump(SplitSummaries(dict(sorted(found.items())))))


def _splits(job: Job) -> Iterator[tuple[str, Lines]]:
    source = job.source
    if isinstance(source, KafkaRanges):
        for split in source.splits:
            yield split.id, read_ranges(source.cluster, split, whole=source.whole)
    else:
        assert isinstance(source, FileSource)
        for file_split in source.splits():
            yield file_split.id, read_split(file_split)


def _parts(job: Job, *, loses: bool) -> Iterator[SummaryPart]:
    parse: Parse = _parser(job.format)
    validate = event_validator(job.registry)
    for split, lines in _splits(job):
        routed: list[Routed] = []
        size = 0
        reading = Reading(lines)
        for line in reading:
            outcome = parse(line)
            routed.append(route(outcome if isinstance(outcome, BadEvent) else validate(outcome)))
            size += len(line.data)
        if routed or reading.rest.holes:
            yield ReadReceipt(split, len(routed), size, *reading.rest)
        if loses and routed:
            routed.pop()
            loses = False
        if not routed:
            continue
        tally = SplitTally(split, routed[0][1].line.origin.offset)
        for each in routed:
            tally.offsets.append(each[1].line.origin.offset)
            tally.briefs.append(brief_of(each))
        yield tally.counts()
        for sink, choice in job.sinks:
            bundle, left_out = sink.writer().bundle(), Tally(str(sink))
            for destination, outcome in routed:
                if choice.wants(destination):
                    event = event_error(outcome) if isinstance(outcome, BadEvent) else outcome
                    bundle.add(destination, event)
                else:
                    left_out.filtered(split, destination)
            yield from bundle.commit()
            yield from left_out.receipts()
