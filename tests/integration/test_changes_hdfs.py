"""Changes of folders on HDFS, of all kinds, one after the other."""

import gzip
import uuid
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import call

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import Ledger
from el_beam.cli import main
from transforms.io.files import filesystem

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A part of the sample, as a source."""
    path = tmp_path_factory.mktemp("log") / "a.log"
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes())
    path.write_bytes(b"".join(sample.splitlines(keepends=True)[:3_000]))
    return f"file:{path}?split=500KB"


def el(*arguments: str) -> str:
    done = call(*arguments)
    assert done.code == 0 and "Traceback" not in done.err, done.err
    return done.out


def whole(root: str) -> Ledger:
    ledger = read_ledger(root)
    compare(ledger, content=True)
    assert ledger.troubles == []
    return ledger


def uuids(root: str) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for path, file in whole(root).files.items():
        content = pa.BufferReader(filesystem.read(f"{root}/{path}"))
        column = pq.read_table(content, columns=["uuid"], partitioning=None)["uuid"]
        found.update((file.schema, each) for each in column.to_pylist())
    return found


def test_one_after_the_other(
    hdfs: str, log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compacted, made again, compacted, purged, compacted, purged: the same events all along."""
    root = f"{hdfs}/changes/{uuid.uuid4().hex}"
    events, raw = f"{root}/events", f"{root}/raw"
    hour = "2019-03-10T07"
    el("run", log, f"parquet:{events}", f"raw:{raw}", "--only", "Popups|Echo")
    before = uuids(events)
    assert main(["compact", events]) == 0
    assert uuids(events) == before == Counter({*before})
    el("backfill", "apply", raw, f"parquet:{events}", "--from", hour, "--to", hour, "--all")
    for root in (raw, events):
        assert main(["compact", root]) == 0
    assert uuids(events).keys() >= {each for each in before if "EventError" not in each[0]}

    keep = tmp_path / "keep.yaml"
    keep.write_text("Popups: [event.action]\nEventError: [event.code]\n")
    purge = ["purge", events, "--keep", str(keep), "--older-than", "36h", "--yes"]
    for _ in "again":
        assert main(purge) == 0
        assert main(["compact", events]) == 0
    assert main(["purge", raw, "--older-than", "36h", "--yes"]) == 0
    capsys.readouterr()
    assert main(purge) == 0
    assert capsys.readouterr().out == "", "there is nothing left to do"
    left = uuids(events)
    assert {schema.partition("_")[0] for schema, _ in left} == {"Popups", "EventError"}
    popups = {each for each in before if each[0].startswith("Popups")}
    assert {each for each in left if each[0].startswith("Popups")} == popups
    recent = {file.hour > "2020" for file in whole(raw).files.values()}
    assert recent == {True}, "bad lines without a time are of the hour at which they were read"
