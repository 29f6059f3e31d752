"""The books of a bounded run: parts add up in any order and grouping, and survive their file."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam.commands.run import show_round
from el_beam.running.increments.report import Report
from el_beam.terminal import console
from transforms.counts.count import CountKey, Counts
from transforms.counts.stages import WriteSummary, _SumUp
from transforms.counts.summary import Summary, SummaryPart, load_summaries, total
from transforms.read.receipt import ReadReceipt
from transforms.write.sink import NewFile, Receipt

RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
NUMBERS = st.integers(0, 1_000)
KEYS = st.builds(
    CountKey,
    st.integers(0, 9).map(lambda minute: minute * 60),
    st.sampled_from(["Edit", "Echo", "unknown"]),
    st.just(1),
    st.sampled_from(["", "", "bad_json", "schema_violation"]),
)
COUNTS = st.dictionaries(KEYS, NUMBERS, max_size=8).map(
    lambda sums: Counts("s", 0, 9, sum(sums.values()), tuple(sums.items()))
)
RECEIPTS = st.builds(
    lambda sink, written, repeated, size: Receipt(
        sink, "s", "Edit", 1, "f", written + repeated, written, 0, repeated, 0, size
    ),
    st.sampled_from(["jsonl:a", "sqlite:b"]), NUMBERS, NUMBERS, st.sampled_from([0, 100]),
)  # fmt: skip
READS = st.builds(ReadReceipt, st.just("s"), NUMBERS, NUMBERS)
PARTS = st.lists(st.one_of(COUNTS, RECEIPTS, READS), max_size=12)
SINKS = ["sqlite:b", "jsonl:a"]
FILE = NewFile("_temporary/x", "Edit_1/f", "2019-03-10T07", "0" * 64)


def combined(groups: list[list[SummaryPart]]) -> Summary:
    """As a runner does it: each group on a worker, what they found sent and put together."""
    fn, found = _SumUp(), []
    for group in groups:
        summary = fn.create_accumulator()
        for part in group:
            summary = fn.add_input(summary, part)
        found.append(pickle.loads(pickle.dumps(summary)))
    return fn.extract_output(fn.merge_accumulators(found))


@given(st.lists(PARTS, max_size=4))
def test_parts_add_up_in_any_order(groups: list[list[SummaryPart]]) -> None:
    parts = [part for group in groups for part in group]
    whole = total(parts, [])
    assert combined(groups) == whole
    assert combined([[part] for part in reversed(parts)]) == whole


@given(PARTS)
def test_what_they_add_up_to(parts: list[SummaryPart]) -> None:
    summary = total(parts, SINKS)
    sums = Counter[CountKey]()
    for part in parts:
        if isinstance(part, Counts):
            sums.update(dict(part.sums))
    assert summary.valid == sum(n for key, n in sums.items() if not key.reason)
    assert summary.bad == sum(n for key, n in sums.items() if key.reason)
    assert summary.bad == sum(summary.reasons.values())
    assert summary.read == sum(part.lines for part in parts if isinstance(part, ReadReceipt))
    for name, (valid, bad) in summary.schemas.items():
        of_it = [(key, n) for key, n in sums.items() if f"{key.schema}_{key.revision}" == name]
        assert valid == sum(n for key, n in of_it if not key.reason)
        assert bad == sum(n for key, n in of_it if key.reason)
    assert list(summary.sinks) == SINKS
    assert all(book.balanced for book in summary.sinks.values())


def test_equal_reasons_are_told_in_order() -> None:
    sums = tuple((CountKey(0, "unknown", -1, reason), 5) for reason in ("too_deep", "bad_json"))
    told = total([Counts("s", 0, 9, 10, sums)], []).as_json()["reasons"]
    assert [each["reason"] for each in told] == ["bad_json", "too_deep"]


def written(parts: list[SummaryPart], path: Path) -> Summary:
    pipeline = beam.Pipeline(RUNNER)
    made = [
        pipeline | f"Make {kind.__name__}" >> beam.Create([p for p in parts if type(p) is kind])
        for kind in (ReadReceipt, Counts, Receipt)
    ]
    tuple(made) | WriteSummary(str(path))
    pipeline.run().wait_until_finish()
    return total(load_summaries(str(path)).values(), SINKS)


def test_the_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    minutes = tuple((CountKey(60 * n, "Edit", 1, ""), 1) for n in range(5_000))
    parts: list[SummaryPart] = [
        ReadReceipt("s", 5_003, 9),
        Counts("s", 0, 5_002, 5_003, (*minutes, (CountKey(0, "unknown", -1, "bad_json"), 3))),
        Receipt("jsonl:a", "s", "Edit", 1, "Edit_1/f", 5_000, 5_000, 0, 0, 0, 7, file=FILE),
        Receipt("jsonl:a", "other", "Edit", 1, "t", 3, 3),
        Receipt("jsonl:a", "other", "Edit", 1, deferred="it is locked"),
    ]
    assert written(parts, path) == total(parts, SINKS)
    assert path.stat().st_size < 6_000  # an entry for each of the hours, not of the minutes
    assert set(load_summaries(str(path))) == {"s", "other"}
    assert written(parts[:1], path).read == 5_003  # in its place


def test_no_lines_have_a_summary_too(tmp_path: Path) -> None:
    assert written([], tmp_path / "summary.json") == total([], SINKS)


@pytest.mark.parametrize(
    ("reason", "hint"),
    [("format_mismatch", True), ("bad_json", True), ("schema_violation", False), ("", False)],
)
def test_lines_that_nobody_can_read_are_told(
    reason: str, hint: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong --format would look like a run that went well."""
    parts: list[SummaryPart] = [
        ReadReceipt("s", 2, 9),
        Counts("s", 0, 1, 2, ((CountKey(0, "unknown", -1, reason), 2),)),
    ]
    books = total(parts, ())
    console.show(books, 1.0)
    assert ("is --format theirs?" in capsys.readouterr().err) == hint
    show_round(Report(books), 1.0)
    assert ("is --format theirs?" in capsys.readouterr().err) == hint
    console.show(total((), ()), 1.0)
    assert "is --format theirs?" not in capsys.readouterr().err  # of nothing nothing is said


def test_what_no_sink_has_is_no_column(capsys: pytest.CaptureFixture[str]) -> None:
    books = total((), ("jsonl:a", "sqlite:b"))
    console.show(books, 1.0)
    assert "sink      given  written\n" in capsys.readouterr().err
    books.sinks["sqlite:b"].repeated = 3
    console.show(books, 1.0)
    assert "sink      given  written  repeated\n" in capsys.readouterr().err
