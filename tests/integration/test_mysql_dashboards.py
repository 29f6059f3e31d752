"""The queries of docs/mysql-queries.md give on our tables what they give on rows that a plain
loader has put into tables of the original's layout. It is the corpus, through the whole job."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from original_tables import load, table_of

from el_beam.cli import main
from traffic.corpus import CORPUS, events
from traffic.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "mysql-queries.md"
LISTS = "CentralNoticeBannerHistory_14321636"
DATE_TIMES = ("event_ts", "event_client_dt")
JOINS = "\n## Joins"
TEXT = PAGE.read_text().partition(JOINS)[0]
QUERIES = {
    title: sql.rstrip(";\n")
    for title, sql in re.findall(
        r"^### (.+)\n(?:(?!###|```).*\n)*```sql\n((?:(?!```).*\n)+)```", TEXT, re.MULTILINE
    )
}


@pytest.fixture(scope="module")
def ours(mariadb: str, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """What `el run` makes of the lines as they came. Those are left out at which the original
    stumbled because a client named a seqId or dt of its own: here the line's own count."""
    log = tmp_path_factory.mktemp("corpus") / "corpus.log"
    stumbled = {each["line"] for each in _read("invalid.jsonl.gz")
                if each["code"] == "processor"} & {
        each["line"] for each in _read("labels.jsonl.gz")
        if each["kind"] in ("override_dt", "override_seqid")
    }  # fmt: skip
    lines = gzip.decompress((CORPUS / "corpus.log.gz").read_bytes()).splitlines(keepends=True)
    log.write_bytes(b"".join(line for n, line in enumerate(lines, 1) if n not in stumbled))
    made = Database(mariadb, "ours")
    assert main(["run", f"file:{log}", made.uri, "--schemas", f"{CORPUS}/schemas"]) == 0
    return made


def _read(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(CORPUS / name, "rt") as lines:
        yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def loaded(mariadb: str) -> tuple[Database, dict[str, list[str]]]:
    """The same by the plain loader, and the uuids that each table has refused."""
    made = Database(mariadb, "theirs")
    with closing(made.connect(autocommit=False)) as connection:
        return made, load(connection)


@pytest.fixture(scope="module")
def theirs(loaded: tuple[Database, dict[str, list[str]]]) -> Database:
    return loaded[0]


def test_the_same_rows_are_there(
    ours: Database, loaded: tuple[Database, dict[str, list[str]]]
) -> None:
    """What one can't hold the other can't either, and here it is an EventError. But a list whose
    JSON is longer than the original's column has room."""
    theirs, refused = loaded
    given = Counter(table_of(event["schema"], event["revision"]) for event in events())
    assert given.total() > 19_000
    for table, number in given.items():
        assert theirs.count(table) == number - len(refused[table])
        here = {uuid for (uuid,) in ours.ask(f"SELECT uuid FROM {table}")}
        there = {uuid for (uuid,) in theirs.ask(f"SELECT uuid FROM {table}")}
        long = set()
        if table == LISTS:
            long = {uuid for (uuid,) in ours.ask(
                f"SELECT uuid FROM {table} WHERE CHAR_LENGTH(event_l) > 1024"
            )}  # fmt: skip
            assert long
        assert here - there == long and not there - here
        refused[table] = sorted({*refused[table]} - long)
    rejected = ours.ask(
        "SELECT CONCAT(event_schema, '_', event_revision), COUNT(*) FROM EventError_14035058"
        " WHERE event_reason = 'row_rejected' GROUP BY 1"
    )
    assert dict(rejected) == {table: len(uuids) for table, uuids in refused.items() if uuids}
    assert sum(dict(rejected).values()) > 200


def test_the_queries_are_found() -> None:
    assert len(QUERIES) == TEXT.count("```sql") == TEXT.count("\n### ") >= 20


@pytest.mark.parametrize("title", QUERIES)
def test_a_query(title: str, ours: Database, theirs: Database) -> None:
    found, expected = ours.ask(QUERIES[title]), theirs.ask(QUERIES[title])
    assert found == expected
    assert found and any(value for row in found for value in row)


def test_columns_hold_the_same(ours: Database, theirs: Database) -> None:
    """Column by column, as far as types allow: fractions of seconds had no room, and in a column of
    any type `true` and `1.0` were `1`."""
    odd = set()
    for (table,) in theirs.ask("SHOW TABLES"):
        names = [name for name, *_ in theirs.ask(f"SHOW COLUMNS FROM {table}")]
        names.remove("id")
        shown = ", ".join(
            f"CAST(`{name}` AS DATETIME)" if name in DATE_TIMES else f"`{name}`" for name in names
        )
        here, there = ({row[0]: row for row in database.ask(f"SELECT {shown} FROM {table}")}
                       for database in (ours, theirs))  # fmt: skip
        for uuid, row in there.items():
            for name, is_, was in zip(names, here[uuid], row, strict=True):
                if is_ != was:
                    assert name == "event_extraParams" and float(json.loads(is_)) == float(was)
                    odd.add(is_)
    assert odd == {"true", "1.0"}


def test_a_range_of_days_uses_the_index(ours: Database) -> None:
    """As the page says."""
    count = "EXPLAIN SELECT COUNT(*) FROM VirtualPageView_17780078 WHERE "
    (plan,) = ours.ask(f"{count} timestamp BETWEEN '20190301' AND '20190302'")
    assert plan[3] == "range" and "timestamp" in plan[5]
    (plan,) = ours.ask(f"{count} LEFT(timestamp, 8) = '20190301'")
    assert plan[3] == "index"  # all of it
