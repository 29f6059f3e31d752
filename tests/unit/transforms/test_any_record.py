"""Whatever a record's bytes, times and offsets are, it becomes an event or an EventError, once."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from fake_broker import FakeBroker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import plain_runner
from run_configs import run_config

from el_beam.config.assemble import assemble
from el_beam.running.bounded import execute
from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.capsule import event_time
from schemas.event import Origin, RawLine
from schemas.times import EARLIEST, LATEST, in_calendar, record_time
from traffic.feed import lines
from transforms.counts.summary import total
from transforms.io.kafka.broker import KafkaRecord, Partition
from transforms.io.kafka.cluster import KafkaCluster
from transforms.layout import check_hour, hour_name
from transforms.read.kafka_ranges import KafkaRanges, splits_of
from transforms.read.offsets import OffsetRange
from transforms.window import in_minute

ORACLE = Path(__file__).parents[2] / "golden" / "oracle"
NOW = 1_600_000_000
TIMES = [0, 1, -1, NOW, NOW * 10**3, NOW * 10**6, NOW * 10**9, 2**63 - 1, -(2**63), 2**31, -(2**62)]
TIMES += [253402300799, 253402300799999, 253402300800000, 62135596800000, -62135596801000]
DTS: list[Any] = [
    "2019-03-10T07:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2099",
    "",
]
DTS += ["9999-12-31T23:59:59Z", "x" * 100, "24:00", "2019-02-29T00:00:00", "10:00 PM", None, 5, []]
ODD: list[Any] = [None, True, 0, -1, 1e300, 2**63 - 1, -(2**63), 0.5, "", "\x00", "é", "🦆" * 300]
ODD += [[], {}, [[]], {"": {"a": [None]}}, "192.0.2.7", nan, inf, "\ud800"]


class Records(FakeBroker):
    """Records of one partition, each with a time of its own."""

    def __init__(self, values: list[bytes], times: list[int]) -> None:
        super().__init__({"raw": [values]})
        self._times = times

    def records(self, place: Partition, start: int, end: int) -> Iterator[KafkaRecord]:
        for record in super().records(place, start, end):
            yield record._replace(time=record_time(self._times[record.offset]))


@pytest.mark.parametrize("milliseconds", TIMES)
def test_every_time_of_a_record_has_a_date(milliseconds: int) -> None:
    seconds = record_time(milliseconds)
    assert 0 <= seconds <= LATEST
    if 0 <= milliseconds <= LATEST * 1000:
        assert seconds == milliseconds / 1000


def test_finer_units_are_recognised() -> None:
    assert record_time(NOW * 10**3) == record_time(NOW * 10**6) == record_time(NOW * 10**9) == NOW


@pytest.mark.parametrize("seconds", [*TIMES, inf, -inf, nan, 1e300, LATEST + 0.9])
def test_whatever_a_receipt_is_the_line_has_an_hour(seconds: float) -> None:
    """Of files it is their last modification; of an archive, what somebody has written there."""
    assert datetime.fromtimestamp(in_calendar(seconds), UTC)
    line = RawLine(b"x", Origin("kafka", "t/0", 1, seconds, "t"))
    error = event_error(BadEvent(line, Stage.PARSE, Reason.BAD_JSON, ""))
    assert event_time(error.data, 0) == int(in_calendar(seconds))
    for dt in DTS:
        found = event_time({"dt": dt}, seconds)
        assert EARLIEST <= found <= LATEST
        check_hour(hour_name(int(found // 3600)))
        assert in_minute(None, found).windows


def test_times_beyond_the_last_hour_make_one_file_of_it() -> None:
    times = [event_time({"dt": dt}, 0) for dt in ("9999-12-31T23:00:00Z", DTS[1])]
    assert len({time // 3600 for time in times}) == 1


def any_event(rnd: Random) -> dict[str, Any]:
    event = {"schema": "Edit", "revision": 13457736, "wiki": "w", "recvFrom": "cp1", "seqId": 1}
    event |= {
        "event": {"action": "init", "version": 1, "editor": "wikitext"},
        "uuid": f"{'0' * 32}",
    }
    event |= {"dt": rnd.choice(DTS)} if rnd.random() < 0.7 else {}
    event |= {"timestamp": rnd.choice([*TIMES, *ODD])} if rnd.random() < 0.4 else {}
    for name in rnd.sample([*event, "meta", "ip", "userAgent", "topic", "x"], rnd.randint(0, 3)):
        event[name] = rnd.choice(ODD)
    return event


def any_record(rnd: Random, good: list[bytes], *, as_json: bool) -> bytes:
    data = json.dumps(any_event(rnd)).encode() if as_json else rnd.choice(good)
    match rnd.randint(0, 6):
        case 0:
            return rnd.randbytes(rnd.randint(0, 40))
        case 1:
            cut = rnd.randint(0, len(data))
            return data[:cut] + rnd.randbytes(rnd.randint(0, 3)) + data[cut + rnd.randint(0, 9) :]
        case 2:
            return rnd.choice(
                [b"", b"\n", b"\r\n", b"\xff" * 20, b"{}", b"[]", b"null", b"\x00", b"?"]
            )
        case 3:
            parts = data.split(b"\t" if b"\t" in data else b" ")
            parts[rnd.randrange(len(parts))] = rnd.choice(
                [b"", b"-", b"9" * 30, b"2019-02-30T25:61:61"]
            )
            return b"\t".join(parts)
    return data


def check(rnd: Random, folder: Path, *, count: int, beam: bool) -> None:
    """A job's records into every kind of file: what went in came out, once."""
    as_json = rnd.random() < 0.5
    good = [*gzip.decompress((ORACLE / "corpus.log.gz").read_bytes()).split(b"\n")[:200]]
    good += [line for line, _ in zip(lines(0), range(50), strict=False)]
    values = [any_record(rnd, good, as_json=as_json) for _ in range(count)]
    broker = Records(values, rnd.choices(TIMES, k=count))
    (folder / "scratch").mkdir(parents=True)
    kinds = ("parquet", "jsonl", "raw", *(["sqlite"] if beam else []))
    config = run_config(
        source=f"file:{__file__}", sinks=tuple(f"{kind}:{folder}/{kind}" for kind in kinds),
        format="json" if as_json else None,
    )  # fmt: skip
    job, execution = assemble(config, str(folder / "scratch"))
    splits = splits_of("raw", 1, [OffsetRange(0, 0, count)])
    source = KafkaRanges(KafkaCluster("broker:1"), tuple(splits), "kafka://broker:1")
    job = replace(job, source=source)
    sinks = [str(sink) for sink, _ in job.sinks]
    with broker.at("broker:1"):
        if beam:
            summary = execute(job, execution)
        else:
            summary = total(plain_runner.run(job, execution).values(), sinks)
    assert not summary.imbalances
    assert summary.read == count == summary.valid + summary.bad
    for sink in sinks:
        book = summary.sinks[sink]
        assert book.given + book.filtered == count, sink
    if beam:
        files = (folder / "jsonl").rglob("[!_]*.jsonl.gz")
        rows = [orjson.loads(line) for path in files
                for line in gzip.decompress(path.read_bytes()).splitlines()]  # fmt: skip
        assert len(rows) == count
        assert sum(row["schema"] == "EventError" for row in rows) == summary.bad
        archived = [pq.read_table(path, partitioning=None).to_pylist()
                    for path in (folder / "raw").glob("year=*/**/*.parquet")]  # fmt: skip
        got = {row["offset"]: row["line"] for table in archived for row in table}
        assert got == {place: value.removesuffix(b"\n") for place, value in enumerate(values)}


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_each_record_becomes_an_event_or_an_event_error(
    tmp_path_factory: pytest.TempPathFactory, rnd: Random
) -> None:
    check(rnd, tmp_path_factory.mktemp("records") / "x", count=100, beam=False)


def test_in_the_graph_too(tmp_path: Path) -> None:
    check(Random(0), tmp_path, count=600, beam=True)
