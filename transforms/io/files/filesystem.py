"""Files wherever they are: local paths, hdfs://[USER@]HOST:PORT/PATH, gs://BUCKET/PATH.

An hdfs:// path names the port of WebHDFS, 9870 if none. Transient errors, such as a DataNode that
is away, are retried; a call that is repeated does no harm when it had worked the first time.

A caller that wants other files than those of the machine mounts them (docs/decisions/007).
"""

import hashlib
import os
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, reduce
from operator import and_
from pathlib import Path
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from transforms.io.files.base import Access, FileAway, FileInfo, Files, FoundAccess, ask
from transforms.io.files.local import LocalFiles

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_HDFS = re.compile("hdfs://[^/]*")
_TOP = re.compile(rf"(?:{_SCHEME.pattern}[^/]*)?")
PRIVATE: Final = 0o640
_PRIVATE = re.compile(r"_temporary|_replaced|EventError_\d+")  # folders: see transforms/layout.py
_PRIVATE_PART = re.compile(rf"/(?:{_PRIVATE.pattern})(?=/|$)")
_LEFT = re.compile(r"_.+\.[0-9a-f]{32}", re.DOTALL)  # names of files that are not whole yet
LONGEST_CREATE: Final = 3600.0  # seconds: longer than any lease, and than calls are tried again
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


def real(path: str) -> str:
    """A path by which a folder is the same whatever links lead to it, where we can know that."""
    if is_local(path):
        return os.path.realpath(path)
    if place := _HDFS.match(path):  # its servers take a path so, too; a key of gs:// is as it is
        path = place[0].lower() + posixpath.normpath(f"/{path[place.end() :].lstrip('/')}")
    return path.rstrip("/")


def folders_above(path: str) -> Iterator[str]:
    """The folders that a whole path is in, from the next one on; not the root of its files."""
    top = _TOP.match(path)
    while top and len(path := path.rpartition("/")[0]) > top.end():
        yield path


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


info = _asking(Files.info)
exists = _asking(Files.exists)
open_file = _asking(Files.open_file)
move = _asking(Files.move)
remove = _asking(Files.remove)
remove_empty = _asking(Files.remove_empty)
names = _asking(Files.names)
find = _asking(Files.find)
sync = _asking(Files.sync)


class Modes(NamedTuple):
    """The bits of new files that people ask for; None: as it is usual. Folders can be entered by
    those who may read them."""

    events: int | None = None
    private: int | None = None  # of what has whole lines, and of states


_ASKED: Final = [Modes()]  # what this process was asked for last


@contextmanager
def making(modes: Modes) -> Iterator[None]:
    """While the block runs, new files and folders have these bits: for all threads of this
    process. Sinks take it with them to other processes."""
    _ASKED.append(modes)
    try:
        yield
    finally:
        _ASKED.remove(modes)


def asked_modes() -> Modes:
    return _ASKED[-1]


def make_folder(path: str, *, private: bool = False) -> None:
    """A folder and those above it, unless they are there. They last when this returns. Who may
    use new ones, docs/access.md says; a `private` one is for its group alone."""
    part = _PRIVATE_PART.search(path)
    if private or part:  # those above it are for all who may see them
        above = path[: part.start()] if part else path.rpartition("/")[0]
        if above and not exists(above):
            make_folder(above)
    access = _access(path, asked_modes(), private=private)
    ask(files_of(path), path, lambda files: files.make_folder(path, *_given(access)))


def write(
    path: str, content: bytes, name: str = "", modes: Modes | None = None, like: Iterable[str] = ()
) -> None:
    """A file with this content, whatever was there: see Files.write. Those may use
    it who may if it has another name later, as files do that have a temporary one; or, unless
    people ask for something else, those who may use all the files that it is to be `like`."""
    access = _access(name or path, modes or asked_modes(), like=like)
    ask(files_of(path), path, lambda files: files.write(path, content, *_given(access)))


def _access_of(path: str) -> Callable[[Files], FoundAccess | None]:
    return lambda files: files.access(path)


def _given(access: Access | None) -> tuple[Access, ...]:
    return (access,) if access else ()


def _access(
    path: str, modes: Modes, *, private: bool = False, like: Iterable[str] = ()
) -> Access | None:
    """Who may use what is made at a path. None: as umask or HDFS have it."""
    files, above, found = files_of(path), "", None
    top = _TOP.match(path)
    # From above: where nothing is there, nobody asks for what would be in it.
    for folder in (*filter(None, [top and top[0]]), *reversed([*folders_above(path)])):
        if (its := ask(files, folder, _access_of(folder))) is None:
            break
        above, found = folder, its
    closed = found is not None and not found.bits & 0o007
    new = path[len(above) :].strip("/").split("/")
    named = private or any(map(_PRIVATE.fullmatch, new))
    bits = modes.private if named or closed else modes.events
    group = found.group if found else None
    if bits is not None:
        return Access(bits, True, group)
    if others := [each for one in like if (each := ask(files_of(one), one, _access_of(one)))]:
        groups = {each.group for each in others}
        most = reduce(and_, (each.bits for each in others))
        return Access(most, True, groups.pop() if len(groups) == 1 else group)
    if named:
        return Access(PRIVATE & (found.bits if found and closed else 0o777), False, group)
    return Access(found.bits & 0o666, False, group, True) if found and closed else None


def open_to_others(folder: str) -> bool | None:
    """Whether those who are not of its group can enter a folder; None where we see none."""
    path = real(folder)
    found = ask(files_of(path), path, _access_of(path))
    if found is None or not found.bits & 0o005:
        return found and False
    above = (ask(files_of(each), each, _access_of(each)) for each in folders_above(path))
    return all(each is None or each.bits & 0o001 for each in above)


def at_once(root: str, call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What a call that works on files below `root` gives for each item, in their order; some of
    them together: most of it is waiting for answers."""
    together = files_of(root).at_once
    if together == 1:
        return [call(each) for each in items]
    with ThreadPoolExecutor(together) as threads:
        return list(threads.map(call, items))


def folders_there(root: str, folders: Iterable[str]) -> set[str]:
    """Those of the folders below `root` that are there, or may be: where many aren't, this asks
    far less than `exists` would."""
    wanted, above = {*folders}, {root}
    if not files_of(root).has_folders:
        return wanted
    for folder in wanted:
        while (folder := folder.rpartition("/")[0]) not in above:
            above.add(folder)
    there, looked = wanted & {root}, [root]
    while looked:
        listed = zip(looked, at_once(root, names, looked), strict=True)
        found = {f"{folder}/{name}" for folder, its in listed for name in its}
        there |= found & wanted
        looked = sorted(found & above)
    return there


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


def sweep(folders: Iterable[str]) -> None:
    """Remove what `create` and moves have left in folders, killed so long ago that nobody goes on
    with it, by the file system's own clock. Who calls this holds the lease of the folders."""
    for folder in folders:
        left = [f"{folder}/{name}" for name in names(folder) if _LEFT.fullmatch(name)]
        if not left:
            continue
        probe = f"{folder}/_probe.{uuid.uuid4().hex}"
        write(probe, b"")
        now = info(probe)
        remove(probe)
        for path in left:
            found = info(path)
            if found and now and found.updated < now.updated - LONGEST_CREATE:
                remove(path)


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
