"""Two ends compared: what a model with sets finds, and what people are told."""

import json
import re
import resource
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from el_beam import cli
from el_beam.commands import reconcile as command
from el_beam.connectors.contract import Fields, Selection, Store, StoredError, StoredEvent
from el_beam.connectors.reconcile import advice, compare
from schemas.storage.table_names import table_name

HOURS = ["2019-03-10T07", "2019-03-10T08"]
SCHEMAS = ["S_1", "a.b/c_3"]
Row = tuple[str, str, str]  # schema, hour, uuid


class Fake(Store):
    """A store with these events."""

    def __init__(self, kind: str, rows: list[Row], name: str = "x") -> None:
        super().__init__(f"{kind}:/{name}")
        self.at_least_once, self.tables = kind == "kafka", kind == "sqlite"
        self.rows, self.root = rows, f"/{name}"

    def read(self, selection: Selection, fields: Fields) -> Iterator[StoredEvent]:
        for number, (schema, hour, uuid) in enumerate(self.rows):
            if selection.hour(hour):
                named = table_name(*_parts(schema)) if self.tables else schema
                yield StoredEvent(named, hour, f"place{number % 3}", number, uuid, ())


def _parts(schema: str) -> tuple[str, int]:
    name, _, revision = schema.rpartition("_")
    return name, int(revision)


ROWS = st.lists(
    st.tuples(st.sampled_from(SCHEMAS), st.sampled_from(HOURS), st.sampled_from("abcdef'\x00é")),
    max_size=14,
)
KINDS = st.sampled_from(["kafka", "parquet", "sqlite"])


def counted(rows: list[Row], as_tables: bool) -> Counter[Row]:
    return Counter(
        (table_name(*_parts(schema)) if as_tables else schema, hour, uuid)
        for schema, hour, uuid in rows
    )


@given(ROWS, ROWS, KINDS, KINDS, st.integers(0, 5))
def test_what_a_model_finds(
    in_a: list[Row], in_b: list[Row], kind_a: str, kind_b: str, most: int
) -> None:
    a, b = Fake(kind_a, in_a), Fake(kind_b, in_b)
    found = compare(a, b, Selection(), most)
    tables = "sqlite" in (kind_a, kind_b)
    of_a, of_b = counted(in_a, tables), counted(in_b, tables)
    wrong = {
        row for row in of_a | of_b
        if not of_a[row] or not of_b[row]
        or (of_a[row] > 1 and kind_a != "kafka") or (of_b[row] > 1 and kind_b != "kafka")
    }  # fmt: skip
    assert [(pair.hour, pair.schema) for pair in found.hours] == sorted(
        {(hour, schema) for schema, hour, _ in of_a | of_b}
    )
    for pair in found.hours:
        its = [{row[2]: n for row, n in of.items() if row[:2] == pair[:2]} for of in (of_a, of_b)]
        for uuids, count in zip(its, (pair.a, pair.b), strict=True):
            assert count.different == len(uuids)
            assert count.repeats == sum(uuids.values()) - len(uuids)
        assert (pair.a.checksum == pair.b.checksum) == (set(its[0]) == set(its[1]))
        assert pair.only_a == len(set(its[0]) - set(its[1]))
        assert pair.only_b == len(set(its[1]) - set(its[0]))
        assert pair.wrong == sum(row[:2] == pair[:2] for row in wrong)
    assert len(found.differences) == min(len(wrong), most)
    for each in found.differences:
        row = (each.schema, each.hour, each.uuid)
        assert row in wrong
        assert (each.a, each.b) == (of_a[row], of_b[row])
        assert {end for end, of in (("A", of_a), ("B", of_b))
                if any(found[2] == each.uuid for found in of)
                } == {place.end for place in each.places}  # fmt: skip


@given(st.permutations([("S_1", HOURS[0], uuid) for uuid in "abcdef"]), st.data())
def test_a_checksum_depends_on_the_uuids_alone(rows: list[Row], data: st.DataObject) -> None:
    more = data.draw(st.lists(st.sampled_from(rows)))
    (pair,) = compare(
        Fake("parquet", rows + more), Fake("kafka", sorted(rows)), Selection(), 0
    ).hours
    assert pair.a.checksum == pair.b.checksum
    assert re.fullmatch("[0-9a-f]{16}", pair.a.checksum)


