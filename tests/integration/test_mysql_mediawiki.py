"""The joins of docs/mysql-queries.md on tables with MediaWiki's names and types, and what comparing
texts with bytes does. The answers are worked out by hand from examples/mediawiki.sql and EVENTS."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.event import Destination, Event
from schemas.registry import open_registry
from traffic.database import Database, event, write

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "mysql-queries.md").read_text().partition("\n## Joins")[2]
QUERIES = {
    title: sql.rstrip(";\n")
    for title, sql in re.findall(
        r"^### (.+)\n(?:(?!###|```).*\n)*```sql\n((?:(?!```).*\n)+)```", TEXT, re.MULTILINE
    )
}
VIEW = Destination("VirtualPageView", 17780078)
TIMING = Destination("NavigationTiming", 15033442)
EDIT = Destination("Edit", 13457736)
ACCOUNT = Destination("ServerSideAccountCreation", 5487345)
DAY = "2019-03-10T"


def view(time: str, page: int, title: str, wiki: str = "enwiki") -> tuple[Any, ...]:
    about = {"page_id": page, "source_title": title, "source_namespace": 0}
    return VIEW, time, about, wiki


def edit(time: str, action: str, page: int, user: int, count: int) -> tuple[Any, ...]:
    about = {"page.id": page, "user.id": user, "user.editCount": count, "editor": "wikitext"}
    return EDIT, time, about | {"action": action}, "enwiki"


def account(time: str, user: int, name: str) -> tuple[Any, ...]:
    return ACCOUNT, time, {"userId": user, "userName": name, "isSelfMade": True}, "enwiki"


EVENTS = [
    view("07:00:00", 1, "Main Page"),
    view("07:00:01", 1, "Main_Page"),
    view("07:00:02", 2, "Zürich"),
    view("07:00:03", 5, "Zurich"),
    view("07:00:04", 99, "zürich"),  # a page that is gone, a title that never was
    view("07:00:05", 1, "東京都", "dewiki"),
    (TIMING, "07:00:00", {"revId": 100, "loadEventEnd": 200}, "enwiki"),
    (TIMING, "07:40:00", {"revId": 104, "loadEventEnd": 300}, "enwiki"),
    (TIMING, "07:41:00", {"revId": 104, "loadEventEnd": 500}, "enwiki"),
    (TIMING, "07:41:00", {"revId": 105, "loadEventEnd": 9}, "ruwiki"),
    (TIMING, "07:42:00", {"loadEventEnd": 9}, "enwiki"),
    edit("07:20:00", "init", 1, 11, 0),
    edit("07:29:30", "saveAttempt", 1, 11, 0),  # saved 30 s later
    edit("07:29:30", "saveAttempt", 3, 11, 0),  # of another page
    edit("07:28:00", "saveAttempt", 1, 0, 0),  # by nobody
    edit("07:50:00", "init", 4, 11, 1),
    edit("08:00:00", "init", 3, 12, 3),
    account("07:00:00", 11, "O'Brien"),
    account("07:05:00", 13, "o'brien"),
    account("07:10:00", 14, "Old name"),
]


@pytest.fixture(scope="module")
def made(mariadb: str) -> Database:
    """The events in their tables, written by the sink, beside a database `enwiki`."""
    wiki = Database(mariadb, "enwiki")
    script = re.sub(r"^--.*", "", (ROOT / "examples" / "mediawiki.sql").read_text(), flags=re.M)
    wiki.ask(*filter(str.strip, script.split(";\n")))
    database = Database(mariadb, "log")
    routed: list[tuple[Destination, Event]] = [
        (to, event(number, dt=f"{DAY}{time}Z", wiki=wiki, event=about))
        for number, (to, time, about, wiki) in enumerate(EVENTS)
    ]
    books = write(database.sink(open_registry(None)), routed)
    assert books["written"] == len(EVENTS)
    return database


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "Pages that were read": [(0, "Zürich", 0, 2), (0, "Zurich", 1, 1), (0, "東京都", 0, 1)],
    "Pages by title": [
        ("Main Page", 3, 102, 1), ("Main_Page", 3, 102, 1), ("Zurich", 2, 101, 1),
        ("Zürich", 1, 104, 1), ("zürich", None, None, 1),
    ],
    "Load times by page": [("Zürich", 0, 1, Decimal(200)), ("Zürich", 1, 2, Decimal(400))],
    "Edits that were saved": [("wikitext", 3, 1, Decimal(100))],
    "Edit counts at the time of an event": [
        ("20190310072000", "O'Brien", 2, 0, 0), ("20190310075000", "O'Brien", 2, 1, 1),
        ("20190310080000", "☆ Stern", 3, 3, 3),
    ],
    "New accounts that edit": [
        ("O'Brien", "O'Brien", 1, 1, "20190310073000"), ("o'brien", "o'brien", 1, 0, None),
        ("Old name", "New name", 0, 0, None),
    ],
    "Users by name": [
        ("O'Brien", 11, "20190310070000"), ("o'brien", 13, "20190310070500"),
        ("Old name", None, None),
    ],
    "Events and edits in one list": [
        ("20190310", "edits", 1), ("20190310", "previews", 5), ("20190311", "edits", 1),
    ],
}  # fmt: skip


def test_every_join_has_an_answer() -> None:
    assert list(QUERIES) == list(ANSWERS) and TEXT.count("```sql") == len(ANSWERS)


@pytest.mark.parametrize("title", ANSWERS)
def test_a_join(title: str, made: Database) -> None:
    assert made.ask(QUERIES[title]) == ANSWERS[title]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("page_title = 'Zürich'", [1]),
        ("page_title = 'zürich'", []),  # bytes
        ("CONVERT(page_title USING utf8mb4) = 'zürich'", [1, 2]),  # so don't
        ("LOWER(page_title) = 'zurich'", []),  # does nothing to bytes
        ("LOWER(CONVERT(page_title USING utf8mb4)) = 'zurich'", [1, 2]),
        ("CONVERT(page_title USING utf8mb4) LIKE 'ZUR%'", [1, 2]),
        ("page_title LIKE 'zur%'", []),
        ("page_title LIKE 'Zur%'", [2]),
        ("page_touched >= '20190310'", [1, 4]),
    ],
)
def test_texts_and_bytes(expression: str, value: list[int], made: Database) -> None:
    """What the page says of them."""
    found = made.ask(f"SELECT page_id FROM enwiki.page WHERE {expression} ORDER BY 1")
    assert [page for (page,) in found] == value


def test_what_is_made_of_bytes_is_bytes(made: Database) -> None:
    (row,) = made.ask(
        "SELECT LEFT(rev_timestamp, 8), LEFT(CAST(rev_timestamp AS CHAR), 8)"
        " FROM enwiki.revision WHERE rev_id = 104"
    )
    assert row == (b"20190310", "20190310")


def test_joins_use_the_indexes_of_mediawiki(made: Database) -> None:
    """An event's id or name finds its row by key; a converted name doesn't."""
    by = {
        "page_id = event_page_id": ("eq_ref", "page"),
        "page_namespace = event_source_namespace AND page_title = REPLACE(event_source_title,"
        " ' ', '_')": ("eq_ref", "page"),
        "CONVERT(page_title USING utf8mb4) = event_source_title": ("index", "page"),  # all of it
    }
    for on, (kind, table) in by.items():
        plan = made.ask(
            f"EXPLAIN SELECT STRAIGHT_JOIN 1 FROM {VIEW} JOIN enwiki.page ON {on} WHERE wiki = 'x'"
        )
        assert [step[3] for step in plan if step[2] == table] == [kind], on
