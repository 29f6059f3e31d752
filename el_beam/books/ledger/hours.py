"""Hours of a folder: which are complete.

    ROOT/Edit_17/…/hour=07/_SUCCESS         all that the source had of this hour is here
                           _REOPENED        that was so, and then more of it came
    ROOT/_ledger/open-2019-03-10T07.json    an hour of which something came since it was complete

A run or change opens the hours that it writes into. An import closes those that its source has
passed: once it has read all that the topics had at a time later than the hour's end.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from el_beam.books.ledger.audit import compare, folders
from el_beam.books.ledger.entries import read_ledger, read_state
from el_beam.books.ledger.model import STATES, Ledger, LedgerError, Notes, StateNote
from schemas.durable import DocumentFormat
from transforms.io.files import filesystem
from transforms.io.files.filesystem import at_once
from transforms.layout import COMPLETE, REOPENED, hour_in
from transforms.write.files import for_people, publish
from transforms.write.sink import NewFile, Sink

LATENESS = 300.0  # seconds that a line may need from its edge to the topic
QUIET = 3600.0  # seconds that a source may be silent before our own clock counts, so much behind
_LOOK_AGAIN = 600.0  # seconds until an hour that lacks files is looked at again


@dataclass(frozen=True)
class OpenHour:
    """An hour of which something has come since it was complete."""

    since: float  # unix seconds


OPEN_HOUR = DocumentFormat("open", OpenHour)
OPEN_HOURS = Notes(OPEN_HOUR)


def put(files: Iterable[NewFile]) -> list[str]:
    """Give files their names; their hours are open then, where an import is to close them. Returns
    hours that were complete. Doing it again does no harm. Raises SinkError."""
    files, reopened = list(files), list[str]()
    hours = {(file.root, file.hour) for file in files}
    folders = {file.path.rpartition("/")[0] for file in files}
    root = next(iter(hours), ("", ""))[0]
    with for_people(root):
        imported = {root for root, _ in hours if STATES.names(root)}
        hours = {(root, hour) for root, hour in hours if root in imported}
    # Before, lest somebody takes the hour for complete who then misses a file; and after, for an
    # import may have closed it just now.
    for step in ("before", "after"):
        with for_people(root):
            at_once(_open, hours)
            reopened += filter(None, at_once(_reopen, folders))
        if step == "before":
            publish(files)
    return sorted({hour_in(folder) for folder in reopened})


def _open(place: tuple[str, str]) -> None:
    root, hour = place
    if not filesystem.exists(OPEN_HOURS.path(root, hour)):
        OPEN_HOURS.create(root, hour, OpenHour(time.time()))


def _reopen(folder: str) -> str:
    """Returns the folder, if it was complete."""
    mark = f"{folder}/{COMPLETE}"
    if not filesystem.exists(mark):
        return ""
    if not filesystem.move(mark, f"{folder}/{REOPENED}"):
        filesystem.remove(mark)
    return folder


def passed(hour: str, source_time: float) -> bool:
    """Whether a source that was read to this time (unix seconds) has all of an hour."""
    start = datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()
    return start + 3600 + LATENESS <= source_time


def close(root: str, hour: str) -> None:
    """Say in each of an hour's folders that it is complete. Raises OSError."""
    for folder in folders(root, hour):
        filesystem.write(f"{folder}/{COMPLETE}", b"")  # nothing to see a part of, nothing to sweep
    filesystem.remove(OPEN_HOURS.path(root, hour))


def source_time(newest: float, now: float) -> float:
    """The time of a source all of which has been read: that of its newest record, by the brokers
    (unix seconds). Where all is silent, or its records are old, that of our clock an hour ago;
    never the future, in which a record may claim to be."""
    return min(now, max(newest, now - QUIET))


def due(sinks: Iterable[Sink], time: float) -> Iterator[tuple[Sink, str]]:
    """The open hours that a source which was read to this time has passed. Raises OSError."""
    for sink in sinks:
        for hour in OPEN_HOURS.names(sink.root):
            if passed(hour, time):
                yield sink, hour


def close_hour(sink: Sink, hour: str, state: str) -> str:
    """Say that an hour is complete, if all files are there that this import has written of it.
    Returns what is wrong, for people; '' where nothing is. Raises LedgerError, OSError."""
    ledger = Ledger(sink.root)
    note = StateNote(sink.root, str(sink), state)
    read_state(ledger, note, hour.__eq__, since=OPEN_HOURS.read(sink.root, hour).since)
    compare(ledger, selected=lambda _: False, hours=[hour])
    if ledger.troubles:  # a change may have put others in their place
        ledger = read_ledger(sink.root, selected=hour.__eq__)
        compare(ledger, selected=lambda _: False, hours=[hour])
    if ledger.troubles:
        first = ledger.troubles[0].sentence
        return f"{hour} stays open: {first}; see `el ledger {sink.root} --from {hour} --to {hour}`"
    close(sink.root, hour)
    return ""


class Closing:
    """The hours of an import's sinks. Its state is at `state_path`."""

    def __init__(self, sinks: Iterable[Sink], state_path: str) -> None:
        self._sinks = [sink for sink in sinks if sink.root]
        self._state = state_path
        self._not_before: dict[tuple[str, str], float] = {}  # hours that lack files

    def close(self, newest: Callable[[], float], asked: float) -> tuple[list[str], dict[str, str]]:
        """Say which hours are complete, now that all is read that was there when the brokers were
        `asked` (unix seconds). Returns them, and by sink what keeps an hour open. Raises OSError.
        """
        if not any(due(self._sinks, asked)):
            return [], {}
        closed, problems = set(), {}
        for sink, hour in due(self._sinks, source_time(newest(), asked)):
            if self._not_before.get((sink.root, hour), 0.0) > asked:
                continue
            try:
                wrong = close_hour(sink, hour, self._state)
            except (LedgerError, OSError) as error:
                wrong = f"{hour} stays open: {error}"
            if wrong:
                self._not_before[sink.root, hour] = asked + _LOOK_AGAIN
                problems[str(sink)] = wrong
            else:
                closed.add(hour)
        return sorted(closed), problems
