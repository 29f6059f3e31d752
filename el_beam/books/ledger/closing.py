"""Closing: an import says of each hour that its source has passed that it is complete."""

from collections.abc import Callable, Iterable, Iterator

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger, read_state
from el_beam.books.ledger.hours import close, open_hours, opened, passed
from el_beam.books.ledger.model import Ledger, LedgerError, StateNote
from transforms.write.sink import Sink

_LOOK_AGAIN = 600.0  # seconds until an hour that lacks files is looked at again
QUIET = 3600.0  # seconds that a source may be silent before our own clock counts, so much behind


def source_time(newest: float, now: float) -> float:
    """The time of a source all of which has been read: that of its newest record, by the brokers
    (unix seconds). Where all is silent, or its records are old, that of our clock an hour ago;
    never the future, in which a record may claim to be."""
    return min(now, max(newest, now - QUIET))


def due(sinks: Iterable[Sink], time: float) -> Iterator[tuple[Sink, str]]:
    """The open hours that a source which was read to this time has passed. Raises OSError."""
    for sink in sinks:
        for hour in open_hours(sink.root):
            if passed(hour, time):
                yield sink, hour


def close_hour(sink: Sink, hour: str, state: str) -> str:
    """Say that an hour is complete, if all files are there that this import has written of it.
    Returns what is wrong, for people; '' where nothing is. Raises LedgerError, OSError."""
    ledger = Ledger(sink.root)
    note = StateNote(sink.root, str(sink), state)
    read_state(ledger, note, hour.__eq__, since=opened(sink.root, hour))
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
