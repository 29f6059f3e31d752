"""Files: what a file system does for us, whichever it is."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import IO, Final, NamedTuple, TypeVar

from schemas.errors import ElBeamError
from transforms.io.retry import retrying
from transforms.io.world import CLOCK, Clock

Result = TypeVar("Result")
IS_GLOB: Final = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\[([*?\[,])\]")
_SLASHES = re.compile(r"(?<!:)//+")
_TOKEN = re.compile(r"(?P<any>\*\*)|(?P<name>\*)|(?P<one>\?)|\[(?P<of>!?+\]?+[^\]]*+)\]|.", re.S)


class FileAway(ElBeamError, OSError):
    """A file system that doesn't answer now; the message is for people."""

    transient = True


class FileInfo(NamedTuple):
    """A file, as listings show it."""

    path: str
    size: int  # bytes
    updated: float  # unix seconds, by the clock of the file system


class Access(NamedTuple):
    """Who may use a new file or folder. Bits are those of a file; a folder can be entered by those
    who may read it."""

    most: int  # of the bits that it would have, these
    exact: bool = False  # just these, whatever it would have
    group: int | None = None  # id of its group, of files on this machine
    lenient: bool = False  # where we can't give it to that group, it is as it would be

    def bits(self, usual: int, *, folder: bool) -> int:
        """The bits of one that would have the `usual` ones."""
        most = (self.most | (self.most & 0o444) >> 2) if folder else self.most & 0o666
        return most if self.exact else usual & most


class FoundAccess(NamedTuple):
    """Who may use a file or folder that is there."""

    bits: int
    group: int | None


class Files(ABC):
    """A file system. Callers may repeat every method after an error, whether it had worked or not.

    Methods raise OSError: FileAway where the same call may work later. What a client library
    raises besides is in `faults`, and `ask` makes OSErrors of it."""

    faults: tuple[type[Exception], ...] = ()
    clock: Clock = CLOCK  # by which `ask` waits
    at_once: int = 8  # so many calls together take it hardly longer than one
    has_folders: bool = True  # that must be there before something is in them

    def is_transient(self, error: Exception) -> bool:
        """Whether the same call may work later, after one of `faults`."""
        return False

    @abstractmethod
    def info(self, path: str) -> FileInfo | None:
        """A file, or a folder; None where nothing is there."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return self.info(path) is not None

    def access(self, path: str) -> FoundAccess | None:
        """Who may use a file or folder; None where nothing is, or where there is no such thing."""
        return None

    @abstractmethod
    def make_folder(self, path: str, access: Access | None = None) -> None:
        """A folder and those above it, unless they are there; new ones have this access. They last
        when this returns."""

    @abstractmethod
    def write(self, path: str, content: bytes, access: Access | None = None) -> None:
        """A file with this content, whatever was there. The content lasts when this returns, the
        name of a new file once its folder is synced. Until then a reader may see a part of it."""

    @abstractmethod
    def open_file(self, path: str) -> IO[bytes]:
        """A seekable stream of a file's bytes."""

    @abstractmethod
    def move(self, source: str, target: str) -> bool:
        """Rename; False where something is at `target` already, which stays. It lasts when this
        returns."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """A file, or a folder with all that is in it; nothing where nothing is there."""

    @abstractmethod
    def remove_empty(self, folder: str) -> None:
        """A folder that nothing is in; one with something in it stays."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The names of what is in a folder, sorted; none where there is no folder."""

    @abstractmethod
    def walk(self, folder: str) -> Iterable[FileInfo]:
        """All files in a folder and in those in it; none where there is no folder."""

    def find(self, pattern: str) -> list[FileInfo]:
        """The files that match: `*` stays within a folder, `**` doesn't. A path that is there as it
        is written is found so, be it a folder; one that ends in `/` means the files in that folder.

        Raises OSError where a part of the pattern is the name of something found, and matches other
        names found, too: either may be meant."""
        parts = _SLASHES.sub("/", f"{pattern}*" if pattern.endswith("/") else pattern).split("/")
        folder, at = "", 0  # what is only a name, as far as that goes
        while at < len(parts) and (name := self._name(folder, parts[at])) is not None:
            folder, at = f"{folder}{name}/", at + 1
        if at == len(parts):
            found = self.info(folder[:-1])
            return [found] if found else []
        rest = "/".join(parts[at:])
        matches = glob(rest)
        found_as: dict[tuple[str, ...], list[FileInfo]] = {}  # by the names that are as written
        for each in self._reached(folder, parts[at:]):
            if match := matches(each.path.removeprefix(folder)):
                found_as.setdefault(match.groups(default=""), []).append(each)
        if len(found_as) > 1:
            one, other, *_ = (files[0].path for _, files in sorted(found_as.items(), reverse=True))
            raise OSError(
                f"it is the name of {one} and a pattern that {other} matches: for the one write "
                f"{escaped(one)}, for all another pattern"
            )
        return [each for files in found_as.values() for each in files]

    def _name(self, folder: str, part: str) -> str | None:
        """The name that a part of a pattern is, in a folder; None if it may match several."""
        if not IS_GLOB.search(part):
            return part
        plain = _ESCAPED.sub(r"\1", part)
        there = next((each for each in (part, plain) if self.exists(f"{folder}{each}")), None)
        if there is None:
            return None if IS_GLOB.search(_ESCAPED.sub("", part)) else plain
        try:
            matches = glob(part)
        except OSError:
            return there
        names = self.names(folder.rstrip("/") or folder or ".")
        return None if any(matches(name) for name in names if name != there) else there

    def _reached(self, folder: str, parts: list[str]) -> Iterable[FileInfo]:
        """All files to which the parts of a pattern lead from a folder (it ends in a slash, or is
        empty), and maybe others."""
        return self.walk(folder.rstrip("/") or folder[:1])

    def sync(self, folder: str) -> None:
        """Make the names in this folder last, where the file system doesn't do so itself."""
        return


