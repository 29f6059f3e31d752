"""Replay: bad lines go through the graph again, and those that are valid now become events.

The line of an EventError is what it was, its identity too, so the event that comes of it is the one
that it would have been at first. Each sink is asked for that, by its uuid: what is there is not
written again, and to replay twice changes nothing.
"""

import hashlib
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from el_beam.books.folder import check_apart
from el_beam.books.ledger.beginning import check_files
from el_beam.books.ledger.changes import Changing, changing, finish, prepare
from el_beam.connectors.contract import Selection, Store, StoredError
from el_beam.connectors.event_errors import BadLine, bad_lines
from el_beam.connectors.registry import same_place, store_of, written_by
from el_beam.job import Execution, Job, Rules
from el_beam.running.bounded import run
from el_beam.running.failures import JobFailed
from el_beam.upkeep.replay.candidates import CandidateLine, Candidates
from el_beam.upkeep.replay.provenance import Provenance
from el_beam.upkeep.replay.swap import RawFile, raw_files, swap
from schemas.bad_event import BadEvent
from schemas.capsule import event_time
from schemas.event import Destination, Event
from schemas.registry import RegistryError, RegistryUnavailable
from transforms.counts.summary import Summary, total
from transforms.io.files.base import escaped
from transforms.layout import hour_name
from transforms.parse import line_parser
from transforms.read.lines import FileSource
from transforms.route import Choice, route
from transforms.validate import event_validator
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
    removed: int = 0  # EventErrors that go, where the sink is the place that has them


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


@dataclass(frozen=True)
class _Target:
    """A sink on its way."""

    number: int
    uri: str
    sink: Sink
    same: bool  # whether it is the place that has the EventErrors
    changing: Changing | None  # of its folder
    report: SinkReport


def replay(
    store_uri: str, sinks: Mapping[str, Sink], selection: Selection, reason: str | None,
    rules: Rules, execution: Execution, *,
    apply: bool = False, heard: Callable[[], None] = lambda: None,
) -> Replayed:  # fmt: skip
    """Replay the EventErrors of a store: those of selected hours, of lines that name a selected
    schema, for one `reason` where it is given. `sinks` by their URIs. Only with `apply` is anything
    written; killed then, and started again, it goes on where it was. `heard` is called for each
    event that is read.

    Raises StoredError, JobFailed, SinkError, StateError, UriError, OSError."""
    if apply:
        for sink in sinks.values():
            if sink.root:
                check_apart(sink.root)
                check_files(sink)
    with ExitStack() as stack:
        leases = {}
        for sink in sinks.values():
            if apply and sink.root:
                if sink.root not in leases:  # first of all: what was prepared is finished then
                    leases[sink.root] = stack.enter_context(changing(sink.root))
                sink.attempt(_ATTEMPT).finish()  # one that was killed
        targets = [
            _Target(number, uri, sink, same_place(store_uri, uri), leases.get(sink.root),
                    SinkReport(str(sink)))
            for number, (uri, sink) in enumerate(sinks.items())
        ]  # fmt: skip
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="el-"))
        try:
            lines = stack.enter_context(closing(Candidates(f"{folder}/lines.db", whole=apply)))
            this = _Replay(store_of(store_uri), lines, rules, execution, folder, heard)
            found = this.look(bad_lines(this.store, selection, reason, heard), targets)
            found.applied = apply
            if apply and found.lines:
                # The store comes last: an EventError goes once all sinks have its event.
                for target in sorted(targets, key=lambda each: each.same):
                    target.report.removed = this.write(target)
        except sqlite3.Error as error:
            raise StoredError(
                f"cannot keep the lines in {tempfile.gettempdir()}: {error}"
            ) from error
    return found


