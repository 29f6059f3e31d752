"""What a report says: by minute and with examples where SQLite holds the run, else by hour."""

from collections.abc import Callable
from pathlib import Path

import pytest
from run_configs import run_config

from el_beam.cli import main
from el_beam.config.assemble import assemble
from el_beam.running.bounded import execute
from el_beam.watching.report import RunFacts, RunReport, contents, render

LINE = (
    "?%7B%22event%22%3A%7B%22version%22%3A1%2C%22action%22%3A%22init%22%7D%2C%22revision%22%3A"
    "17541122%2C%22schema%22%3A%22{}%22%2C%22wiki%22%3A%22enwiki%22%2C%22webHost%22%3A%22en.m%22"
    "%7D;\tcp1\t{}\t2019-03-10T07:0{}:00\t1.2.3.4\tMozilla/5.0 (X11; rv:60.0) Firefox/60.0\n"
)


@pytest.fixture
def report_of(tmp_path: Path) -> Callable[..., RunReport]:
    """Runs a job over a valid line and two bad ones; gives the contents of its report."""

    def run(*sinks: str, seq: int = 1) -> RunReport:
        log = tmp_path / "a.log"
        log.write_text(LINE.format("Edit", seq, 1) + LINE.format("Nothing", seq, 2) + "?odd\n")
        (tmp_path / "scratch").mkdir(exist_ok=True)
        config = run_config(source=f"file:{log}", sinks=sinks)
        job, execution = assemble(config, str(tmp_path / "scratch"))
        summary = execute(job, execution)
        return contents(summary, RunFacts(str(log), "%q", "direct", 1_552_200_000.0, 2.5))

    return run


def test_tables_answer_by_minute(report_of: Callable[..., RunReport], tmp_path: Path) -> None:
    report = report_of(f"sqlite:{tmp_path}/a.db")
    assert sum(each.valid + each.bad for each in report.minutes) == 3
    assert report.examples.keys() == report.summary.reasons.keys()
    assert all(each.raw for each in report.examples.values())
    page = render(report)
    assert "✓ balances" in page and "10 Mar 2019, 06:40 UTC" in page


def test_other_sinks_by_hour(report_of: Callable[..., RunReport], tmp_path: Path) -> None:
    report = report_of(f"jsonl:{tmp_path}/out")
    assert {(each.minute or 1) % 60 for each in report.minutes} == {0}
    assert report.browsers is None and report.query is None
    assert "Browsers" not in render(report)


def test_tables_with_more_than_this_run_do_not_answer(
    report_of: Callable[..., RunReport], tmp_path: Path
) -> None:
    sink = f"sqlite:{tmp_path}/a.db"
    assert report_of(sink, seq=1).browsers is not None
    assert report_of(sink, seq=2).browsers is None


def test_a_run_without_an_end_has_no_report(capfd: pytest.CaptureFixture[str]) -> None:
    source = "kafka://b:9092/?topics=raw&group=g"
    assert main(["run", source, "jsonl:out", "--report", "a.html", "--state", "s", "--once"]) == 2
    assert capfd.readouterr().err == (
        "el run: --report is for runs that end: from files or standard input\n"
    )
