"""Topics of a real broker, the files and tables that an import makes of them: the same or not."""

import gzip
import json
import uuid
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from el_beam import cli
from traffic.feed import put
from traffic.truth import records, topics
from transforms.io.files import filesystem

ROOT = Path(__file__).parents[2]
LINES = 1_500
ONLY = "Edit|Popups|EventError"


class Imported:
    """Events in topics, imported into files, a raw archive and tables."""

    def __init__(self, kafka: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.kafka, self.folder, self._capsys = kafka, folder, capsys
        self.name = f"rec{uuid.uuid4().hex[:8]}"
        self.topics = f"kafka://{kafka}/?pattern=^{self.name}_.*"
        self.files, self.tables = f"parquet:{folder}/p", f"sqlite:{folder}/e.db"
        self.raw = f"{folder}/raw"
        sample = gzip.decompress((ROOT / "examples" / "sample.log.gz").read_bytes()).splitlines(
            True
        )
        (folder / "sample.log").write_bytes(b"".join(islice(sample, LINES)))
        sink = f"kafka://{kafka}/?topic={self.name}_{{schema}}_{{revision}}&partitions=1"
        self.el("run", f"file:{folder}/sample.log", sink, "--only", ONLY)
        self.events = len([*records(kafka, topics(kafka, self.name))])
        self.load()

    def el(self, *arguments: str) -> tuple[int, str]:
        """Exit code, standard output."""
        code = cli.main(arguments)
        shown = self._capsys.readouterr()
        assert code != 2, shown.err
        return code, shown.out

    def load(self) -> None:
        ends = (self.files, self.tables, f"raw:{self.raw}")
        options = ("--format", "json", "--state", f"{self.folder}/state", "--once")
        assert self.el("run", f"{self.topics}&group={self.name}", *ends, *options)[0] == 0

    def reconcile(self, a: str, b: str, *options: str) -> tuple[int, Any]:
        code, told = self.el("reconcile", a, b, "--json", *options)
        return code, json.loads(told)

    def a_record(self) -> Message:
        """Of some topic that isn't that of EventErrors."""
        names = [each for each in topics(self.kafka, self.name) if "EventError" not in each]
        return next(iter(records(self.kafka, names)))


@pytest.fixture
def imported(kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Imported:
    return Imported(kafka, tmp_path, capsys)


def test_what_was_imported_and_what_was_not(imported: Imported) -> None:
    for a, b in ((imported.topics, imported.files), (imported.tables, imported.topics)):
        code, told = imported.reconcile(a, b)
        assert (code, told["equal"], told["differences"]) == (0, True, [])
        assert sum(pair["b"]["different"] for pair in told["hours"]) == imported.events
        assert len({pair["schema"] for pair in told["hours"]}) == 4

    message = imported.a_record()
    event = json.loads(message.value() or b"")
    topic, schema = message.topic() or "", f"{event['schema']}_{event['revision']}"
    new = json.dumps({**event, "uuid": "f" * 32}).encode()
    put(imported.kafka, topic, [message.value() or b"", new, b"no event"], 1)  # the first a repeat
    code, told = imported.reconcile(imported.topics, imported.files)
    assert code == 1
    assert sum(pair["a"]["repeats"] for pair in told["hours"]) == 1
    assert {(each["uuid"] == "f" * 32, each["schema"]) for each in told["differences"]} == {
        (True, schema), (False, "EventError_14035058"),
    }  # fmt: skip
    assert len(told["differences"]) == 2
    assert f"`el backfill apply {imported.raw} {imported.files} --from" in told["advice"][0]

    imported.load()  # which has the repeat, too: an import doesn't drop what comes twice
    code, told = imported.reconcile(imported.topics, imported.tables)
    assert (code, told["differences"]) == (0, [])
    code, told = imported.reconcile(imported.topics, imported.files)
    (twice,) = told["differences"]
    assert (twice["uuid"], twice["a"], twice["b"]) == (event["uuid"], 2, 2)


def test_an_hour_that_was_lost(imported: Imported) -> None:
    hour = imported.folder / "p" / "EventError_14035058/year=2019/month=03/day=10/hour=07"
    for path in hour.iterdir():
        path.unlink()
    code, told = imported.reconcile(imported.topics, imported.files)
    wrong = [pair for pair in told["hours"] if pair["wrong"]]
    assert (code, [pair["hour"] for pair in wrong]) == (1, ["2019-03-10T07"])
    assert wrong[0]["only_a"] == len(told["differences"]) > 50
    assert told["differences"][0]["places"][0]["place"].startswith(f"{imported.name}_EventError_")
    other = ("--from", "2019-03-10T08", "--schema", "EventError_")
    assert imported.reconcile(imported.topics, imported.files, *other)[0] == 0
    code, shown = imported.el("bad", "list", imported.topics, "--json")
    assert json.loads(shown)["total"] == sum(
        pair["a"]["different"] for pair in told["hours"] if pair["schema"] == wrong[0]["schema"]
    )


def test_where_an_event_is_and_where_it_came_from(imported: Imported) -> None:
    message = imported.a_record()
    event = json.loads(message.value() or b"")
    ends = (imported.topics, imported.files, imported.tables)
    raw = ("--raw", imported.raw, "--format", "json", "--json")
    code, told = imported.el("find", event["uuid"], *ends, *raw)
    found = json.loads(told)
    place = f"{message.topic()}/{message.partition()}@{message.offset()}"
    assert code == 0
    assert [each["end"] for each in found["found"]] == [*ends]
    assert found["found"][0]["place"] == place
    assert [line["origin"] for line in found["lines"]] == [place]


def test_files_on_hdfs(hdfs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = ROOT / "examples" / "sample.log.gz"
    far = f"{hdfs}/rec{uuid.uuid4().hex[:8]}"
    ends = f"parquet:{far}/p", f"jsonl:{far}/j", f"sqlite:{tmp_path}/e.db"
    assert cli.main(["run", f"file:{sample}", *ends, f"raw:{far}/raw", "--only", ONLY]) == 0
    for end in ends[:2]:
        assert cli.main(["reconcile", end, ends[2]]) == 0
    capsys.readouterr()
    assert cli.main(["bad", "list", ends[0], "--from", "2019-03-10T08",
                     "--to", "2019-03-10T08", "--json"]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    bad = told["examples"]["bad_json"][0]
    assert [*told["hours"]] == ["2019-03-10T08"]
    raw = ("--raw", f"{far}/raw", "--json")
    assert cli.main(["find", bad["uuid"], ends[0], "--hour", "2019-03-10T08", *raw]) == 0
    (found,) = json.loads(capsys.readouterr().out)["found"]
    assert (found["place"], found["origin"]) == (bad["place"], bad["origin"])
    assert found["place"].startswith(f"{far}/p/EventError_14035058/year=2019/")
    filesystem.remove(f"{far}/p/EventError_14035058/year=2019/month=03/day=10/hour=08")
    assert cli.main(["reconcile", ends[0], ends[2]]) == 1
