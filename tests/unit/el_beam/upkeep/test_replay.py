"""`el bad replay`: what is valid now becomes an event, once; nothing else changes."""

import base64
import gzip
import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fake_broker import FakeBroker
from hypothesis import given, settings
from hypothesis import strategies as st

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.ledger.model import FilePart, Ledger, LedgerError
from el_beam.connectors.contract import (
    Fields,
    Selection,
    Store,
    StoredError,
    StoredEvent,
    selection_of,
)
from el_beam.connectors.event_errors import BadLine
from el_beam.connectors.event_errors import bad_lines as read_bad_lines
from el_beam.connectors.registry import checked_uri, same_place, sink_of, store_of, written_by
from el_beam.job import Execution, Job, Rules
from el_beam.running.bounded import execute, run
from el_beam.running.failures import JobFailed
from el_beam.upkeep.backfill.apply import apply
from el_beam.upkeep.backfill.plan import plan
from el_beam.upkeep.replay import provenance, replay
from el_beam.upkeep.replay import swap as exchange
from el_beam.upkeep.replay.replay import Replayed
from schemas.bad_event import BadEvent, Reason, Stage, event_error, shorter, without_addresses
from schemas.event import RAW_EVENT_LIMIT, Destination, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import Registry
from transforms.read.files import find_splits
from transforms.read.kafka_ranges import splits_of
from transforms.read.lines import FileSource
from transforms.read.offsets import OffsetRange
from transforms.route import Choice
from transforms.write.files import FileSink
from transforms.write.sink import Rejected
from transforms.write.tables import SqliteSink, _TableBundle

SEVEN, EIGHT = "2019-03-10T07", "2019-03-10T08"
ERRORS = "EventError_14035058"
BROKEN = {"properties": {"n": {"type": "integer"}, "never": {"required": True}}}
MENDED = {"properties": {"n": {"type": "integer"}}}
GOOD = {"properties": {"text": {"type": "string"}}}


def line(
    seq: int, schema: str = "S", hour: str = SEVEN, agent: bytes = b"Mozilla/5.0", **event: Any
) -> bytes:
    capsule = {"schema": schema, "revision": 1, "wiki": "w", "event": event}
    text = quote(json.dumps(capsule)).encode()
    return b"?%s;\tcp1\t%d\t%s:00:%02d\t1.2.3.4\t%s" % (text, seq, hour.encode(), seq, agent)


LINES = [
    line(1, n=1),
    line(2, "Good", text="good"),
    line(3, n="no number"),  # bad still
    b"?%7Bnonsense;\tcp1\t4\t2019-03-10T07:00:04\t1.2.3.4\tMozilla/5.0",
    line(5, n=5, hour=EIGHT, agent=b"\xff\xfe"),  # no UTF-8
    line(6, "Good", hour=EIGHT, text="good"),
    line(7, "S", n=7, agent=b"x " * RAW_EVENT_LIMIT),  # longer than what an EventError keeps
    line(8, "New", n=8),
    line(9, n=9, hour=EIGHT),
]
"""Under the broken schema 2 are good; under the mended one 1, 5, 8 and 9 too. The 7th is bad for
its user agent anyway."""