@dataclass(frozen=True)
class _Replay:
    """A replay under way."""

    store: Store
    lines: Candidates
    rules: Rules
    execution: Execution
    folder: str  # for files that nobody needs afterwards
    heard: Callable[[], None]

    def look(self, all_bad: Iterator[BadLine], targets: list[_Target]) -> Replayed:
        """Find the lines that are valid now, and which of their events each sink lacks."""
        found = Replayed(False, sinks=[target.report for target in targets])
        self.lines.fill(self._valid_now(all_bad, found))
        found.valid = self.lines.counts()
        for target in targets:
            self._look_into(target)
            target.report.there = self.lines.there(target.number)
            target.report.lacked = self.lines.lack(target.number)
            target.report.removed = found.lines if target.same else 0
        return found

    def _valid_now(self, all_bad: Iterator[BadLine], found: Replayed) -> Iterator[CandidateLine]:
        """Those that are valid now; `found` counts all others."""
        parse, validate = line_parser(self.rules.format), event_validator(self.rules.registry)
        for bad in all_bad:
            found.read += 1
            line = bad.line
            if line is None:
                found.cut += bad.truncated
                found.other += not bad.truncated
                if bad.truncated and len(found.cut_from) < EXAMPLES:
                    found.cut_from.append(bad.origin)
                continue
            outcome = parse(line)
            try:
                outcome = outcome if isinstance(outcome, BadEvent) else validate(outcome)
            except (RegistryError, RegistryUnavailable) as error:
                raise JobFailed(str(error)) from error
            if isinstance(outcome, BadEvent):
                found.still[outcome.reason.value] += 1
            else:
                yield _line(outcome, bad)

    def _look_into(self, target: _Target) -> None:
        """Note which of the events a sink has, or will never have."""
        if target.sink.drops_bots:
            self.lines.leaves_out_bots(target.number)
        destinations = {to for to, _, _ in self.lines.counts()}
        store = written_by(target.uri, destinations) if destinations else None
        if store is None:
            return

        def uuids() -> Iterator[str]:
            for event in store.events(self.lines.selection(store)):
                self.heard()
                yield event.uuid

        self.lines.saw(target.number, uuids())

    def write(self, target: _Target) -> int:
        """Write what a sink lacks, and take from it the EventErrors whose events it has then.
        Returns how many these are."""
        number, sink, lines = target.number, target.sink, self.lines
        if sink.root:
            return self._change(target)
        if lines.lack(number):
            raws = self._raw_files(Path(self.folder, str(number)), None)
            book = self._run(sink, raws).sinks[str(sink)]
            target.report.rejected = book.rejected + book.filtered
            if target.report.rejected:
                self._look_into(target)
            else:
                lines.wrote(number)
        if not target.same or not sink.has_rows:
            return 0
        return sink.delete_rows((table, error) for table, _, error in lines.errors(number))

    def _change(self, target: _Target) -> int:
        number, lines = target.number, self.lines
        hours = {*lines.error_hours(), *(hour for _, hour, _ in lines.counts())}
        known = Provenance(self.store.root, target.sink, hours, same=target.same)
        sink = target.sink.attempt(_ATTEMPT, known.ledger.files)
        summary, raws = Summary(), list[RawFile]()
        if lines.lack(number):
            raws = self._raw_files(Path(self.folder, str(number)), known)
            summary = self._run(sink, raws)
            lines.wrote(number)
        elif target.same:
            sink.prepare()
        else:
            return 0
        name = "replay-" + hashlib.sha256(f"{self.store} {time.time()}".encode()).hexdigest()[:12]
        gone = lines.errors(number) if target.same else iter(())
        lost = lines.error_counts(number) if target.same else []
        rows = ((place, row) for place, row, _ in gone)
        change = swap(name, sink, summary, raws, rows, lost, known)
        assert target.changing
        prepare(change, target.changing)
        finish(name, target.changing)
        sink.finish()
        return sum(count for *_, count in lost)

    def _raw_files(self, folder: Path, known: Provenance | None) -> list[RawFile]:
        """The lines of events that a sink lacks, as files."""
        found: list[RawFile] = []
        for hour in self.lines.error_hours():
            lines = (
                (line, known.parts(place, hour, line.origin) if known else frozenset())
                for place, line in self.lines.lacked(hour)
            )
            found += raw_files(str(folder), hour, lines)
        return found

    def _run(self, sink: Sink, raws: list[RawFile]) -> Summary:
        """Write the events of these files into a sink: by the graph that all lines go through.
        Raises JobFailed."""
        source = FileSource(tuple(escaped(raw.path) for raw in raws))
        choices = ((sink, Choice(errors=False)),)
        job = Job(source, choices, *self.rules, f"{self.folder}/books.json")
        summary = total(run(job, self.execution).values(), [str(sink)])
        if summary.bad:
            raise JobFailed(
                f"the schemas have changed meanwhile: {summary.bad:,} lines are bad again"
            )
        return summary


def _line(event: Event, bad: BadLine) -> CandidateLine:
    destination, _ = route(event)
    receipt = event.line.origin.receipt
    seconds = event_time(event.data, receipt)
    return CandidateLine(
        event.data["uuid"], destination, hour_name(int(seconds // 3600)),
        event_time(event.data, receipt + 1) == seconds, bad.counted, bad.reason, event.is_bot,
        bad.error.uuid, bad.error.hour, bad.error.where, bad.error.number, event.line,
    )  # fmt: skip
