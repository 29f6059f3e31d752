"""Increments that the el_beam of d61c54f has begun are finished by that of today: see
tests/golden/d61c54f."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from old_folders import replace, unpack

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.books.state.state import State
from el_beam.cli import main
from transforms.io.kafka.broker import KafkaTopics
from transforms.io.kafka.cluster import KafkaCluster


class OldImport:
    """An import of d61c54f, whose topic is made again at another broker, with the same records."""

    def __init__(self, kafka: str, folder: Path, name: str) -> None:
        self.kafka, self.root, self.topic = kafka, folder / name, f"raw-{name}"
        self.state = State(f"{self.root}/state")
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self.remove_topic()
        self._make_topic()
        for log in ("a.log", "b.log"):
            self.put((folder / log).read_bytes().splitlines())
        topics = KafkaTopics(KafkaCluster(kafka))
        (commit,) = (self.root / "state/topics").rglob("00000001.commit.json")
        source = json.loads((self.root / "state/source.json").read_text())
        topic_id = json.loads(commit.read_text())["topic_id"]
        here = topics.topic_ids({self.topic: 1})[self.topic]
        old = {source["cluster"]: topics.cluster_id(), topic_id: here}
        for path in (self.root / "state").rglob("*.json"):
            replace(path, old)

    def _make_topic(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                self._admin.create_topics([NewTopic(self.topic, 1)])[self.topic].result(30)
                return
            except KafkaException:  # the one of an earlier test is still being removed
                assert time.monotonic() < end
                time.sleep(0.2)

    def remove_topic(self) -> None:
        with suppress(KafkaException):
            self._admin.delete_topics([self.topic])[self.topic].result(30)

    def put(self, lines: list[bytes]) -> None:
        producer = Producer({"bootstrap.servers": self.kafka})
        for line in lines:
            producer.produce(self.topic, line, partition=0)
        assert producer.flush(30) == 0

    def once(self) -> None:
        sinks = [f"{scheme}:{self.root}/{scheme}" for scheme in ("parquet", "raw")]
        source = f"kafka://{self.kafka}/?topics={self.topic}&group={self.topic}"
        assert main(["run", source, *sinks, "--state", self.state.path, "--once"]) == 0

    def check(self, lines: int) -> None:
        for scheme in ("parquet", "raw"):
            ledger = read_ledger(f"{self.root}/{scheme}")
            compare(ledger, content=True)
            assert ledger.troubles == []
            assert (ledger.totals["read"], ledger.totals["rows"]) == (lines, lines)


@pytest.fixture(params=["import", "intended", "decided"])
def old(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OldImport]:
    job = OldImport(kafka, unpack(tmp_path), request.param)
    yield job
    job.remove_topic()


def test_an_import_goes_on(old: OldImport) -> None:
    """One that had done its last increment, one that was killed before it had done it, one that was
    killed before its files had their names."""
    before = old.state.topic(old.topic).pending()
    old.once()
    old.check(11)
    first, second = old.state.topic(old.topic).history()
    assert (first.ends, second.ends) == ({0: 6}, {0: 11})
    if before[1]:
        made = {each.file.sha256 for each in before[1].summary.files.values() if each.file}
        there = {file.sha256 for scheme in ("parquet", "raw")
                 for file in read_ledger(f"{old.root}/{scheme}").files.values()}  # fmt: skip
        assert made <= there, "what was decided is done, and nothing is made anew"
    old.put([b"another line"])
    old.once()
    old.check(12)
    names = sorted(path.name for path in Path(old.state.path, "topics", old.topic).iterdir())
    assert names == [f"0000000{number}.commit.json" for number in (1, 2, 3)]


@pytest.mark.parametrize("old", ["decided"], indirect=True)
def test_one_whose_folders_were_inside_each_other(
    old: OldImport, capsys: pytest.CaptureFixture[str]
) -> None:
    """d61c54f has let that be. It is refused, and goes on where it is moved, as docs/upgrade.md
    says."""
    outer = old.root / "parquet"
    inner = {name: outer / name for name in ("raw", "state")}
    for name, path in inner.items():
        (old.root / name).rename(path)
    for path in old.root.rglob("*.json*"):
        replace(path, {f"{old.root}/{name}": str(path) for name, path in inner.items()})
    source = f"kafka://{old.kafka}/?topics={old.topic}&group={old.topic}"
    for sinks in ([f"parquet:{outer}", f"raw:{inner['raw']}"], [f"raw:{inner['raw']}"]):
        assert main(["run", source, *sinks, "--state", str(inner["state"]), "--once"]) == 2
        assert "docs/upgrade.md" in capsys.readouterr().err
    assert main(["ledger", str(outer)]) == 1
    shown = capsys.readouterr().err
    assert shown.count("nested: ") == 2 and "unknown: " not in shown
    for name, path in inner.items():
        path.rename(old.root / name)
    old.once()
    old.check(11)


@pytest.mark.parametrize("old", ["intended", "decided"], indirect=True)
def test_what_an_old_attempt_has_left_is_swept_up(old: OldImport) -> None:
    old.once()
    assert not [*old.root.rglob("_temporary/*")]
