"""What is looked at, and made, before a job writes into folders."""

from collections.abc import Collection, Iterable, Mapping

from el_beam.books.folder import check_apart, check_kind, make_private
from el_beam.books.ledger.entries import run_name
from el_beam.books.ledger.model import RAW, RUNS, LedgerError
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
        known: dict[str, list[str]] = {}
        for name in RUNS.names(sink.root) if sink.root and marks else ():
            known.setdefault(name.partition("-")[0], []).append(name)
        for split, mark in marks.items():
            for name in known.get(run_name(str(sink), split), ()):
                head = RUNS.read(sink.root, name).head
                if head and not begins_with(mark.path, head):
                    raise LedgerError(
                        f"{mark.path} is not the file that was read into {sink.root} before: it "
                        "was rotated, or written anew. Nothing was read: give it a name that no "
                        "other log has had, as one with its date, and read it by that"
                    )
