"""Declares each metric once: summaries, runners' pages and docs/delivery.md take it from here."""

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """A number that a job counts."""

    name: str  # in summaries, on a runner's page
    unit: str
    meaning: str  # a sentence for people


READ: Final = Metric("read", "lines", "Lines that the source has read.")
VALID: Final = Metric("valid", "lines", "Lines that are valid events.")
BAD: Final = Metric("bad", "lines", "Lines that are not valid events: they become EventErrors.")
BYTES: Final = Metric("bytes", "bytes", "Size of the lines, without line ends.")
LINES: Final = (READ, VALID, BAD, BYTES)
"""What a job counts of its lines. A runner's page has `valid` and `bad`."""

SINK: Final = (
    Metric("given", "events", "Events that the job has given to the sink."),
    Metric("written", "events", "Events that the sink has stored."),
    Metric("rejected", "events", "Events that the sink can't hold: they become EventErrors."),
    Metric("repeated", "events", "Events whose uuid the table has from an earlier try or line."),
    Metric("filtered", "events", "Events that `--only`, `--except` or `--errors` kept away."),
    Metric("files", "files", "Files that the sink has written."),
    Metric("size", "bytes", "Size of what the sink has written."),
)
"""What a job counts of each sink: the fields of a SinkBook."""
