"""Hours of a folder: which are complete.

    ROOT/Edit_17/…/hour=07/_SUCCESS         all that the source had of this hour is here
                           _REOPENED        that was so, and then more of it came
    ROOT/_ledger/open-2019-03-10T07.json    an hour of which something came since it was complete
                 passed-2019-03-10T07.….json    an import's source has passed it
                 retired-….json                 an import that won't come back: nobody awaits it
                 unread-2019-03-10T07.json      what its _SUCCESS doesn't stand for

A transaction that stays open hides what comes after it. An hour that isn't to wait for it is
complete but for that: its _SUCCESS names the places, as `{"unread": […]}`; else it is empty.

A run or change opens the hours that it writes into. An import passes those of whose end it has read
all: all that the topics had at a later time. The last import to pass an hour closes it: all count
that have put anything into the folder, if no other import has gone on with their topics.
"""

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from el_beam.advice import command, typed
from el_beam.books.imports import logs
from el_beam.books.ledger.audit import compare, folders
from el_beam.books.ledger.entries import read_imports, read_ledger
from el_beam.books.ledger.model import STATES, Ledger, LedgerError, Notes
from schemas.durable import DocumentError, DocumentFormat
from transforms.io.files import filesystem
from transforms.io.world import CLOCK
from transforms.layout import COMPLETE, REOPENED, hour_in
from transforms.read.offsets import UnreadPlace
from transforms.write.files import for_people, publish
from transforms.write.sink import NewFile, Sink, by_root

LATENESS = 300.0  # seconds that a line may need from its edge to the topic
QUIET = 3600.0  # seconds that a source may be silent before our own clock counts, so much behind
SKEW = 3600.0  # seconds that the clocks of imports may differ
_AWAITED = 6 * 3600.0  # seconds that another import may be behind until people are told
_LOOK_AGAIN = 600.0  # seconds until an hour that lacks files is looked at again


@dataclass(frozen=True)
class OpenHour:
    """An hour of which something has come since it was complete."""

    since: float  # unix seconds


@dataclass(frozen=True)
class PassedHour:
    """An hour that an import has passed."""

    state: str  # id of the import's state
    unread: tuple[UnreadPlace, ...] = ()  # but for what is behind these


@dataclass(frozen=True)
class UnreadHour:
    """What may be missing of a complete hour."""

    places: tuple[UnreadPlace, ...]


@dataclass(frozen=True)
class RetiredImport:
    """An import that is gone for good."""

    at: float  # unix seconds


OPEN_HOUR = DocumentFormat("open", OpenHour)
PASSED_HOUR = DocumentFormat("passed", PassedHour)
RETIRED_IMPORT = DocumentFormat("retired", RetiredImport)
OPEN_HOURS, PASSED_HOURS = Notes(OPEN_HOUR), Notes(PASSED_HOUR)
UNREAD_HOUR = DocumentFormat("unread", UnreadHour)
RETIRED, UNREAD_HOURS = Notes(RETIRED_IMPORT), Notes(UNREAD_HOUR)
_HOUR = len("2019-03-10T07")


def open_hours(root: str) -> dict[str, list[str]]:
    """The open hours of a folder -> their notes. Raises OSError."""
    found: dict[str, list[str]] = {}
    for name in OPEN_HOURS.names(root):
        found.setdefault(name[:_HOUR], []).append(name)
    return found


def put(files: Iterable[NewFile], *, progress: str | None = None) -> list[str]:
    """Give files their names; their hours are open then, where an import is to close them. Returns
    hours that were complete. Doing it again does no harm. `progress` is as in `publish`. Raises
    SinkError."""
    files, reopened = list(files), list[str]()
    # Before, lest somebody takes the hour for complete who then misses a file; and after, for an
    # import may have closed it just now. One that still does so removes the notes that it knows
    # when all folders have their marks: of the second note it knows nothing.
    for step in ("before", "after"):
        for root, its in by_root(files).items():
            with for_people(root):
                folders = {file.path.rpartition("/")[0] for file in its}
                imported = bool(STATES.names(root))
                if imported and step == "before":
                    open_for(its)
                if step == "before":
                    folders = filesystem.folders_there(root, folders)
                elif not imported:
                    continue  # nobody closes its hours
                marked = [*filter(None, filesystem.at_once(root, _reopen, sorted(folders)))]
                late = {file.hour for file in its} & {*map(hour_in, marked)} if imported else ()
                filesystem.at_once(root, _open_again, sorted((root, hour) for hour in late))
                reopened += marked
        if step == "before":
            publish(files, progress=progress)
    return sorted({hour_in(folder) for folder in reopened})