class World:
    """A folder, with ends that hold what runs have made of lines."""

    def __init__(self, folder: Path, registry_of: Callable[..., Registry]) -> None:
        self.folder = folder
        self.broken = registry_of({("S", 1): BROKEN, ("Good", 1): GOOD})
        self.mended = registry_of({("S", 1): MENDED, ("Good", 1): GOOD, ("New", 1): MENDED})

    def uri(self, name: str) -> str:
        """`parquet` -> parquet:FOLDER/parquet; `parquet-2` is another place."""
        return f"{name.partition('-')[0]}:{self.folder}/{name}"

    def run(
        self, *names: str, lines: list[bytes] = LINES, log: str = "a.log", mended: bool = False,
        split: int = 2**20, format_: str = DEFAULT_FORMAT, **choice: Any,
    ) -> None:  # fmt: skip
        """Lines into sinks; the log stays."""
        path = self.folder / log
        path.write_bytes(b"\n".join(lines) + b"\n")
        registry = self.mended if mended else self.broken
        sinks = tuple(
            (sink_of(checked_uri("sink", self.uri(name)), registry, "job"), Choice(**choice))
            for name in names
        )
        source = FileSource((str(path),), split_bytes=split)
        books = str(self.folder / "books.json")
        execute(Job(source, sinks, format_, registry, books), Execution())

    def replay(self, end: str, *names: str, format_: str = DEFAULT_FORMAT, **how: Any) -> Replayed:
        uris = map(self.uri, names)
        sinks = {uri: sink_of(checked_uri("sink", uri), self.mended, "") for uri in uris}
        wanted = selection_of(
            how.pop("first", None), how.pop("last", None), how.pop("schema", None)
        )
        uri = end if "//" in end else self.uri(end)
        reason = how.pop("reason", None)
        how = {"apply": True, **how}
        rules = Rules(format_, self.mended)
        return replay.replay(uri, sinks, wanted, reason, rules, Execution(), **how)

    def backfill(
        self, name: str, first: str = SEVEN, last: str = EIGHT, format_: str = DEFAULT_FORMAT
    ) -> None:
        """From the end `raw`."""
        sink = sink_of(checked_uri("sink", self.uri(name)), self.mended, "")
        assert isinstance(sink, FileSink)
        made = plan(str(self.folder / "raw"), [sink], first, last)
        rules = Rules(format_, self.mended)
        apply(made, {str(sink): sink}, rules, Execution(), lambda *_: None)

    def rows(self, name: str) -> list[tuple[str, str, str, Any]]:
        """(schema, hour, uuid, n) of all that is there, in order."""
        found = store_of(self.uri(name)).events(Selection(), ("event.n", "event.rawEvent"))
        return sorted((each.schema, each.hour, each.uuid, str(each.values)) for each in found)

    def schemas(self, name: str) -> dict[str, int]:
        return dict(Counter(schema for schema, *_ in self.rows(name)))

    def files(self, name: str) -> dict[str, bytes]:
        """All that is below, but for signs of life."""
        root = self.folder / name
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and "lease" not in path.parts
        }

    def ledger(self, name: str) -> Ledger:
        ledger = read_ledger(str(self.folder / name))
        compare(ledger, content=True)
        assert ledger.troubles == []
        return ledger

    def books(self, name: str) -> list[tuple[str, str, int, int, int]]:
        return [(each.hour, each.schema, each.valid, each.bad, each.rows)
                for each in self.ledger(name).hours()
                if each.valid or each.bad or each.rows]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, registry_of: Callable[..., Registry]) -> World:
    return World(tmp_path, registry_of)


def as_at_first(world: World, name: str, **how: Any) -> list[tuple[str, str, str, Any]]:
    """What a run with the mended schemas gives."""
    scheme = name.partition("-")[0]
    world.run(f"{scheme}-wanted", mended=True, **how)
    return world.rows(f"{scheme}-wanted")


@pytest.mark.parametrize("name", ["parquet", "jsonl", "sqlite"])
def test_twice_into_the_end_itself(world: World, name: str) -> None:
    world.run(name)
    assert world.schemas(name) == {ERRORS: 7, "Good_1": 2}
    before = world.rows(name)
    files = {} if name == "sqlite" else world.files(name)
    dry = world.replay(name, name, apply=False)
    assert (dry.read, dry.lines, dry.cut, dry.other, dry.applied) == (7, 4, 1, 0, False)
    assert dry.still == {"schema_violation": 1, "bad_json": 1}
    assert dry.cut_from == [f"{world.folder}/a.log@{sum(len(each) + 1 for each in LINES[:6])}"]
    assert [(str(to), hour, lines) for to, hour, lines in dry.valid] == [
        ("New_1", SEVEN, 1), ("S_1", SEVEN, 1), ("S_1", EIGHT, 2),
    ]  # fmt: skip
    assert [vars(each) for each in dry.sinks] == [
        {"sink": world.uri(name), "there": 0, "lacked": 4, "rejected": 0, "removed": 4}
    ]
    assert world.rows(name) == before
    assert name == "sqlite" or world.files(name) == files

    done = world.replay(name, name)
    assert (done.applied, done.sinks) == (True, dry.sinks)
    assert world.rows(name) == as_at_first(world, name)
    files = {} if name == "sqlite" else world.files(name)
    again = world.replay(name, name)
    assert (again.read, again.lines, again.still, again.cut) == (3, 0, dry.still, 1)
    assert world.rows(name) == world.rows(f"{name}-wanted")
    assert name == "sqlite" or world.files(name) == files


