"""The summary of each split goes into one file, for the process that runs the job."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from transforms.counts.summary import SUMMARIES, SplitSummaries, Summary, SummaryPart
from transforms.io.files import filesystem


class _SumUp(beam.CombineFn):
    """Parts -> one Summary. A runner lifts it: each worker adds up what it has, and the minutes of
    the counts go no further than that."""

    def create_accumulator(self) -> Summary:
        return Summary()

    def add_input(self, summary: Summary, part: SummaryPart) -> Summary:
        summary.add(part)
        return summary

    def merge_accumulators(self, summaries: Iterable[Summary]) -> Summary:
        merged = Summary()
        for summary in summaries:
            merged.merge(summary)
        return merged

    def extract_output(self, summary: Summary) -> Summary:
        return summary


class WriteSummary(beam.PTransform):
    """(reads, counts, receipts…) -> one JSON file, in the place that the driver named: a summary of
    each split. It is written for no lines at all, too."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, parts: tuple[beam.PCollection, ...]) -> beam.PCollection:
        path = self._path

        def write(summaries: dict[str, Summary]) -> None:
            filesystem.write(path, SUMMARIES.dump(SplitSummaries(dict(sorted(summaries.items())))))

        return (
            parts
            | "Together" >> beam.Flatten()
            | "By split" >> beam.Map(lambda part: (part.split, part))
            | "Sum up" >> beam.CombinePerKey(_SumUp())
            | "Collect" >> beam.CombineGlobally(beam.combiners.ToDictCombineFn())
            | "Write" >> beam.Map(write)
        )
