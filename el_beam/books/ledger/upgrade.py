"""What older versions have noted of imports in their states alone becomes books of the folders.

Nothing that is there is changed, but for a mark beside the note of such a state: see imports.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from el_beam.books.imports import ImportEntry, ImportLog, below_root, scheme_of
from el_beam.books.ledger.model import MARK, RAW, STATES
from el_beam.books.state.state import Intent, Manifest, State, TopicState
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.layout import LEDGER
from transforms.read.offsets import OffsetRange, Ranges, united
from transforms.write.sink import Sink

Logs = Callable[[str, str], Mapping[str, ImportLog]]  # topic, its id -> logs by their keys


def adopt(state: State, cluster: str, sinks: Iterable[Sink], logs: Logs) -> None:
    """Let folders know what a state says of them. Doing it again does no harm. Raises OSError."""
    marks = {sink: f"{sink.root}/{LEDGER}/adopted-{state.id()}-{scheme_of(sink)}.json"
             for sink in sinks}  # fmt: skip
    new = {sink for sink, mark in marks.items() if not filesystem.exists(mark)}
    for name in state.topics() if new else ():
        topic = state.topic(name)
        ids = {commit.topic_id for commit in topic.history() if commit.untold}
        for id_ in sorted(ids):
            for log in logs(name, id_).values():
                if log.sink in new:
                    log.log.add_all(_entries(state, topic, id_, cluster, log))
    if state.previous:
        return  # the release before may go on with it
    for sink in new:
        filesystem.create(marks[sink], MARK)
    path = filesystem.absolute(state.path)
    for root in sorted({sink.root for sink in sinks}):
        for note in STATES.names(root, undone=True):
            if (known := STATES.read(root, note)).state == path and not known.id:
                STATES.finish(root, note)


def _entries(
    state: State, topic: TopicState, topic_id: str, cluster: str, log: ImportLog
) -> Iterator[ImportEntry]:
    last, id_ = log.log.last(), state.id()
    done = max((each.increment for each in log.log.entries() if each.state == id_), default=0)
    number, held = (last.number, last.held) if last else (0, ())
    before: dict[int, int] = {}
    for commit in topic.history():
        manifest = commit.untold
        if manifest and commit.topic_id == topic_id and commit.number > done:
            number += 1
            ranges = _ranges(manifest, before)
            held = united((*held, *ranges, *manifest.expired))
            yield ImportEntry(
                entry_name(commit.number, topic.topic, state.path),
                scheme_of(log.sink), cluster, topic.topic, topic_id,
                _of_sink(manifest.summary, log.sink), ranges, manifest.expired,
                manifest.missing, _archives(manifest.summary),
                id_, commit.number, number, held, commit.committed,
            )  # fmt: skip
        before = commit.ends


def entry_name(number: int, topic: str, state: str) -> str:
    """By which changes know the lines of an increment. Older versions call a state by its path."""
    return f"increment {number} of {topic} ({state})"


def old_entries(
    state: State, intent: Intent, manifest: Manifest, before: dict[int, int], cluster: str,
    logs: Mapping[str, ImportLog],
) -> dict[str, ImportEntry]:  # fmt: skip
    """What a manifest of an older version has for folders, as newer ones note it. `before` are the
    offsets where its increment starts."""
    return {
        key: ImportEntry(
            entry_name(intent.number, intent.topic, state.path),
            scheme_of(log.sink), cluster, intent.topic, intent.topic_id,
            _of_sink(manifest.summary, log.sink), _ranges(manifest, before), manifest.expired,
            manifest.missing, _archives(manifest.summary), state.id(), intent.number,
        )
        for key, log in logs.items()
    }  # fmt: skip


def _ranges(manifest: Manifest, before: dict[int, int]) -> Ranges:
    starts = manifest.starts if manifest.starts is not None else {}
    ranges = (OffsetRange(partition, starts.get(partition, before.get(partition, 0)), end)
              for partition, end in manifest.ends.items())  # fmt: skip
    return united(ranges)


def _of_sink(summary: Summary, sink: Sink) -> Summary:
    """What it says of a sink, which may have been elsewhere then."""
    names = [str(sink), *(name for name in summary.sinks if name.startswith(f"{scheme_of(sink)}:"))]
    return below_root(summary, next((name for name in names if name in summary.sinks), ""))


def _archives(summary: Summary) -> tuple[str, ...]:
    return tuple(name for name in summary.sinks if name.startswith(RAW))
