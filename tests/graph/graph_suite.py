"""What the graph does, whoever runs it and wherever it writes: a suite of behaviour. Each runner
has a subclass of it, and so may a sink."""

import gzip
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow.parquet as pq
import pytest
from in_process import call
from run_configs import run_config

from el_beam.config.assemble import assemble
from el_beam.config.run_config import RunConfig
from el_beam.running.bounded import execute
from el_beam.running.failures import JobFailed
from schemas.bad_event import BadEvent, event_error
from schemas.event import Event, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from transforms.counts.summary import Summary
from transforms.parse import line_parser
from transforms.read.files import FileSplit, read_split
from transforms.validate import event_validator

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.log.gz"
LINES = 3_000
SPLIT = 200_000  # bytes: the lines are in some of this size
FACTS_OF_THE_GRAPH = frozenset({
    "test_errors_have_an_end_of_their_own", "test_compressed_input_gives_the_same_events",
    "test_the_archive_gives_back_the_same_events", "test_events_in_json_keep_their_uuid",
})  # fmt: skip
"""Tests to which the runner adds nothing: they are run on DirectRunner."""


def run(config: RunConfig, scratch: Path) -> Summary:
    scratch.mkdir(exist_ok=True)
    return execute(*assemble(config, str(scratch)))


def files_below(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "_ledger" not in path.parts
    }


def events_in(root: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(root.rglob("*.jsonl.gz"))
        for line in gzip.open(path).read().splitlines()
    ]


def uuids_in(database: Path) -> list[str]:
    """Of all rows of all tables, sorted."""
    connection = sqlite3.connect(database)
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return sorted(
        uuid
        for (name,) in tables
        for (uuid,) in connection.execute(f'SELECT uuid FROM "{name}"').fetchall()
    )


def by_uuid(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=lambda event: (event["uuid"], json.dumps(event)))


def read_all(log: Path) -> list[RawLine]:
    return list(read_split(FileSplit("s", str(log), 0, None, log.stat().st_mtime)))


def plain_loop(lines: Iterable[RawLine], format_: str) -> list[Event | BadEvent]:
    """What a plain loop over the pure functions makes of lines."""
    parse, validate = line_parser(format_), event_validator(open_registry(None))
    outcomes = map(parse, lines)
    return [each if isinstance(each, BadEvent) else validate(each) for each in outcomes]


def as_events(outcomes: Iterable[Event | BadEvent]) -> list[dict[str, Any]]:
    return [(event_error(o) if isinstance(o, BadEvent) else o).data for o in outcomes]


def el_run(*arguments: str) -> dict[str, Any]:
    """What `el run` prints."""
    done = call("run", *arguments)
    assert done.code == 0, done.err
    printed: dict[str, Any] = json.loads(done.out)
    return printed


class Delivered(NamedTuple):
    """What came of a job that delivered JSON."""

    wanted: list[dict[str, Any]]  # what a plain loop makes of the same lines
    events: list[dict[str, Any]]
    errors: list[dict[str, Any]]  # what had an end of its own
    reasons: dict[str, int]  # as they were counted
    lines: int  # as they were counted
    folder: Path  # that has the lines, and what each sink wrote below the name of its scheme
    given: dict[str, int]  # to each file sink, as they were counted