def test_an_event_that_is_in_another_hour_there() -> None:
    a, b = Fake("kafka", [("S_1", HOURS[0], "u")]), Fake("sqlite", [("S_1", "", "u")])
    found = compare(a, b, Selection(), 9)
    assert [(each.hour, each.a, each.b) for each in found.differences] == [
        ("", 0, 1), (HOURS[0], 1, 0),
    ]  # fmt: skip
    assert [tuple(place) for place in found.differences[1].places] == [
        ("A", "S_1", HOURS[0], "place0@0"), ("B", "S_1", "", "place0@0"),
    ]  # fmt: skip


def test_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ends = Fake("kafka", [("S_1", HOURS[0], "u" * 5_000_000)]), Fake("kafka", [])
    assert len(compare(*ends, Selection(), 1).differences) == 1
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(StoredError, match=f"cannot keep the uuids in {tmp_path}: "):
            compare(*ends, Selection(), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [*tmp_path.iterdir()]


def told(a: Store, b: Store) -> str:
    def backfill(store: Store, first: str, last: str) -> str:
        return f"el backfill {store.root} {first} {last}" if store.root == "/it's" else ""

    return "\n".join(advice(compare(a, b, Selection(), 0), a, b, backfill))


def test_what_to_do() -> None:
    rows = [("S_1", hour, "u") for hour in HOURS]
    topic, files, tables = (Fake(kind, rows, "it's") for kind in ("kafka", "parquet", "sqlite"))
    assert told(topic, files) == told(tables, files) == ""
    nothing = Fake("parquet", [], "it's")
    redo = f"el backfill /it's {HOURS[0]} {HOURS[1]}"
    assert told(topic, nothing).startswith("parquet:/it's lacks events: ")
    assert told(nothing, tables).endswith(f"`{redo}`")
    assert told(Fake("parquet", [], "no"), tables).endswith("from their lines, by `el backfill`")
    assert "have expired" in told(Fake("kafka", []), files)
    assert "is in a table stays" in told(files, Fake("sqlite", []))
    assert "`el ledger`" in told(Fake("parquet", rows + rows), topic)
    assert "lack a unique index" in told(Fake("sqlite", rows + rows), topic)
    assert told(Fake("kafka", rows + rows), files) == ""


def called(monkeypatch: pytest.MonkeyPatch, ends: tuple[Store, Store], *options: str) -> int:
    monkeypatch.setattr(command, "store_of", dict(zip("ab", ends, strict=True)).__getitem__)
    return cli.main(["reconcile", "a", "b", *options])


def test_as_people_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("S_1", HOURS[0], f"{number}") for number in range(30)]
    ends = Fake("kafka", [*rows, *rows]), Fake("parquet", rows)
    assert called(monkeypatch, ends) == 0
    equal = capsys.readouterr().out
    assert re.search(r"^all +1 of 1 equal +30 +30 +30 *$", equal, re.MULTILINE)
    ends = Fake("kafka", rows), Fake("parquet", [("\x1b[31m[red]_1", HOURS[1], "\x1b]0;x\x07")])
    assert called(monkeypatch, ends) == 1
    shown = capsys.readouterr()
    assert re.search(rf"^{HOURS[0]} +S_1 +30 +30 *$", shown.out, re.MULTILINE)
    assert re.search(rf"^{HOURS[1]} +\\x1b\[31m\[red\]_1 +1 +1 *$", shown.out, re.MULTILINE)
    assert "only in A: 0 of S_1 2019-03-10T07\n  A place0@0\n" in shown.out
    assert "and 11 more: --json names 10,000" in shown.out
    assert "parquet:/x lacks events" in shown.err
    assert "\x1b" not in shown.out + shown.err
    assert called(monkeypatch, ends, "--to", HOURS[0], "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], len(found["hours"]), len(found["differences"])) == (False, 1, 30)
    assert found["hours"][0]["a"]["different"] == found["hours"][0]["only_a"] == 30
    assert found["differences"][0]["places"] == [
        {"end": "A", "schema": "S_1", "hour": HOURS[0], "place": "place0@0"}
    ]
    nothing = Fake("kafka", []), Fake("parquet", [])
    assert called(monkeypatch, nothing) == 0
    assert "nothing was found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (["parquet:/nowhere", "jsonl:/nowhere"], "parquet:/nowhere: nothing is there"),
        (["x", "y", "--from", "noon"], "--from 'noon' is not an hour"),
        (["kafka://127.0.0.1:9/?topics=\x1b[31m", "x:"], "unknown store x"),
    ],
)
def test_mistakes(call: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reconcile", *call]) == 2
    shown: Any = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1 and "\x1b" not in shown.err
    assert command._NAMED == 20
