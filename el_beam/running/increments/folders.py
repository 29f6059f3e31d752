"""The folders that an import writes into, and what goes into their books."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from el_beam.advice import command, typed
from el_beam.books.folder import folder_id, is_previous
from el_beam.books.imports import (
    ImportEntry,
    ImportLog,
    Overlap,
    all_unfinished,
    below_root,
    in_root,
    scheme_of,
    unfinished,
)
from el_beam.books.ledger.changes import finish_left
from el_beam.books.ledger.entries import archives_of, enter_state, instance_in, not_replaced
from el_beam.books.ledger.hours import RETIRED, SKEW, Closing, open_for, put, retired
from el_beam.books.ledger.model import RAW
from el_beam.books.ledger.upgrade import adopt, adopt_others, entry_name, old_entries
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Commit, Intent, LeaseLost, Manifest, State, StateError
from runners.orphans import Processes
from schemas.durable import DocumentError
from transforms.counts.summary import Summary, total
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.layout import TEMPORARY
from transforms.read.offsets import OffsetRange, Ranges, united, without
from transforms.read.receipt import LastRecord
from transforms.route import Choice
from transforms.write.files import for_people
from transforms.write.sink import NewFile, Sink

Entries = Mapping[str, ImportEntry]
Logs = Mapping[str, ImportLog]
"""Both by the keys of their logs: see ImportLog."""


class ImportFolders:
    """The folders of an import's sinks. Methods raise OSError."""

    def __init__(
        self, sinks: Sequence[tuple[Sink, Choice]], state: State, lease: Lease, cluster: str,
        kept: int, processes: Processes, options: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Let the folders know the import, with the `options` of its format and schemas, and what
        an older version has put into them for it.

        Raises StateError where two of them are copies of each other, or the state is one."""
        self.all_sinks = all(sink.root for sink, _ in sinks)  # whether each sink has a folder
        self._sinks = [(sink, choice) for sink, choice in sinks if sink.root]
        self._state, self._lease, self._cluster, self._kept = state, lease, cluster, kept
        self._id = state.id()
        self._progress = next((sink.progress for sink, _ in sinks), None)
        self._logs: dict[tuple[str, str], dict[str, ImportLog]] = {}
        self._reopened: list[str] = []
        rooted = [sink for sink, _ in self._sinks]
        known: dict[tuple[str, str], Sink] = {}
        for sink in rooted:
            key = folder_id(sink.root, previous=state.previous), scheme_of(sink)
            if str(other := known.setdefault(key, sink)) != str(sink):
                raise StateError(
                    f"{sink.root} is another name of {other.root}, or a copy of it: use one; or "
                    f"`{command('state', 'new-id', typed(sink.root))}` makes a copy a folder "
                    "of its own"
                )
        enter_state(rooted, state, lease.token, options)
        for sink in rooted:
            filesystem.remove(RETIRED.path(sink.root, self._id))
        self.damaged = adopt(state, cluster, rooted, self.logs)  # what is wrong with which books
        self.damaged |= adopt_others(state, cluster, rooted, self.logs)
        for root in sorted({sink.root for sink in rooted}):
            try:
                with for_people(root):
                    for files in all_unfinished(root):  # the state may know nothing of them
                        with suppress(SinkError):  # it is told when its topic goes on
                            self._put_again(files)
            except DocumentError as error:
                self.damaged[root] = str(error)
        self._closing = Closing(
            rooted, self._id, self._mine, partial(finish_left, processes=processes)
        )

    def notes_of_format(self) -> list[str]:
        """What people should know of a state and folders that the release before can read."""
        roots = sorted({sink.root for sink, _ in self._sinks})
        paths = [self._state.path] if self._state.previous else []
        if paths := [*paths, *filter(is_previous, roots)]:
            return [
                "written so that the release before can go on with it, until "
                f"`{command('state', 'upgrade', *map(typed, paths))}`: {', '.join(paths)}"
            ]
        return []

    def logs(self, topic: str, topic_id: str) -> Logs:
        """What the folders have of a topic."""
        if (topic, topic_id) not in self._logs:
            found = (
                ImportLog.of(
                    sink, choice, self._cluster, topic, topic_id, self._put_again, self._kept
                )
                for sink, choice in self._sinks
            )
            self._logs[topic, topic_id] = {log.key: log for log in found}
        return self._logs[topic, topic_id]

    def _mine(self) -> set[str]:
        return {log.log.folder for logs in self._logs.values() for log in logs.values()}

    def _put(self, files: Iterable[NewFile]) -> None:
        self._reopened += put(files, progress=self._progress)

    def _put_again(self, files: Iterable[NewFile]) -> None:
        """Of files that may have had their names before: a change may have replaced some since."""
        self._put(not_replaced(files))

    def reopened(self) -> list[str]:
        """The complete hours that something was put into since this was asked last."""
        found, self._reopened = sorted({*self._reopened}), []
        return found

    def attempt(self, attempt: object) -> str:
        """The name of an attempt, for sinks: its files lie apart from all others."""
        return f"{self._id[:16]}/{attempt}"

    def entries(self, intent: Intent, summaries: Mapping[str, Summary], logs: Logs) -> Entries:
        """What each folder gets of an increment: the splits that it doesn't have yet. The temporary
        names of its files last when this returns."""
        made = {key: self._entry(key, log, intent, summaries) for key, log in logs.items()}
        for key, entry in made.items():
            files = in_root(entry.summary, logs[key].sink.root)
            for folder in sorted({file.temporary.rpartition("/")[0] for file in files}):
                with for_people(folder):
                    filesystem.sync(folder)
        return {key: entry for key, entry in made.items() if entry.ranges or entry.expired}

    def _entry(
        self, key: str, log: ImportLog, intent: Intent, summaries: Mapping[str, Summary]
    ) -> ImportEntry:
        splits = [split for split in intent.splits if key not in intent.held.get(split.id, ())]
        summary = total((summaries[split.id] for split in splits), ())
        ranges = united(each for split in splits for each in split.ranges)
        known_as = self._state.path if self._state.previous else self._id[:16]
        return ImportEntry(
            entry_name(intent.number, intent.topic, known_as),
            scheme_of(log.sink), self._cluster, intent.topic, intent.topic_id,
            below_root(summary, str(log.sink)), ranges, without(intent.expired, log.held),
            summary.holes, log.choice, "",
            archives_of(sink for sink, _ in self._sinks),
            self._id, intent.number, last=() if self._state.previous else summary.last,
            time_rule=intent.time_rule,
        )  # fmt: skip

    def prepared(
        self, intent: Intent, manifest: Manifest, ends: dict[int, int], logs: Logs
    ) -> Entries:
        """What a manifest has for each folder, of whatever version it is. `ends` are the offsets of
        the commit before."""
        if manifest.entries is None:
            return old_entries(self._state, intent, manifest, ends, self._cluster, logs)
        return manifest.entries

    def enter(self, entries: Entries, logs: Logs) -> bool:
        """Let folders have what is theirs. False where one of them can't any more: its files are
        gone, others have put the same records there, or it is another folder.

        Raises SinkError."""
        # One that can't have it stops archives alone: what these have all have, or a backfill
        # would make doubles.
        for archives in (False, True):
            mine = [key for key, entry in entries.items() if (f"{entry.sink}:" == RAW) == archives]
            done = [key in logs and self._enter(entries[key], logs[key]) for key in mine]
            if not all(done):
                return False
        return True

    def _enter(self, entry: ImportEntry, log: ImportLog) -> bool:
        root = log.sink.root
        with for_people(root):
            waiting = unfinished(entry, root)
            log.log.look()
            if log.has(entry):
                filesystem.sync(log.log.folder)  # who has made it may have died before that
                self._put_again(waiting)
                return True
            if len(waiting) < len(entry.summary.files):
                return False
            open_for(waiting)  # an hour's note is older than what comes into it
            try:
                log.enter(entry)
            except Overlap:
                return False
            self._put(waiting)
            return True

    def settle(
        self, last: Commit, topic: str, topic_id: str,
        unchanged: Callable[[Iterable[LastRecord]], frozenset[int]] = lambda _: frozenset(),
    ) -> list[str]:  # fmt: skip
        """Let folders know what no increment has brought: where the import begins, in a folder that
        knows nothing of the topic, and what a reset has said. Doing it again does no harm. Returns
        what people should know of it: such a folder is a new one, or its log is lost.

        `unchanged` gives the partitions that still have the last records that a folder has: what it
        holds of these it needn't forget, whatever other folders must."""
        notes = []
        for log in self.logs(topic, topic_id).values():
            told = partial(
                ImportEntry, "", scheme_of(log.sink), self._cluster, topic, topic_id, Summary(), (),
                choice=log.choice, state=self._id, increment=last.number,
            )  # fmt: skip
            newest = log.log.last()
            if newest is None:
                lost = last.again and last.number == 1  # the state; we have read nothing
                read = {} if lost else last.ends
                log.declare(told(why="begin"), lambda *_, read=read: ((), _before(read)))
                notes.append(
                    f"{log.sink.root} knows nothing of {topic}: it begins with the records that "
                    "come next; see docs/increments.md (Another sink)"
                )
            elif last.why == "reset":
                near = [*log.log.entries(last.committed - SKEW)]
                if not any(each.why == "reset" and each.state == self._id
                           and each.increment == last.number for each in near):  # fmt: skip
                    # Of this import nothing has come since, whatever the clocks say.
                    since = [each for each in near if each.state != self._id
                             and each.committed >= last.committed]  # fmt: skip
                    kept = unchanged(newest.last) if last.again else frozenset[int]()
                    log.declare(told(why="reset"), partial(_after_reset, last, since, kept))
        return notes

    def conflicts(self, logs: Logs) -> str:
        """Why an import of this state can't share its folders; '' where it can."""
        for log in logs.values():
            last, root = log.log.last(), log.sink.root
            if (last and last.state != self._id and last.choice != log.choice
                    and last.state not in retired(root)):  # fmt: skip
                return (
                    f"{root} takes events of {last.topic} from another import, which chooses "
                    f"{last.choice or 'all'}, and this one {log.choice or 'all'}: give this one a "
                    "folder of its own; or, if the other one is gone for good, "
                    f"`{command('ledger', typed(root), retire=last.state)}`"
                )
        return ""

    def check(self) -> None:
        """Raises LeaseLost where another instance works here, on this state or on a copy."""
        self._lease.check()
        if self._state.previous:
            return
        for sink, _ in self._sinks:
            if instance_in(sink, self._id) not in ("", self._lease.token):
                raise LeaseLost(
                    f"another instance works on a copy of {self._state.path}, into {sink.root}: "
                    f"`{command('state', 'new-id', typed(self._state.path))}` makes this one a "
                    "state of its own"
                )

    def sweep(self, awaited: Iterable[ImportEntry]) -> None:
        """Remove what attempts left below the temporary folders, but what is `awaited`. Raises
        LeaseLost."""
        roots = sorted({sink.root for sink, _ in self._sinks})
        old = hashlib.sha256(self._state.path.encode()).hexdigest()  # what older versions wrote to
        places = [f"{root}/{TEMPORARY}/{id_[:16]}" for root in roots for id_ in (self._id, old)]
        left = [f"{place}/{name}" for place in places for name in filesystem.names(place)]
        if not left or self.damaged:
            return
        files = [file for entry in awaited for root in roots
                 for file in in_root(entry.summary, root)]  # fmt: skip
        files += [file for root in roots for waiting in all_unfinished(root) for file in waiting]
        kept = {file.temporary.rpartition("/")[0] for file in files}
        self.check()  # after we have looked: what others make from here on isn't in the list
        for path in left:
            if path not in kept:
                filesystem.remove(path)
        for place in places:
            filesystem.remove_empty(place)
            filesystem.remove_empty(place.rpartition("/")[0])

    def root(self, key: str) -> str:
        """Of the folder that is called so in a manifest."""
        return next(log.sink.root for logs in self._logs.values() for name, log in logs.items()
                    if name == key)  # fmt: skip

    @property
    def hours(self) -> Closing:
        """Which become complete."""
        return self._closing


def _after_reset(
    reset: Commit, since: Iterable[ImportEntry], kept: frozenset[int],
    held: Ranges, passed: Ranges,
) -> tuple[Ranges, Ranges]:  # fmt: skip
    """(held, passed) after a reset: what is before it is passed, the rest is not. Where other
    records have the offsets from there on, no more of these is held than has come `since`; but
    nothing is forgotten of partitions that are `kept`, and a broker that has lost records says
    nothing of what is before them."""
    rest = [OffsetRange(each, start, 2**63) for each, start in reset.reset.items()]
    if not reset.again:
        return held, (*without(passed, rest), *_before(reset.reset))
    new = (each for entry in since for each in (*entry.ranges, *entry.expired))
    forgotten = [each for each in rest if each.partition not in kept]
    return (*without(held, forgotten), *new), without(passed, rest)


def _before(offsets: Mapping[int, int]) -> Ranges:
    return tuple(OffsetRange(each, 0, start) for each, start in offsets.items())
