"""How a folder of files is laid out, and what its files are called.

    ROOT/Edit_17/year=2019/month=03/day=10/hour=07/<split>[-part].parquet
         year=2019/…                      of a sink whose files hold the lines of all schemas
         …/_SUCCESS, …/_REOPENED          marks of an hour
         _ledger/, _temporary/, _replaced/

A name says what its lines were read as, and then what has become of them since, in this order:
`-r` and twelve digits (EventErrors went from it), `-c` and twelve (a compaction made it), `-kept`
and eight (a purge left some fields). What begins with `_` or `.` is not data: Hive, Spark and we
ourselves pass it over.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from schemas.event import Destination
from schemas.times import in_calendar

LEDGER: Final = "_ledger"  # folders beside the tables: of what was written
TEMPORARY: Final = "_temporary"  # of files that nobody is to see yet
REPLACED: Final = "_replaced"  # of files that others took the place of
COMPLETE, REOPENED = "_SUCCESS", "_REOPENED"  # files in the folder of an hour
RESERVED: Final = frozenset({LEDGER, TEMPORARY, REPLACED, COMPLETE, REOPENED})

PARQUET: Final = ".parquet"
JSON_LINES: Final = ".jsonl.gz"
ARCHIVE: Final = ".raw.parquet"  # lines as they are
ALL: Final = Destination("*", 0)  # of files that hold the lines of all schemas

_PARTS: Final = {0: ("year", ""), 4: ("month", "-"), 7: ("day", "-"), 10: ("hour", "T")}
_HOUR = re.compile(r"(?:^|/)year=([^/]*)/month=([^/]*)/day=([^/]*)/hour=([^/]*)(?:/|$)")
_HOUR_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d", re.ASCII)
_SCHEMA = re.compile(r"(.+)_(\d{1,18})", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(
    r"(?P<stem>.*?)(?:-r(?P<replayed>[0-9a-f]{12}))?(?:-c(?P<compacted>[0-9a-f]{12}))?"
    r"(?:-kept(?P<kept>[0-9a-f]{8}))?(?P<ending>(?:\.raw)?\.parquet|\.jsonl\.gz)",
    re.DOTALL,
)
_PART = re.compile(  # only what is a split for sure: of others a number may be the name's own
    r"(?P<split>.*-[0-9a-f]{10}-\d{12}|.*-\d{8}-\d{3}-[0-9a-f]{10}|.*stdin-\d+\.\d{6})"
    r"-(?P<part>[1-9]\d{0,8})",
    re.DOTALL,
)


def is_hidden(name: str) -> bool:
    """Whether readers skip a file or folder of this name."""
    return name[:1] in ("_", ".")


@lru_cache(maxsize=4096)
def hour_name(hour: int) -> str:
    """An hour since 1970 as people write it: 2019-03-10T07."""
    return datetime.fromtimestamp(in_calendar(hour * 3600), UTC).isoformat()[:13]


def hour_folder(hour: str) -> str:
    """The folder of an hour, 2019-03-10T07, as Hive names partitions."""
    return f"year={hour[:4]}/month={hour[5:7]}/day={hour[8:10]}/hour={hour[11:]}"


def hour_in(path: str) -> str:
    """The hour of a path with an hour's folder in it, as 2019-03-10T07; '' of others."""
    found = _HOUR.search(path)
    return "{}-{}-{}T{}".format(*found.groups()) if found else ""


def check_hour(hour: str) -> None:
    """Raises ValueError where it is not an hour, as 2019-03-10T07: files are named after hours."""
    if not _HOUR_NAME.fullmatch(hour):
        raise ValueError(f"{hour!r} is not an hour")


def check_below(path: str) -> None:
    """Raises ValueError where a path that is to be below a root leads out of it, as one that people
    have put into the books may: what is at such paths is moved and removed."""
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError(f"{path!r} leads out of its folder")


def deeper(hour: str, folder: str) -> str | None:
    """The beginning of an hour's name, one folder further down: 2019-03 and day=10 is 2019-03-10.

    None where no such folder belongs there."""
    part, before = _PARTS.get(len(hour), ("", ""))
    key, _, number = folder.partition("=")
    return f"{hour}{before}{number:0>2}" if key == part and number.isdecimal() else None


def is_hour(hour: str) -> bool:
    """Whether a name that `deeper` gives is a whole hour's."""
    return len(hour) == len("2019-03-10T07")


def schema_folder(schema: Destination) -> str:
    """A folder's name for a schema: one level deep and visible, whatever the schema's name."""
    return f"{_visible(quote(schema.schema, safe=''))}_{schema.revision}"