@pytest.mark.parametrize(
    ("end", "sink"), [("jsonl", "parquet"), ("sqlite", "jsonl"), ("parquet", "sqlite")]
)
def test_from_one_place_into_another(world: World, end: str, sink: str) -> None:
    """The EventErrors stay where they are, and each event comes once."""
    world.run(end, events=False)
    world.run(sink, errors=False)
    before = world.rows(end)
    for lacked in (4, 0):
        done = world.replay(end, sink)
        assert (done.sinks[0].there, done.sinks[0].lacked) == (4 - lacked, lacked)
        assert done.sinks[0].removed == 0
        assert world.rows(end) == before
        assert world.rows(sink) == as_at_first(world, sink, errors=False)
    if sink != "sqlite":
        totals = world.ledger(sink).totals
        assert totals["read"] == totals["rows"] + totals["filtered"] == 13
        files = world.files(sink)
        world.replay(end, sink)
        assert world.files(sink) == files


def test_into_several(world: World) -> None:
    """One of them has some of the events already."""
    world.run("parquet", "sqlite", "jsonl")
    world.replay("parquet", "jsonl", first=EIGHT)
    done = world.replay("parquet", "parquet", "sqlite", "jsonl", "jsonl-2")
    assert [(each.there, each.lacked, each.removed) for each in done.sinks] == [
        (0, 4, 4), (0, 4, 0), (2, 2, 0), (0, 4, 0),
    ]  # fmt: skip
    assert world.rows("parquet") == as_at_first(world, "parquet")
    assert world.schemas("sqlite") == world.schemas("jsonl")
    assert world.schemas("jsonl") == {ERRORS: 7, "Good_1": 2, "S_1": 3, "New_1": 1}
    assert world.schemas("jsonl-2") == {"S_1": 3, "New_1": 1}
    for name in ("sqlite", "jsonl"):
        done = world.replay(name, name)
        assert [(each.there, each.lacked, each.removed) for each in done.sinks] == [(4, 0, 4)]
        assert world.rows(name) == as_at_first(world, name)
    assert world.books("jsonl") == world.books("jsonl-wanted")


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"reason": "unknown_schema"}, {"New_1": 1}),
        ({"schema": "S_"}, {"S_1": 3}),
        ({"first": EIGHT}, {"S_1": 2}),
        ({"last": SEVEN}, {"S_1": 1, "New_1": 1}),
        ({"schema": "Good"}, {}),
    ],
)
def test_some_of_them(world: World, choice: dict[str, str], found: dict[str, int]) -> None:
    world.run("parquet")
    done = world.replay("parquet", "parquet", **choice)
    assert done.lines == sum(found.values())
    assert world.schemas("parquet") == {ERRORS: 7 - done.lines, "Good_1": 2, **found}


@pytest.mark.parametrize("name", ["parquet", "jsonl"])
def test_the_books_and_a_backfill_after_it(world: World, name: str) -> None:
    """They are those of a run with the mended schemas; and no event comes twice."""
    world.run(name, "raw", split=700)
    world.replay(name, name, schema="S_")
    world.replay(name, name)
    wanted = as_at_first(world, name, split=700)
    assert world.rows(name) == wanted
    assert world.books(name) == world.books(f"{name}-wanted")
    gone = [len(re.findall("-r[0-9a-f]{12}", path)) for path in world.files(name)
            if path.startswith(ERRORS)]  # fmt: skip
    assert max(gone) == 1  # a name doesn't grow
    for hour in (EIGHT, SEVEN):
        world.backfill(name, hour, hour)
        assert world.rows(name) == wanted
    assert world.books(name) == world.books(f"{name}-wanted")
    assert not any("replay" in path for path in world.files(name) if path[0] != "_")


def test_a_backfill_after_a_replay_from_elsewhere(world: World) -> None:
    """What the lines were read from is known by the sink's own ledger."""
    world.run("parquet", "raw", split=700)
    world.run("sqlite", events=False)
    world.replay("sqlite", "parquet")
    made = [file for path, file in world.ledger("parquet").files.items() if "replay" in path]
    splits = find_splits((str(world.folder / "a.log"),), 700)
    for hour, lines in ((SEVEN, [1, 8]), (EIGHT, [5, 9])):
        starts = [sum(len(each) + 1 for each in LINES[: number - 1]) for number in lines]
        of = {FilePart(split.id, hour) for split in splits for start in starts
              if split.start <= start < (split.end or 0)}  # fmt: skip
        assert {part for file in made for part in file.of if file.hour == hour} == of
    world.backfill("parquet")
    assert world.rows("parquet") == as_at_first(world, "parquet", split=700)