def open_for(files: Iterable[NewFile]) -> None:
    """Open the hours of files that are to come, before anybody knows of them. Raises OSError."""
    for root, its in by_root(files).items():
        filesystem.at_once(root, _open, sorted({(root, file.hour) for file in its}))


def _open(place: tuple[str, str]) -> None:
    root, hour = place
    if not filesystem.exists(OPEN_HOURS.path(root, hour)):
        OPEN_HOURS.create(root, hour, OpenHour(CLOCK.time()))


def _open_again(place: tuple[str, str]) -> None:
    root, hour = place
    OPEN_HOURS.create(root, f"{hour}-{uuid.uuid4().hex}", OpenHour(CLOCK.time()))


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


def close(root: str, hour: str, notes: Iterable[str], unread: Iterable[UnreadPlace] = ()) -> None:
    """Say in each of an hour's folders that it is complete, as far as these notes have opened it,
    but for what is `unread`. Raises OSError, DocumentError."""
    votes = [note for note in PASSED_HOURS.names(root) if note.startswith(hour)]
    theirs = (PASSED_HOURS.read(root, note).unread for note in votes)
    places = (*sorted({*unread, *(place for its in theirs for place in its)}),)
    content = json.dumps({"unread": [str(each) for each in places]}).encode() if places else b""
    if filesystem.exists(UNREAD_HOURS.path(root, hour)):
        filesystem.remove(UNREAD_HOURS.path(root, hour))
    if places:
        UNREAD_HOURS.create(root, hour, UnreadHour(places))
    for folder in folders(root, hour):
        filesystem.write(f"{folder}/{COMPLETE}", content)  # small: nothing to see a part of
        filesystem.sync(folder)
    for note in notes:
        filesystem.remove(OPEN_HOURS.path(root, note))
    for note in votes:
        filesystem.remove(PASSED_HOURS.path(root, note))


def unread_hours(root: str) -> dict[str, tuple[UnreadPlace, ...]]:
    """The hours that are complete but for what is behind some places. Raises OSError."""
    return {hour: UNREAD_HOURS.read(root, hour).places for hour in UNREAD_HOURS.names(root)}


def source_time(records: Iterable[float], now: float, came: float = 0.0) -> float:
    """The time of a source all of which has been read: that of its newest record (unix seconds),
    however late it flows. If nothing `came` for an hour, that of our clock an hour ago; never the
    future, in which a record may claim to be: one that is far ahead says nothing."""
    newest = max((each for each in records if each <= now + SKEW), default=0.0)
    return min(now, newest if now - came < QUIET else max(newest, now - QUIET))


def due(sinks: Iterable[Sink], time: float) -> Iterator[tuple[Sink, str]]:
    """The open hours that a source which was read to this time has passed. Raises OSError."""
    for sink in sinks:
        for hour in sorted(open_hours(sink.root)):
            if passed(hour, time):
                yield sink, hour


def close_hour(
    sink: Sink, hour: str, finish: Callable[[str], None], unread: Iterable[UnreadPlace] = ()
) -> str:
    """Say that an hour is complete but for what is `unread`, if all files are there that imports
    have written of it. `finish` finishes changes of a folder that were left half done. Returns what
    is wrong, for people; '' where nothing is. Raises LedgerError, OSError."""
    ledger, notes = Ledger(sink.root), open_hours(sink.root).get(hour, [])
    opened = min((_since(sink.root, note) for note in notes), default=0.0)
    since = max(0.0, opened - SKEW)
    read_imports(ledger, hour.__eq__, since=since)
    compare(ledger, selected=lambda _: False, hours=[hour])
    if ledger.troubles:  # a change may have put others in their place
        finish(sink.root)
        ledger = read_ledger(sink.root, selected=hour.__eq__)
        compare(ledger, selected=lambda _: False, hours=[hour])
    if ledger.troubles:
        first = ledger.troubles[0].sentence
        see = command("ledger", typed(sink.root), from_=hour, to=hour)
        return f"{hour} stays open: {first}; see `{see}`"
    close(sink.root, hour, notes, unread)
    return ""


