"""`el bad list`: what the sample log's bad lines are, and nothing of theirs on a terminal."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam import cli
from el_beam.commands import bad as command
from el_beam.connectors import event_errors as bad
from el_beam.connectors.contract import Fields, Selection, Store, StoredEvent
from el_beam.connectors.event_errors import EXAMPLES, OTHERS, bad_events
from schemas.bad_event import BadEvent, Reason, Stage, event_error
from schemas.event import Origin, RawLine

HOSTILE = b"\x1b]0;owned\x07\x1b[31m\r\n\x00[/red]\xc2\x9b \xe2\x80\xae %s"


class Fake(Store):
    """A store with the EventErrors of these, and some other event."""

    def __init__(self, errors: list[BadEvent], named: str = "EventError_14035058") -> None:
        super().__init__("parquet:/x")
        self.errors, self.named = errors, named

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for number, error in enumerate(self.errors):
            data = event_error(error).data
            values = tuple(
                data["event"][path[6:]] if path != "dt" else data["dt"] for path in fields
            )
            for schema, its in ((self.named, values), ("Edit_1", ())):
                if selection.schema(schema):
                    yield StoredEvent(schema, data["dt"][:13], "file", number, data["uuid"], its)


def error(
    line: bytes = b"raw", reason: Reason = Reason.BAD_JSON, schema: str = "S", hour: int = 7
) -> BadEvent:
    raw = RawLine(line, Origin("file", "a.log", 7, 1_552_200_000.0, "a-0"))
    dt = f"2019-03-10T{hour:02}:30:00Z"
    return BadEvent(raw, Stage.PARSE, reason, line.decode("latin-1"), "", schema, 1, dt)


ERRORS = st.lists(
    st.builds(
        error, st.binary(max_size=9), st.sampled_from(Reason),
        st.sampled_from(["S", "T", "unknown"]), st.integers(0, 23),
    ),
    max_size=12,
)  # fmt: skip


def nothing() -> None:
    pass


@given(ERRORS, st.sampled_from([None, *Reason]), st.sampled_from([None, "S", "T_1$", "u"]))
def test_counts(errors: list[BadEvent], reason: Reason | None, schema: str | None) -> None:
    wanted = Selection(schemas=re.compile(schema) if schema else None)
    found = bad_events([Fake(errors), Fake(errors)], wanted, reason and reason.value, nothing)
    expected = [
        each for each in errors
        if (not reason or each.reason is reason)
        and (not schema or re.match(schema, "unknown" if each.schema == "unknown"
                                    else f"{each.schema}_1"))
    ]  # fmt: skip
    assert found.total == 2 * len(expected)
    for counts in (found.reasons, found.schemas, found.hours):
        assert sum(counts.values()) == found.total
    for each in Reason:
        its = [one for one in expected if one.reason is each]
        assert found.reasons[each.value] == 2 * len(its)
        examples = found.examples.get(each.value, [])
        assert len(examples) == min(EXAMPLES, 2 * len(its))
        for one, example in zip(its, examples[: len(its)], strict=False):
            assert example.bad.readable == one.line.data.decode("utf-8", "backslashreplace")
            assert example.bad.error.uuid == event_error(one).data["uuid"]
            assert (example.bad.origin, example.store) == ("a.log@7", "parquet:/x")


@pytest.mark.parametrize(
    ("named", "is_read"),
    [("EventError_1", True), ("EventError_14035058", True), ("EventErrors_1", False),
     ("EventError_1x", False), ("EventError_1\n", False)],
)  # fmt: skip
def test_any_revision_is_listed_and_replayed(named: str, is_read: bool) -> None:
    store = Fake([error(b"line")], named)
    assert bad_events([store], Selection(), None, nothing).total == is_read
    lines = [each.line for each in bad.bad_lines(store, Selection(), None, nothing)]
    assert [line and line.data for line in lines] == [b"line"] * is_read


def test_names_of_schemas_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad, "_MOST_SCHEMAS", 3)
    errors = [error(schema=f"S{number % 9}") for number in range(90)]
    found = bad_events([Fake(errors)], Selection(), None, nothing)
    assert found.schemas == {"S0_1": 10, "S1_1": 10, "S2_1": 10, OTHERS: 60}


def test_a_line_that_is_no_base64() -> None:
    (example,) = bad_events([Fake([error(b"\xff")])], Selection(), None, nothing).examples[
        "bad_json"
    ]
    assert example.bad.readable == "\\xff"
    assert example.bad._replace(text="abc!defgh").readable == "abc!defgh"
    cut = base64.b64encode(b"\xffabc").decode()[:-3]
    assert example.bad._replace(text=cut).readable == cut


def call(monkeypatch: pytest.MonkeyPatch, errors: list[BadEvent], *options: str) -> int:
    monkeypatch.setattr(command, "store_of", lambda _: Fake(errors))
    return cli.main(["bad", "list", "x", *options])


def test_as_people_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [error(HOSTILE, schema=HOSTILE.decode()), error(b"l" * 5_000, Reason.TOO_DEEP)]
    errors += [error(schema=f"S{number}", hour=8) for number in range(40)]
    assert call(monkeypatch, errors) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("42 bad events\n")
    assert re.search(r"^bad_json +41 +The capsule is not JSON", shown, re.MULTILINE)
    assert re.search(r"^2019-03-10T08 +40 *$", shown, re.MULTILINE)
    assert re.search(r"^12 more +12 *$", shown, re.MULTILINE)
    assert "    line  \\x1b]0;owned\\x07\\x1b[31m\\r\\n\\x00[/red]\\x9b \\u202e %s\n" in shown
    assert f"    line  {'l' * 119}…\n" in shown
    assert "    from  a.log@7\n" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert max(map(len, shown.splitlines())) < 140
    assert call(monkeypatch, []) == 0
    assert capsys.readouterr().out == "0 bad events\n"


def test_as_machines_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = HOSTILE + b"l" * 5_000
    assert call(monkeypatch, [error(line), error(hour=6)], "--reason", "bad_json", "--json") == 0
    shown = capsys.readouterr().out
    assert shown.isascii() and shown.count("\n") == 1 and shown.rstrip("\n").isprintable()
    told: dict[str, Any] = json.loads(shown)
    assert told["total"] == 2 and told["reasons"] == {"bad_json": 2}
    assert [*told["hours"].items()] == [("2019-03-10T06", 1), ("2019-03-10T07", 1)]
    assert told["examples"]["bad_json"][0]["line"] == line.decode()


@pytest.mark.parametrize(
    ("call_", "says"),
    [
        (["parquet:/nowhere"], "el bad list: parquet:/nowhere: nothing is there"),
        (
            ["x:", "--reason", "b\x1bd"],
            "el bad list: --reason 'b\\x1bd' is not a reason; there are line_too",
        ),
        (["x:", "--from", "soon"], "el bad list: --from 'soon' is not an hour"),
        (["x:", "--schema", "["], "el bad list: --schema '[' is not a regular expression"),
    ],
)
def test_mistakes(call_: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bad", "list", *call_]) == 2
    told = capsys.readouterr().err
    assert told.startswith(says) and told.count("\n") == 1
