"""The page: the sections in their order, and the tables that show that everything adds up."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from el_beam.watching.report.figures import cell, count, counted, duration, rate, share, size, whole
from el_beam.watching.report.html import Html, join, raw_style, tag
from el_beam.watching.report.sections import (
    Row,
    by_browser,
    by_reason,
    by_schema,
    by_schema_over_time,
    note,
    section,
    verdicts_over_time,
)
from el_beam.watching.report.timeline import day_of, minute_of, moment_of, timeline

# Should an escape ever be missed, a browser still runs nothing and asks nobody.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
MOST_ROWS = 200  # of a query's answer


def render(report: Mapping[str, Any]) -> str:
    """One self-contained HTML page of a run: no script, no request, safe for any content.

    `report` is JSON-able, with the keys job, started, seconds, totals, schemas, reasons, minutes,
    browsers, sinks and query; each may be missing or empty. The page is valid UTF-8 text.
    """
    minutes = _rows(report, "minutes")
    line = timeline(minutes)
    totals = _part(report, "totals")
    body = [
        _header(report),
        tag(
            "main",
            by_schema_over_time(minutes, line),
            verdicts_over_time(minutes, line),
            by_schema(_rows(report, "schemas")),
            by_reason(_rows(report, "reasons"), whole(totals.get("bad"))),
            by_browser(_rows(report, "browsers")) if "browsers" in report else None,
            _balance(totals, _rows(report, "sinks")),
            _query(_part(report, "query")),
        ),
        _footer(_part(report, "job")),
    ]
    return "<!doctype html>\n" + tag("html", _head(report), tag("body", *body), lang="en") + "\n"


def _rows(report: Mapping[str, Any], key: str) -> list[Row]:
    value = report.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _part(report: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = report.get(key)
    return value if isinstance(value, Mapping) else {}


def _head(report: Mapping[str, Any]) -> Html:
    source = _part(report, "job").get("source")
    css = (files("el_beam.watching.report") / "templates" / "report.css").read_text(
        encoding="utf-8"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"el_beam: {source}" if source else "el_beam: report of a run"),
        tag("link", rel="icon", href="data:,"),
        raw_style(css),
    )


def _header(report: Mapping[str, Any]) -> Html:
    totals, seconds = _part(report, "totals"), report.get("seconds")
    read, valid, bad = (whole(totals.get(key)) for key in ("read", "valid", "bad"))
    figures = [
        ("Read", count(read), size(totals.get("bytes")), ""),
        ("Valid", count(valid), share(valid, read), ""),
        ("Bad", count(bad), share(bad, read), "bad-text" if bad else ""),
        ("Time", duration(seconds), _started(report.get("started")), ""),
        ("Events a second", rate(read, seconds), "from start to end", ""),
    ]
    return tag(
        "header",
        tag("h1", "Report of a run"),
        note(_summary(read, valid, bad), class_="lead"),
        tag("dl", *(_figure(*figure) for figure in figures), class_="figures"),
        _valid_and_bad(valid, bad),
        _facts(_part(report, "job")),
    )


def _summary(read: int, valid: int, bad: int) -> str:
    if not read:
        return "Nothing was read: the source had no lines."
    if read != valid + bad:
        return f"{counted(read, 'line')}, of which {count(valid + bad)} came out. See the balance."
    ends = f"{count(bad)} of them bad" if bad else "all of them valid"
    return f"{counted(read, 'line')}, {ends}. Each ended as one event or one EventError."


def _figure(label: str, value: str, more: str, look: str) -> Html:
    small = tag("small", more) if more else None
    return tag("div", tag("dt", label), tag("dd", tag("span", value, class_=look or None), small))


def _valid_and_bad(valid: int, bad: int) -> Html | None:
    """The proportion of valid and bad as one line across the page."""
    if not valid + bad:
        return None
    edge = f"{100 * valid / (valid + bad):.2f}"
    said = f"{share(valid, valid + bad)} valid, {share(bad, valid + bad)} bad"
    return tag(
        "svg",
        tag("title", said),
        tag("rect", x=0, y=0, width=100, height=10, class_="bad"),
        tag("rect", x=0, y=0, width=edge, height=10, class_="valid"),
        class_="whole",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        role="img",
        aria_label=said,
    )


def _started(value: object) -> str:
    minute = minute_of(value)
    if minute is None:
        return str(value) if value else ""
    moment = moment_of(minute)
    return f"{day_of(moment)}, {moment:%H:%M} UTC"


def _facts(job: Mapping[str, Any]) -> Html | None:
    sinks = job.get("sinks")
    listed = [tag("code", sink) for sink in sinks] if isinstance(sinks, list) else []
    facts: list[tuple[str, object]] = [
        ("From", tag("code", job["source"]) if job.get("source") else None),
        ("To", join(listed, "<br>") if listed else None),
        ("Format", tag("code", job["format"]) if job.get("format") else None),
        ("Runner", job.get("runner")),
    ]
    told = [join([tag("dt", name), tag("dd", value)]) for name, value in facts if value]
    return tag("dl", *told, class_="facts") if told else None


def _balance(totals: Mapping[str, Any], sinks: Sequence[Row]) -> Html:
    """Nothing is lost: what was read is valid or bad, what a sink was given is accounted for."""
    read, valid, bad = (whole(totals.get(key)) for key in ("read", "valid", "bad"))
    lines = tag(
        "p",
        f"{count(read)} read = {count(valid)} valid + {count(bad)} bad ",
        _verdict(read - valid - bad),
        class_="sum",
    )
    if not sinks:
        return section("balance", "Does it add up?", lines, note("No sink was written to."))
    heads = ["Sink", "Given", "Written", "Rejected", "Repeated", "Filtered", "Files", "Balance"]
    head = tag("tr", *(_head_cell(name, name not in ("Sink", "Balance")) for name in heads))
    body = tag("tbody", *(_sink(row) for row in sinks))
    lead = (
        "Every sink: given = written + rejected + repeated + filtered. "
        "A repeated event was there already, from an earlier try."
    )
    table = _table("Balance of the sinks", tag("thead", head), body, look="stacks")
    return section("balance", "Does it add up?", lines, note(lead, class_="note after"), table)


def _sink(row: Row) -> Html:
    ends = ("written", "rejected", "repeated", "filtered")
    missing = whole(row.get("given")) - sum(whole(row.get(key)) for key in ends)
    cells = [
        tag("td", count(row.get(key)), class_="n", data_label=key.capitalize())
        for key in ("given", *ends, "files")
    ]
    name = tag("th", row.get("sink", ""), scope="row")
    return tag("tr", name, *cells, tag("td", _verdict(missing)))


def _verdict(missing: int) -> Html:
    if not missing:
        return tag("span", "✓ balances", class_="verdict ok-text")
    what = "missing" if missing > 0 else "too many"
    return tag("strong", f"✗ {count(abs(missing))} {what}", class_="verdict bad-text")


def _query(query: Mapping[str, Any]) -> Html | None:
    """The SQL and its answer; left out where nothing was asked."""
    if not query.get("sql"):
        return None
    rows = [row for row in query.get("rows") or [] if isinstance(row, (list, tuple))]
    width = max([len(row) for row in rows] + [len(query.get("columns") or [])])
    names = [*(query.get("columns") or []), *[""] * width][:width]
    numeric = [
        bool(rows) and all(_is_number(row, column) for row in rows) for column in range(width)
    ]
    head = tag("thead", tag("tr", *map(_head_cell, names, numeric)))
    body = tag("tbody", *(_answer(row, numeric) for row in rows[:MOST_ROWS]))
    cut = (
        f"The first {MOST_ROWS} of {counted(len(rows), 'row')}." if len(rows) > MOST_ROWS else None
    )
    return section(
        "query",
        "Ask the tables",
        note("What the run wrote, in SQL."),
        tag("pre", tag("code", query["sql"]), class_="sql"),
        _table("Answer to the query", head, body)
        if rows
        else note("No rows.", class_="note after"),
        note(cut, class_="note after") if cut else None,
    )


def _is_number(row: Sequence[Any], column: int) -> bool:
    value = row[column] if column < len(row) else None
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _answer(row: Sequence[Any], numeric: Sequence[bool]) -> Html:
    looks = ["n" if is_number else "any" for is_number in numeric[: len(row)]]
    cells = (tag("td", cell(value), class_=look) for value, look in zip(row, looks, strict=True))
    return tag("tr", *cells)


def _head_cell(name: object, numeric: bool) -> Html:
    return tag("th", name, scope="col", class_="n" if numeric else None)


def _table(label: str, head: Html, body: Html, look: str | None = None) -> Html:
    """A table that scrolls by itself, by keyboard too, where the page is too narrow for it."""
    table = tag("table", head, body, class_=look, aria_label=label)
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)


def _footer(job: Mapping[str, Any]) -> Html:
    version = f" {job['version']}" if job.get("version") else ""
    said = f"Made by el_beam{version}. This page is one file; it asks nothing of any server."
    return tag("footer", said)
