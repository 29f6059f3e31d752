"""Hours of a folder: which are complete.

    ROOT/Edit_17/…/hour=07/_SUCCESS         all that the source had of this hour is here
                           _REOPENED        that was so, and then more of it came
    ROOT/_ledger/open-2019-03-10T07.json    an hour of which something came since it was complete

A run or change opens the hours that it writes into. An import closes those that its source has
passed: once it has read all that the topics had at a time later than the hour's end.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from el_beam.books.ledger.model import STATE
from schemas.durable import DocumentFormat
from transforms.io.files import filesystem
from transforms.io.files.filesystem import at_once
from transforms.layout import COMPLETE, LEDGER, REOPENED, hour_folder, hour_in, is_hidden
from transforms.write.files import for_people, publish
from transforms.write.sink import NewFile

LATENESS = 300.0  # seconds that a line may need from its edge to the topic
_OPEN = "open-"


@dataclass(frozen=True)
class OpenHour:
    """An hour of which something has come since it was complete."""

    since: float  # unix seconds


OPEN_HOUR = DocumentFormat("open", OpenHour)


def put(files: Iterable[NewFile]) -> list[str]:
    """Give files their names; their hours are open then, where an import is to close them. Returns
    hours that were complete. Doing it again does no harm. Raises SinkError."""
    files, reopened = list(files), list[str]()
    hours = {(file.root, file.hour) for file in files}
    folders = {file.path.rpartition("/")[0] for file in files}
    root = next(iter(hours), ("", ""))[0]
    with for_people(root):
        imported = {root for root, _ in hours if _has_import(root)}
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


def _has_import(root: str) -> bool:
    return any(name.startswith(STATE) for name in filesystem.names(f"{root}/{LEDGER}"))


def _open(place: tuple[str, str]) -> None:
    root, hour = place
    path = _path(root, hour)
    if not filesystem.exists(path):
        filesystem.create(path, OPEN_HOUR.dump(OpenHour(time.time())))


def _reopen(folder: str) -> str:
    """Returns the folder, if it was complete."""
    mark = f"{folder}/{COMPLETE}"
    if not filesystem.exists(mark):
        return ""
    if not filesystem.move(mark, f"{folder}/{REOPENED}"):
        filesystem.remove(mark)
    return folder


def _path(root: str, hour: str) -> str:
    return f"{root}/{LEDGER}/{_OPEN}{hour}.json"


def open_hours(root: str) -> list[str]:
    """Hours of which something has come since they were complete, in order. Raises OSError."""
    return [name.removeprefix(_OPEN).removesuffix(".json")
            for name in filesystem.names(f"{root}/{LEDGER}") if name.startswith(_OPEN)]  # fmt: skip


def opened(root: str, hour: str) -> float:
    """Unix seconds since when an hour is open. Raises OSError."""
    path = _path(root, hour)
    return OPEN_HOUR.load(filesystem.read(path), path).since


def passed(hour: str, source_time: float) -> bool:
    """Whether a source that was read to this time (unix seconds) has all of an hour."""
    start = datetime.strptime(hour, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()
    return start + 3600 + LATENESS <= source_time


def close(root: str, hour: str) -> None:
    """Say in each of an hour's folders that it is complete. Raises OSError."""
    for folder in folders(root, hour):
        filesystem.write(f"{folder}/{COMPLETE}", b"")  # nothing to see a part of, nothing to sweep
    filesystem.remove(_path(root, hour))


def folders(root: str, hour: str) -> list[str]:
    """Those that have something of an hour: of each schema, or one for all. Raises OSError."""
    places = [root, *(f"{root}/{name}" for name in filesystem.names(root)
                      if not is_hidden(name) and "=" not in name)]  # fmt: skip
    found = [f"{place}/{hour_folder(hour)}" for place in places]
    return [folder for folder in found if filesystem.exists(folder)]
