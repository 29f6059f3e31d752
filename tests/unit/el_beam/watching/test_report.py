"""The report page: safe for any content, sensible without any, and true to its numbers."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from el_beam.watching.report import RunFacts, RunReport, render
from el_beam.watching.report.charts import WIDE, nice_step
from el_beam.watching.report.contents import ExampleLine, Query
from el_beam.watching.report.figures import cell, counted, cut, duration, rate, share, size
from el_beam.watching.report.html import Html, tag, text
from el_beam.watching.report.timeline import MOST_STEPS, Minute, minute_of, timeline
from transforms.counts.summary import HourKey, SinkBook, Summary

ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;</style></title>"
NOTHING = RunReport(RunFacts("file:a.log", "%q", "direct", 0.0, 0.0), Summary(), [])


def minutes(hours: int = 2, schemas: int = 8) -> list[Minute]:
    return [
        at(
            f"2019-03-10T{7 + minute // 60:02d}:{minute % 60:02d}Z",
            f"Schema{schema}", 10 * schema + minute % 7, minute % 2,
        )
        for minute in range(60 * hours)
        for schema in range(schemas)
    ]  # fmt: skip


def at(text: str | None, schema: str, valid: int, bad: int = 0) -> Minute:
    return Minute(minute_of(text), schema, valid, bad)


def report(text: Callable[[str], str] = str) -> RunReport:
    """A report with something in each part; each of its texts is what `text` makes of it."""
    edit, hour = f"{text('Edit')}_17541122", "2019-03-10T07"
    counts = {HourKey(hour, edit, ""): 1200, HourKey(hour, edit, "bad_json"): 34}
    book = SinkBook(1234, 1230, 2, 2, 0, 3)
    example = ExampleLine(text("no"), text("event.a"), text("a.log@12"), text("?%7B"))
    return RunReport(
        RunFacts(text("file:a.log"), text("%q"), text("direct"), 1_552_208_400.0, 2.5),
        Summary(1234, 123456, counts, {text("sqlite:a.db"): book}),
        [each._replace(schema=text(each.schema)) for each in minutes()],
        {"bad_json": example},
        {text("Firefox"): 700, text("Chrome") + "!": 500},
        Query(text("SELECT 1 < 2"), [text("wiki"), text("n")], [(text("enwiki"), 12345)]),
    )


class Page(HTMLParser):
    """Reads a page as a browser would: its elements, its attributes, what it says."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said = ""
        self.feed(page)
        self.close()
        assert not self.open, "elements left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.said += data + " "

    @property
    def words(self) -> str:
        return " ".join(self.said.split())


def test_says_what_happened() -> None:
    said = Page(render(report())).words
    for part in (
        *("1,234 lines, 34 of them bad", "1,200", "97.2 %", "2.8 %", "123 kB", "2.5 s", "494"),
        *(
            "10 Mar 2019, 09:00 UTC",
            "file:a.log",
            "Edit 17541122",
            "The capsule is not JSON (often a URL cut short). bad_json",
        ),
        *("event.a", "?%7B", "a.log@12", "Firefox", "700 58.3 %", "SELECT 1 < 2", "12,345"),
        *("1,234 read = 1,200 valid + 34 bad ✓ balances", "07:00", "10 Mar 2019"),
    ):
        assert part in said


def test_text_of_events_stays_text() -> None:
    hostile = Page(render(report(lambda _: ATTACK)))
    assert hostile.tags.count("script") == hostile.tags.count("img") == 0
    assert sorted(set(hostile.tags)) == sorted(set(Page(render(report())).tags))
    assert not [name for name, _ in hostile.attributes if name.startswith("on")]
    assert hostile.words.count("<script>alert(1)</script>") >= 15


def test_one_file_that_runs_nothing_and_asks_nobody() -> None:
    page = Page(render(report(lambda _: "javascript:alert(1) url(//evil.example/x)")))
    assert not {"script", "img", "iframe", "object", "form", "a", "base"} & set(page.tags)
    links = [value for name, value in page.attributes if name in ("src", "href", "style")]
    assert links == ["data:,"]  # no favicon is asked for
    policy = [value or "" for name, value in page.attributes if name == "content"]
    assert any("default-src 'none'" in value for value in policy)
    assert "url(" not in re.findall(r"<style>(.*?)</style>", render(NOTHING), re.DOTALL)[0]


@pytest.mark.parametrize("bad", ["\ud800", "\x00", "\x1b[31m", "\u202egnp.exe", "\uffff"])
def test_what_cannot_be_shown_is_replaced(bad: str) -> None:
    page = render(report(lambda _: f"a{bad}b"))
    assert bad[0] not in page
    assert "a\ufffd" in page.encode("utf-8").decode("utf-8")


@pytest.mark.parametrize(
    "less",
    [
        {"minutes": []}, {"examples": {}}, {"browsers": None}, {"browsers": {}}, {"query": None},
        {"examples": {"bad_json": ExampleLine(None, "", None, "")}},
    ],
)  # fmt: skip
def test_what_tables_answer_may_be_missing(less: dict[str, Any]) -> None:
    Page(render(replace(report(), **less)))


def test_an_empty_report_is_a_page() -> None:
    said = Page(render(NOTHING)).words
    for part in ("Nothing was read", "No event was bad", "No schema was seen", "No sink"):
        assert part in said
    assert "Ask the tables" not in said


def test_same_report_same_bytes() -> None:
    assert render(report()) == render(report())


