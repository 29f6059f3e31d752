"""The demo: the sample log goes through the graph, then its tables are asked (`scripts/demo`).

All paths are relative to the checkout, wherever it lies.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from el_beam.config import ConfigError, assemble, run_config
from el_beam.running.bounded import execute
from el_beam.running.failures import JobFailed
from el_beam.running.process import quiet

SAMPLE: Final = "examples/sample.log.gz"
OUTPUT: Final = "demo-output"
DATABASE: Final = f"{OUTPUT}/events.db"
PARQUET: Final = f"{OUTPUT}/parquet"
REPORT: Final = f"{OUTPUT}/report.html"
SINKS: Final = (f"sqlite:{DATABASE}", f"parquet:{PARQUET}")

QUESTION: Final = """\
SELECT wiki, event_action AS action, COUNT(*) AS events,
       SUM(json_extract(userAgent, '$.browser_family') LIKE 'Chrome%') AS chrome,
       SUM(json_extract(userAgent, '$.is_bot')) AS bots
FROM ReadingDepth_18201205
GROUP BY wiki, action
ORDER BY wiki, action"""

# MIN(id) makes the other columns those of the first line that had the reason.
_EXAMPLES = """
SELECT event_reason AS reason, event_path AS path, event_origin AS origin,
       event_message AS message, event_rawEvent AS rawEvent, MIN(id)
FROM EventError_14035058 GROUP BY event_reason"""
_ERRORS = """
SELECT CASE WHEN event_reason IN ('schema_violation', 'row_rejected') THEN event_schema
       ELSE 'no known schema' END AS schema, dt, NULL AS userAgent, 0 AS valid, 1 AS bad
FROM EventError_14035058"""
_MINUTES = """
SELECT strftime('%Y-%m-%dT%H:%MZ', dt) AS minute, schema, SUM(valid) AS valid, SUM(bad) AS bad
FROM everything GROUP BY 1, 2"""
_BROWSERS = """
SELECT json_extract(userAgent, '$.browser_family') AS name, COUNT(*) AS count
FROM everything WHERE valid GROUP BY 1"""

_IN_PYARROW = """\
.venv/bin/python -c "import pyarrow.dataset as ds
loaded = ds.field('event', 'action') == 'pageLoaded'
table = ds.dataset('{folder}').to_table(filter=loaded)
print(table.group_by('wiki').aggregate([([], 'count_all')]).to_pylist())\""""
_IN_DUCKDB = """\
SELECT wiki, COUNT(*) FROM '{folder}/**/*.parquet'
WHERE event.action = 'pageLoaded' AND NOT userAgent.is_bot GROUP BY wiki"""


class Answer(NamedTuple):
    """What a query gave: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def lines(self) -> Iterator[str]:
        """The answer as text: columns side by side, numbers to the right."""
        texts = [self.columns, *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        for line in texts:
            cells = zip(line, widths, self.rows[0], strict=True)
            yield "  ".join(
                text.rjust(width) if isinstance(first, int) else text.ljust(width)
                for text, width, first in cells
            ).rstrip()


def ask(connection: sqlite3.Connection, sql: str) -> Answer:
    """The answer to a query. Raises sqlite3.Error."""
    cursor = connection.execute(sql)
    return Answer([column[0] for column in cursor.description], cursor.fetchall())


def everything(schemas: list[Mapping[str, Any]]) -> str:
    """SQL that makes the view `everything` (schema, dt, userAgent, valid, bad) of all events of
    these schemas, as the books have them, and of the EventErrors."""
    from schemas.storage.sql import table_name

    selects = []
    for row in schemas:
        if row["valid"]:
            name = str(row["schema"]).replace("'", "''")
            table = table_name(row["schema"], row["revision"])  # letters, digits and _ only
            selects.append(f"SELECT '{name}' AS schema, dt, userAgent, 1, 0 FROM {table}")
    return "CREATE TEMP VIEW everything AS" + " UNION ALL ".join([_ERRORS, *selects])


def report_of(books: Mapping[str, Any], database: str) -> dict[str, Any]:
    """The report page's input: the books of a run, and what its tables answer."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(everything(books["schemas"]))
        examples = {row["reason"]: row for row in ask(connection, _EXAMPLES).dicts()}
        answer = ask(connection, QUESTION)
        return {
            **books,
            "reasons": [row | {"example": examples[row["reason"]]} for row in books["reasons"]],
            "minutes": ask(connection, _MINUTES).dicts(),
            "browsers": ask(connection, _BROWSERS).dicts(),
            "query": {"sql": QUESTION, **answer._asdict()},
        }


def _run() -> dict[str, Any]:
    """Run the job and show its books; returns them, and what a report says of a job."""
    from el_beam.terminal.console import show, watching
    from schemas import VERSION

    started = time.time()
    with tempfile.TemporaryDirectory(prefix="el-") as scratch:
        progress = Path(scratch) / "progress"
        progress.mkdir()
        config = run_config(source=f"file:{SAMPLE}", sinks=SINKS)
        job, execution = assemble(config, scratch, str(progress))
        with watching(str(progress)):
            summary = execute(job, execution)
    seconds = time.time() - started
    with contextlib.redirect_stderr(sys.stdout):
        show(summary, seconds)
    told = {"source": str(job.source), "sinks": list(SINKS), "format": job.format}
    return {
        **summary.as_json(),
        "job": told | {"runner": execution.runner, "version": VERSION},
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }


def _tell(report: Mapping[str, Any]) -> None:
    """Print what the tables answer, and how to ask more."""
    from el_beam.watching.report.figures import cut

    _say("", "One bad line for each reason, of the table EventError_14035058:")
    for row in report["reasons"]:
        example = row["example"]
        line = _shown(unquote(example["rawEvent"]))
        _say(f"  {row['reason']}: {cut(_shown(example['message']), 110)}")
        _say(f"    {cut(line, 94) or '(an empty line)'}")
    query = report["query"]
    _say("", f"A question to {DATABASE}, and its answer:", "", query["sql"], "")
    _say(*Answer(query["columns"], query["rows"]).lines())
    folder = f"{PARQUET}/ReadingDepth_18201205"
    _say("", "The same events are in Parquet. To ask with pyarrow:", "")
    _say(_IN_PYARROW.format(folder=folder), "", "In DuckDB:", "", _IN_DUCKDB.format(folder=folder))


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def _shown(cell: object) -> str:
    from el_beam.terminal.console import printable

    return f"{cell:,}" if isinstance(cell, int) else printable(str(cell))


@quiet()
def main() -> int:
    """Run the demo in the current folder, a checkout; returns the exit code."""
    from el_beam.watching.report import render

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "100")
    try:
        if Path(OUTPUT).exists():
            shutil.rmtree(OUTPUT)
        report = report_of(_run(), DATABASE)
        Path(REPORT).write_text(render(report), encoding="utf-8")
    except (ConfigError, JobFailed, OSError, sqlite3.Error) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    _tell(report)
    _say("", "All of this and more, as a page:", str(Path(REPORT).resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
