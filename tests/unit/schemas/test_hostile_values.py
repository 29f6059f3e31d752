"""What a client can send to stop the stream, to hide other events, or to pass for us."""

import bz2
import json
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from el_beam.config.options import ConfigError, from_yaml
from el_beam.config.run_config import RunConfig
from schemas.bad_event import BadEvent, Reason, event_error
from schemas.capsule import NotATime, parse_time, scid_from_uri
from schemas.event import Destination, Event, Origin, RawLine
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from schemas.storage.sql_rows import row
from transforms.batches import Batch
from transforms.errors import UnreadableInput
from transforms.parse import line_parser
from transforms.read.files import find_splits, read_split
from transforms.read.stages import _ReadFn
from transforms.validate import event_validator
from transforms.window import _MinuteFn

Make = Callable[..., RawLine]
TAIL = '\tcp1.example\t5\t2019-03-10T07:00:00\t1.2.3.4\t"Mozilla/5.0"'
CAPSULE = {
    "event": {"opt": "a"},
    "schema": "EmptyAllowed",
    "revision": 1,
    "wiki": "enwiki",
    "webHost": "en.wikipedia.org",
}


def judge(line: RawLine, format_: str = DEFAULT_FORMAT) -> Event | BadEvent:
    outcome = line_parser(format_)(line)
    return (
        outcome if isinstance(outcome, BadEvent) else event_validator(open_registry(None))(outcome)
    )


def beacon(**changes: object) -> str:
    return f"?{quote(json.dumps(CAPSULE | changes))};{TAIL}"


def test_the_line_is_good_without_changes(line_of: Make) -> None:
    assert isinstance(judge(line_of(beacon())), Event)


@pytest.mark.parametrize("uri", ["http://[x/Edit/1", "http://℀foo/Edit/1", "//[/", 5, None, ["a"]])
def test_a_schema_uri_that_is_none(line_of: Make, uri: object) -> None:
    assert scid_from_uri(uri) is None
    outcome = judge(line_of(beacon(meta={"schema_uri": uri})))
    assert isinstance(outcome, BadEvent)
    assert outcome.reason is Reason.NO_SCHEMA


@pytest.mark.parametrize("when", ["9" * 29 + "h", "9" * 60 + "h", "x" * 100_000, "1e9999"])
def test_a_time_that_is_none(line_of: Make, when: str) -> None:
    with pytest.raises(NotATime):
        parse_time(when)
    outcome = judge(line_of(beacon(timestamp=when)))
    assert isinstance(outcome, BadEvent)
    assert outcome.reason is Reason.BAD_TIMESTAMP
    event = CAPSULE | {"uuid": "0" * 32, "recvFrom": "cp1", "dt": when}
    bad = judge(line_of(json.dumps(event | {"wiki": 5})), "json")
    assert isinstance(bad, BadEvent)
    assert event_error(bad).data["dt"].startswith("2019-03-10")
    table_row = row({"properties": {"ts": {"type": "string", "format": "date-time"}}})
    assert table_row(event | {"event": {"ts": when}})["event_ts"] is None


def test_an_event_error_of_a_clients_making(line_of: Make) -> None:
    forged = {"rawEvent": "x", "message": "m", "code": "processor", "schema": "Edit", "revision": 1}
    line = beacon(schema="EventError", revision=14035058, event=forged)
    outcome = judge(line_of(line))
    assert isinstance(outcome, BadEvent)
    assert outcome.reason is Reason.RESERVED_SCHEMA
    assert event_error(outcome).data["event"]["rawEvent"] == line
    ours = event_error(outcome).data  # but one of our own can be read again
    assert isinstance(judge(line_of(json.dumps(ours)), "json"), Event)


def test_another_days_line_at_the_same_place_is_another(line_of: Make) -> None:
    monday, tuesday = (judge(line_of(f"garbage of {day}")) for day in ("monday", "tuesday"))
    assert isinstance(monday, BadEvent)
    assert isinstance(tuesday, BadEvent)
    assert event_error(monday).data["uuid"] != event_error(tuesday).data["uuid"]
    again = judge(line_of("garbage of monday"))
    assert isinstance(again, BadEvent)
    assert event_error(again).data == event_error(monday).data


def test_a_damaged_member_is_not_passed_over(tmp_path: Path) -> None:
    first, second = bz2.compress(b"a\n"), bytearray(bz2.compress(b"b\n" * 1000))
    second[1] ^= 1
    path = tmp_path / "log.bz2"
    path.write_bytes(first + second)
    with pytest.raises(UnreadableInput):
        [line for split in find_splits((str(path),)) for line in read_split(split)]


def test_long_lines_make_short_batches() -> None:
    line = RawLine(b"x" * 1_000_000, Origin("file", "a", 0, 0.0, "a-0"))
    read = _ReadFn(lambda _: iter([line] * 20), 1000).process(None)
    batches = [each for each in read if isinstance(each, Batch)]  # and not the receipt
    assert [len(batch) for batch in batches] == [5, 5, 5, 5]


def test_windows_leave_batches_whole() -> None:
    """What a file holds, and where a part ends, depends on their order."""
    destination = Destination("EmptyAllowed", 1)
    times = ["07:00:00", "07:00:00", "07:00:01", "07:00:00", "07:01:00"]
    line = RawLine(b"", Origin("file", "a", 0, 0.0, "a-0"))
    routed = Batch(
        (destination, Event({"dt": f"2019-03-10T{time}Z", "n": number}, line))
        for number, time in enumerate(times)
    )
    batches = list(_MinuteFn().process_batch(routed))
    assert [event.data["n"] for batch in batches for _, event in batch.values] == [0, 1, 2, 3, 4]
    assert [len(batch.values) for batch in batches] == [5]
    assert not [*_MinuteFn().process_batch(Batch())]


def test_a_date_that_is_none_in_a_config(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("source: 2019-99-99\n")
    with pytest.raises(ConfigError, match="cannot read"):
        from_yaml(str(tmp_path / "job.yaml"), RunConfig)


@pytest.mark.parametrize("format_", ["%q %{a}i %{b}d", "%q %{a}i %{b}i %{c}s %D"])
def test_a_line_of_blanks_takes_no_time(line_of: Make, format_: str) -> None:
    """A field up to a TAB before another kind of field tries every blank as its end."""
    started = time.process_time()
    outcome = line_parser(format_)(line_of("?a x" + " " * 1_000_000))
    assert isinstance(outcome, BadEvent)
    assert outcome.reason is Reason.LINE_TOO_LONG
    assert time.process_time() - started < 5
    assert isinstance(line_parser("%q %{a}i %u")(line_of("?%7B%7D x" + " " * 100_000)), Event)


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    Path(str(tmp_path) + "/bad\udcff.log").write_bytes(b"x\n")
    with pytest.raises(UnreadableInput, match="rename it"):
        find_splits((f"{tmp_path}/*.log",))
