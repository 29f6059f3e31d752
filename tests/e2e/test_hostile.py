"""All that strangers may send, through the whole graph: nothing breaks, is lost or leaks."""

import gzip
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.bad_event import Reason

SEED = 20190310
UNKNOWN = 10_000
NAMES = [
    "../../x", "a;DROP TABLE x", "x'--", '"x"', "..", "/etc/x", "\x1b[31mred", "a\nb", "\u202ex",
    "%2e", "EventError", "sqlite_master", "con", "x" * 900, "\x00", "S_1", "é",
]  # fmt: skip
TEXTS = [
    "'; DROP TABLE Hostile_1; --",
    "\x1b[2J\x07\x00",
    "\u202e😀\ufffe",
    "\\",
    "x" * 60_000,
    "=1+1",
]
TIMES = ["0000-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00", "2019-13-01T00:00:00"]
DOCUMENT = {
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "list": {"type": "array"},
        "id; DROP TABLE x": {"type": "string"},
    }
}

pytestmark = pytest.mark.usefixtures("ran")


def capsule(event: object, schema: object = "Hostile", revision: object = 1) -> dict[str, Any]:
    return {"schema": schema, "revision": revision, "wiki": "w", "event": event}


def hostile_lines(beacon: Callable[..., bytes]) -> Iterator[bytes]:
    chance = random.Random(SEED)
    yield from (
        chance.randbytes(chance.randrange(300)).translate(None, b"\r\n") for _ in range(500)
    )
    yield from (beacon(capsule({}, f"Unknown{n}"), seq=n) for n in range(UNKNOWN))
    yield b"x" * (50 * 2**20)
    yield beacon(capsule({"text": "x" * (2 * 2**20)}))
    for n in range(60):  # as long as a line may be, many of them
        yield beacon(json.dumps(capsule({"text": f"{n}" * 450_000}), separators=(",", ":")), seq=n)
    yield beacon([1])
    yield beacon("[" * 100_000)
    yield beacon('{"a":' * 5_000)
    yield beacon(capsule({"list": json.loads("[" * 200 + "]" * 200)}))
    yield beacon(capsule({}), agent="y" * 1_000_000)
    yield beacon(capsule({}), agent="y" * 2**20)
    for n, name in enumerate(NAMES):
        yield beacon(capsule({}, name), seq=20_000 + n)
        yield beacon(capsule({name: 1}), seq=21_000 + n)
        yield beacon(capsule({}), seq=22_000 + n, agent=name.replace("\n", " "))
    for n, text in enumerate(TEXTS):
        yield beacon(capsule({"text": text, "id; DROP TABLE x": text}), seq=23_000 + n)
        yield beacon(capsule({"list": [text, {text: text}]}), seq=24_000 + n)
    for n, time in enumerate(TIMES):
        yield beacon(capsule({}), seq=25_000 + n, dt=time)
    for n, number in enumerate(
        ["1" * 5_000, "1e400", "NaN", "-0", "9" * 19, "1e308", "0.1" + "0" * 400]
    ):
        event = f'{{"number":{number}}}'
        yield beacon(
            f'{{"schema":"Hostile","revision":1,"wiki":"w","event":{event}}}', seq=26_000 + n
        )
    yield beacon('{"a":1,"a":{"b":2,"b":3},"schema":"Hostile","schema":"Hostile","revision":1}')
    yield beacon('{"schema":"Hostile","revision":1,"event":{"text":"%ED%A0%80%FF"}}')
    yield beacon(capsule({}), seq="9" * 4_000)
    yield b"\x00" * 1_000
    yield b"?%00;\tcp1\t1\t2019-03-10T07:00:00\tx\ty"
    yield beacon(
        capsule({}) | {"uuid": "../x", "topic": "a/../b", "recvFrom": "x'", "ip": []}, seq=77
    )
    yield beacon({"meta": {"schema_uri": "../../etc/passwd/1"}})
    whole = beacon(capsule({"text": "a b"}), seq=99)
    for at in range(0, len(whole), 2):
        changed = whole[:at] + bytes([chance.randrange(14, 256)]) + whole[at + 1 :]
        yield changed.replace(b"\t99\t", f"\t{30_000 + at}\t".encode())


class Home:
    """The folder after the run: what is in each sink."""

    def __init__(self, folder: Path, lines: int) -> None:
        self.folder, self.lines = folder, lines

    def query(self, sql: str) -> list[Any]:
        with sqlite3.connect(self.folder / "e.db") as connection:
            return connection.execute(sql).fetchall()

    def state(self) -> dict[str, tuple[int, int]]:
        """Of each file its size and time of change."""
        found = [
            path for path in self.folder.rglob("*") if path.is_file() and ".db" not in path.name
        ]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


CALL = ["file:hostile.log", "parquet:p", "jsonl:j", "sqlite:e.db", "raw:r", "--schemas", "schemas"]


