"""The page: the sections in their order, and the tables that show that everything adds up."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from el_beam.watching.report.charts import strip
from el_beam.watching.report.contents import Query, RunFacts, RunReport
from el_beam.watching.report.figures import cell, counted, duration, rate, share, size
from el_beam.watching.report.html import Html, join, raw_style, tag
from el_beam.watching.report.sections import (
    by_browser,
    by_reason,
    by_schema,
    events_over_time,
    note,
    section,
)
from el_beam.watching.report.timeline import day_of
from schemas import VERSION
from transforms.counts.summary import SinkBook, Summary

# Should an escape ever be missed, a browser still runs nothing and asks nobody.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
MOST_ROWS = 200  # of a query's answer
_ENDS = ("written", "rejected", "repeated", "filtered")  # of what a sink was given


def render(report: RunReport) -> str:
    """One self-contained HTML page of a run: no script, no request, safe for any content.

    The page is valid UTF-8 text."""
    summary = report.summary
    main = tag(
        "main",
        *events_over_time(report.minutes),
        by_schema(summary),
        by_reason(summary, report.examples),
        by_browser(report.browsers) if report.browsers is not None else None,
        _balance(summary),
        _query(report.query) if report.query else None,
    )
    said = f"Made by el_beam {VERSION}. This page is one file; it asks nothing of any server."
    body = tag("body", _header(report.run, summary), main, tag("footer", said))
    return "<!doctype html>\n" + tag("html", _head(report.run.source), body, lang="en") + "\n"


def _head(source: str) -> Html:
    css = files("el_beam.watching.report") / "templates" / "report.css"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"el_beam: {source}"),
        tag("link", rel="icon", href="data:,"),
        raw_style(css.read_text(encoding="utf-8")),
    )


def _header(run: RunFacts, summary: Summary) -> Html:
    read, valid, bad = summary.read, summary.valid, summary.bad
    started = datetime.fromtimestamp(run.started, UTC)
    figures = [
        ("Read", f"{read:,}", size(summary.size), None),
        ("Valid", f"{valid:,}", share(valid, read), None),
        ("Bad", f"{bad:,}", share(bad, read), "bad-text" if bad else None),
        ("Time", duration(run.seconds), f"{day_of(started)}, {started:%H:%M} UTC", None),
        ("Events a second", rate(read, run.seconds), "from start to end", None),
    ]
    facts = [
        *(tag("dt", "From"), tag("dd", tag("code", run.source))),
        *(tag("dt", "To"), tag("dd", join([tag("code", sink) for sink in summary.sinks], "<br>"))),
        *(tag("dt", "Format"), tag("dd", tag("code", run.format))),
        *(tag("dt", "Runner"), tag("dd", run.runner)),
    ]
    return tag(
        "header",
        tag("h1", "Report of a run"),
        note(_result(read, valid, bad), class_="lead"),
        tag("dl", *(_figure(*figure) for figure in figures), class_="figures"),
        _valid_and_bad(valid, bad),
        tag("dl", *facts, class_="facts"),
    )


def _result(read: int, valid: int, bad: int) -> str:
    if not read:
        return "Nothing was read: the source had no lines."
    if read != valid + bad:
        return f"{counted(read, 'line')}, of which {valid + bad:,} came out. See the balance."
    ends = f"{bad:,} of them bad" if bad else "all of them valid"
    return f"{counted(read, 'line')}, {ends}. Each ended as one event or one EventError."


def _figure(label: str, value: str, more: str, look: str | None) -> Html:
    shown = tag("dd", tag("span", value, class_=look), tag("small", more))
    return tag("div", tag("dt", label), shown)


def _valid_and_bad(valid: int, bad: int) -> Html | None:
    """The proportion of valid and bad as one line across the page."""
    if not valid + bad:
        return None
    edge = f"{100 * valid / (valid + bad):.2f}"
    return strip(
        "whole",
        f"{share(valid, valid + bad)} valid, {share(bad, valid + bad)} bad",
        tag("rect", x=0, y=0, width=100, height=10, class_="bad"),
        tag("rect", x=0, y=0, width=edge, height=10, class_="valid"),
    )


def _balance(summary: Summary) -> Html:
    """Nothing is lost: what was read is valid or bad, what a sink was given is accounted for."""
    read, valid, bad = summary.read, summary.valid, summary.bad
    title = "Does it add up?"
    lines = tag(
        "p",
        f"{read:,} read = {valid:,} valid + {bad:,} bad ",
        _verdict(read - valid - bad),
        class_="sum",
    )
    if not summary.sinks:
        return section("balance", title, lines, note("No sink was written to."))
    heads = ["Sink", "Given", "Written", "Rejected", "Repeated", "Filtered", "Files", "Balance"]
    table = _table(
        "Balance of the sinks",
        (_head_cell(name, name not in ("Sink", "Balance")) for name in heads),
        (_sink(name, book) for name, book in summary.sinks.items()),
        look="stacks",
    )
    lead = (
        "Every sink: given = written + rejected + repeated + filtered. "
        "A repeated event was there already, from an earlier try."
    )
    return section("balance", title, lines, note(lead, class_="note after"), table)


def _sink(name: str, book: SinkBook) -> Html:
    numbers = vars(book)
    cells = [
        tag("td", f"{numbers[key]:,}", class_="n", data_label=key.capitalize())
        for key in ("given", *_ENDS, "files")
    ]
    balance = tag("td", _verdict(book.given - sum(numbers[key] for key in _ENDS)))
    return tag("tr", tag("th", name, scope="row"), *cells, balance)


def _verdict(missing: int) -> Html:
    if not missing:
        return tag("span", "✓ balances", class_="verdict ok-text")
    what = "missing" if missing > 0 else "too many"
    return tag("strong", f"✗ {abs(missing):,} {what}", class_="verdict bad-text")


def _query(query: Query) -> Html:
    """The SQL and its answer."""
    rows = query.rows
    numeric = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
    answer = _table(
        "Answer to the query",
        map(_head_cell, query.columns, numeric),
        (_answer(row, numeric) for row in rows[:MOST_ROWS]),
    )
    cut = f"The first {MOST_ROWS} of {counted(len(rows), 'row')}."
    return section(
        "query",
        "Ask the tables",
        note("What the run wrote, in SQL."),
        tag("pre", tag("code", query.sql), class_="sql"),
        answer if rows else note("No rows.", class_="note after"),
        note(cut, class_="note after") if len(rows) > MOST_ROWS else None,
    )


def _answer(row: Sequence[object], numeric: Sequence[bool]) -> Html:
    looks = ["n" if is_number else "any" for is_number in numeric]
    cells = (tag("td", cell(value), class_=look) for value, look in zip(row, looks, strict=True))
    return tag("tr", *cells)


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _head_cell(name: str, numeric: bool) -> Html:
    return tag("th", name, scope="col", class_="n" if numeric else None)


def _table(
    label: str, heads: Iterable[Html], rows: Iterable[Html], look: str | None = None
) -> Html:
    """A table that scrolls by itself, by keyboard too, where the page is too narrow for it."""
    head, body = tag("thead", tag("tr", *heads)), tag("tbody", *rows)
    table = tag("table", head, body, class_=look, aria_label=label)
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)
