"""Replay: bad lines go through the graph again, and those that are valid now become events.

The line of an EventError is what it was, its identity too, so the event that comes of it is the one
that it would have been at first. Each sink is asked for that, by its uuid: what is there is not
written again, and to replay twice changes nothing.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from el_beam.books.ledger.changes import changing, finish, prepare
from el_beam.books.state.lease import Lease
from el_beam.connectors.bad_lines import BadLine, bad_lines
from el_beam.connectors.selection import Selection, StoredError
from el_beam.connectors.stored import Store, store_of
from el_beam.job import Execution, Job, Rules
from el_beam.running.bounded import run
from el_beam.running.failures import JobFailed
from el_beam.upkeep.replay.candidates import CandidateLine, Candidates
from el_beam.upkeep.replay.lookup import same_place, selection_in, stored_in
from el_beam.upkeep.replay.swap import Provenance, RawFile, raw_files, swap
from schemas.bad_event import BadEvent
from schemas.capsule import event_time
from schemas.event import Destination, Event
from schemas.registry import RegistryError, RegistryUnavailable
from transforms.counts.summary import Summary, total
from transforms.parse import line_parser
from transforms.read.lines import FileSource
from transforms.route import route
from transforms.validate import event_validator
from transforms.write.choice import Choice
from transforms.write.files import hour_name
from transforms.write.sink import Sink

EXAMPLES: Final = 3  # of lines that are whole elsewhere only
_ATTEMPT = "replay"  # name of temporary folders: there is one at a time


@dataclass
class SinkReport:
    """What a replay does to one sink."""

    sink: str
    there: int = 0  # events that it has already
    lacked: int = 0  # events that it lacks: they are written, if any are
    rejected: int = 0  # those of them that it can't hold, or shall not
    removed: int = 0  # EventErrors that go, where the sink is the end that has them


@dataclass
class Replayed:
    """What a replay found, and did."""

    applied: bool
    read: int = 0  # EventErrors
    still: Counter[str] = field(default_factory=Counter)  # reason -> lines that are bad still
    cut: int = 0  # lines of which the EventError has no more than the beginning
    cut_from: list[str] = field(default_factory=list)  # where some of them are whole
    other: int = 0  # lines that aren't those that were read: purged, or from elsewhere
    valid: list[tuple[Destination, str, int]] = field(default_factory=list)  # (schema, hour, lines)
    sinks: list[SinkReport] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines that are valid now."""
        return sum(lines for *_, lines in self.valid)


class _Target(NamedTuple):
    """A sink on its way."""

    number: int
    text: str  # its URI
    sink: Sink
    same: bool  # it is the end that has the EventErrors
    lease: Lease | None  # of its folder
    report: SinkReport


class _Replay(NamedTuple):
    """A replay under way."""

    end: Store
    lines: Candidates
    rules: Rules
    execution: Execution
    folder: str  # for files that nobody needs afterwards
    heard: Callable[[], None]


def replay(
    end_text: str, sinks: Mapping[str, Sink], wanted: Selection, reason: str | None,
    rules: Rules, execution: Execution, *,
    apply: bool = False, heard: Callable[[], None] = lambda: None,
) -> Replayed:  # fmt: skip
    """Replay the EventErrors of an end: those of wanted hours, of lines that name a wanted schema,
    for one `reason` where it is given. `sinks` by their URIs. Only with `apply` is anything
    written; killed then, and started again, it goes on where it was. `heard` is called for each
    event that is read.

    Raises StoredError, JobFailed, SinkError, StateError, UriError, OSError."""
    found = Replayed(apply)
    with ExitStack() as held:
        leases = {}
        for sink in sinks.values():
            if apply and sink.root:
                if sink.root not in leases:  # first of all: what was decided is finished then
                    leases[sink.root] = held.enter_context(changing(sink.root))
                sink.attempt(_ATTEMPT).finish()  # one that was killed
        targets = [
            _Target(number, text, sink, same_place(end_text, text),
                    leases.get(sink.root), SinkReport(str(sink)))
            for number, (text, sink) in enumerate(sinks.items())
        ]  # fmt: skip
        found.sinks = [target.report for target in targets]
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="el-"))
        try:
            lines = held.enter_context(closing(Candidates(f"{folder}/lines.db", whole=apply)))
            this = _Replay(store_of(end_text), lines, rules, execution, folder, heard)
            lines.fill(_valid_now(this, bad_lines(this.end, wanted, reason), found))
            found.valid = lines.counts()
            for target in targets:
                _look(this, target)
                target.report.there = lines.there(target.number)
                target.report.lacked = lines.lack(target.number)
                target.report.removed = found.lines if target.same else 0
            if apply and found.lines:
                # The end comes last: an EventError goes once all sinks have its event.
                for target in sorted(targets, key=lambda each: each.same):
                    target.report.removed = _write(this, target)
        except sqlite3.Error as error:
            raise StoredError(
                f"cannot keep the lines in {tempfile.gettempdir()}: {error}"
            ) from error
    return found


