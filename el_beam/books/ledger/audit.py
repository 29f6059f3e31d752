"""The inventory of a folder: what of its ledger is there, and what is there besides."""

import re
from collections.abc import Iterable, Iterator

from el_beam.advice import command, typed, typed_uri
from el_beam.books.folder import nested_sentence
from el_beam.books.ledger.accepted import ACCEPTABLE, settle_accepted
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import RAW, HourFilter, Ledger, Trouble
from transforms.io.files import filesystem
from transforms.io.files.base import FileInfo
from transforms.layout import COMPLETE, LEDGER, REOPENED, Partition, hour_folder, hour_in, is_hidden

_NESTED = re.compile(  # what is in a folder of files, or in a state, that has this path
    rf"((?:[^_/][^/]*/)*[^_/][^/]*)/(?:{LEDGER}/|lease/\d{{8}}\.|topics/[^/]+/\d{{8}}\.)", re.DOTALL
)
_MARKS = {REOPENED: "reopened", COMPLETE: "complete"}  # the last one counts


def compare(
    ledger: Ledger, *, content: bool = False, selected: HourFilter = lambda _: True,
    hours: Iterable[str] | None = None,
) -> None:  # fmt: skip
    """Look at what is in the folder, and note what isn't as it should be: files that are lost, not
    of their size, or unknown; folders of sinks and states in it; with `content` also files of other
    bytes. Where `hours` are given only their folders are looked at. Raises OSError."""
    known = ledger.files
    present, nested = {}, set()
    for path, found in _present(ledger.root, hours):
        name = path.rpartition("/")[2]
        if found_nested := _NESTED.match(path):
            nested.add(found_nested[1])
        if name in _MARKS:
            _mark(ledger, path, name)
        elif not any(part.startswith("_") for part in path.split("/")):
            present[path] = found.size
    for inner in sorted(nested):
        ledger.troubles.append(Trouble("nested", inner, "", nested_sentence(ledger.root, inner)))
    for path, file in sorted(known.items()):
        where = f"{path}, {file.rows:,} rows of {file.schema}"
        if path not in present and path in ledger.naming:
            continue
        if path not in present:
            trouble = Trouble("lost", path, file.hour, f"{where}: is not there")
        elif present[path] != file.size:
            sentence = f"{where}: has {present[path]:,} bytes, not {file.size:,}"
            trouble = Trouble("damaged", path, file.hour, sentence)
        elif content and filesystem.digest(f"{ledger.root}/{path}") != file.sha256:
            trouble = Trouble("damaged", path, file.hour, f"{where}: has other content")
        else:
            continue
        ledger.troubles.append(trouble)
    unknown = {path for path in present.keys() - known.keys() if selected(hour_in(path))
               and nested.isdisjoint(_above(path))}  # fmt: skip
    if unknown:  # a writer may have noted it since the ledger was read, which was before we looked
        now = read_ledger(ledger.root, selected=selected)
        unknown -= now.files.keys() | now.naming
    for path in sorted(unknown):
        sentence = f"{path}: no run has written it under this name"
        ledger.troubles.append(Trouble("unknown", path, hour_in(path), sentence))
    settle_accepted(ledger)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _present(root: str, hours: Iterable[str] | None) -> Iterator[tuple[str, FileInfo]]:
    places = [root] if hours is None else [each for hour in hours for each in folders(root, hour)]
    for place in places:
        for found in filesystem.below(place):
            yield found.path.removeprefix(f"{root}/"), found


def folders(root: str, hour: str) -> list[str]:
    """Those that have something of an hour: of each schema, or one for all. Raises OSError."""
    places = [root, *(f"{root}/{name}" for name in filesystem.names(root)
                      if not is_hidden(name) and "=" not in name)]  # fmt: skip
    found = [f"{place}/{hour_folder(hour)}" for place in places]
    return [folder for folder in found if filesystem.exists(folder)]


def _mark(ledger: Ledger, path: str, name: str) -> None:
    if place := Partition.parse(path):
        key = place.hour, str(place.schema)
        if ledger.marks.get(key) != _MARKS[COMPLETE]:
            ledger.marks[key] = _MARKS[name]


def backfill(ledger: Ledger, sinks: Iterable[str], first: str, last: str) -> str:
    """The command that makes hours of sinks again, for a shell; '' if nobody knows a raw archive
    with their lines. Raises OSError."""
    archives = (each.removeprefix(RAW) for each in sorted(ledger.archives))
    archive = next(filter(filesystem.exists, archives), "")  # some may have been moved
    uris = [typed_uri(*each.split(":", 1)) for each in sinks]
    if not archive or not uris:
        return ""
    more = (each.removeprefix("--") for each in ledger.options)
    options = dict(zip(more, more, strict=True))
    return command("backfill", "apply", typed(archive), *uris, from_=first, to=last, **options)


def repairs(ledger: Ledger) -> list[str]:
    """The commands that repair what is wrong, for a shell."""
    by_kind: dict[str, list[str]] = {}
    for each in ledger.troubles:
        by_kind.setdefault(each.kind, []).append(each.hour)
    commands = []
    if hours := sorted(by_kind.get("lost", []) + by_kind.get("damaged", [])):
        sinks = sorted(each for each in ledger.sinks if not each.startswith(RAW))
        if again := backfill(ledger, sinks, hours[0], hours[-1]):
            commands.append(again)
    lasting = [each for each in ledger.troubles if each.kind in ACCEPTABLE - {"unknown"}]
    if lasting and not commands:
        commands.append(command("ledger", typed(ledger.root), accept=lasting[0].what,
                                why="WHY IT STAYS SO"))  # fmt: skip
    if ("unknown" in by_kind or "unfinished" in by_kind) and "away" not in by_kind:
        commands.append(f"{command('ledger', typed(ledger.root))} --put-away")
    return commands