def _visible(name: str) -> str:
    return f"%{ord(name[0]):02X}{name[1:]}" if is_hidden(name) else name


def apart_folder(schema: Destination) -> str:
    """A folder's name for a schema whose plain one differs from another schema's in case only: each
    letter is url-quoted, so that `schema_in` reads it as any other."""
    name = "".join(
        f"%{ord(each):02X}" if each.isascii() and each.isalpha() else quote(each, safe="")
        for each in schema.schema
    )
    return f"{_visible(name)}_{schema.revision}"


def schema_in(folder: str) -> Destination | None:
    """The schema that a folder is named after; None where it is named after none."""
    found = None if is_hidden(folder) else _SCHEMA.fullmatch(unquote(folder))
    return Destination(found[1], int(found[2])) if found else None


class Partition(NamedTuple):
    """The files of a schema's hour; `str()` is its folder below the root."""

    schema: Destination  # or ALL
    hour: str

    @classmethod
    def parse(cls, path: str) -> Partition | None:
        """The partition that a path below the root is in; None where it is in none."""
        first, _, rest = path.partition("/")
        schema = ALL if first.startswith("year=") else schema_in(first)
        hour = hour_in(path)
        below = path if schema == ALL else rest
        if schema is None or not hour or not f"{below}/".startswith(f"{hour_folder(hour)}/"):
            return None
        return cls(schema, hour)

    def __str__(self) -> str:
        hour = hour_folder(self.hour)
        return hour if self.schema == ALL else f"{schema_folder(self.schema)}/{hour}"


class FileName(NamedTuple):
    """The name of a data file; `str()` is the name."""

    split: str  # what its lines were read as; of what was made again, the job's name before it
    part: int = 0  # of a split that is too large for one file
    ending: str = PARQUET
    replayed: str = ""
    compacted: str = ""
    kept: str = ""

    @classmethod
    def parse(cls, path: str) -> FileName | None:
        """The name in a path; None where it is not that of a data file."""
        found = _NAME.fullmatch(path.rpartition("/")[2])
        if found is None:
            return None
        stem, replayed, compacted, kept, ending = found.groups(default="")
        part = _PART.fullmatch(stem)
        split, number = (part["split"], int(part["part"])) if part else (stem, 0)
        return cls(split, number, ending, replayed, compacted, kept)

    def __str__(self) -> str:
        part = f"-{self.part}" if self.part else ""
        marks = (("-r", self.replayed), ("-c", self.compacted), ("-kept", self.kept))
        since = "".join(f"{mark}{digits}" for mark, digits in marks if digits)
        return f"{self.split}{part}{since}{self.ending}"

    def beside(self, path: str) -> str:
        """The path of a file of this name in the folder of another."""
        folder, slash, _ = path.rpartition("/")
        return f"{folder}{slash}{self}"


def file_split(path: str, start: int) -> str:
    """What the split of a file is called that starts at a byte: readable, unique by the path, in
    order within a file."""
    return f"{_of_file(path)}-{start:012d}"


def _of_file(path: str) -> str:
    digest = hashlib.sha256(path.encode()).hexdigest()[:10]
    return f"{safe_name(PurePosixPath(path).name)}-{digest}"


def is_of_file(split: str, path: str) -> bool:
    """Whether a split is one of this file."""
    return split.rpartition("-")[0] == _of_file(path)


def start_of(split: str) -> int:
    """At which byte a file's split starts."""
    return int(split.rpartition("-")[2])


def kafka_split(topic: str, number: int, place: int, digest: str) -> str:
    """What the split of a topic is called, by the number of its increment, its place among that
    one's splits, and ten digits of its offsets' digest: names are in the order of time."""
    return f"{safe_name(topic)}-{number:08d}-{place:03d}-{digest}"


def is_of_topic(split: str, topic: str) -> bool:
    """Whether a split is one of this topic."""
    return split.rsplit("-", 3)[0] == safe_name(topic)


def number_in(name: str, topic: str) -> int | None:
    """The increment that a file is named after, if it is one of the topic."""
    found = re.match(rf"{re.escape(safe_name(topic))}-(\d{{8}})-\d{{3}}-[0-9a-f]{{10}}\b", name)
    return int(found[1]) if found else None


def safe_name(name: str) -> str:
    """A name of a topic or file as the beginning of a file's name, which must be visible."""
    safe = _UNSAFE.sub("_", name)[-80:]
    return f"x{safe}" if is_hidden(safe) else safe
