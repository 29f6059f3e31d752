"""What a report says: the summary of a run, and what its SQLite tables answer."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from el_beam.watching.report.timeline import Minute, minute_of
from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.storage.table_names import SQLITE_TABLES, called, sqlite_look, table_name
from transforms.counts.summary import Summary

_UNKNOWN = "no known schema"
_ERRORS = table_name(*EVENT_ERROR)
_MINUTE = "strftime('%Y-%m-%dT%H:%MZ', dt)"
# MIN(id) makes the other columns those of the first line that had the reason.
_EXAMPLES = f"""
SELECT event_reason, event_message, event_path, event_origin, event_rawEvent, MIN(id)
FROM {_ERRORS} GROUP BY event_reason"""
_BAD_MINUTES = f"""
SELECT {_MINUTE} AS minute,
       CASE WHEN event_reason IN ('schema_violation', 'row_rejected') THEN event_schema
       ELSE '{_UNKNOWN}' END AS schema,
       0, COUNT(*)
FROM {_ERRORS} GROUP BY minute, schema"""
_MINUTES = f"SELECT {_MINUTE}, ?, COUNT(*), 0 FROM {{}} GROUP BY 1"
_BROWSERS = """
SELECT COALESCE(json_extract(userAgent, '$.browser_family'), ''), COUNT(*) FROM {} GROUP BY 1"""
_QUESTION = """\
SELECT wiki, COUNT(*) AS events, SUM(json_extract(userAgent, '$.is_bot')) AS bots
FROM {}
GROUP BY wiki
ORDER BY events DESC"""


class RunFacts(NamedTuple):
    """A run from outside: texts for people, and times in seconds."""

    source: str
    format: str
    runner: str
    started: float  # since 1970
    seconds: float


class ExampleLine(NamedTuple):
    """A bad line. Any value may be missing."""

    message: str | None
    path: str | None
    origin: str | None
    raw: str | None


class Query(NamedTuple):
    """A question in SQL, and what SQLite answers."""

    sql: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class RunReport:
    """All that the page says. Its texts may come from an event, so from anyone."""

    run: RunFacts
    summary: Summary
    minutes: Sequence[Minute]
    examples: Mapping[str, ExampleLine] = field(default_factory=dict)  # by reason
    browsers: Mapping[str, int] | None = None  # events by name; None: nobody knows
    query: Query | None = None


def contents(summary: Summary, run: RunFacts) -> RunReport:
    """The report of a bounded run.

    A SQLite sink that holds this run's events and no others answers for minutes, browsers and
    examples; without one there are hours."""
    for path in [sink.removeprefix("sqlite:") for sink in summary.sinks if sink[:7] == "sqlite:"]:
        with closing(sqlite3.connect(path)) as connection:
            if _holds_all(connection, summary):
                return _answers(connection, summary, run)
    return RunReport(run, summary, [*_hours(summary)])


def _hours(summary: Summary) -> Iterator[Minute]:
    for key, count in summary.counts.items():
        schema, _, revision = key.schema.rpartition("_")
        schema = _UNKNOWN if revision == "-1" else schema
        valid = 0 if key.reason else count
        yield Minute(minute_of(f"{key.hour}:00Z"), schema, valid, count - valid)


def _tables(connection: sqlite3.Connection, summary: Summary) -> dict[str, str]:
    """The schema of each table with valid events of the run; the largest first."""
    look = sqlite_look(connection.execute(SQLITE_TABLES))
    ordered = sorted(summary.schemas.items(), key=lambda item: (-item[1][0], item[0]))
    names = [name.rpartition("_") for name, (valid, _) in ordered if valid]
    return {called(Destination(schema, int(revision)), look): schema
            for schema, _, revision in names}  # fmt: skip


def _holds_all(connection: sqlite3.Connection, summary: Summary) -> bool:
    named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = [*_tables(connection, summary), *([_ERRORS] if summary.bad else [])]
    if not {*tables} <= {name for (name,) in named}:
        return False
    counts = (connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables)
    return int(sum(counts)) == summary.read


def _answers(connection: sqlite3.Connection, summary: Summary, run: RunFacts) -> RunReport:
    ask = connection.execute
    examples: dict[str, ExampleLine] = {}
    minutes: list[tuple[Any, ...]] = []
    browsers: Counter[str] = Counter()
    query = None
    if summary.bad:
        examples = {reason: ExampleLine(*values) for reason, *values, _ in ask(_EXAMPLES)}
        minutes += ask(_BAD_MINUTES)
    tables = _tables(connection, summary)
    for table, schema in tables.items():
        minutes += ask(_MINUTES.format(table), (schema,))
        browsers.update(dict(ask(_BROWSERS.format(table)).fetchall()))
    if tables:
        sql = _QUESTION.format(next(iter(tables)))
        cursor = ask(sql)
        query = Query(sql, [column[0] for column in cursor.description], cursor.fetchall())
    known = [Minute(minute_of(text), *counts) for text, *counts in minutes]
    return RunReport(run, summary, known, examples, browsers, query)