def test_a_backfill_into_a_new_folder(world: World) -> None:
    """All that its ledger has is the lease of the backfill itself."""
    world.run("raw", split=700)
    world.backfill("parquet")
    assert world.rows("parquet") == as_at_first(world, "parquet", split=700)


def test_a_backfill_into_a_folder_without_its_ledger(world: World) -> None:
    """Nobody knows whose events its files have: they would be there twice."""
    world.run("parquet", "raw", split=700)
    shutil.rmtree(world.folder / "parquet" / "_ledger")
    before = world.rows("parquet")
    with pytest.raises(LedgerError, match="parquet has no ledger"):
        world.backfill("parquet")
    assert world.rows("parquet") == before


def test_lines_of_the_archive_and_others(world: World) -> None:
    """They don't share files: a backfill replaces those of its lines alone."""
    others = [line(21, n=1), line(25, n=5, hour=EIGHT), line(28, "New", n=8)]
    world.run("jsonl", lines=others, log="b.log")
    errors = records_of(world.folder / "jsonl")[:3]
    world.run("parquet", lines=errors, format_="json", log="t")
    world.run("parquet", "raw")
    world.replay("parquet", "parquet")
    names = [path for path in world.files("parquet") if "/replay-" in path and path[0] != "_"]
    assert sum("-other." in path for path in names) == 3
    rows = world.rows("parquet")
    world.backfill("parquet")
    assert world.rows("parquet") == rows


