"""Compaction and retention on HDFS, killed again and again, with lines that come late and readers
beside: they see every event at every moment, and in the end all is as if nothing had happened."""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import mortal
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import places
from thorough import some

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import Ledger, LedgerFile
from el_beam.cli import main
from traffic.job import wait_for
from transforms.io.files import filesystem
from transforms.layout import hour_in

ROOT = Path(__file__).parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]
SEED = int(os.environ.get("EL_SEED", "20261123"))
SCHEMAS = ("Popups", "ReadingDepth", "Echo")
HOURS = 3
_TIME = re.compile(rb"(?<=\t)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\t)")


def lines(first: int, number: int) -> bytes:
    """Some of the sample's lines of these schemas, over some hours."""
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines()
    chosen = [line for line in sample if any(name.encode() in line for name in SCHEMAS)]
    found = []
    for place, line in enumerate(chosen[first : first + number], first):
        dt = datetime(2019, 3, 10, 7) + timedelta(hours=place % HOURS, seconds=place % 3_599)
        found.append(_TIME.sub(dt.isoformat().encode(), line, count=1) + b"\n")
    return b"".join(found)


def el(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([*EL, *map(str, arguments)], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def succeeded(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code and "Traceback" not in err, err
    return out


class Folders:
    """What runs have written: `events` and the archive `raw`, with the lines of `logs`."""

    def __init__(self, root: str, logs: Path) -> None:
        self.events, self.raw, self.logs = f"{root}/events", f"{root}/raw", logs

    def run(self, name: str, content: bytes) -> subprocess.Popen[str]:
        log = self.logs / f"{name}.log"
        log.write_bytes(content)
        return el("run", f"file:{log}?split=200KB", f"parquet:{self.events}", f"raw:{self.raw}",
                  "--only", "|".join(SCHEMAS))  # fmt: skip


@pytest.fixture(scope="module")
def folders(hdfs: str, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Three schemas and EventErrors, in some hours, by three runs; one had lines of another."""
    found = Folders(f"{hdfs}/changes/{uuid.uuid4().hex}", tmp_path_factory.mktemp("logs"))
    logs = {"a": lines(0, 500), "b": lines(500, 300), "again": lines(300, 200)}
    for run in [found.run(name, content) for name, content in logs.items()]:
        succeeded(run)
    return found


def table(content: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(content), partitioning=None)


def content_of(root: str, file: LedgerFile) -> bytes | None:
    """A file's content, from where docs/ledger.md tells readers by the ledger to look; None where
    it is gone for good."""
    for _ in range(20):  # it may be moved while we look
        with suppress(OSError):
            for place in places(root, file):
                with suppress(OSError):
                    return filesystem.read(place)
    return None


def uuids(root: str, ledger: Ledger) -> Counter[str] | None:
    """Those in the files of a ledger's list; None where any is gone."""
    found: Counter[str] = Counter()
    for file in ledger.files.values():
        if "EventError" not in file.schema:
            if (content := content_of(root, file)) is None:
                return None
            found.update(table(content)["uuid"].to_pylist())
    return found


class Reader:
    """Reads all by the ledger, and lists the folder as it is, again and again."""

    def __init__(self, root: str, *, purged: bool = False) -> None:
        self.root, self.purged = root, purged
        ledger = read_ledger(root)
        self.first = ledger
        found = uuids(root, ledger)
        assert found
        self.before = found
        self.listings: list[set[str]] = []
        self.reads = 0
        self.failed: list[BaseException] = []
        self._done = threading.Event()

    @contextmanager
    def reading(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._again, args=[each])
                   for each in (self._read, self._list)]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            yield
            wait_for(self._has_seen_enough, 120)
        finally:
            self._done.set()
            for thread in threads:
                thread.join()
        assert not self.failed, self.failed[0]

    def _has_seen_enough(self) -> bool:
        return bool(self.failed) or (self.reads > 3 and len(self.listings) > 3)

    def _again(self, what: Any) -> None:
        try:
            while not self._done.is_set():
                what()
                time.sleep(0.7)
        except BaseException as error:
            self.failed.append(error)

    def _read(self) -> None:
        found = uuids(self.root, read_ledger(self.root))
        if found is None and self.purged:  # what was listed is gone for good: list it anew
            return
        assert found is not None
        assert found.keys() >= self.before.keys(), "some were not to be seen"
        assert all(found[each] <= self.before[each] for each in self.before), "seen old and new"
        self.reads += 1

    def _list(self) -> None:
        folders = {path.rpartition("/")[0] for path in self.first.files}
        self.listings.append({f"{folder}/{name}" for folder in folders
                              for name in filesystem.names(f"{self.root}/{folder}")})  # fmt: skip

    def check_listings(self) -> None:
        """Nobody has ever seen a file and what it is made of."""
        for entry in read_ledger(self.root).entries:
            made = {file.path for file in entry.files}
            assert not any(each & made and each & entry.removed for each in self.listings)


def killed(call: list[object], root: str, stage: str, rng: random.Random) -> None:
    """Run a command that is killed at a stage of its changes."""
    moment = {"writing": "write .*/_temporary/changes/", "decided": "move .*/_replaced/",
              "done": r"move .*/change-.*\.done\.json"}[stage]  # fmt: skip
    mortal.killed(root, moment, *call, number=rng.randint(1, 3))


def assert_whole(root: str) -> Ledger:
    """Nothing is wrong, and nothing is there that has no reason to be."""
    ledger = read_ledger(root)
    compare(ledger, content=True)
    assert ledger.troubles == []
    known = re.compile(r"_ledger/(folder|(run|change|open)-[^/]*)\.json|_ledger/lease/.*"
                       r"|_replaced/.*|.*/_(SUCCESS|REOPENED)|_ledger/_change-.*")  # fmt: skip
    paths = {each.path.removeprefix(f"{root}/") for each in filesystem.below(root)}
    assert {path for path in paths - ledger.files.keys() if not known.fullmatch(path)} == set()
    return ledger


def test_compaction(folders: Folders) -> None:
    rng = random.Random(f"{SEED} compaction")
    root = folders.events
    reader = Reader(root)
    assert max(reader.before.values()) == 2
    with reader.reading():
        late = folders.run("late", lines(800, 200))
        for stage in some(["writing", "decided", "done"], ["writing", "decided"]):
            killed(["compact", root], root, stage, rng)
        succeeded(late)
        assert main(["compact", root]) == 0
    reader.check_listings()
    assert uuids(root, reader.first) == reader.before, "also by a list of before all changes"

    ledger = assert_whole(root)
    files = [file for file in ledger.files.values() if "EventError" not in file.schema]
    assert len(files) == len({(file.schema, file.hour) for file in files}) == 3 * HOURS
    found = uuids(root, ledger)
    assert found and {*found.values()} == {1} and len(found) > len(reader.before)
    for file in ledger.files.values():
        times = table(filesystem.read(f"{root}/{file.path}"))["dt"].to_pylist()
        assert times == sorted(times)
    assert main(["ledger", root]) == 0


KEPT = {"Popups": ["wiki", "event.action"], "ReadingDepth": ["event"]}


def test_retention(folders: Folders, tmp_path: Path) -> None:
    rng = random.Random(f"{SEED} retention")
    root = folders.events
    keep = tmp_path / "keep.yaml"
    keep.write_text(json.dumps(KEPT))
    files = read_ledger(root, selected=is_old).files.values()
    addresses = {row["ip"] for file in files for row in _rows(root, file) if row["ip"]}
    secrets = rng.sample(sorted(addresses), 20)
    before = Counter({file.schema: 0 for file in files})
    for file in files:
        before[file.schema] += file.rows
    reader = Reader(root, purged=True)
    kept = [file for file in files if file.schema.partition("_")[0] in KEPT]
    reader.before = Counter(row["uuid"] for file in kept for row in _rows(root, file))
    call = ["purge", root, "--older-than", "90d", "--keep", keep, "--yes"]
    with reader.reading():
        for stage in some(["decided", "done"], ["done"]):
            killed([*call], root, stage, rng)
        assert main([*map(str, call)]) == 0
    killed(["purge", folders.raw, "--older-than", "90d", "--yes"], folders.raw, "decided", rng)
    assert main(["purge", folders.raw, "--older-than", "90d", "--yes"]) == 0

    after: Counter[str] = Counter()
    assert_whole(root)
    for file in read_ledger(root, selected=is_old).files.values():
        after[file.schema] += file.rows
        for row in _rows(root, file):
            mine = ("uuid", "dt", *KEPT[file.schema.partition("_")[0]])
            assert all(f"{path}.".startswith(tuple(f"{each}." for each in mine))
                       for path in _left(row))  # fmt: skip
    assert after == {name: rows for name, rows in before.items()
                     if name.partition("_")[0] in KEPT}  # fmt: skip
    for place in (root, folders.raw):
        for each in filesystem.below(place):
            content = filesystem.read(each.path)
            if each.path.endswith(".parquet") and is_old(hour_in(each.path)):
                assert not any(secret in _told(content) for secret in secrets), each.path
            elif not each.path.endswith(".parquet"):
                assert not any(secret.encode() in content for secret in secrets), each.path
    assert not any(map(is_old, (file.hour for file in assert_whole(folders.raw).files.values())))


def is_old(hour: str) -> bool:
    """But for bad lines without a time: those are of the hour at which they were read."""
    return hour < "2020"


def _rows(root: str, file: LedgerFile) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table(filesystem.read(f"{root}/{file.path}")).to_pylist()
    return rows


def _left(row: dict[str, Any], above: str = "") -> Iterator[str]:
    """The paths of all that has a value, also of what was rescued."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _left(value, f"{above}{name}.")
        elif name == "_rescued_data":
            yield from json.loads(value or "{}")
        elif value is not None:
            yield above + name


def _told(content: bytes) -> str:
    """What a file's columns hold, and its footer says of them: their least and greatest values."""
    file = pq.ParquetFile(pa.BufferReader(content))
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    statistics = [group.column(place).statistics for group in groups
                  for place in range(group.num_columns)]  # fmt: skip
    return f"{file.read().to_pylist()} {statistics}"
