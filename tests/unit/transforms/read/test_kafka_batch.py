"""Batches of records: what the Java side has put into one is what comes out."""

from random import Random
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.jars import SOURCES
from schemas.event import Origin, RawLine
from schemas.times import LATEST, record_time
from transforms.read.kafka_batch import READ, lines_of

JAVA = SOURCES / "kafka-batches" / "src"
LONG = st.integers(-(2**63), 2**63 - 1)
Record = tuple[int, int, bytes]  # offset, time, value


def encoded(topic: str, partition: int, records: list[Record]) -> bytes:
    """As PartitionBatch.java does it."""
    name, columns = topic.encode(), [*zip(*records, strict=True)] or [(), (), ()]
    sizes = [len(value) for value in columns[2]]
    head = pack(">iii", partition, len(records), len(name)) + name
    numbers = b"".join(pack(f">{len(records)}q", *column) for column in columns[:2])
    return head + numbers + pack(f">{len(records)}i", *sizes) + b"".join(columns[2])


def test_the_bytes_that_java_makes() -> None:
    """BatchFnTest.java makes these very bytes. A record without a value has one of no bytes."""
    batch = (JAVA / "test" / "resources" / "batch.bin").read_bytes()
    place = "été/7"
    assert [*lines_of(batch)] == [
        RawLine(b"a", Origin("kafka", place, 1 << 40, 1_552_176_000.123, place)),
        RawLine(b"", Origin("kafka", place, (1 << 40) + 2, 0, place)),
        RawLine(b"\xff\x00\n", Origin("kafka", place, (1 << 40) + 3, 0, place)),
        RawLine(b"", Origin("kafka", place, 2**63 - 1, record_time(2**63 - 1), place)),
    ]


def test_both_sides_call_the_read_the_same() -> None:
    assert f'URN = "{READ}"' in (JAVA / "main/java/el_beam/KafkaBatches.java").read_text()


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    st.integers(0, 2**31 - 1),
    st.lists(st.tuples(LONG, LONG, st.binary(max_size=40)), max_size=9),
)
def test_whatever_is_in_a_batch_comes_out(
    topic: str, partition: int, records: list[Record]
) -> None:
    lines = [*lines_of(encoded(topic, partition, records))]
    place = f"{topic}/{partition}"
    assert [(line.origin.offset, line.data) for line in lines] == [
        (offset, value.removesuffix(b"\n")) for offset, _, value in records
    ]
    for line, (_, time, _) in zip(lines, records, strict=True):
        assert line.origin == ("kafka", place, line.origin.offset, record_time(time), place)
        assert 0 <= line.origin.receipt <= LATEST


@given(st.lists(st.tuples(LONG, LONG, st.binary(max_size=40)), max_size=9), st.randoms())
def test_a_part_of_a_batch_is_refused(records: list[Record], rnd: Random) -> None:
    whole = encoded("t", 0, records)
    for wrong in (whole[: rnd.randrange(len(whole))], whole + b"x"):
        with pytest.raises(ValueError, match="are not a batch of records"):
            list(lines_of(wrong))
