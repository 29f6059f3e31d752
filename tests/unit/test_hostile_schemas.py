"""A line of a megabyte takes less than a second and 200 MB, whatever its schema and its sink."""

import gc
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hostile_schemas import VALUES, WRITTEN, line, schemas
from thorough import THOROUGH, some

from schemas.bad_event import EVENT_ERROR, BadEvent, event_error
from schemas.event import Destination, Event, Origin, RawLine
from schemas.registry import Registry, open_registry
from schemas.storage.sql_rows import row
from schemas.storage.table_names import table_names
from schemas.validation.judged import Known
from schemas.validation.validator import Validator
from transforms.parse import line_parser
from transforms.validate import event_validator
from transforms.write.encodings import JsonLinesEncoding, ParquetEncoding, RawEncoding
from transforms.write.files import Encoding
from transforms.write.mysql_table import MysqlTable
from transforms.write.sink import Rejected

HERE: Final = Destination("S", 1)
SECONDS, MEGABYTES = (1.0 if THOROUGH else 3.0), 200.0  # the suite shares its processor
SINKS: Final = ("parquet", "jsonl", "raw", "sqlite", "mysql")


def peak() -> float:
    """The most memory of this process since `forget_peak`, in MB."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1000


def forget_peak() -> None:
    gc.collect()
    gc.freeze()  # what other tests have left is no matter
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")


def work(data: bytes, registry: Registry, sink: str) -> None:
    """All that is done with a line but for the bytes that a server gets."""
    raw = RawLine(data, Origin("file", "a.log", 0, 0.0, "a"))
    parsed = line_parser("%j")(raw)
    outcome = event_validator(registry)(parsed) if isinstance(parsed, Event) else parsed
    if isinstance(outcome, BadEvent):
        to, event = EVENT_ERROR, event_error(outcome)
    else:
        to, event = HERE, outcome
    encodings: dict[str, Callable[[], Encoding]] = {
        "parquet": lambda: ParquetEncoding(registry),
        "jsonl": JsonLinesEncoding,
        "raw": RawEncoding,
    }
    if sink in encodings:
        encoder = encodings[sink]().encoder(to)
        encoder.add(event)
        encoder.finish()
    elif sink == "sqlite":
        row(registry.get(*to))(event.data)
    else:
        try:
            MysqlTable(to, registry.get(*to), table_names(registry)).row(event)
        except Rejected:
            assert to == HERE


def cost(data: bytes, registry: Registry, sink: str) -> tuple[float, float]:
    """Seconds of the processor, and megabytes."""
    forget_peak()
    before, begun = peak(), time.thread_time()
    work(data, registry, sink)
    return time.thread_time() - begun, peak() - before


@pytest.fixture
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
def test_what_a_line_takes(registry_of: Callable[..., Registry]) -> None:
    """Of schemas and lines some that a seed draws; `scripts/soak schemas` tries them all."""
    documents = {f"hostile {number}": each for number, each in enumerate(schemas(200))}
    catalog = open_registry(None)
    documents |= {str(each): catalog.get(*each) for each in catalog.list() if each != EVENT_ERROR}
    chance = random.Random(5)
    draws = [
        (name, value, whole, chance.choice(SINKS))
        for name in documents
        for value in VALUES
        for whole in (False, True)
    ]
    chosen = some(draws, chance.sample(draws, 70))
    lines = {each: line(*each[:1], whole=each[1]) for each in {draw[1:3] for draw in chosen}}
    too_much = []
    for name, value, whole, sink in chosen:
        registry = registry_of({HERE: documents[name]})
        for _ in range(3):  # others may have disturbed it
            seconds, megabytes = cost(lines[value, whole], registry, sink)
            if seconds < SECONDS and megabytes < MEGABYTES:
                break
        else:
            too_much.append((name, value, whole, sink, round(seconds, 2), round(megabytes)))
            if THOROUGH:
                print(*too_much[-1], file=sys.stderr)
    assert not too_much, "\n".join(map(str, too_much))


@pytest.mark.parametrize("wrong", ["first", "last", "none"])
@pytest.mark.parametrize("number", range(0, len(WRITTEN), 4))
def test_what_is_wrong_in_a_long_list_is_found(
    number: int, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict, and what is wrong, are those that jsonschema finds alone, value by value."""
    document = WRITTEN[number]
    values: list[Any] = [["x"]] * 60
    if wrong != "none":
        values[0 if wrong == "first" else -1] = {"a": [1, True]}
    for event in ({"l": values}, {"l": {f"k{n}": each for n, each in enumerate(values)}}, values):
        data = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
        validator, plain = Validator(document), Validator(document)
        monkeypatch.setattr(plain, "_known", Known())
        assert validator.violations(data | {"event": event}) == plain.violations(
            data | {"event": event}
        )


def test_an_event_with_too_many_values_is_refused_in_a_sentence() -> None:
    document = {"properties": {"l": {"items": {"disallow": [{"type": "string"}]}}}}
    data = {"wiki": "w", "schema": "S", "revision": 1, "recvFrom": "r", "uuid": "u"}
    few, many = ({**data, "event": {"l": [*range(count)]}} for count in (5_000, 50_000))
    assert Validator(document).violations(few) == []
    (found,) = Validator(document).violations(many)
    assert found.message.startswith("the event would take more than 64,000 steps to be judged")
