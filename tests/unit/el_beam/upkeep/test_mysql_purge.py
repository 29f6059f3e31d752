"""What stays of old rows, and how many of them are removed at once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam.cli import main
from el_beam.upkeep.mysql.keep import check_tables, kept
from el_beam.upkeep.mysql.purge import Pace
from el_beam.upkeep.retention.keep_list import Keep, KeepError, fields_of
from schemas.storage.columns import RESCUED, path_text
from schemas.storage.sql import layout

DOCUMENT: dict[str, Any] = {
    "properties": {
        "action": {"type": "string"},
        "a.b": {"type": "string"},
        "a": {"properties": {"b": {"type": "string"}, "c": {"type": "string"}}},
    }
}
COLUMNS = ["id", *(each.name for each in layout(DOCUMENT)), RESCUED, "of_somebody"]
PURGE = ("purge", "mysql://el@h/d", "--older-than")
ALWAYS = {"id", "uuid", "dt", "timestamp"}


@pytest.mark.parametrize(
    ("fields", "stays"),
    [
        ([], set()),
        (["wiki"], {"wiki"}),
        (["event"], {"event_action", "event_a.b", "event_a_b", "event_a_c"}),
        (["event.a"], {"event_a_b", "event_a_c"}),
        (["event.a.b"], {"event_a_b"}),
        ([r"event.a\.b"], {"event_a.b"}),
        (["event.a_b"], {"event_a.b"}),  # as files call it
        (["userAgent", RESCUED], {"userAgent", RESCUED}),
        (["event_action", "of_somebody"], set()),  # fields, not columns
    ],
)
def test_columns_that_stay(fields: list[str], stays: set[str]) -> None:
    found = kept(DOCUMENT, COLUMNS, frozenset(fields))
    assert found.stays == ALWAYS | stays
    assert {*found.nulls, *found.stays, *found.cuts} == {*COLUMNS}
    assert len(found.nulls) + len(found.stays) + len(found.cuts) == len(COLUMNS)
    assert (RESCUED in found.cuts) == (RESCUED not in fields)


def test_parts_of_the_user_agent_stay() -> None:
    found = kept(DOCUMENT, COLUMNS, frozenset({"userAgent.os_family", "wiki"}))
    assert found.parts == {"userAgent.os_family"} and "userAgent" not in found.stays
    cut = found.cuts["userAgent"]
    once = cut('{"os_family": "Linux", "browser_family": "x"}')
    assert once == '{"os_family": "Linux"}' and cut(once) == once
    for text in ("text", "", '{"browser_family": 1}', "[]", '{"cut": "sho'):
        assert cut(text) is None


def test_what_was_rescued_of_a_field_that_stays_stays() -> None:
    told = {"event.a": 1, "event.a.b": 2, r"event.a\.b": 3, "event.x": 4, "event": 5, "wiki": 6}
    for fields, stays in (
        ({"event.a"}, {"event.a", "event.a.b"}),
        ({"event.a.b"}, {"event.a.b"}),
        ({"event"}, {*told} - {"wiki"}),
        ({r"event.a\.b"}, {r"event.a\.b"}),
        ({"wiki"}, {"wiki"}),
    ):
        cut = kept(DOCUMENT, COLUMNS, frozenset(fields)).cuts[RESCUED]
        once = cut(json.dumps(told))
        assert once and {*json.loads(once)} == stays and cut(once) == once
    assert kept(DOCUMENT, COLUMNS, frozenset()).cuts[RESCUED](json.dumps(told)) is None


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_rescued_field_stays_with_what_it_is_in(keys: list[str]) -> None:
    path = ("event", *keys)
    text = json.dumps({path_text(path): 1})
    for end in range(1, len(path) + 1):
        assert kept(DOCUMENT, COLUMNS, frozenset({path_text(path[:end])})).cuts[RESCUED](text)
    assert not kept(DOCUMENT, COLUMNS, frozenset({path_text([*path, "x"])})).cuts[RESCUED](text)


def test_a_list_may_name_what_is_there() -> None:
    fields = {"S_1": fields_of(DOCUMENT), "S_2": {"wiki"}, "T_1": set[str]()}
    assert {"wiki", "event", "event.a", "event.a.b", r"event.a\.b", "userAgent.is_bot"} <= fields[
        "S_1"
    ]
    check_tables(Keep({"S": frozenset({"event.a", "wiki"}), "T": frozenset()}), fields)
    check_tables(Keep({"S_2": frozenset({"wiki"}), "S_1": frozenset({"event.a_b"})}), fields)
    wrong = {"S_2": {"event.a"}, "S": {"event.actoin"}, "X": set[str](), "T_2": {"wiki"}}
    with pytest.raises(KeepError) as caught:
        check_tables(Keep({name: frozenset(each) for name, each in wrong.items()}), fields)
    told = str(caught.value)
    assert "S_2 has no event.a, it has wiki" in told
    assert "S has no event.actoin, it has event.action, " in told
    assert "there is no table of X, there are S_1, S_2, T_1" in told
    assert "there is no table of T_2" in told


def test_the_pace() -> None:
    pace = Pace(1_000, 0.05)
    for _ in range(20):
        assert pace.took(0.01) == 0.05
    assert pace.rows == 1_000
    assert pace.took(0.07) == 0.07 and pace.rows == 1_000
    assert pace.took(0.5) == 0.5 and pace.rows == 500
    for _ in range(20):
        pace.took(1.0)
    assert pace.rows == 10
    few = Pace(3, 0.0)
    assert (few.rows, few.took(9.0), few.rows) == (3, 9.0, 3)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ([*PURGE[:2]], "--older-than"),
        ([*PURGE, "90"], "'90' is not a valid age"),
        ([*PURGE, "999999d"], "'999999d' is not a valid age"),
        ([*PURGE, "1d", "--batch", "0"], "not a number of rows"),
        ([*PURGE, "1d", "--pause", "-1"], "not a number of seconds"),
        ([*PURGE, "1d", "--pause", "nan"], "not a number of seconds"),
        (["plan", "sqlite:x"], "unknown database sqlite"),
        (["plan", "mysql://el:secret@h/d"], "must not be written down"),
        (["plan", "mysql://el:se?in@cret@h/d"], "mysql://el:***@h/d: password must not be"),
        (["plan", "mysql://el@h/d?bots=drop"], "has no parameter bots"),
        (["plan", "mysql://el@127.0.0.1:1/d"], "Can't connect"),
        (["plan", "mysql://el@h/d?unix_socket=/none.sock"], "server at /none.sock (2003)"),
        (["plan", "mysql://el@127.0.0.1:1/d", "--schemas", "nowhere"], "nowhere"),
        (["plan", "mysql://el@127.0.0.1:1/d", "--schema", "("], "is not a regular expression"),
    ],
)  # fmt: skip
def test_wrong_calls(call: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["mysql", *call])
    except SystemExit as ended:
        code = int(str(ended.code))
    err = capsys.readouterr().err
    assert code == 2 and told in err and "Traceback" not in err and "secret" not in err
