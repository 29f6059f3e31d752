"""The report page in a real browser: it asks nobody, complains of nothing and fits its window."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from el_beam.watching.report import RunFacts, RunReport, render
from el_beam.watching.report.contents import ExampleLine, Query
from el_beam.watching.report.timeline import Minute, minute_of
from transforms.counts.summary import HourKey, SinkBook, Summary

CHROMIUM = "/usr/bin/chromium"
ATTACK = "<script>document.title='owned'</script><img src='https://example.org/x' onerror=alert(1)>"
LONG = "Very" + "Long" * 15
WIDTHS = [1200, 768, 400]


NOTHING = RunReport(RunFacts("file:a.log.gz", "%q", "direct", 0.0, 0.0), Summary(), [])


def report() -> RunReport:
    schemas = ["Edit", "Popups", LONG, ATTACK, "Echo", "ReadingDepth", "NavigationTiming", "Q"]
    counts = {}
    for schema in schemas:
        for reason, number in (("", 900), ("bad_json", 7)):
            counts[HourKey("2019-03-10T07", f"{schema}_18988839", reason)] = number
    columns = ["wiki", "n", *(f"column_{n}" for n in range(9))]
    sql = "SELECT wiki, COUNT(*) FROM Edit_17541122 GROUP BY wiki"
    return RunReport(
        RunFacts("file:a.log.gz", "%q", "direct", 1_552_208_400.0, 2.5),
        Summary(9600, 1234567, counts, {
            "sqlite:a.db": SinkBook(given=9600, written=9600),
            f"parquet:/{LONG}/{LONG}": SinkBook(given=9600, written=9600, files=3),
        }),
        [Minute(minute_of(f"2019-03-10T07:{minute:02d}Z"), schema, 20, 1)
         for minute in range(60) for schema in schemas],
        {"bad_json": ExampleLine(ATTACK, "event.a", "a@1", f"?%7B{'x' * 900}")},
        {"Firefox": 500, ATTACK: 3},
        Query(sql, columns, [("enwiki", 12, *["something"] * 9)]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """A page opened from its file, with the network blocked and everything it does noted."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, **options)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.url = path.as_uri()
        self.page.goto(self.url, wait_until="load")


def open_report(
    browser: Browser, folder: Path, width: int = 1200, given: RunReport | None = None
) -> Visit:
    path = folder / "report.html"
    path.write_text(render(report() if given is None else given), encoding="utf-8")
    return Visit(browser, path, viewport={"width": width, "height": 900})


@pytest.mark.parametrize("width", WIDTHS)
def test_asks_nobody_and_runs_nothing(browser: Browser, tmp_path: Path, width: int) -> None:
    visit = open_report(browser, tmp_path, width)
    for folded in visit.page.locator("summary").all():
        folded.click()
    visit.page.mouse.move(width / 2, 600)
    assert [url for url in visit.asked if url != "data:,"] == [visit.url]
    assert visit.complaints == []
    assert visit.page.title() == "el_beam: file:a.log.gz"
    assert visit.page.locator("script, img, iframe").count() == 0
    assert visit.page.get_by_text(ATTACK, exact=True).first.is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_fits_its_window(browser: Browser, tmp_path: Path, width: int) -> None:
    page = open_report(browser, tmp_path, width).page
    for folded in page.locator("summary").all():
        folded.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """
        [...document.querySelectorAll("body *")]
          .filter(e => !e.closest(".scroll, .stacks thead, svg"))
          .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
          .map(e => e.outerHTML.slice(0, 120))
    """
    assert page.evaluate(beyond) == []


@pytest.mark.parametrize(("width", "shown"), [(1200, "wide"), (768, "middle"), (400, "narrow")])
def test_charts_are_drawn(browser: Browser, tmp_path: Path, width: int, shown: str) -> None:
    page = open_report(browser, tmp_path, width).page
    charts = page.locator("svg.chart").locator("visible=true")
    assert charts.count() == 2
    for chart in charts.all():
        assert shown in (chart.get_attribute("class") or "")
        box = chart.bounding_box()
        assert box is not None
        assert box["width"] > 0.85 * min(width, 1056)
        assert box["height"] > 150
        drawn = chart.locator("path").all()
        assert drawn and all((path.bounding_box() or {"height": 0})["height"] > 5 for path in drawn)
    for bar in page.locator("svg.bar rect").all():
        box = bar.bounding_box()
        assert box is not None and box["width"] > 0.5 and box["height"] > 5


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_charts_is_readable(browser: Browser, tmp_path: Path, width: int) -> None:
    page = open_report(browser, tmp_path, width).page
    for label in page.locator("svg.chart text").locator("visible=true").all():
        box = label.bounding_box()
        assert box is not None
        assert 10 <= box["height"] <= 24, label.text_content()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(browser: Browser, tmp_path: Path, scheme: str) -> None:
    visit = open_report(browser, tmp_path)
    visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    contrasts = visit.page.evaluate(
        """
        () => {
          const light = colour => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
              .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const page = light(getComputedStyle(document.body).backgroundColor);
          const of = (selector, property) => {
            const own = light(getComputedStyle(document.querySelector(selector))[property]);
            return (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
          };
          return [of("h1", "color"), of(".note", "color"), of(".bad-text", "color"),
                  of(".ok-text", "color"), of(".chart text", "fill")];
        }
        """
    )
    assert all(contrast >= 4.5 for contrast in contrasts), contrasts


def test_is_told_to_who_cannot_see_it(browser: Browser, tmp_path: Path) -> None:
    page = open_report(browser, tmp_path).page
    assert page.get_by_role("img", name="Events per minute by schema").count() == 1
    assert page.get_by_role("table", name="Balance of the sinks").count() == 1
    assert page.get_by_role("columnheader", name="Given").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_of_nothing(browser: Browser, tmp_path: Path, width: int) -> None:
    visit = open_report(browser, tmp_path, width, given=NOTHING)
    assert visit.complaints == []
    assert visit.page.get_by_text("Nothing was read").is_visible()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
