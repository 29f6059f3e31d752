"""Mending: an increment whose commit is missing is done again. What it had written is put away."""

from __future__ import annotations

from collections.abc import Iterable

from el_beam.books.ledger.changes import put_away
from el_beam.books.ledger.ledger import read_ledger
from el_beam.books.state.state import Gap
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.read.kafka_ranges import number_in
from transforms.write.events import Sink


def put_away_lost_increment(sinks: Iterable[Sink], topic: str, gap: Gap, made: Summary) -> None:
    """Take the files of missing increments, which nobody knows of, out of the folders of sinks, but
    those that the increment which is `made` in their place has put there itself. Raises OSError."""
    mine = {file.path: file.sha256 for each in made.files.values() if (file := each.file)}
    for sink in sinks:
        if not sink.root:
            continue
        known = read_ledger(sink.root).files
        strays = []
        for found in filesystem.below(sink.root):
            path = found.path.removeprefix(f"{sink.root}/")
            number = number_in(path.rpartition("/")[2], topic) or 0
            if path[0] == "_" or path in known or not gap.first <= number <= gap.last:
                continue
            if filesystem.digest(found.path) != mine.get(found.path):
                strays.append(path)
        put_away(sink.root, f"again-{topic}-{gap.first}", strays)