@pytest.fixture(scope="module")
def files(home: Path, beacon: Callable[..., bytes]) -> Home:
    (home / "schemas" / "Hostile").mkdir(parents=True)
    (home / "schemas" / "Hostile" / "1.json").write_text(json.dumps(DOCUMENT))
    with (home / "hostile.log").open("wb") as file:
        for line in hostile_lines(beacon):
            file.write(line + b"\n")
    return Home(home, len((home / "hostile.log").read_bytes().splitlines()))


@pytest.fixture(scope="module")
def ran(el: Callable[..., Any], files: Home) -> Any:
    assert files.lines > UNKNOWN
    return el("run", *CALL)


def test_it_ends_well_in_bounded_memory(ran: Any) -> None:
    assert ran.code == 0, ran.err
    assert ran.peak < 2**30


def test_what_is_shown_is_harmless(ran: Any) -> None:
    assert ran.out == ""
    assert all(line.isprintable() for line in ran.told)
    assert "x'--" not in ran.err and "Unknown1" not in ran.err


def test_nothing_is_written_elsewhere(home: Path, files: Home) -> None:
    assert {path.name for path in home.iterdir()} - {"e.db-wal", "e.db-shm"} == {
        "hostile.log", "schemas", "p", "j", "r", "e.db",
    }  # fmt: skip
    assert {path.name for path in home.parent.iterdir()} == {"home", "tmp", "out", "err"}
    assert not list((home.parent / "tmp").iterdir())
    known = {"Hostile_1", "EventError_14035058", "_ledger"}
    assert {path.name for top in "pj" for path in (home / top).iterdir()} == known
    assert len({name for name, in files.query("SELECT name FROM sqlite_master WHERE type='table'")}
               - {"sqlite_sequence"}) == 2  # fmt: skip


def test_every_line_is_in_every_sink(home: Path, files: Home) -> None:
    def of(pattern: str) -> list[Path]:
        return list(home.glob(pattern))

    in_json = sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in of("j/**/*.gz"))
    in_parquet = sum(pq.ParquetFile(path).metadata.num_rows for path in of("p/**/*.parquet"))
    in_archive = sum(pq.ParquetFile(path).metadata.num_rows for path in of("r/**/*.parquet"))
    assert (in_json, in_parquet, in_archive) == (files.lines,) * 3
    (valid,), (bad,) = (
        files.query(f"SELECT COUNT(*) FROM {table}")[0]
        for table in ("Hostile_1", "EventError_14035058")
    )
    uuids = set()
    for path in of("j/Hostile_1/**/*.gz"):
        uuids |= {
            json.loads(line)["uuid"] for line in gzip.decompress(path.read_bytes()).splitlines()
        }
    assert valid == len(uuids) > 60
    in_errors = of("j/EventError_14035058/**/*.gz")
    assert bad == sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in in_errors)
    assert bad > UNKNOWN


def test_every_bad_line_says_why(files: Home) -> None:
    columns = "event_reason, event_message, event_stage, event_code, event_origin"
    rows = files.query(f"SELECT {columns} FROM EventError_14035058")
    codes = {reason.value: reason.code.value for reason in Reason}
    for reason, message, stage, code, origin in rows:
        assert codes[reason] == code
        assert stage in ("parse", "validate")
        assert message and message.isprintable()
        assert "/hostile.log@" in origin
    assert len({row[4] for row in rows}) == len(rows)
    assert {row[0] for row in rows} >= {
        "line_too_long", "format_mismatch", "bad_encoding", "bad_json", "too_deep",
        "bad_schema_name", "unstorable_value", "bad_field", "bad_timestamp", "bad_user_agent",
        "unknown_schema", "no_schema", "schema_violation", "not_an_object",
    }  # fmt: skip


def test_the_archive_has_the_lines_byte_for_byte(home: Path) -> None:
    data = (home / "hostile.log").read_bytes()
    for path in home.glob("r/**/*.parquet"):
        table = pq.ParquetFile(path).read(columns=["line", "offset"]).to_pydict()
        for line, offset in zip(table["line"], table["offset"], strict=True):
            assert data[offset : offset + len(line)] == line


def test_a_run_again_changes_nothing(el: Callable[..., Any], files: Home) -> None:
    before, rows = files.state(), files.query("SELECT * FROM EventError_14035058 ORDER BY id")
    again = el("run", *CALL, "--json")
    assert (again.code, again.told) == (0, [])
    books = json.loads(again.out)
    assert books["totals"]["read"] == files.lines
    assert books["totals"]["valid"] + books["totals"]["bad"] == files.lines
    assert books["balanced"]
    (table,) = [sink for sink in books["sinks"] if sink["sink"].startswith("sqlite:")]
    assert (table["repeated"], table["written"]) == (files.lines, 0)
    assert files.state() == before
    assert files.query("SELECT * FROM EventError_14035058 ORDER BY id") == rows