def dies(*_: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["run", "swap", "prepare", "finish"])
def test_killed(world: World, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("parquet")
    before = world.rows("parquet")
    with monkeypatch.context() as dying:
        dying.setattr(replay, at, dies)
        with pytest.raises(KeyboardInterrupt):
            world.replay("parquet", "parquet")
    assert world.rows("parquet") == before
    done = world.replay("parquet", "parquet")
    assert done.read == (3 if at == "finish" else 7)
    assert world.rows("parquet") == as_at_first(world, "parquet")
    assert world.books("parquet") == world.books("parquet-wanted")
    assert not (world.folder / "parquet" / "_temporary").exists()


def test_killed_between_the_sinks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """EventErrors are there until all have the events."""
    world.run("parquet")
    for runs, there in ((0, [0, 0, 0]), (1, [0, 4, 0]), (1, [0, 4, 4])):
        calls = iter([run] * runs + [dies])
        with monkeypatch.context() as dying:
            dying.setattr(replay, "run", lambda *how, calls=calls: next(calls)(*how))
            with pytest.raises(KeyboardInterrupt):
                world.replay("parquet", "parquet", "sqlite", "jsonl")
        dry = world.replay("parquet", "parquet", "sqlite", "jsonl", apply=False)
        assert [each.there for each in dry.sinks] == there
        assert dry.read == 7
    world.replay("parquet", "parquet", "sqlite", "jsonl")
    assert world.schemas("parquet") == {ERRORS: 3, "Good_1": 2, "S_1": 3, "New_1": 1}
    assert world.schemas("sqlite") == world.schemas("jsonl") == {"S_1": 3, "New_1": 1}


def test_killed_between_the_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are there, and their EventErrors too."""
    world.run("sqlite")
    with monkeypatch.context() as dying:
        dying.setattr(SqliteSink, "delete_rows", dies)
        with pytest.raises(KeyboardInterrupt):
            world.replay("sqlite", "sqlite")
    assert world.schemas("sqlite") == {ERRORS: 7, "Good_1": 2, "S_1": 3, "New_1": 1}
    done = world.replay("sqlite", "sqlite")
    assert (done.sinks[0].there, done.sinks[0].removed) == (4, 4)
    assert world.rows("sqlite") == as_at_first(world, "sqlite")


def test_what_a_sink_cannot_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its EventError stays."""
    world.run("sqlite")
    add = _TableBundle.add

    def refusing(self: _TableBundle, destination: Any, event: Event) -> None:
        if destination.schema == "S" and event.data["event"]["n"] == 9:
            raise Rejected("too much")
        add(self, destination, event)

    with monkeypatch.context() as refused:
        refused.setattr(_TableBundle, "add", refusing)
        done = world.replay("sqlite", "sqlite")
    assert vars(done.sinks[0]) == {
        "sink": world.uri("sqlite"), "there": 0, "lacked": 4, "rejected": 1, "removed": 3,
    }  # fmt: skip
    assert world.schemas("sqlite") == {ERRORS: 4, "Good_1": 2, "S_1": 2, "New_1": 1}
    world.replay("sqlite", "sqlite")
    assert world.rows("sqlite") == as_at_first(world, "sqlite")


def test_schemas_that_change_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("parquet")
    before = world.rows("parquet")
    with monkeypatch.context() as changed:
        changed.setattr(
            replay, "run", lambda job, *how: run(replace(job, registry=world.broken), *how)
        )
        with pytest.raises(JobFailed, match="have changed meanwhile: 4 lines are bad again"):
            world.replay("parquet", "parquet")
    assert world.rows("parquet") == before


def test_lines_without_an_identity_of_their_own(world: World) -> None:
    """Events as JSON, without uuid, seqId or time: they are what they were at that place."""
    lines = [
        json.dumps({"schema": "S", "revision": 1, "wiki": "w", "recvFrom": "x", "event": {"n": n}})
        for n in (1, 1, 2)
    ]
    raw = [each.encode() for each in lines]
    for name in ("parquet", "sqlite"):
        world.run(name, lines=raw, format_="json")
        for there in (0, 0):
            done = world.replay(name, name, format_="json")
            assert done.sinks[0].there == there
        wanted = as_at_first(world, name, lines=raw, format_="json")
        assert len(wanted) == 3
        assert world.rows(name) == wanted
    done = world.replay("parquet-wanted", "sqlite")
    assert done.read == 0
    world.run("jsonl", lines=raw, format_="json", events=False)
    done = world.replay("jsonl", "sqlite", "parquet", format_="json")
    assert [(each.there, each.lacked) for each in done.sinks] == [(3, 0), (3, 0)]


def test_the_same_event_in_two_lines(world: World) -> None:
    """Its rows are one; and so is a bad event that a topic has twice."""
    world.run("parquet", lines=[line(1, n=1), line(1, n=1), line(2, n=2)])
    done = world.replay("parquet", "parquet")
    assert (done.lines, done.sinks[0].lacked, done.sinks[0].removed) == (3, 2, 3)
    assert world.schemas("parquet") == {"S_1": 2}
    totals = world.ledger("parquet").totals
    assert totals["read"] == totals["valid"] == totals["rows"] == 2


def records_of(folder: Path) -> list[bytes]:
    """What a sink of JSON lines has as EventErrors, each twice."""
    files = sorted(folder.glob(f"{ERRORS}/**/*.gz"))
    return 2 * [row for path in files for row in gzip.decompress(path.read_bytes()).splitlines()]


def test_from_a_topic(world: World) -> None:
    world.run("jsonl", events=False)
    broker = FakeBroker({"errors": [records_of(world.folder / "jsonl")]}, time=1e9)
    end = "kafka://h:1/?topics=errors"
    for there in (0, 4):
        with broker.at("h:1"):
            done = world.replay(end, "parquet", "sqlite")
        assert (done.read, done.lines) == (14, 8)
        assert [(each.there, each.lacked, each.removed) for each in done.sinks] == [
            (there, 4 - there, 0)
        ] * 2
    assert world.schemas("parquet") == world.schemas("sqlite") == {"S_1": 3, "New_1": 1}
    assert world.ledger("parquet").totals["read"] == 4


def test_event_errors_that_an_import_has_from_a_topic(world: World) -> None:
    """They were lines themselves, valid ones: the books have fewer of them then."""
    world.run("jsonl", events=False)
    errors = records_of(world.folder / "jsonl")[:7]
    world.run("parquet", "raw", lines=errors, format_="json", log="t")
    assert world.schemas("parquet") == {ERRORS: 7}
    world.replay("parquet", "parquet")
    assert world.schemas("parquet") == {ERRORS: 3, "S_1": 3, "New_1": 1}
    assert sorted(world.books("parquet")) == [
        (SEVEN, ERRORS, 3, 0, 3), (SEVEN, "New_1", 1, 0, 1), (SEVEN, "S_1", 1, 0, 1),
        (EIGHT, "S_1", 2, 0, 2),
    ]  # fmt: skip
    # The archive has the EventErrors: a backfill brings them again, the events stay.
    world.backfill("parquet", format_="json")
    assert world.schemas("parquet") == {ERRORS: 7, "S_1": 3, "New_1": 1}
    assert world.replay("parquet", "parquet").sinks[0].there == 4
    assert world.schemas("parquet") == {ERRORS: 3, "S_1": 3, "New_1": 1}


class Fake(Store):
    """A store with some EventErrors."""

    def __init__(self, *errors: Event) -> None:
        super().__init__("parquet:/x")
        self.errors = errors

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for number, error in enumerate(self.errors):
            at = {**error.data, **{f"event.{name}": value
                                   for name, value in error.data["event"].items()}}  # fmt: skip
            values = tuple(at.get(path) for path in fields)
            yield StoredEvent(ERRORS, at["dt"][:13], "file", number, at["uuid"], values)


def bad_lines(store: Store) -> list[BadLine]:
    return [*read_bad_lines(store, Selection(), None, lambda: None)]


LINE = st.builds(
    lambda data, *origin: RawLine(data, Origin._make([*origin, "split"])),
    st.one_of(st.binary(), st.text().map(str.encode), st.just(b"x" * (RAW_EVENT_LIMIT + 1))),
    st.sampled_from(["file", "kafka", "stdin"]), st.text(max_size=9), st.integers(0, 2**62),
    st.floats(0, 2e9),
)  # fmt: skip


@settings(max_examples=200)
@given(LINE, st.sampled_from(Reason), st.sampled_from([None, "2019-03-10T07:00:00Z", "soon"]))
def test_a_line_comes_back_from_its_event_error(
    line: RawLine, reason: Reason, dt: str | None
) -> None:
    bad = BadEvent(line, Stage.PARSE, reason, "m", "", "S", 1, dt)
    error = event_error(bad)
    (found,) = bad_lines(Fake(error))
    assert (found.reason, found.origin) == (reason.value, str(line.origin))
    assert found.truncated == (len(line.data) > RAW_EVENT_LIMIT)
    if found.truncated:
        assert found.line is None
        return
    assert found.line
    assert (found.line.data, found.line.identity) == (line.data, line.identity)
    if dt is None:
        assert found.line.origin.receipt == int(line.origin.receipt)


def test_what_is_no_line_of_ours() -> None:
    """Purged, cut, changed, or with an origin that is none: none of it is replayed."""
    raw = RawLine(b"x\xff" * 999, Origin("file", "a.log", 7, 1e9, "a"))
    error = event_error(BadEvent(raw, Stage.PARSE, Reason.BAD_JSON, "m"))
    cut = shorter(error)
    assert cut
    others = []
    for change in (
        {"rawEvent": None}, {"rawEvent": "no base64"}, {"encoding": "utf-8"}, {"origin": "a.log"},
        {"origin": "a.log@8"}, {"rawEvent": base64.b64encode(b"y").decode()}, {"origin": None},
    ):  # fmt: skip
        others.append(Event({**error.data, "event": {**error.data["event"], **change}}, raw))
    found = bad_lines(Fake(error, cut, *others))
    assert [(each.line is not None, each.truncated) for each in found] == [
        (True, False), (False, True), *[(False, False)] * len(others),
    ]  # fmt: skip


@pytest.mark.parametrize("of_bytes", [b"", b"\xff"])
def test_a_line_without_addresses(of_bytes: bytes) -> None:
    """It is that line, by its identity."""
    raw = RawLine(b"?a;\t198.51.100.7\tUA" + of_bytes, Origin("kafka", "raw/0", 7, 1e9, "a"))
    error = event_error(BadEvent(raw, Stage.PARSE, Reason.BAD_JSON, "m"))
    cleared = without_addresses(without_addresses(error))
    (before, after) = bad_lines(Fake(error, cleared))
    assert before.line and before.line.data == raw.data
    assert after.line and not after.truncated
    assert after.line.data == raw.data.replace(b"198.51.100.7", b"0.0.0.0")
    assert before.line.identity == after.line.identity == raw.identity
    again = event_error(BadEvent(after.line, Stage.PARSE, Reason.BAD_JSON, "m"))
    assert again.data == cleared.data


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 50),
    st.sampled_from(["raw", "raw-2", "x" * 90]),
)  # fmt: skip
def test_splits_of_a_topic(records: list[int], size: int, topic: str) -> None:
    ranges = [OffsetRange(number, 7, 7 + count) for number, count in enumerate(records)]
    for split in splits_of(topic, 3, ranges, size):
        for partition, start, _ in split.ranges:
            origin = Origin("kafka", f"{topic}/{partition}", start, 0.0, "")
            assert provenance.is_of(split.id, origin)
            assert not provenance.is_of(split.id, origin._replace(name=f"other/{partition}"))
            assert not provenance.is_of(split.id, origin._replace(kind="file"))


