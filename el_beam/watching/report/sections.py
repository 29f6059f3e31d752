"""The parts of the page that are charts: events over time, by schema, by reason, by browser."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from el_beam.watching.report.charts import Bar, Panel, Series, bars, over_time, stacked
from el_beam.watching.report.figures import count, counted, cut, share, whole
from el_beam.watching.report.html import Html, tag, text
from el_beam.watching.report.timeline import Timeline

Row = Mapping[str, Any]
TOP_SCHEMAS = 6  # as many as there are colours that can be told apart
MOST_SCHEMAS = 20
MOST_FOLDED = 500  # more are only counted: a page has to open
MOST_BROWSERS = 12


def section(name: str, title: str, *children: object) -> Html:
    """A part of the page with a heading."""
    heading = tag("h2", title, id=name)
    return tag("section", heading, *children, aria_labelledby=name)


def note(*children: object, class_: str = "note") -> Html:
    return tag("p", *children, class_=class_)


def by_schema_over_time(rows: Sequence[Row], line: Timeline | None) -> Html:
    """Events per minute, a colour for each of the largest schemas and one for the rest."""
    title = f"Events {_per_step(line)} by schema"
    if line is None:
        return section("over-time", title, note("No event with a time was read."))
    totals: Counter[str] = Counter()
    columns: dict[str, list[int]] = {}
    for row in rows:
        name, column = cut(row.get("schema", "")), line.place_of(row)
        if column is not None:
            events = whole(row.get("valid")) + whole(row.get("bad"))
            totals[name] += events
            columns.setdefault(name, [0] * line.steps)[column] += events
    largest = [name for name, _ in totals.most_common(TOP_SCHEMAS)]
    series = [Series(name, f"s{n}", columns[name]) for n, name in enumerate(largest, 1)]
    rest = [values for name, values in columns.items() if name not in largest]
    if rest:
        others = counted(len(rest), "other schema")
        series.append(Series(others, "other", stacked(rest)))
    story = _story(stacked([each.values for each in series]), line)
    return section(
        "over-time",
        title,
        note(story),
        _legend([(each.look, each.name, sum(each.values)) for each in series]),
        over_time("by-schema", title, story, line, [Panel(series, 230)]),
        _left_out(line),
    )


def verdicts_over_time(rows: Sequence[Row], line: Timeline | None) -> Html | None:
    """Valid and bad per minute, each on its own scale: bad ones are few and would not be seen."""
    if line is None:
        return None
    valid, bad = [0] * line.steps, [0] * line.steps
    for row in rows:
        column = line.place_of(row)
        if column is not None:
            valid[column] += whole(row.get("valid"))
            bad[column] += whole(row.get("bad"))
    title = f"Valid and bad {_per_step(line)}"
    story = f"{count(sum(valid))} valid and {count(sum(bad))} bad. Each has a scale of its own."
    panels = [
        Panel([Series("Valid", "valid", valid)], 120, "Valid"),
        Panel([Series("Bad", "bad", bad)], 70, "Bad"),
    ]
    chart = over_time("verdicts", title, story, line, panels)
    return section("verdicts", title, note(story), chart)


def by_schema(rows: Sequence[Row]) -> Html:
    """A bar for each schema revision, its bad events at the end of it."""
    ordered = sorted(rows, key=lambda row: -(whole(row.get("valid")) + whole(row.get("bad"))))
    title = "Events by schema"
    if not ordered:
        return section("schemas", title, note("No schema was seen."))
    listed = [_schema_bar(row) for row in ordered]
    longest = max(row.total for row in listed)
    return section(
        "schemas",
        title,
        _legend([("valid", "valid", None), ("bad", "bad", None)]),
        bars(title, listed[:MOST_SCHEMAS], longest),
        _folded(listed[MOST_SCHEMAS:], longest),
    )


def _folded(rows: Sequence[Bar], longest: int) -> Html | None:
    """The end of a long list: bad events may claim any number of schemas."""
    if not rows:
        return None
    events = counted(sum(row.total for row in rows), "event")
    summary = tag("summary", f"{count(len(rows))} more, with {events}")
    return tag("details", summary, bars("More schemas", rows[:MOST_FOLDED], longest))


def _schema_bar(row: Row) -> Bar:
    valid, bad = whole(row.get("valid")), whole(row.get("bad"))
    schema, revision = row.get("schema", ""), row.get("revision", "")
    of = "" if revision in (None, "") else f" {cut(revision, 24)}"
    if revision == -1:  # so the books say where a line had none, or one that can't be
        of = " without a revision"
        if schema == "unknown":
            schema, of = "no known schema", ""
    said = [count(valid)] if valid or not bad else []
    if bad:
        plus = " + " if valid else ""
        said.append(tag("span", f"{plus}{count(bad)} bad", class_="bad-text"))
    return Bar(
        tag("span", cut(schema), tag("span", of, class_="soft") if of else None),
        [("valid", "valid", valid), ("bad", "bad", bad)],
        tag("span", *said),
    )


def by_reason(rows: Sequence[Row], bad: int) -> Html:
    """A bar for each reason: its sentence, its word for queries, and one line that had it."""
    ordered = sorted(rows, key=lambda row: -whole(row.get("count")))
    listed = [
        Bar(
            tag(
                "span",
                row.get("sentence") or row.get("reason", ""),
                " ",
                tag("code", row.get("reason", ""), class_="soft"),
            ),
            [("", "bad", whole(row.get("count")))],
            tag(
                "span",
                count(row.get("count")),
                " ",
                tag("span", share(row.get("count"), bad), class_="soft"),
            ),
            _example(row.get("example")),
        )
        for row in ordered
    ]
    lead = "Nothing bad is dropped: each line is kept as an EventError, with its reason and place."
    if not listed:
        lead = "The reasons were not counted." if bad else "No event was bad."
    return section(
        "reasons",
        "Why events were bad",
        note(lead),
        bars("Bad events by reason", listed, look="of-reasons") if listed else None,
    )


def _example(example: object) -> Html | None:
    """One bad line, folded away; None where there is none."""
    if not isinstance(example, Mapping):
        return None
    parts: list[Html] = []
    labels = {"message": "What is wrong", "path": "Where", "origin": "Read from"}
    for key, label in labels.items():
        if example.get(key):
            value = cut(example[key], 1000)
            parts += [
                tag("dt", label),
                tag("dd", value if key == "message" else tag("code", value)),
            ]
    if example.get("rawEvent"):
        line = tag("pre", cut(example["rawEvent"], 5000), class_="raw", tabindex=0)
        parts += [tag("dt", "The line"), tag("dd", line)]
    if not parts:
        return None
    folded = tag("div", tag("dl", *parts), class_="example")
    return tag("details", tag("summary", "An example"), folded)


def by_browser(rows: Sequence[Row]) -> Html:
    """A bar for each of the commonest browsers, and one for the rest of them."""
    ordered = sorted(rows, key=lambda row: -whole(row.get("count")))
    total = sum(whole(row.get("count")) for row in rows)
    shown = [(text(cut(row.get("name") or "Unknown")), row.get("count")) for row in ordered]
    if len(shown) > MOST_BROWSERS:
        rest = shown[MOST_BROWSERS - 1 :]
        others = tag("span", counted(len(rest), "other"), class_="soft")
        shown = [*shown[: MOST_BROWSERS - 1], (others, sum(whole(n) for _, n in rest))]
    listed = [
        Bar(
            name,
            [("", "s2", whole(number))],
            tag("span", count(number), " ", tag("span", share(number, total), class_="soft")),
        )
        for name, number in shown
    ]
    lead = "What the user agents of valid events say they are."
    return section(
        "browsers",
        "Browsers",
        note(lead if listed else "No user agent was read."),
        bars("Events by browser", listed) if listed else None,
    )


def _legend(entries: Sequence[tuple[str, str, int | None]]) -> Html:
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag("svg", tag("rect", width=10, height=10, class_=look), **_SWATCH),
                name,
                None if events is None else tag("span", f" {count(events)}", class_="soft"),
            )
            for look, name, events in entries
        ),
        class_="legend",
    )


_SWATCH = {"viewBox": "0 0 10 10", "aria_hidden": "true"}


def _per_step(line: Timeline | None) -> str:
    return f"per {line.step_name}" if line else "per minute"


def _story(totals: Sequence[int], line: Timeline) -> str:
    """What a chart over time shows, in a sentence."""
    most = max(totals, default=0)
    used = [column for column, total in enumerate(totals) if total]
    first, last = line.name(used[0]), line.name_after(used[0], used[-1])
    peak = line.name_after(used[0], totals.index(most))
    return f"{first} to {last} UTC, at most {count(most)} per {line.step_name} (at {peak})."


def _left_out(line: Timeline) -> Html | None:
    """Says what the picture does not show."""
    if not line.outside:
        return None
    said = (
        f"Not in the picture: {counted(line.outside, 'event')} of quite another time, or of none."
    )
    return note(said, class_="note after")
