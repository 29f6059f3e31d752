"""Sources and sinks as URIs: `scheme:rest?parameter=value`, as people write them.

`${NAME}` stands for an environment variable, so that a secret needs not be written down, `${$}` for
a `$` and `${?}` for a `?`; passwords are shown as `***`. What is unknown is an error that lists
what there is.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from schemas.errors import WrongCall, need_extra
from schemas.storage.columns import is_utf8
from transforms.io.kafka.cluster import SECRETS as _OF_KAFKA

SECRETS = (*_OF_KAFKA, "password")
"""Parameters that stay as they are written, `${NAME}` and all: who connects fills them in."""

_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+]*):(?P<rest>.*)", re.DOTALL)
_QUERY = re.compile(r"\?(?=[a-z_.]+=)(?P<query>.*)$", re.DOTALL)  # a `?` of a glob is no parameter
_VARIABLE = re.compile(r"\$\{(?P<name>[^}]*)\}")
_THEMSELVES = ("$", "?")  # else `$` may begin a variable, and `?` parameters
_PASSWORD = re.compile(
    r"(?P<user>//[^/:@]*:)(?!\$\{\w+\}@|\d+(?:[/?,]|$))[^?]*(?=@)"
)  # digits: a port
# Whatever it may be: a `?` in it, or digits and a slash. Here a port never comes before an `@`.
_OF_MYSQL = re.compile(r"(?P<user>^mysql:/{0,2}[^/:@]*:)(?!\$\{\w+\}@).*(?=@)", re.DOTALL)
_SECRET_NAMES = "|".join(map(re.escape, SECRETS))
_SECRET = re.compile(rf"(?P<name>{_SECRET_NAMES})=(?!\$\{{\w+\}}(?:&|$))[^&]*")
_SIZE = re.compile(r"(?P<number>\d+)(?P<unit>[KMG]i?B?)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
FILE_SYSTEMS = ("hdfs", "gs")  # beside local paths
_AUTHORITY = {
    "hdfs": re.compile(r"(?:[\w.-]+@)?(?:[\w.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?/.+"),
    "gs": re.compile(r"[a-z0-9][\w.-]+/.+"),
}
_EXAMPLES = {"hdfs": "hdfs://HOST:PORT/PATH, the port of WebHDFS", "gs": "gs://BUCKET/PATH"}


class UriError(WrongCall, ValueError):
    """A URI that can't be used; the message says why, and what could be."""


@dataclass(frozen=True, repr=False)
class Uri:
    """A URI taken apart. `str` and `repr` of it show no password."""

    scheme: str
    rest: str  # what follows the scheme, variables filled in, without the parameters
    parameters: Mapping[str, str]  # filled in too, but for secrets
    shown: str
    written: str = ""  # the rest as it was, without the parameters: it may name a secret

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Uri({self.shown!r})"


def parse_uri(text: str, parameters: Mapping[str, frozenset[str]], what: str) -> Uri:
    """Take a URI apart. `parameters` are the known schemes and the names that each knows.

    Raises UriError for an unknown scheme or parameter, or a variable that isn't set."""
    known = " ".join(f"{scheme}:" for scheme in sorted(parameters))
    match = _SCHEME.fullmatch(text)
    if not match:
        raise UriError(f"{what} {masked(text)!r} has no scheme: write one of {known}")
    if match["scheme"] not in parameters:
        raise UriError(f"unknown {what} {match['scheme']}: there are {known}")
    query = _QUERY.search(match["rest"])
    rest = match["rest"][: query.start()] if query else match["rest"]
    given = _parameters(query["query"]) if query else {}
    allowed = parameters[match["scheme"]]
    if unknown := sorted(set(given) - allowed):
        there_are = f"there are {', '.join(sorted(allowed))}" if allowed else "it takes none"
        raise UriError(f"{match['scheme']}: has no parameter {', '.join(unknown)}; {there_are}")
    values = {name: value if name in SECRETS else filled(value) for name, value in given.items()}
    return Uri(match["scheme"], filled(rest), values, masked(text), rest)


def _parameters(query: str) -> dict[str, str]:
    """Undo percent signs; a plus stays a plus, as in regular expressions."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def filled(text: str) -> str:
    """Replace each `${NAME}` by its value. Raises UriError for a variable that isn't set."""

    def value(match: re.Match[str]) -> str:
        if match["name"] in _THEMSELVES:
            return match["name"]
        found = os.environ.get(match["name"])
        if found is None:
            raise UriError(f"the environment variable {match['name']} is not set")
        return found

    return _VARIABLE.sub(value, text)


def masked(text: str) -> str:
    """Replace the passwords in a URI by `***`; variables stay as they are written."""
    text = _OF_MYSQL.sub(r"\g<user>***", text)
    return _SECRET.sub(r"\g<name>=***", _PASSWORD.sub(r"\g<user>***", text))


def size(text: str) -> int:
    """Parse a number of bytes: `64MiB`, `64M` or `1000`. Raises UriError."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise UriError(f"{text!r} is not a valid size: write 64MiB or a number of bytes")
    return int(match["number"]) * _UNITS[(match["unit"] or "")[:1].lower()]


def path_of(uri: Uri) -> str:
    """The path of a URI of files. Raises UriError, ExtraMissing."""
    path = uri.rest.removeprefix("//") if uri.rest.startswith("///") else uri.rest
    if not path:
        raise UriError(f"{uri} has no path: write {uri.scheme}:PATH")
    try:
        return checked_path(path)
    except UriError as error:
        raise UriError(f"{uri}: {error}") from error


def given_path(text: str) -> str:
    """The path that an argument of a command gives, variables filled in. Raises UriError,
    ExtraMissing."""
    return checked_path(filled(text))


def at_home(path: str) -> str:
    """A local path, in which `~/` and `~NAME/` begin a home, as in a shell: it doesn't see them
    within a URI. Raises UriError."""
    user, slash, rest = path.partition("/")
    if user[:1] != "~" or not (slash or user == "~"):  # a file may be called ~x
        return path
    try:
        return f"{Path(user).expanduser()}{slash}{rest}"
    except RuntimeError as error:
        what = f"{path}: nobody knows the home {user}; for a folder of this name write ./{path}"
        raise UriError(what) from error


def checked_path(path: str) -> str:
    """A path on a file system that there is. Raises UriError, ExtraMissing."""
    scheme, is_remote, rest = path.partition("://")
    if not is_utf8(path):
        raise UriError(f"{path} is not a name in UTF-8, in which paths are noted")
    if not is_remote:
        return at_home(path)
    if scheme == "mysql":
        raise UriError("these are tables, not files: see `el mysql`")
    if scheme not in FILE_SYSTEMS:
        known = ", ".join(f"{each}://" for each in FILE_SYSTEMS)
        raise UriError(f"no file system {scheme}://; there are local paths, {known}")
    if not _AUTHORITY[scheme].fullmatch(rest):
        raise UriError(f"{path} is not a path there: write {_EXAMPLES[scheme]}")
    if scheme == "gs":
        need_extra("gcp", "google.cloud.storage", "gs://")
    return path.rstrip("/")