def test_splits_of_a_file(world: World) -> None:
    """A new file is made of just those splits that its lines were in."""
    lines = [line(number, n=number) if number in (3, 11) else line(number, "Good", text="x")
             for number in range(1, 20)]  # fmt: skip
    world.run("parquet", lines=lines, split=len(lines[0]) * 2)
    world.replay("parquet", "parquet")
    ledger = world.ledger("parquet")
    (made,) = [file for path, file in ledger.files.items() if path.startswith("S_1/")]
    splits = find_splits((str(world.folder / "a.log"),), len(lines[0]) * 2)
    starts = [sum(len(each) + 1 for each in lines[: number - 1]) for number in (3, 11)]
    assert made.of == tuple(
        FilePart(split.id, SEVEN)
        for split in splits
        if any(split.start <= start < (split.end or 0) for start in starts)
    )
    assert len(made.of) == 2


def test_many_files_of_lines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't fit into memory."""
    monkeypatch.setattr(exchange, "_PENDING", 1)
    monkeypatch.setattr(exchange, "_HELD", 1)
    world.run("parquet")
    world.replay("parquet", "parquet")
    assert world.rows("parquet") == as_at_first(world, "parquet")
    names = [path.rpartition("/")[2].partition("-2019")[2] for path in world.files("parquet")
             if path.startswith("S_1/")]  # fmt: skip
    assert sorted(names) == ["-03-10T07.parquet", "-03-10T08-1.parquet", "-03-10T08.parquet"]