def escaped(path: str) -> str:
    """The pattern that only this path matches."""
    return IS_GLOB.sub(r"[\g<0>]", path)


def glob(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """A function that matches paths: a group for each part of the pattern that has a glob, of what
    has its very name. Raises OSError for an invalid pattern."""
    try:
        regex = "/".join(map(_part, pattern.split("/")))
        return re.compile(regex, re.DOTALL).fullmatch
    except re.error as error:
        raise OSError(f"{pattern} is not a valid pattern of paths: {error}") from error


def _part(part: str) -> str:
    name = re.escape(part)
    if not IS_GLOB.search(part):
        return name
    plain = re.escape(_ESCAPED.sub(r"\1", part))
    return f"(?:({name}|{plain})|{_TOKEN.sub(_regex, part)})"


def _regex(token: re.Match[str]) -> str:
    if token["of"] is None:
        known = {"any": ".*", "name": "[^/]*", "one": "[^/]"}
        return known[token.lastgroup] if token.lastgroup else re.escape(token[0])
    chosen = token["of"].replace("\\", r"\\").replace("^", r"\^")
    return f"[^{chosen[1:]}]" if chosen[0] == "!" else f"[{chosen}]"


def ask(files: Files, path: str, call: Callable[[Files], Result]) -> Result:
    """Call a file system; again, for ten minutes, while it is away.

    Raises FileAway then, and OSError at once for what lasts; both name the path."""

    def once() -> Result:
        try:
            return call(files)
        except files.faults as error:
            message = f"{path}: {_first_line(error)}"
            if files.is_transient(error):
                raise FileAway(message) from error
            raise OSError(message) from error
        except OSError as error:
            if error.errno and error.filename is None:  # of what was written, a system says none
                error.filename = path
            raise

    return retrying(once, FileAway, clock=files.clock)


def _first_line(error: BaseException) -> str:
    """What an error says, on one line. Beam's have several in them, by path."""
    details = getattr(error, "exception_details", None)
    if isinstance(details, dict) and details:
        return "; ".join(str(each) for each in details.values())
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
