"""File sinks: names and bytes are functions of the split, and what happens twice is harmless."""

import gzip
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.bad_event import EVENT_ERROR, BadEvent, event_error
from schemas.event import LONGEST_EVENT, LONGEST_LINE, Destination, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import Registry
from transforms.errors import SinkError
from transforms.io.files import filesystem
from transforms.layout import hour_folder, hour_name, schema_folder, schema_in
from transforms.parse import line_parser
from transforms.read.files import find_splits, read_split
from transforms.write import files
from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
from transforms.write.files import Encoding, FileSink
from transforms.write.sink import Bundle, Receipt

DOCUMENT = {"properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}
HERE = Destination("S", 1)
ENCODINGS = ["jsonl", "parquet", "raw"]


def event(
    number: int, split: str = "a-0", dt: str | None = "2019-03-10T07:30:00Z", **more: Any
) -> Event:
    data = {"schema": "S", "revision": 1, "uuid": f"{number:032x}", "event": {"n": number}, **more}
    data |= {"dt": dt} if dt else {}
    origin = Origin("file", f"/{split}.log", number, 1_552_200_000.25, split)
    return Event(data, RawLine(f"line {number} of \xff".encode("latin-1"), origin))


class Sinks:
    """Sinks below a folder, and what is in their files."""

    def __init__(self, root: Path, registry: Registry) -> None:
        self.root, self.registry = root, registry

    def sink(self, kind: str = "jsonl", where: str = "out", job: str = "job") -> FileSink:
        encodings: dict[str, Encoding] = {
            "jsonl": JsonLinesEncoding(),
            "parquet": ParquetEncoding(self.registry),
            "raw": RawEncoding(),
        }
        made = FileSink(kind, f"{self.root}/{where}", encodings[kind], job)
        made.prepare()
        return made

    def write(self, sink: FileSink, *events: Event, to: Destination = HERE) -> list[Receipt]:
        bundle = sink.writer().bundle()
        for each in events:
            bundle.add(to, each)
        return self.published(bundle)

    def published(self, bundle: Bundle) -> list[Receipt]:
        """What the bundle gives; its files have their names."""
        receipts = list(bundle.commit())
        files.publish(each.file for each in receipts if each.file)
        return receipts

    def files(self, where: str = "out") -> dict[str, bytes]:
        """All files by their path below the sink's folder."""
        top = self.root / where
        found = [path for path in top.rglob("*") if path.is_file()]
        return {str(path.relative_to(top)): path.read_bytes() for path in sorted(found)}


@pytest.fixture
def sinks(tmp_path: Path, registry_of: Callable[..., Registry]) -> Sinks:
    return Sinks(tmp_path, registry_of({tuple(HERE): DOCUMENT, ("T", 2): {}}))


def rows(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def test_a_file_for_each_split_destination_and_hour(sinks: Sinks) -> None:
    sink = sinks.sink()
    bundle = sink.writer().bundle()
    bundle.add(HERE, event(1))
    bundle.add(HERE, event(2, dt="2019-03-10T08:00:00Z"))
    bundle.add(Destination("T", 2), event(3))
    bundle.add(HERE, event(4))
    bundle.add(HERE, event(5, split="b-0"))
    receipts = sinks.published(bundle)
    hour = "year=2019/month=03/day=10/hour="
    found = {name: [row["event"]["n"] for row in rows(raw)] for name, raw in sinks.files().items()}
    assert found == {
        f"S_1/{hour}07/a-0.jsonl.gz": [1, 4],
        f"S_1/{hour}08/a-0.jsonl.gz": [2],
        f"S_1/{hour}07/b-0.jsonl.gz": [5],
        f"T_2/{hour}07/a-0.jsonl.gz": [3],
    }
    assert {(r.where.removeprefix(f"{sink.root}/"), r.written) for r in receipts} == {
        (name, len(numbers)) for name, numbers in found.items()
    }
    assert all(r.given == r.written and r.size == len(Path(r.where).read_bytes()) for r in receipts)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_a_bundle_that_is_run_again_changes_nothing(sinks: Sinks, kind: str) -> None:
    events = [event(n) for n in range(20)]
    first = sinks.write(sinks.sink(kind), *events)
    there = {path: path.stat().st_mtime_ns for path in sinks.root.rglob("*.*")}
    before = sinks.files()
    again = sinks.sink(kind)
    assert [each[:-1] for each in sinks.write(again, *events)] == [each[:-1] for each in first]
    assert sinks.files() == before
    assert {path: path.stat().st_mtime_ns for path in sinks.root.rglob("*.*")} == there
    again.finish()
    assert not (sinks.root / "out" / "_temporary").exists()


@pytest.mark.parametrize("kind", ENCODINGS)
def test_other_content_under_the_same_name_is_an_error(sinks: Sinks, kind: str) -> None:
    sink = sinks.sink(kind)
    sinks.write(sink, event(1))
    before = sinks.files()
    with pytest.raises(SinkError, match="is there with other content") as caught:
        sinks.write(sink, event(2))
    assert "a-0" in str(caught.value) and "\n" not in str(caught.value)
    kept = {name: raw for name, raw in sinks.files().items() if "_temporary" not in name}
    assert kept == before


def test_two_attempts_at_once(sinks: Sinks) -> None:
    sink = sinks.sink()
    one, two = sink.writer().bundle(), sink.writer().bundle()
    for n in range(5):
        one.add(HERE, event(n))
        two.add(HERE, event(n))
    sinks.published(one)
    sinks.published(two)
    assert len(sinks.files()) == 1


def test_a_death_while_files_get_their_names(sinks: Sinks) -> None:
    bundle = sinks.sink().writer().bundle()
    for n in range(4):
        bundle.add(HERE, event(n, split=f"{n}-0"))
    made = [each.file for each in bundle.commit() if each.file]
    files.publish(made[:2])
    files.publish(made)
    assert {rows(raw)[0]["event"]["n"] for raw in sinks.files().values()} == {0, 1, 2, 3}
    assert not any(name.startswith("_temporary") for name in sinks.files())


def test_a_name_that_another_process_gave_lasts_before_the_other_file_goes(
    sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That process may have died before it came to it."""
    bundle = sinks.sink().writer().bundle()
    bundle.add(HERE, event(1))
    (made,) = (each.file for each in bundle.commit() if each.file)
    folder, done = made.path.rpartition("/")[0], list[tuple[str, str]]()
    filesystem.write(made.path, filesystem.read(made.temporary))
    for name in ("sync", "remove"):
        monkeypatch.setattr(filesystem, name, lambda path, name=name: done.append((name, path)))
    files.publish([made])
    assert done == [("sync", folder), ("remove", made.temporary)]


def test_what_a_killed_attempt_left_is_swept(sinks: Sinks) -> None:
    sink = sinks.sink()
    bundle = sink.writer().bundle()
    bundle.add(HERE, event(1))
    bundle.add(HERE, event(2, split="b-0"))  # the first split is complete: it is on disk
    (left,) = sinks.files()
    assert left.startswith("_temporary/job/")
    other = sinks.sink(job="other")
    assert left in sinks.files()  # not that of another job
    other.finish()
    assert left in sinks.files()
    sink.prepare()
    assert sinks.files() == {}
    sink.finish()
    assert not list((sinks.root / "out").iterdir())


def test_nothing_is_seen_before_it_is_published(sinks: Sinks) -> None:
    bundle = sinks.sink().writer().bundle()
    for n in range(3):
        bundle.add(HERE, event(n, split=f"{n}-0"))
    made = [each.file for each in bundle.commit() if each.file]
    assert all(name.startswith("_temporary/") for name in sinks.files())
    files.publish(made)
    assert not any(name.startswith("_temporary/") for name in sinks.files())


@pytest.mark.parametrize("kind", ENCODINGS)
def test_files_depend_on_the_split_alone(
    sinks: Sinks, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_ROWS_BEFORE_ENCODING", 7)
    monkeypatch.setattr(files, "_PART_BYTES", 40_000 if kind != "jsonl" else 2_000)
    splits = [[event(n, split=f"{name}-0") for n in range(40)] for name in "abc"]
    together, apart = sinks.sink(kind, "together"), sinks.sink(kind, "apart")
    sinks.write(together, *(each for split in splits for each in split))
    for split in reversed(splits):
        sinks.write(apart, *split)
    found = sinks.files("together")
    assert found == sinks.files("apart")
    assert len([name for name in found if "/a-0" in name]) > 1  # it was cut into parts
    assert any("/a-0-1." in name for name in found)


def test_long_lines_count_as_many_rows(sinks: Sinks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PART_BYTES", 2**20)
    long = [event(n)._replace(line=RawLine(b"x" * 2**20, event(n).line.origin)) for n in range(60)]
    sinks.write(sinks.sink("raw"), *long)
    assert len(sinks.files()) > 1  # or all 60 MiB would have been held as objects


@pytest.mark.parametrize(
    "name",
    ["../../x", "a/b", ".hidden", "_x", "a b", "x=1", "%2e", "..", ".", "é\n", "a\\b", "C:x"],
)
def test_any_name_stays_inside_and_visible(sinks: Sinks, name: str) -> None:
    destination = Destination(name, 1)
    (receipt,) = sinks.write(sinks.sink(), event(1), to=destination)
    path = Path(receipt.where)
    assert path.resolve().is_relative_to((sinks.root / "out").resolve())
    assert len(path.relative_to(sinks.root / "out").parts) == 6
    assert not schema_folder(destination).startswith((".", "_"))
    assert list(sinks.files()) == [str(path.relative_to(sinks.root / "out"))]
    assert schema_folder(destination) != schema_folder(Destination(name + "x", 1))


@pytest.mark.parametrize(
    ("dt", "folder"),
    [
        ("2019-03-10T07:59:59Z", "year=2019/month=03/day=10/hour=07"),
        ("2019-03-10T07:59:59", "year=2019/month=03/day=10/hour=07"),
        ("2019-03-10T00:30:00+02:00", "year=2019/month=03/day=09/hour=22"),
        ("2019-03-10T00:30:00.5-05:30", "year=2019/month=03/day=10/hour=06"),
        ("1969-12-31T23:30:00Z", "year=1969/month=12/day=31/hour=23"),
        ("0001-01-01T00:00:00Z", "year=0001/month=01/day=01/hour=00"),
        ("0001-01-01T00:00:00+14:00", "year=0001/month=01/day=01/hour=00"),
        ("9999-12-31T23:59:59Z", "year=9999/month=12/day=31/hour=23"),
        ("9999-12-31T23:59:59-14:00", "year=9999/month=12/day=31/hour=23"),
        ("garbage", "year=2019/month=03/day=10/hour=06"),
        (None, "year=2019/month=03/day=10/hour=06"),
    ],
)
def test_the_hour_is_that_of_the_lines_own_time(sinks: Sinks, dt: str | None, folder: str) -> None:
    (receipt,) = sinks.write(sinks.sink(), event(1, dt=dt))
    assert f"/S_1/{folder}/" in receipt.where


def test_hours_beyond_the_calendar() -> None:
    assert hour_folder(hour_name(10**9)) == "year=9999/month=12/day=31/hour=23"
    assert hour_folder(hour_name(-(10**9))) == "year=0001/month=01/day=01/hour=00"


def test_the_raw_archive_keeps_lines_and_where_they_came_from(sinks: Sinks) -> None:
    sink = sinks.sink("raw")
    events = [event(n, split=split) for split in ("a-0", "b-0") for n in range(3)]
    receipts = sinks.write(sink, *events[:3]) + sinks.write(sink, *events[3:], to=EVENT_ERROR)
    assert sum(receipt.written for receipt in receipts) == len(events)
    splits = find_splits((f"{sinks.root}/out/**.raw.parquet",))
    lines = [line for split in splits for line in read_split(split)]
    assert sorted(line.origin[:4] for line in lines) == sorted(e.line.origin[:4] for e in events)
    by_place = {line.origin[:3]: line.data for line in lines}
    assert by_place == {e.line.origin[:3]: e.line.data for e in events}
    assert {line.origin.split for line in lines} == {split.id for split in splits}


def test_an_event_read_from_the_archive_has_the_same_identity(sinks: Sinks) -> None:
    parse = line_parser("%q %o")
    lines = [event(n).line._replace(data=b'?{"event":{}}; -') for n in range(3)]
    sinks.write(sinks.sink("raw"), *(Event({}, line) for line in lines))
    (split,) = find_splits((f"{sinks.root}/out/**.raw.parquet",))
    uuids = [[outcome.data["uuid"] for line in each if isinstance(outcome := parse(line), Event)]
             for each in (lines, read_split(split))]  # fmt: skip
    assert uuids[0] == uuids[1]
    assert len(set(uuids[0])) == 3


def test_parquet_has_structs(sinks: Sinks) -> None:
    (receipt,) = sinks.write(sinks.sink("parquet"), event(1), event(2, event={"text": "é"}))
    table = pq.ParquetFile(receipt.where).read().to_pylist()
    assert [row["event"] for row in table] == [{"n": 1, "text": None}, {"n": None, "text": "é"}]


def blocked(root: Path) -> Iterator[str]:
    (root / "file").write_text("x")
    yield "file"
    yield "file/below"
    (root / "taken").mkdir()
    (root / "taken" / "_temporary").write_text("x")
    yield "taken"


def test_where_nothing_can_be_written(sinks: Sinks) -> None:
    for where in blocked(sinks.root):
        with pytest.raises(SinkError, match=r"cannot write below .*/(file|taken)") as caught:
            sinks.sink(where=where)
        assert "\n" not in str(caught.value)


def test_a_folder_in_the_place_of_a_file(sinks: Sinks) -> None:
    sink = sinks.sink()
    (sinks.root / "out" / "S_1" / hour_folder(hour_name(431_167)) / "a-0.jsonl.gz").mkdir(
        parents=True
    )
    with pytest.raises(SinkError):
        sinks.write(sink, event(1))


@pytest.mark.parametrize(
    "length",
    [0, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_EVENT, LONGEST_EVENT + 1, LONGEST_EVENT + 2],
)
def test_an_archive_reads_back_as_what_was_read(length: int, tmp_path: Path) -> None:
    """Lines of any length: the same event, or the same EventError."""
    (tmp_path / "a.log").write_bytes(b"x" * length + b"\nnext\n")
    (split,) = find_splits((f"{tmp_path}/a.log",))
    lines = [*read_split(split)]
    bundle = FileSink("raw", f"{tmp_path}/raw", RawEncoding(), "j").bundle()
    for line in lines:
        bundle.add(EVENT_ERROR, Event({}, line))
    files.publish(receipt.file for receipt in bundle.commit() if receipt.file)
    again = [line for each in find_splits((f"{tmp_path}/raw/**/*.raw.parquet",))
             for line in read_split(each)]  # fmt: skip
    assert [line.data for line in again] == [line.data for line in lines]
    kept = min(length, LONGEST_EVENT + 1)
    assert [len(line.data) for line in lines] == [kept, 4]
    assert [line.origin.offset for line in again] == [0, length + 1]
    for format_ in (DEFAULT_FORMAT, "json"):
        parse = line_parser(format_)
        first, second = parse(lines[0]), parse(again[0])
        assert isinstance(first, BadEvent) and isinstance(second, BadEvent)
        assert event_error(first).data == event_error(second).data
        if length > LONGEST_EVENT:
            assert first.message.endswith(f"not an event; `raw:` keeps the first {kept:,}")


def test_folders_whose_names_are_alike(tmp_path: Path) -> None:
    """Of names that differ in case one is spelled out, whoever comes first; existing ones stay."""
    upper, lower, other = Destination("Edit", 1), Destination("edit", 1), Destination("EDIT", 1)

    def folders(root: str, *schemas: Destination, known: tuple[Destination, ...]) -> list[str]:
        sink = FileSink("jsonl", f"{tmp_path}/{root}", JsonLinesEncoding(), "j", schemas=known)
        sink.prepare()
        bundle = pickle.loads(pickle.dumps(sink)).bundle()
        for number, each in enumerate(schemas):
            bundle.add(each, event(number, split=f"{root}-{len(known)}"))
        files.publish(receipt.file for receipt in bundle.commit() if receipt.file)
        found = [name for name in filesystem.names(sink.root) if name != "_temporary"]
        assert {schema_in(name) for name in found} == {*known}
        return found

    both = upper, lower
    assert folders("a", upper, lower, known=both) == ["%65%64%69%74_1", "Edit_1"]
    assert folders("b", lower, upper, known=both) == ["%65%64%69%74_1", "Edit_1"]
    assert folders("c", lower, known=(lower,)) == ["edit_1"]
    assert folders("c", upper, lower, known=both) == ["%45%64%69%74_1", "edit_1"]
    three = folders("b", other, lower, known=(*both, other))
    assert three == ["%45%44%49%54_1", "%65%64%69%74_1", "Edit_1"]
    assert len({name.lower() for name in three}) == 3
    one = FileSink("jsonl", f"{tmp_path}/b", JsonLinesEncoding(), "j", schemas=(lower,))
    none = FileSink("jsonl", f"{tmp_path}/c", JsonLinesEncoding(), "j")  # of a wiki
    for sink, schema, name in ((one, lower, three[1]), (none, other, three[0])):
        sink.prepare()
        assert sink.folder(schema, 0).startswith(f"{sink.root}/{name}/year="), "of fewer schemas"