def test_six_schemas_have_a_colour_and_the_rest_share_one() -> None:
    page = Page(render(report()))
    said = page.words
    assert "2 other schemas" in said
    legend = said[said.index("Schema7") :]
    assert legend.index("Schema7") < legend.index("Schema2") < legend.index("2 other schemas")
    looks = {value for name, value in page.attributes if name == "class"}
    assert {"s1", "s6", "other"} <= looks


def test_what_does_not_add_up_is_told() -> None:
    given = report()
    given.summary.counts[HourKey("2019-03-10T07", "Edit_17541122", "bad_json")] = 30
    given.summary.sinks["sqlite:a.db"].written -= 5
    given.summary.sinks["b"] = SinkBook(given=1, written=3)
    said = Page(render(given)).words
    assert "1,234 lines, of which 1,230 came out" in said
    for part in ("✗ 4 missing", "✗ 5 missing", "✗ 2 too many"):
        assert part in said


def test_long_lists_are_folded_and_long_names_cut() -> None:
    names = [f"N{number}" + "x" * 70_000 for number in range(60)]
    counts = {HourKey("2019-03-10T07", f"{name}_1", "bad_json"): 1 for name in names}
    given = replace(report(), summary=Summary(60, 0, counts))
    page = render(given)
    assert "40 more, with 40 events" in page
    assert len(page) < 500_000


def test_few_that_are_years_away_do_not_squeeze_the_rest() -> None:
    strays = [
        at(minute, "Stray", 1, 1)
        for minute in ("0001-01-01T00:00Z", "2025-11-23T02:32Z", "9999-12-31T23:59Z", "x", None)
    ]
    line = timeline([*minutes(), *strays])
    assert line is not None
    assert (line.step, line.steps, line.outside) == (1, 120, 10)
    assert line.name(9) == "10 Mar 2019, 07:09"
    said = Page(render(replace(report(), minutes=[*minutes(), *strays]))).words
    assert "Not in the picture: 10 events" in said


def test_one_minute_only() -> None:
    line = timeline([at("2019-03-10T07:09Z", "S", 3)])
    assert line is not None
    assert line.place(minute_of("2019-03-10T07:09Z")) is not None
    assert line.outside == 0


@pytest.mark.parametrize("days", [1, 3, 40, 800, 20_000])
def test_steps_and_ticks_grow_with_the_span(days: int) -> None:
    first = minute_of("1971-01-01T00:00Z")
    assert first is not None
    entries = []
    for part in range(1000):
        day, minute = divmod(part * days * 1440 // 1000, 1440)
        moment = f"{1971 + day // 365}-01-{day % 28 + 1:02d}T{minute // 60:02d}:{minute % 60:02d}Z"
        entries.append(at(moment, "S", 1))
    line = timeline(entries)
    assert line is not None and line.outside == 0
    assert line.steps <= MOST_STEPS
    assert len(line.ticks(WIDE.ticks)) <= WIDE.ticks + 1
    assert line.step_name.split()[-1].rstrip("s") in ("minute", "hour", "day")


def test_ticks_are_round_and_name_each_date_once() -> None:
    line = timeline([at(f"2019-03-{day}T{h:02d}:10Z", "S", 1) for day, h in LATE])
    assert line is not None
    labels = [(label, below) for _, label, below in line.ticks(9)]
    assert labels == [
        *(("22:30", "10 Mar 2019"), ("23:00", ""), ("23:30", "")),
        *(("00:00", "11 Mar 2019"), ("00:30", ""), ("01:00", "")),
    ]


LATE = [(10, 22), (10, 23), (11, 0), (11, 1)]


@pytest.mark.parametrize(
    ("highest", "lines", "step"),
    [(1, 5, 1), (4, 5, 1), (7, 5, 2), (121, 5, 25), (999, 5, 200), (1_234_567, 5, 250_000)],
)
def test_scales_have_round_steps(highest: int, lines: int, step: int) -> None:
    assert nice_step(highest, lines) == step


def test_figures() -> None:
    assert [counted(1, "line"), counted(1234567, "line")] == ["1 line", "1,234,567 lines"]
    assert [share(1, 3), share(1, 99999), share(99999, 100000)] == ["33.3 %", "< 0.1 %", "> 99.9 %"]
    assert [share(0, 5), share(5, 5), share(1, 0)] == ["0 %", "100 %", "–"]
    assert [size(999), size(6_700_000), size(2e12)] == ["999 B", "6.7 MB", "2.0 TB"]
    assert [duration(0.5), duration(12.34), duration(245)] == ["0.50 s", "12.3 s", "4 min 05 s"]
    assert [duration(7620), duration(0), duration(-1)] == ["2 h 07 min", "0.00 s", "0.00 s"]
    assert [rate(10_000, 8.7), rate(1, 2), rate(1, 0)] == ["1,149", "0.5", "–"]
    assert [cell(None), cell(1.5), cell(10_000), cell("a")] == ["NULL", "1.50", "10,000", "a"]
    assert [cut("abc", 3), cut("abcd", 3)] == ["abc", "ab…"]


def test_markup_is_escaped_unless_it_is_markup() -> None:
    assert (
        tag("b", "<i>", tag("i", "x"), None, class_='"')
        == '<b class="&quot;">&lt;i&gt;<i>x</i></b>'
    )
    assert text(f"{tag('i', 'x')}") == "&lt;i&gt;x&lt;/i&gt;", "put together as text, it is text"
    assert isinstance(text("x"), Html)
