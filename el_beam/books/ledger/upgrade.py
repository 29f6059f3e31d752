"""What older versions have noted of imports in their states alone becomes books of the folders.

Nothing that is there is changed, but for a mark beside the note of such a state: see imports.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from el_beam.books.imports import ImportEntry, ImportLog, below_root, scheme_of
from el_beam.books.ledger.model import MARK, RAW, STATES
from el_beam.books.state.state import Intent, Manifest, State, TopicState
from schemas.durable import DocumentError
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.layout import LEDGER
from transforms.read.offsets import OffsetRange, Ranges, united, without
from transforms.write.sink import Sink

Logs = Callable[[str, str], Mapping[str, ImportLog]]  # topic, its id -> logs by their keys


def adopt(state: State, cluster: str, sinks: Iterable[Sink], logs: Logs) -> dict[str, str]:
    """Let folders know what a state says of them. Doing it again does no harm. Returns what is
    wrong with it, by topic: what can't be read, or would be refused today. Raises OSError."""
    marks = {sink: f"{sink.root}/{LEDGER}/adopted-{state.id()}-{scheme_of(sink)}.json"
             for sink in sinks}  # fmt: skip
    new = {sink for sink, mark in marks.items() if not filesystem.exists(mark)}
    names = {str(sink) for sink in marks}
    wrong = {}
    for name in state.topics() if new else ():
        topic = state.topic(name)
        try:
            ids = {commit.topic_id for commit in topic.history() if commit.untold}
            for log in (log for id_ in sorted(ids) for log in logs(name, id_).values()):
                if log.sink in new:
                    while not log.log.add_all(_entries(state, topic, cluster, log, names)):
                        log.log.look()
        except DocumentError as error:
            wrong[f"{state.path}/topics/{name}"] = str(error)
    if state.previous or wrong:
        return wrong  # the release before may go on with it, or somebody repairs it
    for sink in new:
        filesystem.create(marks[sink], MARK)
    path = filesystem.absolute(state.path)
    for root in sorted({sink.root for sink in sinks}):
        for note in STATES.names(root, undone=True):
            if (known := STATES.read(root, note)).state == path and not known.id:
                STATES.finish(root, note)
    return wrong


def adopt_others(state: State, cluster: str, sinks: Iterable[Sink], logs: Logs) -> dict[str, str]:
    """Let folders know what states of older versions say of them that aren't this one, if they are
    where they were last seen. As `adopt`."""
    sinks, wrong = [*sinks], dict[str, str]()
    for root in sorted({sink.root for sink in sinks}):
        for note in STATES.names(root, undone=True):
            known = STATES.read(root, note)
            other = State(known.state)
            if not known.id and other.cluster() == cluster and other.known_id() != state.id():
                wrong |= adopt(other, cluster, [each for each in sinks if each.root == root], logs)
    return wrong


def _entries(
    state: State, topic: TopicState, cluster: str, log: ImportLog, sinks: set[str]
) -> Iterator[ImportEntry]:  # fmt: skip
    last, id_ = log.log.last(), state.id()
    told = [*log.log.entries()]
    done = max((each.increment for each in told if each.state == id_ and not each.why), default=0)
    by_a_copy = {(each.increment, each.committed) for each in told}
    number, held, passed = (last.number, last.held, last.passed) if last else (0, (), ())
    before: dict[int, int] = {}
    number_before = 0
    for commit in topic.history():
        manifest = commit.untold
        new = (commit.topic_id == log.topic_id and commit.number > done
               and (commit.number, commit.committed) not in by_a_copy)  # fmt: skip
        name = _name(manifest.summary, log.sink, sinks) if manifest and new else None
        if manifest and name is not None:
            number += 1
            ranges = _ranges(manifest, before)
            since = (OffsetRange(each, before[each], end) for each, end in manifest.ends.items()
                     if each in before and commit.number == number_before + 1)  # fmt: skip
            # What a reset had left out stays so; what commits that are missing have brought doesn't
            held = united((*held, *ranges, *manifest.expired))
            passed = united((*passed, *without(since, held)))
            yield ImportEntry(
                entry_name(commit.number, topic.topic, state.path),
                scheme_of(log.sink), cluster, topic.topic, log.topic_id,
                below_root(manifest.summary, name), ranges, manifest.expired,
                manifest.missing, log.choice, "", _archives(manifest.summary),
                id_, commit.number, number, held, passed, commit.committed,
            )  # fmt: skip
        before, number_before = commit.ends, commit.number


def entry_name(number: int, topic: str, state: str) -> str:
    """By which changes know the lines of an increment. Older versions call a state by its path."""
    return f"increment {number} of {topic} ({state})"


def old_entries(
    state: State, intent: Intent, manifest: Manifest, before: dict[int, int], cluster: str,
    logs: Mapping[str, ImportLog],
) -> dict[str, ImportEntry]:  # fmt: skip
    """What a manifest of an older version has for folders, as newer ones note it. `before` are the
    offsets where its increment starts."""
    names = {str(log.sink) for log in logs.values()}
    return {
        key: ImportEntry(
            entry_name(intent.number, intent.topic, state.path),
            scheme_of(log.sink), cluster, intent.topic, intent.topic_id,
            below_root(manifest.summary, name), _ranges(manifest, before), manifest.expired,
            manifest.missing, log.choice, "", _archives(manifest.summary), state.id(),
            intent.number,
        )
        for key, log in logs.items()
        if (name := _name(manifest.summary, log.sink, names)) is not None
    }  # fmt: skip


def _ranges(manifest: Manifest, before: dict[int, int]) -> Ranges:
    starts = manifest.starts if manifest.starts is not None else {}
    ranges = (OffsetRange(partition, starts.get(partition, before.get(partition, 0)), end)
              for partition, end in manifest.ends.items())  # fmt: skip
    return united(ranges)


def _name(summary: Summary, sink: Sink, sinks: set[str]) -> str | None:
    """What a summary calls a sink, which may have been elsewhere then; None if the import didn't
    have it. `sinks` are those that it has today."""
    before = (name for name in summary.sinks
              if name.startswith(f"{scheme_of(sink)}:") and name not in sinks)  # fmt: skip
    return str(sink) if str(sink) in summary.sinks else next(before, None)


def _archives(summary: Summary) -> tuple[str, ...]:
    return tuple(name for name in summary.sinks if name.startswith(RAW))
