"""Sources and sinks of Kafka, made of URIs; wrong ones are refused with what there is."""

import pickle
from pathlib import Path

import pytest

from el_beam.connectors.registry import checked_uri, metrics_of, sink_of, source_of
from el_beam.uris import UriError
from runners.jars import FOLDER
from schemas.event import Destination
from schemas.registry import open_registry
from transforms.read.kafka import KafkaSource
from transforms.read.lines import FileSource
from transforms.write.kafka import KafkaSink

KAFKA = "kafka://b1:9092,b2:9092/"


@pytest.fixture(autouse=True)
def jars(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("jars")
    (folder / "kafka-expansion-2.jar").touch()
    monkeypatch.setenv(FOLDER, str(folder))


def source(uri: str) -> KafkaSource:
    found = source_of(checked_uri("source", uri))
    assert isinstance(found, KafkaSource)
    return found


def test_a_source() -> None:
    found = source(f"{KAFKA}?topics=a,b&group=g&start=latest")
    assert (found.topics, found.group, found.start) == (("a", "b"), "g", "latest")
    assert not found.bounded
    config = found.consumer_config()
    assert config["bootstrap.servers"] == "b1:9092,b2:9092"
    assert config["enable.auto.commit"] == "false"
    assert config["auto.offset.reset"] == "latest"
    assert config["group.id"] == "g"
    assert config["isolation.level"] == "read_committed"
    all_of_it = source(f"{KAFKA}?topics=a&group=g&isolation.level=read_uncommitted")
    assert all_of_it.consumer_config()["isolation.level"] == "read_uncommitted"
    with pytest.raises(UriError, match=r"isolation\.level must be read_committed or read_uncommi"):
        source(f"{KAFKA}?topics=a&group=g&isolation.level=none")


def test_a_pattern_keeps_its_plus_and_question_mark() -> None:
    found = source(f"{KAFKA}?pattern=^eventlogging_.+x?$&group=g")
    assert found.pattern == "^eventlogging_.+x?$"
    assert found.topics == ()
    chosen = found.settled(("eventlogging_a",), "x.jar")
    assert (chosen.topics, chosen.pattern) == (("eventlogging_a",), None)


def test_variables_but_no_secrets_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA", "b:1")
    monkeypatch.setenv("KAFKA_PASSWORD", "hush")
    secure = "security.protocol=SASL_SSL&sasl.username=u&sasl.password=${KAFKA_PASSWORD}"
    found = source(f"kafka://${{KAFKA}}/?topics=a&group=g&{secure}")
    assert found.cluster.brokers == "b:1"
    assert found.cluster.for_librdkafka()["sasl.password"] == "hush"
    assert "hush" not in repr(found) + str(found) + str(found.consumer_config())
    assert b"hush" not in pickle.dumps(found)
    sink = sink_of(
        checked_uri("sink", f"kafka://${{KAFKA}}/?topic=t&{secure}"), open_registry(None), "job"
    )
    assert b"hush" not in pickle.dumps(sink)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (f"{KAFKA}?group=g", "topics=a,b or pattern=^REGEX"),
        (f"{KAFKA}?group=g&topics=a&pattern=b", "one of them"),
        (f"{KAFKA}?group=g&topics=,", "topics is empty"),
        (f"{KAFKA}?topics=a", "must have group=NAME"),
        (f"{KAFKA}?topics=a&group=g&start=now", "start must be earliest or latest, not 'now'"),
        (f"{KAFKA}?pattern=(&group=g", "not a regular expression"),
        (f"{KAFKA}?topics=a&group=g&auto.offset.reset=none", "has no parameter auto.offset.reset"),
        ("kafka:///?topics=a&group=g", "has no brokers"),
        ("kafka://host/?topics=a&group=g", "'host' is not a broker"),
        (f"{KAFKA}?topics=a&group=g&security.protocol=TLS", "there are PLAINTEXT, SSL"),
        (f"{KAFKA}?topics=a&group=g&sasl.password=plain", "must not be written down"),
    ],
)
def test_wrong_sources(uri: str, told: str) -> None:
    with pytest.raises(UriError) as caught:
        source_of(checked_uri("source", uri))
    assert told in str(caught.value)
    assert "sasl.password=plain" not in str(caught.value)


def test_a_sink() -> None:
    found = sink_of(
        checked_uri("sink", f"{KAFKA}?topic=el_{{schema}}_{{revision}}&key={{wiki}}&partitions=3"),
        open_registry(None),
        "job",
    )
    assert isinstance(found, KafkaSink)
    assert found.topic.name(Destination("S", 1)) == "el_S_1"
    assert found.key and found.key.key({"wiki": "enwiki"}) == b"enwiki"
    assert found.partitions == 3


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (KAFKA, "must have topic=TEMPLATE"),
        (f"{KAFKA}?topic={{schema.x}}", "no field {schema.x}"),
        (f"{KAFKA}?topic={{meta[topic]}}", "no field"),
        (f"{KAFKA}?topic=a b", "is not a valid topic"),
        (f"{KAFKA}?topic=t&key=x", "is the same for all"),
        (f"{KAFKA}?topic=t&partitions=0", "partitions must be a number from 1"),
        (f"{KAFKA}?topic=t&partitions=many", "partitions must be a number from 1"),
        (f"{KAFKA}?topic=t&group=g", "has no parameter group"),
    ],
)
def test_wrong_sinks(uri: str, told: str) -> None:
    with pytest.raises(UriError) as caught:
        sink_of(checked_uri("sink", uri), open_registry(None), "job")
    assert told in str(caught.value)


def test_commas_are_between_paths_or_in_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def read(path: str) -> list[str]:
        found = source_of(checked_uri("source", f"file:{path}"))
        assert isinstance(found, FileSource)
        return [Path(split.path).name for split in found.splits()]

    for name in ("a.log", "b.log", "c,d.log"):
        (tmp_path / name).touch()
    assert read("a.log,~/b.log") == read("[a,b].log,*b.log") == ["a.log", "b.log"]
    assert read("c,d.log") == read("c[,]d.log") == read("c?d.log") == ["c,d.log"]
    assert read("c[,]d.log,a.log") == ["a.log", "c,d.log"]
    (tmp_path / "d.log").touch()
    with pytest.raises(UriError, match=r"and of several: write \[,\] for a comma"):
        read("c,d.log")


def test_counts() -> None:
    assert metrics_of(checked_uri("metrics", f"{KAFKA}?topic=counts")).topic == "counts"
    for topic in ("", "a b", "counts_{schema}"):
        with pytest.raises(UriError):
            metrics_of(checked_uri("metrics", f"{KAFKA}?topic={topic}"))
