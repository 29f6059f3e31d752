"""A whole `el run` over what nobody would write on purpose: drawn schemas with odd names, lines of
all kinds in odd formats, files with odd names. All sinks must hold the same, and account for each
line; it never takes long, and never ends in a traceback.

    [*problems(Drawn(seed, lines, folder))]
"""

import gzip
import json
import random
import resource
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import sqlalchemy as sa
from oracle import HERE, Line, corpus, storable
from read_back import canonical, overlaid, read_back

from schemas.bad_event import EVENT_ERROR
from schemas.event import LONGEST_EVENT, LONGEST_LINE, Destination
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from schemas.storage.columns import RESCUED, nested_columns
from schemas.storage.sql import table
from schemas.storage.sql_rows import row
from transforms.layout import Partition

ROOT = Path(__file__).parents[2]
FORMATS = (
    DEFAULT_FORMAT, "json", "%q %{recvFrom}s %{seqId}d %t %o %{userAgent}i",
    "%{seqId}d EventLogging %j", "%D %q %{x}s", "%q %{recvFrom}s %{seqId}d %D %u",
)  # fmt: skip
SCHEMA_NAMES = (
    "Edit", "edit", "EDIT", "a/b", "a.b", "a-b", "_hidden", ".dots", "0", "sqlite_master", "x" * 63,
    "con", "event", "year=2019",
)  # fmt: skip
KEYS = (
    "a", "A", "a.b", "a_b", "a b", "é", "", "event", "uuid", "id", "dt", "x" * 90, "select", "\x00",
    "'; DROP", "\n", "😀", "0", "__proto__", "_rescued_data", "a\\.b", "timestamp", "%41",
)  # fmt: skip
TEXTS = (
    "", "x", "é", "😀" * 400, "\x00", "a" * 2_000, "'; DROP TABLE x", "\u2028", "NaN", "2019-03-10",
    "\x1b[31m", "=1+1", "null", "{", "5", "192.0.2.7",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 0.1, 1e300, -1e-300, 5.0, 2**64, 1e308)
LOGS = (
    "beacon.log", "a b.log", "é.log", "%41.log", "_x.log", "it's.log", "x" * 200 + ".log", "-x.log",
    "#no.log", "a:b.log", "a.LOG.gz", "[x]*?.log", ".log",
)  # fmt: skip
STRINGS: tuple[Any, ...] = (
    {}, {"maxLength": 5}, {"format": "date-time"}, {"pattern": r"^(\w+\s?)*$"}, {"default": "x"},
)  # fmt: skip
PIECES = (b"[", b"[1,", b'"a",', b"%22a%22%2C", b"9", b"a ", b'{"a":', b"\xc3\xa9")
SECONDS_A_LINE, SECONDS_A_BYTE = 0.002, 1e-6  # at most, of the processor, beyond the start's
MOST_SECONDS, MOST_MEMORY = 30.0, 1_200 * 2**20  # of a round without lines; bytes