def _since(root: str, note: str) -> float:
    try:
        return OPEN_HOURS.read(root, note).since
    except DocumentError:
        return 0.0  # all that ever came is looked at


def behind(root: str, hour: str, state: str, mine: Collection[str]) -> list[str]:
    """The states whose imports have put something into a folder and haven't passed an hour, but for
    `state`, which has the logs `mine`. Raises OSError."""
    voted = {note.partition(".")[2] for note in PASSED_HOURS.names(root) if note.startswith(hour)}
    last = (log.last() for log in logs(root) if log.folder not in mine)
    return sorted({each.state for each in last if each} - voted - retired(root) - {state})


def retired(root: str) -> set[str]:
    """The ids of states whose imports won't come back. Raises OSError."""
    return {*RETIRED.names(root)}


def retire(root: str, state: str) -> None:
    """Await a state's import no more, until it comes back. Raises LedgerError, OSError."""
    known = {entry.state for log in logs(root) if (entry := log.last())}
    if state not in known:
        there_are = ", ".join(sorted(known)) or "none"
        raise LedgerError(
            f"no import of a state {state} has come into {root}: there are {there_are}"
        )
    RETIRED.create(root, state, RetiredImport(CLOCK.time()))


def _awaits(root: str, hour: str, states: Iterable[str]) -> str:
    notes = (STATES.read(root, name) for name in STATES.names(root))
    paths = {note.id: note.state for note in notes}
    others = ", ".join(
        f"{paths.get(each, 'nobody knows where')} (`{command('ledger', typed(root), retire=each)}` "
        "if it is gone for good)"
        for each in states
    )
    return (
        f"{hour} stays open: the imports of these states write here, too, and haven't passed it: "
        f"{others}"
    )


class Closing:
    """The hours of an import's sinks. `finish` is as in `close_hour`."""

    def __init__(
        self, sinks: Iterable[Sink], state: str, logs: Callable[[], Collection[str]],
        finish: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`state` is the id of its state, `logs` gives the folders of its logs."""
        self._state, self._logs, self._finish = state, logs, finish
        self._sinks = [sink for sink in sinks if sink.root]
        self._not_before: dict[tuple[str, str], float] = {}  # hours that lack files

    def close(
        self, reached: float, asked: float, given_up: Collection[UnreadPlace] = (),
        ended: Collection[UnreadPlace] = (),
    ) -> tuple[list[str], dict[str, str]]:  # fmt: skip
        """Say which hours are complete, now that the source is read to the time `reached`: all that
        was there when the brokers were `asked` (unix seconds), but for what the open transactions
        hide that are `given_up`. Nothing is behind those any more that have `ended`. Returns the
        hours, and by sink what keeps an hour open. Raises OSError."""
        closed, problems = set(), {}
        for sink, hour in due(self._sinks, reached):
            unread = (*(each for each in given_up if not passed(hour, each.time)),)
            if self._not_before.get((sink.root, hour), 0.0) > asked:
                continue
            try:
                if others := behind(sink.root, hour, self._state, self._logs()):
                    vote = PassedHour(self._state, unread)
                    PASSED_HOURS.create(sink.root, f"{hour}.{self._state}", vote)
                    if passed(hour, asked - _AWAITED):
                        problems[str(sink)] = _awaits(sink.root, hour, others)
                    continue
                wrong = close_hour(sink, hour, self._finish, unread)
            except (LedgerError, DocumentError, OSError) as error:
                wrong = f"{hour} stays open: {error}"
            if wrong:
                self._not_before[sink.root, hour] = asked + _LOOK_AGAIN
                problems[str(sink)] = wrong
            else:
                closed.add(hour)
        for sink in self._sinks if ended else ():
            try:
                _settle(sink.root, ended)
            except (DocumentError, OSError) as error:
                problems.setdefault(str(sink), str(error))
        return sorted(closed), problems


def _settle(root: str, ended: Collection[UnreadPlace]) -> None:
    """Let complete hours lack no more what was behind some places; open ones come to that."""
    gone, open_ = {each[:3] for each in ended}, open_hours(root)
    for hour, places in unread_hours(root).items():
        left = [each for each in places if each[:3] not in gone]
        if hour not in open_ and len(left) < len(places):
            close(root, hour, (), left)
