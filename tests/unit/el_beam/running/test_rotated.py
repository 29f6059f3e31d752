"""A log that is rotated in place, between two runs or while it is read: nothing is lost or doubled,
whoever follows what is printed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from el_beam import cli
from transforms.read import files
from transforms.write.files import FileSink

SAMPLE = Path(cli.__file__).parents[1] / "examples/sample.log.gz"
LINES = gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)[:300]


class Logs:
    def __init__(self, folder: Path) -> None:
        self.log, self.out = folder / "beacon.log", folder / "out"

    def write(self, start: int, end: int) -> None:
        self.log.write_bytes(b"".join(LINES[start:end]))

    def run(self, path: Path | None = None) -> int:
        return cli.main(["run", f"file:{path or self.log}", f"parquet:{self.out}"])

    def rows(self) -> int:
        paths = [each for each in self.out.rglob("*.parquet") if "/_" not in str(each)]
        uuids = [each for path in paths for each in pq.read_table(path, columns=["uuid"],
                 partitioning=None)["uuid"].to_pylist()]  # fmt: skip
        assert len({*uuids}) == len(uuids)
        return len(uuids)

    def troubles(self, capsys: pytest.CaptureFixture[str]) -> list[str]:
        capsys.readouterr()
        cli.main(["ledger", str(self.out), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert found["totals"]["read"] == found["totals"]["rows"] == self.rows()
        return [each["sentence"] for each in found["troubles"]]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_rotated_between_two_runs(logs: Logs, capsys: pytest.CaptureFixture[str]) -> None:
    logs.write(0, 100)
    assert logs.run() == 0 and logs.rows() == 100
    logs.write(200, 300)
    capsys.readouterr()
    assert logs.run() == 2
    told = capsys.readouterr().err
    assert f"{logs.log} is not the file that was read into {logs.out} before" in told
    assert logs.rows() == 100
    dated = logs.log.rename(logs.log.with_name("beacon.log-2"))  # as the message says
    assert logs.run(dated) == 0 and logs.rows() == 200
    assert logs.troubles(capsys) == []
    logs.write(0, 100)  # a copy of the first one is that one
    assert logs.run() == 0 and logs.rows() == 200
    assert logs.troubles(capsys) == []


def test_a_log_that_has_grown(logs: Logs, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of it is added where a file would become another one; all of it goes elsewhere."""
    logs.write(0, 100)
    assert logs.run() == 0
    logs.write(0, 150)
    capsys.readouterr()
    assert logs.run() == 1
    assert "the input has grown or changed" in capsys.readouterr().err
    assert logs.rows() == 100 and logs.troubles(capsys) == []
    logs.out = logs.out.with_name("elsewhere")
    assert logs.run() == 0 and logs.rows() == 150


@pytest.mark.parametrize("how", ["cut", "replaced"])
def test_rotated_while_it_is_read(
    logs: Logs, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.write(0, 200)
    prepare: Callable[[FileSink], None] = FileSink.prepare

    def rotate(sink: FileSink) -> None:
        prepare(sink)
        logs.log.with_name("beacon.log.1").write_bytes(logs.log.read_bytes())
        logs.write(0, 50) if how == "cut" else logs.write(200, 300)

    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "prepare", rotate)
        assert logs.run() == 1
    told = capsys.readouterr().err
    assert f"{logs.log} was rotated, cut short or written anew while it was read" in told
    assert logs.rows() == 0
    assert logs.run(logs.log.with_name("beacon.log.1")) == 0
    assert logs.rows() == 200


def test_what_comes_to_be_there_while_it_is_read(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the next run's: nobody has looked yet whether it was read before."""
    logs.write(0, 100)
    other, prepare = logs.log.with_name("beacon.log.1"), FileSink.prepare

    def come(sink: FileSink) -> None:
        prepare(sink)
        other.write_bytes(b"".join(LINES[100:200]))

    with monkeypatch.context() as patch:
        patch.setattr(FileSink, "prepare", come)
        assert logs.run(logs.log.with_name("beacon.*")) == 0
    assert logs.rows() == 100
    assert logs.run(logs.log.with_name("beacon.*")) == 0
    assert logs.rows() == 200 and logs.troubles(capsys) == []
    other.write_bytes(b"".join(LINES[200:300]))
    assert logs.run(other) == 2 and logs.rows() == 200


def test_marks(tmp_path: Path) -> None:
    """A file that grows begins as it did."""
    path = tmp_path / "log"
    path.write_bytes(b"a" * 10)
    mark = files.mark_of(str(path))
    assert mark.size == 10
    path.write_bytes(b"a" * 9999)
    assert files.begins_with(str(path), mark.head)
    for other in (b"", b"a" * 9, b"b" + b"a" * 20):
        path.write_bytes(other)
        assert not files.begins_with(str(path), mark.head)