class GraphSuite:
    """The behaviour; a subclass says who runs it, or which sink is written."""

    workers = 1
    runner = "direct"
    scheme = "jsonl"  # of the sink that is written, and read with `events_of`
    same_files = "parquet"  # of the sink whose files are compared byte by byte
    unsupported: ClassVar[dict[str, str]] = {}  # a test's name, and why this runner can't
    shown_elsewhere: ClassVar[frozenset[str]] = frozenset()  # run here only with --every-runner
    errors_apart = False  # whether bad lines have an end of their own where all is delivered
    _whole: ClassVar[Delivered]

    @pytest.fixture(autouse=True)
    def _supported(self, request: pytest.FixtureRequest) -> None:
        if reason := self.unsupported.get(request.node.originalname):
            pytest.skip(f"unsupported: {reason}")

    def config(self, source: str, *sinks: str, **options: Any) -> RunConfig:
        return run_config(
            source=source, sinks=sinks, runner=self.runner, workers=self.workers, **options
        )

    def run(self, config: RunConfig, scratch: Path) -> Summary:
        """Run a job to its end. Raises JobFailed."""
        return run(config, scratch)

    def events_of(self, root: Path) -> list[dict[str, Any]]:
        """All events that the sink has written to this path."""
        return events_in(root)

    def job(self, folder: Path, *schemes: str, **options: Any) -> RunConfig:
        """It reads the lines in a folder, and writes to sinks below it."""
        sinks = [f"{scheme}:{folder}/{scheme}" for scheme in schemes]
        return self.config(f"file:{folder}/lines.log?split={SPLIT}", *sinks, **options)

    def deliver(
        self, lines: list[bytes], folder: Path, *also: str, errors: bool = False, **options: Any
    ) -> Delivered:
        """Run a job over these lines, which writes to sinks of the schemes `also` too; with
        `errors` bad lines have an end of their own."""
        folder.mkdir()
        log = folder / "lines.log"
        log.write_bytes(b"".join(line + b"\n" for line in lines))
        ends = {"errors": f"{self.scheme}:{folder}/bad"} if errors else {}
        config = self.job(folder, *sorted({self.scheme, *also}), **ends, **options)
        summary = self.run(config, folder / "scratch")
        assert summary.imbalances == []
        wanted = plain_loop(read_all(log), config.format or DEFAULT_FORMAT)
        return Delivered(
            as_events(wanted),
            self.events_of(folder / self.scheme),
            self.events_of(folder / "bad"),
            summary.reasons,
            summary.read,
            folder,
            {sink: book.given for sink, book in summary.sinks.items()},
        )

    @pytest.fixture
    def whole(self, lines: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Delivered:
        """What came of all lines in every sink: delivered once for a class."""
        if "_whole" not in vars(type(self)):
            folder = tmp_path_factory.mktemp("whole") / "job"
            sinks = {"parquet", "raw", "sqlite", self.same_files}
            type(self)._whole = self.deliver(lines, folder, *sinks, errors=self.errors_apart)
        return self._whole

    def test_it_makes_what_a_plain_loop_makes(self, whole: Delivered) -> None:
        found = whole
        assert by_uuid(found.events + found.errors) == by_uuid(found.wanted)
        assert found.lines == LINES
        bad = [event for event in found.wanted if event["schema"] == "EventError"]
        assert sum(found.reasons.values()) == len(bad) > 100
        assert len(found.reasons) > 10

    def test_every_sink_holds_everything(self, whole: Delivered) -> None:
        folder = whole.folder
        assert len(whole.given) == len({"parquet", self.scheme, "raw", "sqlite", self.same_files})
        assert {*whole.given.values()} == {LINES}
        uuids = Counter(event["uuid"] for event in whole.wanted)
        parquet = [
            uuid
            for path in (folder / "parquet").rglob("*.parquet")
            for uuid in pq.read_table(path, partitioning=None).column("uuid").to_pylist()
        ]
        assert Counter(parquet) == uuids
        raw = [
            line
            for path in (folder / "raw").rglob("*.parquet")
            for line in pq.read_table(path, partitioning=None).column("line").to_pylist()
        ]
        assert Counter(raw) == Counter((folder / "lines.log").read_bytes().splitlines())
        assert uuids_in(folder / "sqlite") == sorted(uuids)
        assert Counter(each["uuid"] for each in self.events_of(folder / self.scheme)) == uuids

    def test_the_same_input_gives_the_same_files(self, whole: Delivered, tmp_path: Path) -> None:
        """The same bytes under the same names, whatever runs it: compared with one worker's."""
        source = f"file:{whole.folder}/lines.log?split={SPLIT}"
        reference = run_config(source=source, sinks=(f"{self.same_files}:{tmp_path}/reference",))
        run(reference, tmp_path / "scratch")
        files = files_below(whole.folder / self.same_files)
        assert files == files_below(tmp_path / "reference")
        assert len({name.rpartition("/")[2] for name in files}) > 5  # it was many splits

    def test_running_it_again_changes_nothing(self, whole: Delivered) -> None:
        folder = whole.folder
        files = files_below(folder / self.same_files)
        again = self.run(self.job(folder, self.same_files, "sqlite"), folder / "scratch")
        assert files_below(folder / self.same_files) == files
        book = again.sinks[f"sqlite:{folder}/sqlite"]
        assert (book.written, book.repeated) == (0, whole.lines)

    def test_other_content_under_the_same_name_is_refused(self, whole: Delivered) -> None:
        folder = whole.folder
        files = files_below(folder / self.scheme)
        other = self.job(folder, self.scheme, format="%q %{recvFrom}s %o")
        with pytest.raises(JobFailed, match=r"is there( with other content|, and would)"):
            self.run(other, folder / "scratch")
        after = files_below(folder / self.scheme)
        assert {name: after.get(name) for name in files} == files

    def test_what_a_worker_raises_comes_home(self, log: Path, tmp_path: Path) -> None:
        damaged = tmp_path / "it's [while running 'x'].log.gz"
        damaged.write_bytes(gzip.compress(log.read_bytes())[:-100_000])
        config = self.config(f"file:{tmp_path}/it's*.gz", f"{self.scheme}:{tmp_path}/out")
        with pytest.raises(JobFailed, match=r"^cannot read .*it's ") as caught:
            self.run(config, tmp_path / "scratch")
        assert not caught.value.details  # nothing was unexpected

    def test_errors_have_an_end_of_their_own(self, lines: list[bytes], tmp_path: Path) -> None:
        found = self.deliver(lines, tmp_path / "job", errors=True, only="Edit|Echo")
        assert {event["schema"] for event in found.events} == {"Edit", "Echo"}
        wanted = [each for each in found.wanted if each["schema"] in ("Edit", "Echo")]
        assert by_uuid(found.events) == by_uuid(wanted)
        bad = [each for each in found.wanted if each["schema"] == "EventError"]
        assert by_uuid(found.errors) == by_uuid(bad)

    def test_compressed_input_gives_the_same_events(
        self, log: Path, expected: list[Event | BadEvent], tmp_path: Path
    ) -> None:
        with gzip.open(tmp_path / "beacon.log.gz", "wb") as out:
            out.write(log.read_bytes())
        config = self.config(f"file:{tmp_path}/*.gz", f"{self.scheme}:{tmp_path}/out")
        self.run(config, tmp_path / "scratch")
        events = self.events_of(tmp_path / "out")
        valid = [event for event in events if event["schema"] != "EventError"]
        assert by_uuid(valid) == by_uuid(o.data for o in expected if isinstance(o, Event))

    def test_the_archive_gives_back_the_same_events(self, log: Path, tmp_path: Path) -> None:
        """Lines without an identity of their own too: they keep that of where they were read."""
        source, format_ = f"file:{log}?split=500000", "%q %{recvFrom}s %o %D"
        sinks = (f"raw:{tmp_path}/raw", f"{self.scheme}:{tmp_path}/direct")
        self.run(self.config(source, *sinks, format=format_), tmp_path / "scratch")
        archive = f"file:{tmp_path}/raw/**.raw.parquet"
        config = self.config(archive, f"{self.scheme}:{tmp_path}/again", format=format_)
        self.run(config, tmp_path / "scratch")
        direct, again = (self.events_of(tmp_path / name) for name in ("direct", "again"))
        assert by_uuid(again) == by_uuid(direct)
        assert len({event["uuid"] for event in direct}) == LINES

    def test_events_in_json_keep_their_uuid(self, whole: Delivered, tmp_path: Path) -> None:
        again = [json.dumps(event).encode() for event in whole.events]
        found = self.deliver(again, tmp_path / "job", format="json")
        assert found.reasons == {}
        assert by_uuid(found.events) == by_uuid(whole.events)

    def test_no_lines_are_no_trouble(self, tmp_path: Path) -> None:
        found = self.deliver([], tmp_path / "job")
        assert found.events == []
        assert found.lines == 0
