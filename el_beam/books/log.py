"""A log: numbered entries in a folder, each of them made at once and never changed.

    FOLDER/00000042.commit.json     entry 42
           00000500.commits.jsonl   all entries up to 500, from where the file before it ends

Of two writers that want the same number one gets to know it: so writers who know the last entry
know all. Old entries go into one file: a NameNode suffers from small ones. What dies meanwhile
leaves entries that are there twice, and no reader minds.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from schemas.durable import DocumentFormat
from transforms.io.files import filesystem

KEPT: Final = 500  # entries that have a file of their own; older ones share one
_ONE, _MANY = ".commit.json", ".commits.jsonl"
_NAME = re.compile(rf"(\d+)({re.escape(_ONE)}|{re.escape(_MANY)})")
_TRIES = 30  # while others fold


class Numbered(Protocol):
    """What a log has."""

    @property
    def number(self) -> int: ...
    @property
    def committed(self) -> float:
        """Unix seconds."""


Entry = TypeVar("Entry", bound=Numbered)


class Log(Generic[Entry]):
    """The log in a folder, as it was when its names were read. Methods raise OSError, and
    DocumentError where an entry is damaged."""

    def __init__(
        self, folder: str, format_: DocumentFormat[Entry], kept: int = KEPT, *,
        previous: bool = False,
    ) -> None:  # fmt: skip
        """With `previous` entries are written as the release before reads them."""
        self.folder, self._format, self._kept = folder, format_, kept
        self._dump = partial(format_.dump, previous=previous)
        self.look()

    def look(self) -> None:
        """See what others have done since."""
        self._last: Entry | None = None
        found: dict[str, list[int]] = {_ONE: [], _MANY: []}
        for name in filesystem.names(self.folder):
            if match := _NAME.fullmatch(name):  # what else lies there is none of ours
                found[match[2]].append(int(match[1]))
        self._single, self._folded = sorted(found[_ONE]), sorted(found[_MANY])

    @property
    def _alone(self) -> list[int]:
        """The numbers of entries that have no other file than their own."""
        return self._single[bisect_left(self._single, self._folded_to + 1) :]

    @property
    def _folded_to(self) -> int:
        return self._folded[-1] if self._folded else 0

    def last(self) -> Entry | None:
        """The newest entry."""
        for left in reversed(range(_TRIES)):
            try:
                if self._last is None and (files := self._files()):
                    self._last = self._lines(files[-1])[-1]
                return self._last
            except FileNotFoundError:
                if not left:
                    raise
                self.look()
        raise AssertionError

    def entries(self, since: float = 0.0) -> Iterator[Entry]:
        """All entries, in order; at least those that were made since then (unix seconds)."""
        done = 0
        for left in reversed(range(_TRIES)):
            try:
                for entry in self._entries(since):
                    if entry.number > done:
                        yield entry
                        done = entry.number
                return
            except FileNotFoundError:
                if not left:
                    raise
                self.look()

    def _entries(self, since: float) -> Iterator[Entry]:
        files = self._files()
        first = bisect_left(files, since, key=lambda each: self._lines(each)[-1].committed)
        for file in files[first if since else 0 :]:
            yield from self._lines(file)

    def add(self, entry: Entry) -> bool:
        """Make an entry, durable when this returns. False where one of its number is there."""
        filesystem.make_folder(self.folder)
        path = self._path(entry.number, _ONE)
        if not filesystem.create(path, self._dump(entry)):
            return False
        last = entry.number
        if any((match := _NAME.fullmatch(name)) and match[2] == _MANY and int(match[1]) >= last
               for name in filesystem.names(self.folder)):  # fmt: skip
            filesystem.remove(path)  # one of this number shares a file by now: we have slept long
            return False
        self._single.append(entry.number)
        self._last = entry
        self._fold()
        return True

    def add_all(self, entries: Iterable[Entry]) -> bool:
        """Make many old entries, which come after all that are there, in as few files as can be.
        False where somebody else has made one meanwhile: then some of them may be missing."""
        filesystem.make_folder(self.folder)
        if alone := self._alone:
            self._share_file(alone)
        together: list[Entry] = []
        for entry in entries:
            together.append(entry)
            if len(together) == self._kept:
                if not self._share(together):
                    return False
                together = []
        return not together or self._share(together)

    def _share(self, entries: list[Entry]) -> bool:
        number, path = entries[-1].number, self._path(entries[-1].number, _MANY)
        if not filesystem.create(path, b"\n".join(map(self._dump, entries))):
            return False
        known = {*self._single}
        self.look()
        if not known.issuperset(each for each in self._single if each <= number):
            filesystem.remove(path)  # it would hide an entry that was made just now
            self.look()
            return False
        return True

    def _fold(self) -> None:
        alone = self._alone
        if len(alone) < 2 * self._kept:
            return
        self._share_file(alone[: self._kept])

    def _share_file(self, old: list[int]) -> None:
        try:
            lines = b"\n".join(filesystem.read(self._path(each, _ONE)) for each in old)
        except FileNotFoundError:  # another writer has done it
            return
        filesystem.create(self._path(old[-1], _MANY), lines)
        self._folded.append(old[-1])
        for number in [each for each in self._single if each <= old[-1]]:
            filesystem.remove(self._path(number, _ONE))
            self._single.remove(number)

    def _files(self) -> list[str]:
        return [*(self._path(each, _MANY) for each in self._folded),
                *(self._path(each, _ONE) for each in self._alone)]  # fmt: skip

    def _path(self, number: int, ending: str) -> str:
        return f"{self.folder}/{number:08d}{ending}"

    def _lines(self, path: str) -> list[Entry]:
        lines = filesystem.read(path).splitlines() or [b""]  # an empty file is damaged
        return [self._format.load(line, path) for line in lines]