class Drawn:
    """One round: schemas in a folder, and a log of lines."""

    def __init__(self, seed: int, count: int, folder: Path) -> None:
        self.rnd, self.folder = random.Random(seed), folder
        self.oracle: list[Line] = []  # the lines, of some rounds
        self.schemas, self.documents = folder / "schemas", dict[Destination, Any]()
        self.format = self.rnd.choice(FORMATS)
        if seed % 4 == 3:
            self.format, self.schemas = DEFAULT_FORMAT, HERE / "schemas"
            some = self.rnd.sample(_corpus(), count)
            self.oracle = [line for line in some if line.raw]  # "\r", it and "\n" are one end
            self.lines = [line.raw for line in self.oracle]
        else:
            self._draw_schemas()
            self.lines = [self._line() for _ in range(count)]
            if self.rnd.random() < 0.3:
                self.lines += [self._long_line() for _ in range(3)]
        self.content, self.starts = b"", list[int]()
        for line in self.lines:
            self.starts.append(len(self.content))
            self.content += line + self.rnd.choice((b"\n", b"\n", b"\r\n", b"\r"))
        if self.rnd.random() < 0.5:
            self.content = self.content.rstrip(b"\r\n")
        name = self.rnd.choice(LOGS)
        self.log = folder / name
        self.log.write_bytes(gzip.compress(self.content, 1) if name.endswith(".gz")
                             else self.content)  # fmt: skip

    def _draw_schemas(self) -> None:
        catalog = sorted((ROOT / "schemas/catalog").glob("[!E]*/*.json"))  # no EventErrors
        for path in self.rnd.sample(catalog, 3):
            self._put(Destination(path.parent.name, int(path.stem)), json.loads(path.read_text()))
        for name in self.rnd.sample(SCHEMA_NAMES, 5):
            revision = self.rnd.choice((1, 2, 17541122))
            self._put(Destination(name, revision), self._object(0))

    def _put(self, destination: Destination, document: Any) -> None:
        path = self.schemas / destination.schema / f"{destination.revision}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        self.documents[destination] = document

    def _object(self, depth: int) -> Any:
        keys = self.rnd.sample(KEYS, self.rnd.randint(0, 6))
        made: Any = {"type": "object", "properties": {key: self._schema(depth + 1) for key in keys}}
        if self.rnd.random() < 0.2:
            made["additionalProperties"] = self.rnd.choice((True, False))
        return made

    def _schema(self, depth: int) -> Any:
        kind = self.rnd.choice(("string", "integer", "number", "boolean", "any", "array", "object",
                                "union", "none", "enum"))  # fmt: skip
        if depth > 4 and kind in ("array", "object", "union"):
            kind = "any"
        made: Any = {"type": kind}
        match kind:
            case "object":
                made = self._object(depth)
            case "array":
                made["items"] = self._schema(depth + 1)
                made["uniqueItems"] = self.rnd.random() < 0.2
            case "union":
                made["type"] = [self.rnd.choice(("string", "null", "integer")), self._schema(5)]
            case "none":
                made = {}
            case "enum":
                made = {"enum": ["a", 5, None, True, [1]]}
            case "string":
                made |= self.rnd.choice(STRINGS)
        return made | ({"required": True} if self.rnd.random() < 0.1 else {})

    def _fitting(self, schema: Any) -> Any:
        """A value that a schema may well take."""
        if not isinstance(schema, dict):
            return self._any()
        if "enum" in schema:
            return self.rnd.choice(schema["enum"])
        kind = schema.get("type", "any")
        if isinstance(kind, list):
            first = self.rnd.choice(kind)
            return self._fitting(first if isinstance(first, dict) else {"type": first})
        match kind:
            case "object":
                return {key: self._fitting(one) for key, one in schema.get("properties", {}).items()
                        if one.get("required") is True or self.rnd.random() < 0.8}  # fmt: skip
            case "array":
                return [
                    self._fitting(schema.get("items", {})) for _ in range(self.rnd.randint(0, 3))
                ]
            case "string":
                return self.rnd.choice(TEXTS)
            case "integer":
                return self.rnd.choice([each for each in NUMBERS if isinstance(each, int)])
            case "number":
                return self.rnd.choice(NUMBERS)
            case "boolean":
                return self.rnd.random() < 0.5
            case "null":
                return None
        return self._any()

    def _any(self, depth: int = 0) -> Any:
        if depth < 3 and self.rnd.random() < 0.3:
            some = [self._any(depth + 1) for _ in range(self.rnd.randint(0, 3))]
            if self.rnd.random() < 0.5:
                return some
            return {self.rnd.choice(KEYS): each for each in some}
        return self.rnd.choice((*TEXTS, *NUMBERS, None, True, float("nan"), "\ud800"))

    def _capsule(self) -> dict[str, Any]:
        destination = self.rnd.choice([*self.documents])
        data = {"schema": destination.schema, "revision": destination.revision, "wiki": "enwiki",
                "event": self._fitting(self.documents[destination])}  # fmt: skip
        if self.format in ("json", "%{seqId}d EventLogging %j"):
            data |= {"recvFrom": "cp1", "seqId": self.rnd.randrange(10**6), "dt": self._time()}
        if self.rnd.random() < 0.2:
            key = self.rnd.choice(
                (*data, "dt", "timestamp", "ip", "userAgent", "topic", "x", "meta")
            )
            data[key] = self._any()
        return data

    def _time(self) -> str:
        day, hour, second = self.rnd.randint(10, 11), self.rnd.randrange(24), self.rnd.randrange(9)
        return f"2019-03-{day}T{hour:02}:00:0{second}"

    def _line(self) -> bytes:
        if self.rnd.random() < 0.05:
            return self.rnd.choice((b"", b"?", b"{}", b"null", b"\xff\xfe", b"\x00", b"not a line"))
        text = json.dumps(self._capsule(), ensure_ascii=self.rnd.random() < 0.5)
        shown = text.encode("utf-8", "surrogatepass")
        if self.format != "json":
            parts = {"%q": b"?" + quote(shown, safe="").encode() + b";",
                     "%j": shown.replace(b" ", b""),
                     "%D": self._time().encode(), "%t": self._time().encode(), "%o": b"-",
                     "%u": b"Mozilla/5.0 (X11; Linux) Firefox/60.0",
                     "%{recvFrom}s": b"cp%d" % self.rnd.randrange(9),
                     "%{seqId}d": b"%d" % self.rnd.choice((self.rnd.randrange(10**9), 2**70, 7)),
                     "%{ip}i": b"192.0.2.7", "%{userAgent}i": b"curl/7", "%{x}s": b"x"}  # fmt: skip
            shown = b"\t".join(parts.get(each, each.encode()) for each in self.format.split(" "))
        if self.rnd.random() < 0.1:
            start = self.rnd.randrange(len(shown) + 1)
            cut = start + self.rnd.randrange(20)
            shown = shown[:start] + self.rnd.randbytes(self.rnd.randrange(3)) + shown[cut:]
        return shown.replace(b"\n", b" ").replace(b"\r", b" ")

    def _long_line(self) -> bytes:
        """Of about a megabyte, or a little more than a line may have."""
        most = self.rnd.choice((200_000, LONGEST_LINE - 10, LONGEST_LINE + 10))
        piece = self.rnd.choice(PIECES)
        line = self._line() + piece * (most // len(piece))
        return line[:most]


def problems(drawn: Drawn) -> Iterator[str]:
    """What is wrong with a run over what was drawn."""
    out = drawn.folder / "out"
    call = [sys.executable, "-m", "el_beam.cli", "run", f"file:{drawn.log}", f"sqlite:{out}/e.db",
            f"parquet:{out}/p", f"jsonl:{out}/j", f"raw:{out}/r", "--schemas", str(drawn.schemas),
            "--format", drawn.format, "--json"]  # fmt: skip
    out.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        call, cwd=ROOT, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = done.stderr.decode()
    if done.returncode or "Traceback" in told:
        yield f"exit code {done.returncode}: {told[-3000:]}"
        return
    if not told.replace("\n", "").isprintable():
        yield f"it tells what can't be printed: {told!r:.1000}"
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    most = SECONDS_A_LINE * len(drawn.lines) + SECONDS_A_BYTE * len(drawn.content) + MOST_SECONDS
    if seconds > most:
        yield f"{seconds:.1f} s of CPU for {len(drawn.lines)} lines, {len(drawn.content)} bytes"
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child's begins with that
    if after.ru_maxrss > max(ours, before.ru_maxrss, MOST_MEMORY // 1024):
        yield f"{after.ru_maxrss / 1024:,.0f} MiB of memory"
    yield from _differences(drawn, out, json.loads(done.stdout)["totals"])


def _differences(drawn: Drawn, out: Path, totals: Any) -> Iterator[str]:
    lines = drawn.content.splitlines()
    if totals["read"] != len(lines) or totals["valid"] + totals["bad"] != len(lines):
        yield f"{len(lines)} lines, but {totals}"
    archived = {row["offset"]: row["line"] for row in _rows(out / "r")}
    if [archived[each] for each in sorted(archived)] != [
        each[: LONGEST_EVENT + 1] for each in lines
    ]:
        yield "the archive has other lines than the log"
    events: dict[Destination, list[Any]] = {}
    for path in _files(out / "j"):
        rows = gzip.decompress(path.read_bytes()).splitlines()
        events.setdefault(_schema(path), []).extend(map(json.loads, rows))
    bad = len(events.get(EVENT_ERROR, []))
    if bad != totals["bad"] or sum(map(len, events.values())) != len(lines):
        yield f"jsonl has {bad} EventErrors of {totals['bad']}"
    yield from _verdicts(drawn, events.get(EVENT_ERROR, []))
    registry = open_registry(str(drawn.schemas))
    yield from _parquet(out / "p", events, registry)
    yield from _sqlite(out / "e.db", events, registry)


def _verdicts(drawn: Drawn, errors: list[Any]) -> Iterator[str]:
    """What the original would have said otherwise, but where we differ on purpose: see
    tests/golden/test_oracle.py."""
    if not drawn.oracle:
        return
    bad = {int(error["event"]["origin"].rpartition("@")[2]) for error in errors}
    for place, line in zip(drawn.starts, drawn.oracle, strict=False):
        kept = line.kind == "bad_seqid" or not storable(line.capsule)
        lost = line.sets_line_fields or (line.invalid and line.invalid.get("lost"))
        if (place in bad) != bool(line.invalid) and not (kept if place in bad else lost):
            yield f"line {line.number} of the corpus is {'bad' if place in bad else 'valid'}"


@cache
def _corpus() -> list[Line]:
    return corpus()


def _files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()
            and not str(path.relative_to(root)).startswith("_ledger")]  # fmt: skip


def _schema(path: Path) -> Destination:
    below = str(path)[str(path).index("/out/") + len("/out/x/") :]
    place = Partition.parse(below)
    assert place, path
    return place.schema


def _rows(root: Path) -> list[dict[str, Any]]:
    tables = (pq.ParquetFile(path).read() for path in _files(root))
    return [row for each in tables for row in each.to_pylist()]


def _parquet(root: Path, events: dict[Destination, list[Any]], registry: Any) -> Iterator[str]:
    found: dict[Destination, list[Any]] = {}
    for path in _files(root):
        rows = pq.ParquetFile(path).read().to_pylist()
        columns = nested_columns(registry.get(*_schema(path)))
        found.setdefault(_schema(path), []).extend(
            canonical(overlaid(read_back(columns, row), row[RESCUED])) for row in rows
        )
    for schema in events.keys() | found.keys():
        wanted = [canonical(event) for event in events.get(schema, [])]
        mine, theirs = (sorted(map(repr, each)) for each in (found.get(schema, []), wanted))
        if mine != theirs:
            differing = next(
                (each for each in zip(mine, theirs, strict=False) if each[0] != each[1]),
                (len(mine), len(theirs)),
            )
            yield f"parquet and jsonl differ in {schema}: {differing}"[:2000]


def _sqlite(path: Path, events: dict[Destination, list[Any]], registry: Any) -> Iterator[str]:
    """What is in tables is what one table for each schema has of the same events."""
    with sqlite3.connect(path) as base:
        base.row_factory = sqlite3.Row
        names = [
            name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        tables = [[dict(row) for row in base.execute(f'SELECT * FROM "{name}"')] for name in names
                  if not name.startswith("sqlite_")]  # fmt: skip
    for schema, its in events.items():
        first = {event["uuid"]: event for event in reversed(its)}
        # Events of two schemas may have one uuid: its table is the one that has them all.
        rows = min(tables, key=lambda rows: len({row["uuid"] for row in rows} ^ first.keys()))
        found = {row.pop("uuid"): {key: its for key, its in row.items() if key != "id"}
                 for row in map(dict, rows)}  # fmt: skip
        if found.keys() != first.keys():
            yield f"sqlite has {len(found)} of {len(first)} uuids of {schema}"
            continue
        wanted = _stored(registry.get(*schema), schema, [*first.values()])
        repeated = Counter(event["uuid"] for event in its)
        differing = [uuid for uuid in found if found[uuid] != wanted[uuid] and repeated[uuid] == 1]
        if differing:
            uuid = differing[0]
            yield f"sqlite differs in {schema}: {found[uuid]} {wanted[uuid]}"[:2000]


def _stored(document: Any, schema: Destination, events: list[Any]) -> dict[str, dict[str, Any]]:
    engine = sa.create_engine("sqlite://")
    made, convert = table(document, schema), row(document)
    with engine.begin() as connection:
        made.create(connection)
        connection.execute(made.insert(), [convert(event) for event in events])
        rows = connection.exec_driver_sql(f'SELECT * FROM "{made.name}"').mappings()
        return {each["uuid"]: {key: its for key, its in each.items() if key not in ("id", "uuid")}
                for each in map(dict, rows)}  # fmt: skip
