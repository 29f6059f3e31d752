"""How far the workers of this machine are, for a person who watches. Never for the books."""

import errno
import json
import os
import uuid
from contextlib import suppress
from pathlib import Path

_EVERY = 4096  # outcomes


class ProgressFile:
    """A worker's own file in the progress folder: outcomes so far."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / uuid.uuid4().hex
        self._done = self._bad = 0

    def one(self, *, bad: bool) -> None:
        """Count an outcome; from time to time tell."""
        self._done += 1
        self._bad += bad
        if self._done % _EVERY == 0 and self._path.parent.is_dir():
            new = self._path.with_suffix(".new")
            with suppress(OSError):  # it is only shown: a full disk stops no job
                new.write_text(json.dumps([self._done, self._bad]))
                new.replace(self._path)


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


def progress(folder: str) -> tuple[int, int]:
    """(outcomes, bad ones among them) that the workers have noted so far."""
    done = bad = 0
    with suppress(FileNotFoundError):  # a cleaner of temporary files was here
        for path in Path(folder).iterdir():
            if not path.suffix:
                its_done, its_bad = json.loads(path.read_text())
                done, bad = done + its_done, bad + its_bad
    return done, bad
