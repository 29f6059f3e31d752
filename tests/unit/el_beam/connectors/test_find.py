"""`el find`: every event of the sample is found where it is, and the line that it was made of."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from el_beam import cli
from el_beam.connectors.contract import Selection, StoredError, StoredEvent
from el_beam.connectors.find import Archive, find
from el_beam.connectors.registry import store_of
from schemas.event import RawLine
from schemas.line_format import DEFAULT_FORMAT
from transforms.read.files import find_splits, read_split

ROOT = Path(__file__).parents[4]
ENDS = ("sqlite:{}/e.db", "parquet:{}/p", "jsonl:{}/j")
LINES = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run over the beginning of the sample has written."""
    made = tmp_path_factory.mktemp("find")
    sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines(True)
    (made / "a.log").write_bytes(b"".join([*sample[:LINES], sample[0]]))  # one comes twice
    sinks = [each.format(made) for each in ENDS]
    assert cli.main(["run", f"file:{made}/a.log", *sinks, f"raw:{made}/raw"]) == 0
    return str(made)


@pytest.fixture(scope="module")
def stored(folder: str) -> list[StoredEvent]:
    return list(store_of(f"parquet:{folder}/p").events(Selection(), ("event.origin",)))


def nothing() -> None:
    pass


def lines(folder: str) -> Iterator[RawLine]:
    for split in find_splits((f"{folder}/a.log",)):
        yield from read_split(split)


def test_each_event_and_its_line(folder: str, stored: list[StoredEvent]) -> None:
    archive = Archive(f"raw:{folder}/raw", DEFAULT_FORMAT)
    ends = [store_of(each.format(folder)) for each in ENDS]
    origins = {str(line.origin): line for line in lines(folder)}
    assert len(stored) == LINES + 1
    uuids = [each.uuid for each in stored]
    for each in [one for one in stored if uuids.count(one.uuid) == 1][::20]:
        found = list(find(each.uuid, ends, Selection(), nothing))
        assert [one.end for one in found] == [str(end) for end in ends]
        assert {(one.hour, one.schema) for one in found} == {(each.hour, each.schema)}
        assert found[1].place == each.place
        (line,) = archive.lines(each.uuid, Selection(), {each.hour}, nothing)
        assert line.origin in origins and line.hour == each.hour
        assert line.bad == each.schema.startswith("EventError_")
        if line.bad:
            assert {one.origin for one in found} == {line.origin} == {each.values[0]}
        else:
            assert {one.origin for one in found} == {""}


def test_a_line_that_came_twice(folder: str, stored: list[StoredEvent]) -> None:
    """All its places are told: once in tables, twice in files and archive."""
    uuids = [each.uuid for each in stored]
    (twice,) = {uuid for uuid in uuids if uuids.count(uuid) == 2}
    ends = [store_of(each.format(folder)) for each in ENDS]
    assert len(list(find(twice, ends, Selection(), nothing))) == 1 + 2 + 2
    archive = Archive(f"{folder}/raw", DEFAULT_FORMAT)
    assert len(list(archive.lines(twice, Selection(), (), nothing))) == 2


def test_other_hours_are_not_read(folder: str, stored: list[StoredEvent]) -> None:
    read = []
    (end,) = [store_of(f"jsonl:{folder}/j")]
    hours = {each.hour for each in stored}
    assert len(hours) > 1
    wanted = Selection("2019-03-10T07", "2019-03-10T07")
    assert not list(find("nope", [end], wanted, lambda: read.append(1)))
    assert len(read) == sum(each.hour == "2019-03-10T07" for each in stored)
    archive = Archive(f"{folder}/raw", DEFAULT_FORMAT)
    heard: list[int] = []
    assert not list(archive.lines("nope", Selection(), {"2019-03-10T07"}, lambda: heard.append(1)))
    assert len(heard) == len(read)
    heard.clear()
    ends = {"2019-03-09T00", max(hours)}  # and not what is between them
    assert not list(archive.lines("nope", Selection(), ends, lambda: heard.append(1)))
    assert (
        len(heard) == sum(each.hour == max(hours) for each in stored) < len(stored) - len(read) + 1
    )


def el(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["find", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_as_people_see_it(
    folder: str, stored: list[StoredEvent], capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(each for each in stored if each.values == (None,))
    error = next(each for each in stored if each.values != (None,))
    raw = ("--raw", f"{folder}/raw")
    tables, files = f"sqlite:{folder}/e.db", f"parquet:{folder}/p"
    code, out, err = el(capsys, good.uuid, tables, files, *raw)
    assert (code, err) == (0, "")
    assert f"{good.schema} {good.hour} in {files}: {good.place}\n" in out
    assert f"made from the line {folder}/a.log@" in out and f", in {folder}/raw/year=" in out
    code, out, err = el(capsys, error.uuid, files, *raw)
    assert (code, err) == (0, "")
    assert out.endswith(f"\nmade from the line {error.values[0]}\n")
    only = next(each for each in stored if each.schema != good.schema)
    code, out, err = el(capsys, only.uuid, f"{files}/{good.schema}", *raw, "--hour", only.hour)
    assert code == 1
    assert f"{only.uuid} is in none of the stores" in err and " from the line " in out
    code, out, err = el(capsys, "\x1b[31m", tables, *raw)
    assert (code, out) == (1, "")
    assert err == (
        "el find: \\x1b[31m is in none of the stores\n"
        "el find: no line of the archive gives \\x1b[31m\n"
    )


def test_as_machines_see_it(
    folder: str, stored: list[StoredEvent], capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(each for each in stored if each.values == (None,))
    end = f"sqlite:{folder}/e.db"
    code, out, _ = el(capsys, good.uuid, end, "--raw", f"raw:{folder}/raw", "--json")
    told: dict[str, Any] = json.loads(out)
    assert code == 0
    assert [(each["end"], each["hour"]) for each in told["found"]] == [(end, good.hour)]
    assert {line["origin"].rpartition("@")[0] for line in told["lines"]} == {f"{folder}/a.log"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (["u", "parquet:/nowhere"], "parquet:/nowhere: nothing is there"),
        (["u", "{}", "--hour", "now"], "--hour 'now' is not an hour"),
        (["u", "{}", "--raw", "/nowhere"], "/nowhere: nothing is there"),
        (["u", "{}", "--raw", "s3://x"], "no file system s3://"),
        (["u", "{}", "--raw", "/tmp", "--format", "%q %x"], "unknown specifier %x"),
    ],
)
def test_mistakes(
    folder: str, call: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = el(capsys, *(each.format(f"jsonl:{folder}/j") for each in call))
    assert code == 2
    assert err.startswith(f"el find: {says}") and err.count("\n") == 1


def test_an_archive_that_cannot_be_read(tmp_path: Path) -> None:
    hour = tmp_path / "year=2019" / "month=03" / "day=10" / "hour=07"
    hour.mkdir(parents=True)
    (hour / "a.raw.parquet").write_bytes(b"damaged")
    with pytest.raises(StoredError, match=r"raw:.*: cannot read .*hour=07/a\.raw\.parquet"):
        list(Archive(str(tmp_path), "json").lines("u", Selection(), (), nothing))
