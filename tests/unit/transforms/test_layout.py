"""Where files are and what they are called: what is written is read back, whatever the names."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Destination
from transforms import layout
from transforms.layout import FileName, Partition, deeper, file_split, is_hidden, kafka_split

HEX = "0123456789abcdef"
TEXTS = st.text(min_size=1, max_size=40)
HOURS = st.integers(-20_000_000, 80_000_000).map(layout.hour_name)
SCHEMAS = st.builds(Destination, TEXTS, st.integers(0, 10**18 - 1))
"""A name of any characters: clients write what they like."""


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=count, max_size=count)


FILE_SPLITS = st.builds(file_split, TEXTS, st.integers(0, 10**12 - 1))
KAFKA_SPLITS = st.builds(
    kafka_split, TEXTS, st.integers(0, 10**8 - 1), st.integers(0, 999), digits(10)
)
STDIN_SPLITS = st.floats(0, 1e10).map(lambda at: f"stdin-{at:.6f}")
SPLITS = st.one_of(FILE_SPLITS, KAFKA_SPLITS, STDIN_SPLITS)
NAMES = st.builds(
    FileName,
    st.builds("{}{}".format, st.sampled_from(["", "backfill-20190310T070000-"]), SPLITS),
    st.integers(0, 10**9 - 1),
    st.sampled_from([layout.PARQUET, layout.JSON_LINES, layout.ARCHIVE]),
    st.one_of(st.just(""), digits(12)),
    st.one_of(st.just(""), digits(12)),
    st.one_of(st.just(""), digits(8)),
)


@given(NAMES)
def test_a_name_is_read_as_it_was_written(name: FileName) -> None:
    assert FileName.parse(str(name)) == name
    assert FileName.parse(name.beside("a/b=c/x.parquet")) == name
    assert name.beside("x.parquet") == str(name)


@given(TEXTS, st.sampled_from([".parquet", ".jsonl.gz", ".raw.parquet", ".txt", ""]))
def test_any_name_stays_what_it_is(stem: str, ending: str) -> None:
    """What others have put there is no less a file."""
    text = f"{stem}{ending}".rpartition("/")[2]
    name = FileName.parse(text)
    assert str(name) == text if name else not text.endswith((".parquet", ".jsonl.gz"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a.log-0123456789-000000000000.jsonl.gz",
         FileName("a.log-0123456789-000000000000", 0, ".jsonl.gz")),
        ("a.log-0123456789-000067108864-2.parquet", FileName("a.log-0123456789-000067108864", 2)),
        ("t-00000042-001-1234567890.parquet", FileName("t-00000042-001-1234567890")),
        ("t-00000042-001-1234567890-11.raw.parquet",
         FileName("t-00000042-001-1234567890", 11, ".raw.parquet")),
        ("t-00000042-001-1234567890-rabcdefabcdef-c0123456789ab-kept01234567.parquet",
         FileName("t-00000042-001-1234567890", 0, ".parquet", "abcdefabcdef", "0123456789ab",
                  "01234567")),
        ("stdin-1552200030.500000-1.parquet", FileName("stdin-1552200030.500000", 1)),
        ("replay-0123456789ab-2019-03-10T07-other-1.jsonl.gz",
         FileName("replay-0123456789ab-2019-03-10T07-other-1", 0, ".jsonl.gz")),
    ],
)  # fmt: skip
def test_what_is_written_today(text: str, name: FileName) -> None:
    assert FileName.parse(text) == name and str(name) == text


@pytest.mark.parametrize("text", ["x.txt", "_SUCCESS", "parquet", "x.parquet/y", ".jsonl"])
def test_what_is_no_data_file(text: str) -> None:
    assert FileName.parse(text) is None


@given(st.one_of(st.just(layout.ALL), SCHEMAS), HOURS)
def test_a_partition_is_read_as_it_was_written(schema: Destination, hour: str) -> None:
    partition = Partition(schema, hour)
    assert Partition.parse(str(partition)) == partition
    assert Partition.parse(f"{partition}/x.parquet") == partition
    assert layout.hour_in(f"/srv/{partition}/x.parquet") == hour


@given(SCHEMAS, st.sampled_from([layout.schema_folder, layout.apart_folder]))
def test_a_schemas_folder_is_one_and_visible(
    schema: Destination, name_of: Callable[[Destination], str]
) -> None:
    folder = name_of(schema)
    assert PurePosixPath("/srv", folder).parent == PurePosixPath("/srv")
    assert folder.isascii() and folder.isprintable() and not is_hidden(folder)
    assert "=" not in folder and folder not in layout.RESERVED
    assert layout.schema_in(folder) == schema


@pytest.mark.parametrize(
    "path", ["", "_SUCCESS", "year=2019/month=03/day=10", "Edit/year=2019/month=03/day=10/hour=07",
             "_replaced/x/Edit_17/year=2019/month=03/day=10/hour=07/a.parquet",
             "Edit_17/more/year=2019/month=03/day=10/hour=07/a.parquet"],
)  # fmt: skip
def test_what_is_in_no_partition(path: str) -> None:
    assert Partition.parse(path) is None


@given(HOURS)
def test_an_hours_folders_one_by_one(hour: str) -> None:
    so_far = ""
    for folder in layout.hour_folder(hour).split("/"):
        assert not layout.is_hour(so_far)
        longer = deeper(so_far, folder)
        assert longer is not None and hour.startswith(longer)
        assert deeper(so_far, f"x{folder}") is None
        so_far = longer
    assert so_far == hour and layout.is_hour(so_far)
    assert deeper(hour, "year=2019") is deeper("20190", "month=03") is None


@given(TEXTS, TEXTS, st.integers(0, 10**12 - 1))
def test_splits_of_files(path: str, other: str, start: int) -> None:
    split = file_split(path, start)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", split) and not is_hidden(split)
    assert layout.is_of_file(split, path) and layout.start_of(split) == start
    assert layout.is_of_file(split, other) == (path == other)


@given(st.text("abc.-_/x", min_size=1), st.integers(0, 10**8 - 1), st.integers(0, 999), digits(10))
def test_splits_of_topics(topic: str, number: int, place: int, digest: str) -> None:
    split = kafka_split(topic, number, place, digest)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", split) and not is_hidden(split)
    assert layout.is_of_topic(split, topic)
    assert layout.number_in(str(FileName(split, 3, layout.ARCHIVE)), topic) == number
    assert layout.number_in(split, f"{topic}y") is None
