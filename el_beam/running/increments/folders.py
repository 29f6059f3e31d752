"""The folders that an import writes into, and what goes into their books."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

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
from el_beam.books.ledger.entries import enter_state, not_replaced
from el_beam.books.ledger.hours import Closing, open_for, put
from el_beam.books.ledger.model import RAW
from el_beam.books.ledger.upgrade import adopt, entry_name, old_entries
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Intent, Manifest, State
from runners.orphans import Processes
from transforms.counts.summary import Summary, total
from transforms.io.files import filesystem
from transforms.layout import TEMPORARY
from transforms.read.offsets import united, without
from transforms.route import Choice
from transforms.write.files import for_people
from transforms.write.sink import NewFile, Sink

Entries = Mapping[str, ImportEntry]
Logs = Mapping[str, ImportLog]
"""Both by the keys of their logs: see ImportLog."""


class ImportFolders:
    """The folders of an import's sinks. Methods raise OSError."""

    def __init__(
        self, sinks: Sequence[tuple[Sink, Choice]], state: State, cluster: str, kept: int,
        processes: Processes,
    ) -> None:  # fmt: skip
        """Let the folders know the import, and what an older version has put into them for it."""
        self.all_sinks = all(sink.root for sink, _ in sinks)  # whether each sink has a folder
        self._sinks = [(sink, choice) for sink, choice in sinks if sink.root]
        self._state, self._cluster, self._kept = state, cluster, kept
        self._id = state.id()
        self._logs: dict[tuple[str, str], dict[str, ImportLog]] = {}
        self._reopened: list[str] = []
        rooted = [sink for sink, _ in self._sinks]
        for sink in rooted:
            folder_id(sink.root, previous=state.previous)
        enter_state(rooted, state)
        adopt(state, cluster, rooted, self.logs)
        for root in sorted({sink.root for sink in rooted}):
            with for_people(root):
                self._put_again(all_unfinished(root))  # the state may know nothing of them
        self._closing = Closing(
            rooted, self._id, self._mine, partial(finish_left, processes=processes)
        )

    def as_before(self) -> list[str]:
        """The state and the folders that are written as the release before reads them."""
        roots = sorted({sink.root for sink, _ in self._sinks})
        return [path for path, previous in (
            (self._state.path, self._state.previous), *((root, is_previous(root)) for root in roots)
        ) if previous]  # fmt: skip

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
        self._reopened += put(files)

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
            summary.holes,
            tuple(name for sink, _ in self._sinks if (name := str(sink)).startswith(RAW)),
            self._id, intent.number,
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
        gone, others have put the same records there, or it is another folder. Raises SinkError."""
        for key, entry in entries.items():
            log = logs.get(key)
            if log is None:
                return False
            root = log.sink.root
            with for_people(root):
                waiting = unfinished(entry, root)
                if not log.has(entry):
                    if len(waiting) < len(entry.summary.files):
                        return False
                    open_for(waiting)  # an hour's note is older than what comes into it
                    try:
                        log.enter(entry)
                    except Overlap:
                        return False
                    self._put(waiting)
                else:
                    self._put_again(waiting)
        return True

    def sweep(self, lease: Lease, awaited: Iterable[ImportEntry]) -> None:
        """Remove what attempts left below the temporary folders, but what is `awaited`. Raises
        LeaseLost."""
        roots = sorted({sink.root for sink, _ in self._sinks})
        old = hashlib.sha256(self._state.path.encode()).hexdigest()  # what older versions wrote to
        places = [f"{root}/{TEMPORARY}/{id_[:16]}" for root in roots for id_ in (self._id, old)]
        left = [f"{place}/{name}" for place in places for name in filesystem.names(place)]
        if not left:
            return
        files = [file for entry in awaited for root in roots
                 for file in in_root(entry.summary, root)]  # fmt: skip
        kept = {file.temporary.rpartition("/")[0] for file in files}
        lease.check()  # after we have looked: what others make from here on isn't in the list
        for path in left:
            if path not in kept:
                filesystem.remove(path)
        for place in places:
            filesystem.remove_empty(place)
            filesystem.remove_empty(place.rpartition("/")[0])

    def close_hours(
        self, newest: Callable[[], float], asked: float
    ) -> tuple[list[str], dict[str, str]]:
        """As Closing.close."""
        return self._closing.close(newest, asked)