def test_topics_that_a_sink_writes() -> None:
    """Those that are there are read."""
    event = b'{"uuid": "u", "schema": "%s", "revision": 1}'
    topics = {name: [[event % name.encode()]] for name in ("el_S", "other", "el_T")}
    uri = "kafka://h:1/?topic=el_{schema}&partitions=3&client.id=x%26y"
    found = [Destination(name, 1) for name in ("S", "U", "T", "no topic")]
    with FakeBroker(topics).at("h:1"):
        store = written_by(uri, found)
        assert store
        assert [each.where for each in store.events(Selection())] == ["el_S/0", "el_T/0"]
        assert written_by(uri, found[1:2]) is None


@pytest.mark.parametrize(
    ("end", "sink", "same"),
    [
        ("parquet:/a/b", "parquet:/a/b/", True),
        ("parquet:/a/b", "parquet:///a/c/../b", True),
        ("parquet:/a/b", "jsonl:/a/b", False),
        ("parquet:hdfs://h:1/a", "parquet:hdfs://h:1/a/", True),
        ("parquet:hdfs://h:1/a", "parquet:hdfs://h:2/a", False),
        ("parquet:/x/", "parquet:/x", True),
        ("sqlite:/x/../y.db", "sqlite:///y.db", True),
        ("mysql://a@h/db", "mysql://b@h:3306/db?bots=drop", True),
        ("mysql://u@h/db", "mysql://u@h/other", False),
        ("mysql://a@h/db", "mysql://a@h:3307/db", False),
        ("mysql://a@h/db?unix_socket=/x", "mysql://a@h/db", False),
        ("kafka://h:1/?topics=a", "kafka://h:1/?topic=a", False),
    ],
)
def test_the_same_place(end: str, sink: str, same: bool) -> None:
    assert same_place(end, sink) is same


def test_no_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run("parquet")
    real = sqlite3.connect
    monkeypatch.setattr(
        "el_beam.upkeep.replay.candidates.sqlite3.connect",
        lambda _, **how: real("/nowhere/at/all", **how),
    )
    with pytest.raises(StoredError, match="cannot keep the lines in"):
        world.replay("parquet", "parquet")
