"""What is looked at, and made, before a job writes into folders."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from el_beam.advice import quoted
from el_beam.books.folder import check_apart, check_kind, is_previous, make_private
from el_beam.books.ledger.entries import runs_of
from el_beam.books.ledger.model import RAW, RUNS, LedgerError, RunNote
from transforms.counts.summary import Summary
from transforms.io.files import filesystem
from transforms.layout import LEDGER, is_of_file
from transforms.line_time import ByRule
from transforms.read.files import FileMark, begins_with
from transforms.write.files import for_people
from transforms.write.sink import Sink


def make_ready(sinks: Collection[Sink], state: str = "") -> None:
    """Make the folders of a state and of raw archives, which are for their group, where they aren't
    there. Raises NestedFolders where a folder is inside another, MixedFolder, SinkError; OSError of
    a state."""
    roots = sorted({sink.root for sink in sinks} - {""})
    archives = {sink.root for sink in sinks if str(sink).startswith(RAW)}
    if state:
        check_apart(state)
    for root in roots:
        with for_people(root):
            check_apart(root)
    for sink in sinks:
        check_files(sink)
    if state:
        make_private(state)
    for root in archives:
        with for_people(root):
            make_private(root)


def check_files(sink: Sink) -> None:
    """Raises MixedFolder where a sink's folder has files of another kind, SinkError."""
    if sink.root and sink.ending:
        with for_people(sink.root):
            check_kind(sink.root, sink.ending)


def check_rotated(sinks: Iterable[Sink], marks: Mapping[str, FileMark]) -> None:
    """Raises LedgerError where a file was read before that had the same path and was another one:
    the files and entries that are made of both would have the same names. Raises OSError,
    UnreadableInput."""
    for sink in sinks:
        for note in runs_of(sink, marks):
            path = marks[note.split].path
            if note.head and not begins_with(path, note.head):
                raise LedgerError(
                    f"{path} is not the file that was read into {sink.root} before: it was "
                    "rotated, or written anew. Nothing was read: give it a name that no other "
                    "log has had, as one with its date, and read it by that"
                )


def time_rules(sinks: Iterable[Sink], splits: Collection[str]) -> ByRule:
    """By which rules the times of bad lines are found: those by which earlier runs have found them,
    so that the same files are made. Raises LedgerError, OSError."""
    found: dict[str, int] = {}
    for sink in sinks:
        known = {note.split: note.time_rule for note in runs_of(sink, splits)}
        begun = sink.root and filesystem.exists(f"{sink.root}/{LEDGER}")
        if begun and is_previous(sink.root):  # whose notes have no rule
            known = dict.fromkeys(splits, 1)
        found = {**found, **known}
    return ByRule(found)


def check_same(
    sinks: Collection[Sink], summaries: Mapping[str, Summary], marks: Mapping[str, FileMark],
    options: tuple[str, ...],
) -> None:  # fmt: skip
    """Raises LedgerError where an earlier run has made a file of a split that this one has made
    otherwise, or not at all, or of a part of the same log that this one has not read by itself:
    its lines would be there twice. `options` are those of this run's format and schemas. Raises
    OSError."""
    others = ", ".join(str(sink) for sink in sinks if not sink.root)
    stays = "It stays as it is, and nothing was added to folders" + (
        f" (what is for {others} is there)" if others else ""
    )
    for sink in sinks:
        notes = [*runs_of(sink, summaries)]
        for note in notes:
            summary = summaries[note.split]
            before, now = _files(note.summary, note.sink), _files(summary, str(sink))
            for path in sorted(before):
                if now.get(path) == before[path]:
                    continue
                how = ("is there with other content" if path in now
                       else "is there, and would not be made any more")  # fmt: skip
                raise LedgerError(
                    f"{sink.root}/{path} {how}: {_since(note, summary, options)}. {stays}: write "
                    "to another place; `el backfill` makes hours again"
                )
        for path, log in _of_other_parts(sink, notes, summaries, marks):
            raise LedgerError(
                f"{sink.root}/{path} is there, and was made of a part of {log} that was not read "
                f"by itself now: the log was longer, or `?split=` was another. {stays}: read the "
                "log as it was read then, or write to another place"
            )


def _of_other_parts(
    sink: Sink, notes: list[RunNote], summaries: Mapping[str, Summary],
    marks: Mapping[str, FileMark],
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """(path below the root, log) of the files that earlier runs have made of splits that there are
    no more, of logs that have splits with other lines than then."""
    same = {each.split for each in notes if _size(each.summary) == _size(summaries[each.split])}
    changed = {marks[split].path for split in summaries.keys() - same if split in marks}
    known = {marks[each.split].path for each in notes if each.split in marks}
    if logs := changed & known:  # only then all notes are looked at
        for name in RUNS.names(sink.root):
            note = RUNS.read(sink.root, name)
            log = next((each for each in logs if is_of_file(note.split, each)), None)
            if log and note.split not in summaries:
                yield from ((path, log) for path in sorted(_files(note.summary, note.sink)))


def _size(summary: Summary) -> tuple[int, int]:
    return summary.read, summary.size


def _files(summary: Summary, sink: str) -> dict[str, str]:
    """The files of a sink: their paths below the root -> SHA-256 of their content."""
    return {file.below_root().path: file.sha256 for each in summary.files.values()
            if each.sink == sink and (file := each.file)}  # fmt: skip


def _since(note: RunNote, summary: Summary, options: tuple[str, ...]) -> str:
    """What is not as it was when a split was read before."""
    before, now, what = note.summary.read, summary.read, "lines"
    if before == now:
        before, now, what = note.summary.size, summary.size, "bytes"
    if before != now:
        return (
            "the input has grown or changed since it was written, or `?split=` has, from "
            f"{before:,} to {now:,} {what} of {note.split}"
        )
    if note.options != options:
        given = [" ".join(map(quoted, each)) or "no options" for each in (note.options, options)]
        return f"it was written with {given[0]}, and not with {given[1]}"
    return (
        "the schemas, --only, or the version of el_beam have changed since it was written, or a "
        "line of the log"
    )
