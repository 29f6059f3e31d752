"""How far the processes of this machine are, for a person who watches. Never for the books."""

import errno
import json
import os
import threading
import uuid
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_EVERY = 4096  # outcomes
_EVERY_FILES = 16


class Progress(NamedTuple):
    """How far a job is."""

    outcomes: int = 0
    bad: int = 0  # outcomes
    written: int = 0  # files, by temporary names
    named: int = 0  # files
    to_name: int = 0  # files, those that are named among them


class ProgressFile:
    """A process's own file in the progress folder, if there is one."""

    def __init__(self, folder: str | None, to_name: int = 0) -> None:
        self._path = Path(folder) / uuid.uuid4().hex if folder else None
        self._done = self._bad = self._written = self._named = 0
        self._to_name = to_name

    def one(self, *, bad: bool) -> None:
        """Count an outcome; from time to time take note."""
        self._done += 1
        self._bad += bad
        if self._done % _EVERY == 0:
            self.note()

    def wrote(self) -> None:
        """Count a file; from time to time take note."""
        self._written += 1
        if self._written % _EVERY_FILES == 0:
            self.note()

    def named(self) -> None:
        """Count a file that has its name; from time to time take note."""
        self._named += 1
        if self._named % _EVERY_FILES == 0 or self._named == self._to_name:
            self.note()

    def note(self) -> None:
        """Take note of what was counted."""
        if self._path and self._path.parent.is_dir():
            new = self._path.with_suffix(f".{threading.get_ident()}")
            now = Progress(self._done, self._bad, self._written, self._named, self._to_name)
            with suppress(OSError):  # it is only shown: a full disk stops no job
                new.write_text(json.dumps(now))
                new.replace(self._path)


def progress_file(folder: str | None, attempt: str) -> ProgressFile:
    """This process's file for an attempt of a job."""
    return _progress_file(folder, (attempt, os.getpid()))


@lru_cache(maxsize=8)
def _progress_file(folder: str | None, _: object) -> ProgressFile:
    return ProgressFile(folder)


def begin(folder: str) -> None:
    """Forget the numbers of an earlier job. A cleaner of temporary files may have taken the folder,
    and the one above it, from a process that runs for weeks: they are made again.

    Raises PermissionError where another user has made them meanwhile."""
    above = Path(folder).parent
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    if above.stat().st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "another user has made this folder", str(above))
    Path(folder).mkdir(exist_ok=True)
    for path in Path(folder).iterdir():
        path.unlink(missing_ok=True)


def progress(folder: str) -> Progress:
    """What the processes have noted so far."""
    noted = [Progress()]
    with suppress(FileNotFoundError):  # a cleaner of temporary files was here
        noted += [Progress(*json.loads(path.read_text()))
                  for path in Path(folder).iterdir() if not path.suffix]  # fmt: skip
    return Progress(*map(sum, zip(*noted, strict=True)))
