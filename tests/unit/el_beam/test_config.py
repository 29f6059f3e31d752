"""The options of `el run`: all mistakes at once, nothing done by then."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from el_beam.config import ConfigError, RunConfig, assemble, read_config
from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.line_format import DEFAULT_FORMAT


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_text("?%7B%7D;\n")
    return "file:a.log"


def mistakes(config: RunConfig) -> list[str]:
    before = sorted(Path().rglob("*"))
    with pytest.raises(ConfigError) as caught:
        assemble(config, "scratch")
    assert sorted(Path().rglob("*")) == before
    assert all("\n" not in mistake for mistake in caught.value.mistakes)
    return caught.value.mistakes


def yaml_mistakes(text: str) -> list[str]:
    Path("job.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config("job.yaml")
    assert all("\n" not in mistake for mistake in caught.value.mistakes)
    return caught.value.mistakes


def test_a_job_is_what_was_asked_for(log: str) -> None:
    config = RunConfig(log, ("jsonl:out", "sqlite:e.db", "raw:r"), errors="parquet:bad", only="E")
    job = assemble(config, "scratch")
    assert str(job.source) == log
    assert [str(sink) for sink, _ in job.sinks] == [*config.sinks, "parquet:bad"]
    assert job.format == DEFAULT_FORMAT
    assert EVENT_ERROR in job.registry.list()
    for (_, choice), wanted in zip(job.sinks, [False, False, False, True], strict=True):
        assert choice.wants(EVENT_ERROR) is wanted
        assert choice.wants(Destination("Edit", 1)) is not wanted
    assert pickle.loads(pickle.dumps(job)).format == job.format
    assert not Path("out").exists()


def test_all_mistakes_at_once(log: str) -> None:
    config = RunConfig(
        "file:nope.log", ("nope:x", "jsonl:a?b=1", "parquet:", "jsonl:foo://a/b"),
        errors="sqlite:${NOPE_X}", format="%x", schemas="nope", only="(", except_="[",
        runner="spork", workers=0, beam=("--nope=1",),
    )  # fmt: skip
    told = "\n".join(mistakes(config))
    assert log
    for says in (
        "unknown runner 'spork'; there are direct, flink, spark",
        "--workers must be 1 or more, not 0",
        "--only '(' is no regular expression",
        "--except '[' is no regular expression",
        "Beam has no option --nope=1",
        "nope: there is no such folder of schemas",
        "no file matches nope.log",
        "unknown specifier %x",
        "unknown sink nope: there are jsonl: kafka: mysql: parquet: raw: sqlite: stdout:",
        "jsonl: has no parameter b; it takes none",
        "parquet: has no path: write parquet:PATH",
        "jsonl:foo://a/b: no file system foo://; there are local paths, hdfs://, gs://",
        "the environment variable NOPE_X is not set",
    ):
        assert says in told
    assert told.count("\n") == 12


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source": ""}, ["no source: say what to read, as file:PATH"]),
        ({"sinks": ()}, ["no sink: say where the events shall go"]),
        ({"source": "file:a.log?split=0"}, ["split must be 1 byte or more"]),
        ({"source": "file:a.log?split=x"}, ["'x' is no size"]),
        ({"source": "file:."}, [". is a folder: write ./*"]),
        ({"source": "stdin:", "workers": 2}, ["stdin: belongs to one process"]),
        ({"sinks": ("stdout:",), "workers": 2}, ["stdout: belongs to one process"]),
        ({"sinks": ("jsonl:a", "jsonl:a/")}, ["jsonl:a is given twice"]),
        ({"errors": "jsonl:out"}, ["jsonl:out is given twice"]),
        ({"errors": ""}, ["--errors is empty: give it a value, or leave it out"]),
        ({"format": ""}, ["--format is empty"]),
        ({"sinks": ("stdout:out",)}, ["stdout: takes no path"]),
        ({"beam": ("--direct_num_workers=x",)}, ["after `--`: argument --direct_num_workers"]),
        ({"beam": ("--max_bundle_size=1",)}, ["Beam has no option --max_bundle_size=1"]),
        ({"beam": ("--nope=1",), "runner": "flink"}, ["Beam has no option --nope=1"]),
        ({"beam": ("--max_bundle_size=1",), "runner": "spark"}, ["Beam has no option --max_bun"]),
        ({"metrics": ""}, ["--metrics is empty"]),
        ({"metrics": "jsonl:x"}, ["unknown metrics jsonl: there are kafka:"]),
        ({"metrics": "kafka://h:1/?topic={schema}"}, ["kafka://h:1/?topic={schema}: one topic"]),
        ({"savepoint": ""}, ["--savepoint is empty"]),
        ({"source": "kafka://h:1/?topics=a"}, ["kafka://h:1/?topics=a must have group=NAME"]),
        ({"sinks": ("kafka://h:1/",)}, ["kafka://h:1/ must have topic=TEMPLATE"]),
        ({"errors": "kafka://h/?topic=x"}, ["kafka://h/?topic=x: 'h' is no broker"]),
    ],
)
def test_one_mistake(log: str, changes: dict[str, Any], says: list[str]) -> None:
    told = mistakes(dataclasses.replace(RunConfig(log, ("jsonl:out",)), **changes))
    assert len(told) == len(says)
    for mistake, beginning in zip(told, says, strict=True):
        assert mistake.startswith(beginning)


def test_a_continuous_job() -> None:
    config = RunConfig(
        "kafka://h:1/?topics=a&group=g", ("kafka://h:1/?topic={schema}",),
        metrics="kafka://h:1/?topic=counts", runner="flink", beam=("--max_bundle_size=1",),
    )  # fmt: skip
    job = assemble(config, "scratch", "progress")
    assert not job.source.bounded
    assert job.metrics and job.metrics.topic == "counts"
    assert job.summary is None and job.progress is None  # they are of a run that ends
    assert pickle.loads(pickle.dumps(job)).metrics == job.metrics


def test_schemas_that_cannot_be_used(log: str) -> None:
    for name, text in (("A/1.json", "{"), ("B/1.json", '{"type": "nope", "properties": 5}')):
        path = Path("broken", name)
        path.parent.mkdir(parents=True)
        path.write_text(text)
    config = RunConfig(log, ("jsonl:out",), schemas="broken")
    Path("empty").mkdir()
    assert "no schemas in this folder" in mistakes(dataclasses.replace(config, schemas="empty"))[0]
    assert len(assemble(config, "scratch").registry.problems()) == 2


def test_yaml(log: str) -> None:
    Path("job.yaml").write_text(
        f"source: {log}\nsinks: [jsonl:out]\nexcept: Edit\nworkers: 2\nbeam: [--x=1]\n"
        "detach: true\n"
    )
    assert read_config("job.yaml") == {
        "source": log, "sinks": ("jsonl:out",), "except_": "Edit", "workers": 2, "beam": ("--x=1",),
        "detach": True,
    }  # fmt: skip


@pytest.mark.usefixtures("log")
def test_all_mistakes_of_a_file_at_once() -> None:
    told = yaml_mistakes(
        "source: 5\nsinks: jsonl:x\nnope: 1\nworkers: '2'\n5: x\nonly: [a]\nbeam: [{a: b}]\n"
        "detach: 1\n"
    )
    assert [mistake.removeprefix("job.yaml: ").split(";")[0] for mistake in told] == [
        "source must be str, not 5",
        "sinks must be list, not 'jsonl:x'",
        "unknown option 'nope'",
        "workers must be int, not '2'",
        "unknown option 5",
        "only must be str, not ['a']",
        "beam must be a list of texts, not [{'a': 'b'}]",
        "detach must be bool, not 1",
    ]
    for name in ("beam", "detach", "except", "metrics", "savepoint", "sinks", "source", "workers"):
        assert name in told[2].partition("there are ")[2].split(", ")


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    "text", ["{[", "- a", "", "a: \0", "a: " + "[" * 20_000, "? [a]\n: b", "a: !!python/name:os.x"]
)
def test_what_is_no_yaml_of_options(text: str) -> None:
    assert len(yaml_mistakes(text)) == 1


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("workers", "shown"), [("true", "True"), ("1.5", "1.5"), ("null", "None"), ("[1]", "[1]")]
)
def test_workers_is_a_number(workers: str, shown: str) -> None:
    assert yaml_mistakes(f"workers: {workers}") == [f"job.yaml: workers must be int, not {shown}"]


def test_the_identity_of_a_job_is_what_it_does() -> None:
    config = RunConfig("file:a", ("jsonl:b",))
    for no_matter in ({"workers": 4}, {"savepoint": "file:/s"}, {"detach": True}):
        assert config.job_id == dataclasses.replace(config, **no_matter).job_id
    assert config.job_id != RunConfig("file:a", ("jsonl:c",)).job_id
    assert config.job_id.isalnum()
