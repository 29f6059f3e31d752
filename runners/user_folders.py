"""Where el_beam keeps things of a user's: below the folders that the XDG base directories name."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import WrongCall


def cache_folder() -> Path:
    """The folder of what can be fetched and built again. Raises WrongCall without a home."""
    return _below("XDG_CACHE_HOME", ".cache")


def state_folder() -> Path:
    """The folder of what is worth keeping. Raises WrongCall without a home."""
    return _below("XDG_STATE_HOME", ".local/state")


def _below(variable: str, usual: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    if named.is_absolute():  # a relative one is to be ignored, says the specification
        return named / "el_beam"
    try:
        return Path.home() / usual / "el_beam"
    except RuntimeError as error:
        raise WrongCall(f"this user has no home folder: set HOME or {variable}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that is this file; other processes that ask for it wait meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
