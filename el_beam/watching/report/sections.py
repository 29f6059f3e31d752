"""The parts of the page that are charts: events over time, by schema, by reason, by browser."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from el_beam.watching.report.charts import Bar, Panel, Series, bars, over_time, stacked
from el_beam.watching.report.contents import ExampleLine
from el_beam.watching.report.figures import counted, cut, share
from el_beam.watching.report.html import Html, tag, text
from el_beam.watching.report.timeline import Minute, Timeline, timeline
from schemas.bad_event import sentence_of
from transforms.counts.summary import Summary

TOP_SCHEMAS = 6  # as many as there are colours that can be told apart
MOST_SCHEMAS = 20
MOST_FOLDED = 500  # more are only counted: a page has to open
MOST_BROWSERS = 12
_SWATCH = {"viewBox": "0 0 10 10", "aria_hidden": "true"}


def section(name: str, title: str, *children: object) -> Html:
    """A part of the page with a heading."""
    heading = tag("h2", title, id=name)
    return tag("section", heading, *children, aria_labelledby=name)


def note(*children: object, class_: str = "note") -> Html:
    return tag("p", *children, class_=class_)


def soft(*children: object) -> Html:
    return tag("span", *children, class_="soft")


def events_over_time(minutes: Sequence[Minute]) -> Iterator[Html]:
    """Events by schema, then valid and bad ones."""
    line = timeline(minutes)
    if line is None:
        none = note("No event with a time was read.")
        yield section("over-time", "Events per minute by schema", none)
        return
    yield _schemas_over_time(minutes, line)
    yield _verdicts_over_time(minutes, line)


def _schemas_over_time(minutes: Sequence[Minute], line: Timeline) -> Html:
    """A colour for each of the largest schemas and one for the rest."""
    title = f"Events per {line.step_name} by schema"
    totals: Counter[str] = Counter()
    columns: dict[str, list[int]] = {}
    for minute, schema, valid, bad in minutes:
        name, column = cut(schema), line.place(minute)
        if column is not None:
            totals[name] += valid + bad
            columns.setdefault(name, [0] * line.steps)[column] += valid + bad
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
        _legend((each.look, each.name, sum(each.values)) for each in series),
        over_time("by-schema", title, story, line, [Panel(series, 230)]),
        _left_out(line),
    )


def _story(totals: Sequence[int], line: Timeline) -> str:
    """What a chart over time shows, in a sentence."""
    most = max(totals)
    used = [column for column, total in enumerate(totals) if total]
    first, last = line.name(used[0]), line.name_after(used[0], used[-1])
    peak = line.name_after(used[0], totals.index(most))
    return f"{first} to {last} UTC, at most {most:,} per {line.step_name} (at {peak})."


def _left_out(line: Timeline) -> Html | None:
    """Says what the picture does not show."""
    if not line.outside:
        return None
    events = counted(line.outside, "event")
    said = f"Not in the picture: {events} of quite another time, or of none."
    return note(said, class_="note after")


def _verdicts_over_time(minutes: Sequence[Minute], line: Timeline) -> Html:
    """Valid and bad, each on its own scale: bad ones are few and would not be seen."""
    good, faulty = [0] * line.steps, [0] * line.steps
    for minute, _, valid, bad in minutes:
        column = line.place(minute)
        if column is not None:
            good[column] += valid
            faulty[column] += bad
    title = f"Valid and bad per {line.step_name}"
    story = f"{sum(good):,} valid and {sum(faulty):,} bad. Each has a scale of its own."
    panels = [
        Panel([Series("Valid", "valid", good)], 120, "Valid"),
        Panel([Series("Bad", "bad", faulty)], 70, "Bad"),
    ]
    chart = over_time("verdicts", title, story, line, panels)
    return section("verdicts", title, note(story), chart)


def by_schema(summary: Summary) -> Html:
    """A bar for each schema revision, its bad events at the end of it."""
    title = "Events by schema"
    ordered = sorted(summary.schemas.items(), key=lambda item: (-sum(item[1]), item[0]))
    if not ordered:
        return section("schemas", title, note("No schema was seen."))
    listed = [_schema_bar(name, valid, bad) for name, (valid, bad) in ordered]
    return section(
        "schemas",
        title,
        _legend([("valid", "valid", None), ("bad", "bad", None)]),
        bars(title, listed[:MOST_SCHEMAS], listed[0].total),
        _folded(listed[MOST_SCHEMAS:], listed[0].total),
    )


def _folded(rows: Sequence[Bar], longest: int) -> Html | None:
    """The end of a long list: bad events may claim any number of schemas."""
    if not rows:
        return None
    events = counted(sum(row.total for row in rows), "event")
    summary = tag("summary", f"{len(rows):,} more, with {events}")
    return tag("details", summary, bars("More schemas", rows[:MOST_FOLDED], longest))


def _schema_bar(name: str, valid: int, bad: int) -> Bar:
    schema, _, revision = name.rpartition("_")
    of = f" {cut(revision, 24)}"
    if revision == "-1":  # so the books say where a line had none, or one that can't be
        of = " without a revision"
        if schema == "unknown":
            schema, of = "no known schema", ""
    said: list[object] = [f"{valid:,}"] if valid or not bad else []
    if bad:
        plus = " + " if valid else ""
        said.append(tag("span", f"{plus}{bad:,} bad", class_="bad-text"))
    return Bar(
        tag("span", cut(schema), soft(of) if of else None),
        [("valid", "valid", valid), ("bad", "bad", bad)],
        tag("span", *said),
    )


def by_reason(summary: Summary, examples: Mapping[str, ExampleLine]) -> Html:
    """A bar for each reason: its sentence, its word for queries, and one line that had it."""
    title, bad = "Why events were bad", summary.bad
    if not bad:
        return section("reasons", title, note("No event was bad."))
    ordered = sorted(summary.reasons.items(), key=lambda item: (-item[1], item[0]))
    listed = [
        Bar(
            tag("span", sentence_of(reason), " ", tag("code", reason, class_="soft")),
            [("", "bad", number)],
            tag("span", f"{number:,} ", soft(share(number, bad))),
            _example(examples[reason]) if reason in examples else None,
        )
        for reason, number in ordered
    ]
    lead = "Nothing bad is dropped: each line is kept as an EventError, with its reason and place."
    chart = bars("Bad events by reason", listed, look="of-reasons")
    return section("reasons", title, note(lead), chart)


def _example(line: ExampleLine) -> Html | None:
    """One bad line, folded away; None where nothing is known of it."""
    parts: list[Html] = []
    if line.message:
        parts += [tag("dt", "What is wrong"), tag("dd", cut(line.message, 1000))]
    for label, value in (("Where", line.path), ("Read from", line.origin)):
        if value:
            parts += [tag("dt", label), tag("dd", tag("code", cut(value, 1000)))]
    if line.raw:
        raw = tag("pre", cut(line.raw, 5000), class_="raw", tabindex=0)
        parts += [tag("dt", "The line"), tag("dd", raw)]
    if not parts:
        return None
    folded = tag("div", tag("dl", *parts), class_="example")
    return tag("details", tag("summary", "An example"), folded)


def by_browser(browsers: Mapping[str, int]) -> Html:
    """A bar for each of the commonest browsers, and one for the rest of them."""
    if not browsers:
        return section("browsers", "Browsers", note("No user agent was read."))
    ordered = sorted(browsers.items(), key=lambda item: -item[1])
    total = sum(browsers.values())
    shown = [(text(cut(name or "Unknown")), number) for name, number in ordered]
    if len(shown) > MOST_BROWSERS:
        rest = shown[MOST_BROWSERS - 1 :]
        others = soft(counted(len(rest), "other"))
        shown = [*shown[: MOST_BROWSERS - 1], (others, sum(number for _, number in rest))]
    listed = [
        Bar(name, [("", "s2", number)], tag("span", f"{number:,} ", soft(share(number, total))))
        for name, number in shown
    ]
    lead = note("What the user agents of valid events say they are.")
    return section("browsers", "Browsers", lead, bars("Events by browser", listed))


def _legend(entries: Iterable[tuple[str, str, int | None]]) -> Html:
    """The looks of a chart, with a name and a number of events for each."""
    shown = [
        tag(
            "li",
            tag("svg", tag("rect", width=10, height=10, class_=look), **_SWATCH),
            name,
            None if events is None else soft(f" {events:,}"),
        )
        for look, name, events in entries
    ]
    return tag("ul", *shown, class_="legend")
