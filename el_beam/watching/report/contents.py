"""What a report says: the summary of a run, and what its SQLite tables answer."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas import VERSION
from schemas.bad_event import EVENT_ERROR
from schemas.storage.sql import table_name

if TYPE_CHECKING:
    from transforms.counts.summary import Summary

Rows = list[dict[str, Any]]
_UNKNOWN = "no known schema"
_ERRORS = table_name(*EVENT_ERROR)
_MINUTE = "strftime('%Y-%m-%dT%H:%MZ', dt)"
# MIN(id) makes the other columns those of the first line that had the reason.
_EXAMPLES = f"""
SELECT event_reason AS reason, event_path AS path, event_origin AS origin,
       event_message AS message, event_rawEvent AS rawEvent, MIN(id)
FROM {_ERRORS} GROUP BY event_reason"""
_BAD_MINUTES = f"""
SELECT {_MINUTE} AS minute, 0 AS valid, COUNT(*) AS bad,
       CASE WHEN event_reason IN ('schema_violation', 'row_rejected') THEN event_schema
       ELSE '{_UNKNOWN}' END AS schema
FROM {_ERRORS} GROUP BY minute, schema"""
_BROWSERS = """
SELECT COALESCE(json_extract(userAgent, '$.browser_family'), ''), COUNT(*) FROM {} GROUP BY 1"""
_QUESTION = """\
SELECT wiki, COUNT(*) AS events, SUM(json_extract(userAgent, '$.is_bot')) AS bots
FROM {}
GROUP BY wiki
ORDER BY events DESC"""


def contents(
    summary: Summary, job: Mapping[str, Any], started: float, seconds: float
) -> dict[str, Any]:
    """The input of `render`.

    Args:
        summary: the summary of a bounded run.
        job: the `source`, `sinks`, `format` and `runner` of the run, as texts.
        started: when it began, in seconds since 1970; it took `seconds`.

    A SQLite sink that holds this run's events and no others answers for minutes, browsers and
    examples; without one there are hours."""
    found = summary.as_json()
    known: dict[str, Any] = {"minutes": [*_hours(summary)]}
    for path in [sink.removeprefix("sqlite:") for sink in summary.sinks if sink[:7] == "sqlite:"]:
        with closing(sqlite3.connect(path)) as connection:
            if _holds_all(connection, found["schemas"], found["totals"]):
                known = _answers(connection, found["schemas"], found["totals"]["bad"])
    examples = known.pop("examples", {})
    reasons = [row | {"example": examples.get(row["reason"])} for row in found["reasons"]]
    begun = datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")
    of_run = {"job": {**job, "version": VERSION}, "started": begun, "seconds": round(seconds, 3)}
    return {**found, **of_run, **known, "reasons": reasons}


def _hours(summary: Summary) -> Iterator[dict[str, Any]]:
    for key, count in summary.counts.items():
        schema, _, revision = key.schema.rpartition("_")
        schema = _UNKNOWN if revision == "-1" else schema
        valid = 0 if key.reason else count
        yield {"minute": f"{key.hour}:00Z", "schema": schema, "valid": valid, "bad": count - valid}


def _tables(schemas: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The schema of each table with valid events of the run; the largest first."""
    ordered = sorted(schemas, key=lambda row: -int(row["valid"]))
    return {table_name(row["schema"], row["revision"]): row["schema"]
            for row in ordered if row["valid"]}  # fmt: skip


def _holds_all(
    connection: sqlite3.Connection, schemas: Sequence[Mapping[str, Any]], totals: Mapping[str, int]
) -> bool:
    named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = [*_tables(schemas), *([_ERRORS] if totals["bad"] else [])]
    if not {*tables} <= {name for (name,) in named}:
        return False
    counts = (connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables)
    return int(sum(counts)) == totals["read"]


def _answers(
    connection: sqlite3.Connection, schemas: Sequence[Mapping[str, Any]], bad: int
) -> dict[str, Any]:
    tables = _tables(schemas)
    found: dict[str, Any] = {"examples": {}, "minutes": []}
    if bad:
        found["examples"] = {row["reason"]: row for row in _rows(connection, _EXAMPLES)}
        found["minutes"] += _rows(connection, _BAD_MINUTES)
    browsers: Counter[str] = Counter()
    for table, schema in tables.items():
        minutes = f"SELECT {_MINUTE} AS minute, COUNT(*) AS valid, 0 AS bad FROM {table} GROUP BY 1"
        found["minutes"] += [row | {"schema": schema} for row in _rows(connection, minutes)]
        browsers.update(dict(connection.execute(_BROWSERS.format(table)).fetchall()))
    found["browsers"] = [{"name": name, "count": count} for name, count in browsers.items()]
    if not tables:
        return found
    question = _QUESTION.format(next(iter(tables)))
    cursor = connection.execute(question)
    columns = [column[0] for column in cursor.description]
    return found | {"query": {"sql": question, "columns": columns, "rows": cursor.fetchall()}}


def _rows(connection: sqlite3.Connection, sql: str) -> Rows:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
