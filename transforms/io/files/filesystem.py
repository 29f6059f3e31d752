"""Files wherever they are: local paths, hdfs://[USER@]HOST:PORT/PATH, gs://BUCKET/PATH.

An hdfs:// path names the port of WebHDFS, 9870 if none. Transient errors, such as a DataNode that
is away, are retried; a call that is repeated does no harm when it had worked the first time.

A caller that wants other files than those of the machine mounts them (docs/decisions/007).
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from transforms.io.files.base import FileAway, FileInfo, Files, ask
from transforms.io.files.local import LocalFiles

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
Result = TypeVar("Result")
Item = TypeVar("Item")
Arguments = ParamSpec("Arguments")
_LOCAL: Final = LocalFiles()
_MOUNTED: Final[dict[str, Files]] = {}  # by the paths' beginning, which ends in a slash


@lru_cache(maxsize=64)
def _remote(place: str) -> Files:
    """A client for hdfs://AUTHORITY, or for SCHEME://. Its library takes a while to import, Beam
    seconds: who only has local files doesn't wait for them."""
    if place.startswith("hdfs://"):
        from transforms.io.files.hdfs import HdfsFiles

        return HdfsFiles(place.removeprefix("hdfs://"))
    from transforms.io.files.beam import BeamFiles

    return BeamFiles(place)


def files_of(path: str) -> Files:
    """The file system that has a path. Raises OSError where nothing can have it."""
    if "\0" in path:
        raise OSError(f"{path!r} is not a valid path")
    mounted = [prefix for prefix in _MOUNTED if f"{path}/".startswith(prefix)]
    if mounted:
        return _MOUNTED[max(mounted, key=len)]
    if scheme := _SCHEME.match(path):
        rest = path[scheme.end() :].partition("/")[0] if scheme[0] == "hdfs://" else ""
        return _remote(f"{scheme[0]}{rest}")
    return _LOCAL


@contextmanager
def mount(prefix: str, files: Files) -> Iterator[None]:
    """While the block runs, `files` has all paths at and below `prefix`, for all threads of this
    process. It gets whole paths. The longest prefix counts; other processes see nothing of it.

    What a file system that is mounted over another does itself, it does by `files_of(prefix)` of
    before: so failing disks, slow ones and disks in memory are made."""
    prefix = f"{prefix.rstrip('/')}/"
    before = _MOUNTED.get(prefix)
    _MOUNTED[prefix] = files
    try:
        yield
    finally:
        if before is None:
            del _MOUNTED[prefix]
        else:
            _MOUNTED[prefix] = before


def absolute(path: str) -> str:
    """A path that means the same wherever this process is."""
    return str(Path(path).absolute()) if is_local(path) else path


def is_local(path: str) -> bool:
    """Whether only this machine has it."""
    return not _SCHEME.match(path)


def _asking(
    method: Callable[Concatenate[Files, str, Arguments], Result],
) -> Callable[Concatenate[str, Arguments], Result]:
    """Makes the function that calls this method of the file system that has the path, by `ask`."""

    def asked(path: str, /, *args: Arguments.args, **named: Arguments.kwargs) -> Result:
        def call(files: Files) -> Result:
            its_own: Callable[..., Result] = getattr(files, method.__name__)
            return its_own(path, *args, **named)

        return ask(files_of(path), path, call)

    asked.__doc__ = method.__doc__
    asked.__name__ = asked.__qualname__ = method.__name__  # by which it is pickled
    return asked


exists = _asking(Files.exists)
make_folder = _asking(Files.make_folder)
write = _asking(Files.write)
open_file = _asking(Files.open_file)
move = _asking(Files.move)
remove = _asking(Files.remove)
remove_empty = _asking(Files.remove_empty)
names = _asking(Files.names)
find = _asking(Files.find)
sync = _asking(Files.sync)


def at_once(root: str, call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What a call that works on files below `root` gives for each item, in their order; some of
    them together: most of it is waiting for answers."""
    together = files_of(root).at_once
    if together == 1:
        return [call(each) for each in items]
    with ThreadPoolExecutor(together) as threads:
        return list(threads.map(call, items))


def create(path: str, content: bytes) -> bool:
    """A file with this content, all at once, and durable when this returns. False where something
    is there already, which stays.

    On gs:// two that do this at the same time may both get the answer that it worked."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/_{name}.{uuid.uuid4().hex}"
    try:
        write(temporary, content)
    except FileAway:
        raise  # who doesn't answer isn't asked again, for as long
    except OSError:  # a full disk keeps a part of it
        with suppress(OSError):
            remove(temporary)
        raise
    if move(temporary, path):
        return True
    remove(temporary)
    return False


def read(path: str) -> bytes:
    """The whole content."""

    def content(files: Files) -> bytes:
        with files.open_file(path) as file:
            return file.read()

    return ask(files_of(path), path, content)


def digest(path: str) -> str:
    """sha256 of the whole content."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # readable


def below(folder: str) -> Iterator[FileInfo]:
    """All files in a folder and in those in it; none where there is no folder."""
    yield from ask(files_of(folder), folder, lambda files: list(files.walk(folder)))