def _valid_now(
    this: _Replay, all_bad: Iterator[BadLine | None], found: Replayed
) -> Iterator[CandidateLine]:
    """Those that are valid now; of all others `found` is told."""
    parse, validate = line_parser(this.rules.format), event_validator(this.rules.registry)
    for bad in all_bad:
        this.heard()
        if bad is None:
            continue
        found.read += 1
        if bad.line is None:
            found.cut += bad.cut
            found.other += not bad.cut
            if bad.cut and len(found.cut_from) < EXAMPLES:
                found.cut_from.append(bad.origin)
            continue
        outcome = parse(bad.line)
        try:
            outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
        except (RegistryError, RegistryUnavailable) as error:
            raise JobFailed(str(error)) from error
        if isinstance(outcome, BadEvent):
            found.still[outcome.reason.value] += 1
        else:
            yield _line(outcome, bad)


def _line(event: Event, bad: BadLine) -> CandidateLine:
    destination, _ = route(event)
    receipt = event.line.origin.receipt
    seconds = event_time(event.data, receipt)
    return CandidateLine(
        event.data["uuid"], destination, hour_name(int(seconds // 3600)),
        event_time(event.data, receipt + 1) == seconds, bad.counted, bad.reason, event.is_bot,
        bad.error.uuid, bad.error.hour, bad.error.where, bad.error.number, event.line,
    )  # fmt: skip


def _look(this: _Replay, target: _Target) -> None:
    """Note which of the events a sink has, or will never have."""
    if target.sink.drops_bots:
        this.lines.leaves_out_bots(target.number)
    found = {to for to, _, _ in this.lines.counts()}
    end = stored_in(target.text, target.sink, found) if found else None
    if end is None:
        return

    def uuids() -> Iterator[str]:
        for event in end.events(selection_in(end, this.lines)):
            this.heard()
            yield event.uuid

    this.lines.saw(target.number, uuids())


def _write(this: _Replay, target: _Target) -> int:
    """Write what a sink lacks, and take from it the EventErrors whose events it has then. Returns
    how many these are."""
    number, sink, lines = target.number, target.sink, this.lines
    if sink.root:
        return _change(this, target, sink.attempt(_ATTEMPT))
    if lines.lack(number):
        raws = _raw_files(this, Path(this.folder, str(number)), None)
        book = _run(this, sink, raws).sinks[str(sink)]
        target.report.rejected = book.rejected + book.filtered
        if target.report.rejected:
            _look(this, target)
        else:
            lines.wrote(number)
    if not target.same or not sink.has_rows:
        return 0
    return sink.delete_rows((table, error) for table, _, error in lines.errors(number))


def _change(this: _Replay, target: _Target, sink: Sink) -> int:
    number, lines = target.number, this.lines
    hours = {*lines.error_hours(), *(hour for _, hour, _ in lines.counts())}
    known = Provenance(this.end, sink, hours, same=target.same)
    books, raws = Summary(), list[RawFile]()
    if lines.lack(number):
        raws = _raw_files(this, Path(this.folder, str(number)), known)
        books = _run(this, sink, raws)
        lines.wrote(number)
    elif target.same:
        sink.prepare()
    else:
        return 0
    name = "replay-" + hashlib.sha256(f"{this.end} {time.time()}".encode()).hexdigest()[:12]
    gone = lines.errors(number) if target.same else iter(())
    lost = lines.error_counts(number) if target.same else []
    change = swap(name, sink, books, raws, ((place, row) for place, row, _ in gone), lost, known)
    assert target.lease
    prepare(sink.root, change, target.lease)
    finish(sink.root, name)
    sink.finish()
    return sum(count for *_, count in lost)


def _raw_files(this: _Replay, folder: Path, known: Provenance | None) -> list[RawFile]:
    """The lines of events that a sink lacks, as files."""
    found: list[RawFile] = []
    for hour in this.lines.error_hours():
        lines = (
            (line, known.parts(place, hour, line.origin) if known else frozenset())
            for place, line in this.lines.lacked(hour)
        )
        found += raw_files(str(folder), hour, lines)
    return found


def _run(this: _Replay, sink: Sink, raws: list[RawFile]) -> Summary:
    """Write the events of these files into a sink: by the graph that all lines go through. Raises
    JobFailed."""
    source = FileSource(tuple(raw.path for raw in raws))
    choices = ((sink, Choice(errors=False)),)
    job = Job(source, choices, *this.rules, f"{this.folder}/books.json")
    books = total(run(job, this.execution).values(), [str(sink)])
    if books.bad:
        raise JobFailed(f"the schemas have changed meanwhile: {books.bad:,} lines are bad again")
    return books
