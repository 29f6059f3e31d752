"""Asks the tables that `scripts/demo` has made, and says how to ask more.

python examples/ask.py FOLDER      where events.db and parquet/ are
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import unquote

# MIN(id) makes the other columns those of the first line that had the reason.
EXAMPLES = """
SELECT event_reason, event_message, event_rawEvent, MIN(id)
FROM EventError_14035058 GROUP BY event_reason"""
QUESTION = """\
SELECT wiki, event_action AS action, COUNT(*) AS events,
       SUM(json_extract(userAgent, '$.browser_family') LIKE 'Chrome%') AS chrome,
       SUM(json_extract(userAgent, '$.is_bot')) AS bots
FROM ReadingDepth_18201205
GROUP BY wiki, action
ORDER BY wiki, action"""
PYARROW = """\
.venv/bin/python -c "import pyarrow.dataset as ds
loaded = ds.field('event', 'action') == 'pageLoaded'
table = ds.dataset('{folder}').to_table(filter=loaded)
print(table.group_by('wiki').aggregate([([], 'count_all')]).to_pylist())\""""
DUCKDB = """\
SELECT wiki, COUNT(*) FROM '{folder}/**/*.parquet'
WHERE event.action = 'pageLoaded' AND NOT userAgent.is_bot GROUP BY wiki"""


def shown(cell: object, longest: int = 1000) -> str:
    """A value, harmless on a terminal: events may hold any character."""
    if isinstance(cell, int):
        return f"{cell:,}"
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(cell))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def side_by_side(columns: list[str], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    """An answer as lines of text, numbers to the right."""
    texts = [columns, *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = zip(line, widths, rows[0], strict=True)
        yield "  ".join(
            text.rjust(width) if isinstance(first, int) else text.ljust(width)
            for text, width, first in cells
        ).rstrip()


def main(folder: str) -> None:
    database, events = f"{folder}/events.db", f"{folder}/parquet/ReadingDepth_18201205"
    with closing(sqlite3.connect(database)) as asked:
        print("\nOne bad line for each reason, of the table EventError_14035058:")
        for reason, message, line, _ in asked.execute(EXAMPLES):
            print(f"  {reason}: {shown(message, 110)}")
            print(f"    {shown(unquote(line), 94) or '(an empty line)'}")
        answer = asked.execute(QUESTION)
        columns = [column[0] for column in answer.description]
        print(f"\nA question to {database}, and its answer:\n\n{QUESTION}\n")
        print(*side_by_side(columns, answer.fetchall()), sep="\n")
    print("\nThe same events are in Parquet. To ask with pyarrow:\n")
    print(PYARROW.format(folder=events))
    print(f"\nIn DuckDB:\n\n{DUCKDB.format(folder=events)}")


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    main(*sys.argv[1:])
