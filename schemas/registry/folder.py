"""A folder of schema documents, read whole: `Name/revision.json` (or .yaml, .yml).

An event names its schema, and the name is untrusted: it is only looked up among the files that the
walk of the folder found, and never made a path. Links out of the folder are not followed, and no
file in it can stop the reading.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from schemas.capsule import BadIdentity, check_scid
from schemas.event import Destination
from schemas.registry.base import (
    Destinations,
    InvalidSchema,
    Json,
    Problems,
    Registry,
    RegistryError,
    UnknownSchema,
)
from schemas.registry.documents import LARGEST_SCHEMA, parse_file
from schemas.validation.documents import problem_with
from schemas.validation.validator import reservations

Key = tuple[str, int]

_SUFFIXES: Final = (".json", ".yaml", ".yml")
_REVISION_FILE: Final = re.compile(r"([0-9]{1,18})\.(json|ya?ml)")


class SchemaFolder:
    """The contents of a folder: `documents` and `broken` files, by name and revision; `problems` of
    files that are neither; `digest`, 64 hex digits over names and canonical content.

    Raises RegistryError if the folder is missing or has no document."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.documents: dict[Key, Any] = {}
        self.broken: dict[Key, str] = {}
        self.problems: list[str] = []
        hashed = sha256()
        for key, path in self._files():
            hashed.update(f"{key[0]}\0{key[1]}\0".encode("utf-8", "surrogateescape"))
            hashed.update(self._read(key, path).encode("utf-8", "surrogateescape"))
        if not self.documents:
            why = next(iter([*self.broken.values(), *self.problems]), "want Name/revision.json")
            raise RegistryError(f"{root}: no schemas in this folder ({why})")
        self.digest = hashed.hexdigest()

    def _read(self, key: Key, path: Path) -> str:
        """Reads one file; returns the text that counts for the digest."""
        try:
            document = parse_file(_contents(path), path.suffix)
            content = json.dumps(document, sort_keys=True, allow_nan=False)
        except (OSError, ValueError, RecursionError) as error:
            self.broken[key] = f"{path.name}: {one_line(error)}"
            return self.broken[key]
        self.documents[key] = document
        return content

    def _files(self) -> Iterator[tuple[Key, Path]]:
        """Yields each file that is named like a revision, in order; hidden files are skipped."""
        if not self.root.is_dir():
            raise RegistryError(f"{self.root}: there is no such folder of schemas")
        real, seen = self.root.resolve(), set()
        for folder, folders, names in os.walk(self.root, onerror=self._unreadable):
            folders[:] = sorted(name for name in folders if self._is_open(Path(folder, name)))
            for name in sorted(names):
                path, match = Path(folder, name), _REVISION_FILE.fullmatch(name)
                where = path.relative_to(self.root)
                if not match or len(where.parts) < 2:
                    if path.suffix in _SUFFIXES and not name.startswith("."):
                        self.problems.append(f"{where}: not named Name/revision{path.suffix}")
                    continue
                key = (where.parent.as_posix(), int(match[1]))
                if problem := _problem_with_name(*key):
                    self.problems.append(f"{where}: {problem}")
                elif not path.resolve().is_relative_to(real):
                    self.problems.append(f"{where}: a link that leads out of the folder")
                elif key in seen:
                    self.problems.append(f"{where}: there is another file of this revision")
                else:
                    seen.add(key)
                    yield key, path

    def _is_open(self, folder: Path) -> bool:
        """Whether a folder is walked: hidden ones, such as .git, are not."""
        if not folder.name.startswith("."):
            return True
        with suppress(OSError):
            if any(_REVISION_FILE.fullmatch(each.name) for each in folder.iterdir()):
                where = folder.relative_to(self.root)
                self.problems.append(f"{where}: the schemas in a hidden folder are not read")
        return False

    def _unreadable(self, error: OSError) -> None:
        if error.filename == str(self.root):
            raise RegistryError(f"{self.root}: {error.strerror}") from error
        self.problems.append(f"{error.filename}: {error.strerror}")


class DirectoryRegistry(Registry):
    """The files `root/Name/revision.json` (or .yaml, .yml); a name may have slashes, as folders do.

    Each process reads the folder once, at the first call; a broken file hides no other."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._checked: dict[Key, str | None] = {}

    def __reduce__(self) -> tuple[type[DirectoryRegistry], tuple[str]]:
        return type(self), (str(self.root),)

    def __repr__(self) -> str:
        return f"DirectoryRegistry({str(self.root)!r})"

    def get(self, schema: str, revision: int) -> Json:
        key, folder = (schema, revision), self._folder
        if key not in folder.documents and key not in folder.broken:
            raise UnknownSchema(f"there is no schema {schema!r:.100} revision {revision!r:.30}")
        if key not in self._checked:
            self._checked[key] = folder.broken.get(key) or problem_with(folder.documents[key])
        if problem := self._checked[key]:
            raise InvalidSchema(f"schema {schema} revision {revision}: {problem}")
        document: Json = folder.documents[key]
        return document

    def list(self) -> Destinations:
        return sorted(Destination(*key) for key in self._folder.documents)

    def problems(self) -> Problems:
        folder, found = self._folder, []
        for key in sorted({*folder.documents, *folder.broken}):
            try:
                self.get(*key)
            except InvalidSchema as error:
                found.append(str(error))
        return found + folder.problems

    def limits(self) -> Problems:
        found = []
        for schema, revision in self.list():
            with suppress(InvalidSchema):
                limits = reservations(self.get(schema, revision))
                found += [f"schema {schema} revision {revision}: {each}" for each in limits]
        return found

    def digest(self) -> str:
        return self._folder.digest

    @cached_property
    def _folder(self) -> SchemaFolder:
        return SchemaFolder(self.root)


def _problem_with_name(schema: str, revision: int) -> str:
    try:
        check_scid(schema, revision)
    except BadIdentity as error:
        return f"no event can name this schema: {error}"
    return ""


def _contents(path: Path) -> bytes:
    """Reads a regular file of sane size. Raises OSError or ValueError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST_SCHEMA + 1)
    if len(data) > LARGEST_SCHEMA:
        raise ValueError(f"larger than {LARGEST_SCHEMA} bytes")
    return data


def one_line(error: BaseException) -> str:
    """Returns an exception's text, in one line of at most 300 characters."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(f"{text or type(error).__name__}".split())[:300]
