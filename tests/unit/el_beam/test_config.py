"""The options of `el run`: all mistakes at once, nothing done by then."""

import argparse
import dataclasses
import pickle
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from run_configs import run_config

from el_beam.config.assemble import assemble, config_of
from el_beam.config.options import (
    ConfigError,
    Given,
    add_options,
    count,
    from_arguments,
    from_yaml,
    option,
    parsed,
    table,
    text,
)
from el_beam.config.run_config import RunConfig
from el_beam.connectors.registry import parameters
from el_beam.uris import parse_uri
from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.line_format import DEFAULT_FORMAT


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_text("?%7B%7D;\n")
    return "file:a.log"


def mistakes(**values: Any) -> list[str]:
    before = sorted(Path().rglob("*"))
    with pytest.raises(ConfigError) as caught:
        assemble(run_config(**values), "scratch")
    assert sorted(Path().rglob("*")) == before
    assert all("\n" not in mistake for mistake in caught.value.mistakes)
    return list(caught.value.mistakes)


def yaml_mistakes(text: str) -> list[str]:
    Path("job.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        from_yaml("job.yaml", RunConfig)
    assert all("\n" not in mistake for mistake in caught.value.mistakes)
    return list(caught.value.mistakes)


def test_a_job_is_what_was_asked_for(log: str) -> None:
    sinks = ["jsonl:out", "sqlite:e.db", "raw:r"]
    config = run_config(source=log, sinks=sinks, errors="parquet:bad", only="E", workers=2)
    job, execution = assemble(config, "scratch")
    assert execution == ("direct", 2, ())
    assert str(job.source) == log
    assert [str(sink) for sink, _ in job.sinks] == [*sinks, "parquet:bad"]
    assert job.format == DEFAULT_FORMAT
    assert EVENT_ERROR in job.registry.list()
    for (_, choice), wanted in zip(job.sinks, [False, False, False, True], strict=True):
        assert choice.wants(EVENT_ERROR) is wanted
        assert choice.wants(Destination("Edit", 1)) is not wanted
    assert pickle.loads(pickle.dumps(job)).format == job.format
    assert not Path("out").exists()


def test_all_mistakes_at_once(log: str) -> None:
    told = "\n".join(mistakes(
        source="file:nope.log", sinks=["jsonl:a?b=1"], errors="sqlite:${NOPE_X}", format="%x",
        schemas="nope", only="(", except_="[", runner="spork", workers=0, beam=("--nope=1",),
        state="x", every="soon", metrics="kafka://h:1/?topic=t", savepoint="",
    ))  # fmt: skip
    assert log
    for says in (
        "runner: must be direct or flink or spark, not 'spork'",
        "workers: must be a number from 1, not '0'",
        "only: '(' is not a valid regular expression",
        "except_: '[' is not a valid regular expression",
        "every: 'soon' is not a valid time",
        "savepoint: the value is empty",
        "--state is for increments: those read from kafka:",
        "--metrics is for continuous jobs",
        "Beam has no option --nope=1",
        "nope: there is no such folder of schemas",
        "no file matches nope.log",
        "unknown specifier %x",
        "jsonl: has no parameter b; it takes none",
        "the environment variable NOPE_X is not set",
    ):
        assert says in told
    assert told.count("\n") == 14


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source": ""}, ["source: the value is empty"]),
        ({"source": None}, ["no source: say what to read, as file:PATH"]),
        ({"sinks": None}, ["no sink: say where the events go"]),
        (
            {"sinks": ["nope:x"]},
            ["sinks: unknown sink nope: there are jsonl: kafka: mysql: parquet: raw: sqlite: std"],
        ),
        ({"sinks": ["parquet:"]}, ["sinks: parquet: has no path: write parquet:PATH"]),
        (
            {"sinks": ["jsonl:foo://a/b"]},
            ["sinks: jsonl:foo://a/b: no file system foo://; there are local paths, hdfs://, gs:"],
        ),
        ({"sinks": ["sqlite:hdfs://h:1/a"]}, ["sinks: sqlite:hdfs://h:1/a: a database is a local"]),
        ({"on_expired": "weep"}, ["on_expired: must be fail or skip, not 'weep'"]),
        ({"workers": "x"}, ["workers: must be a number from 1, not 'x'"]),
        ({"every": "5m", "once": True}, ["--every is for incr", "--once is for increments: say w"]),
        ({"source": "file:a.log?split=0"}, ["source: split must be 1 byte or more"]),
        ({"source": "file:a.log?split=x"}, ["source: 'x' is not a valid size"]),
        ({"source": "file:."}, [". is a folder: write ./*"]),
        ({"source": "stdin:", "workers": 2}, ["stdin: belongs to one process"]),
        ({"sinks": ("stdout:",), "workers": 2}, ["stdout: belongs to one process"]),
        ({"sinks": ("jsonl:a", "jsonl:a/")}, ["jsonl:a is given twice"]),
        ({"errors": "jsonl:out"}, ["jsonl:out is given twice"]),
        ({"errors": ""}, ["errors: the value is empty: write one, or leave the option out"]),
        ({"format": ""}, ["format: the value is empty"]),
        ({"sinks": ("stdout:out",)}, ["sinks: stdout: takes no path"]),
        ({"beam": ("--direct_num_workers=x",)}, ["after `--`: argument --direct_num_workers"]),
        ({"beam": ("--max_bundle_size=1",)}, ["Beam has no option --max_bundle_size=1"]),
        ({"beam": ("--nope=1",), "runner": "flink"}, ["Beam has no option --nope=1"]),
        ({"beam": ("--max_bundle_size=1",), "runner": "spark"}, ["Beam has no option --max_bun"]),
        ({"metrics": ""}, ["metrics: the value is empty"]),
        ({"metrics": "jsonl:x"}, ["metrics: unknown metrics jsonl: there are kafka:"]),
        (
            {"metrics": "kafka://h:1/?topic={schema}"},
            ["metrics: kafka://h:1/?topic={schema}: one topic"],
        ),
        ({"savepoint": ""}, ["savepoint: the value is empty"]),
        (
            {"source": "kafka://h:1/?topics=a"},
            ["source: kafka://h:1/?topics=a must have group=NAME"],
        ),
        ({"sinks": ("kafka://h:1/",)}, ["sinks: kafka://h:1/ must have topic=TEMPLATE"]),
        ({"errors": "kafka://h/?topic=x"}, ["errors: kafka://h/?topic=x: 'h' is not a broker"]),
    ],
)
def test_one_mistake(log: str, changes: dict[str, Any], says: list[str]) -> None:
    told = mistakes(**{"source": log, "sinks": ["jsonl:out"], **changes})
    assert len(told) == len(says)
    for mistake, beginning in zip(told, says, strict=True):
        assert mistake.startswith(beginning)


def test_a_continuous_job() -> None:
    config = run_config(
        source="kafka://h:1/?topics=a&group=g", sinks=["kafka://h:1/?topic={schema}"],
        metrics="kafka://h:1/?topic=counts", runner="flink", beam=("--max_bundle_size=1",),
    )  # fmt: skip
    job, _ = assemble(config, "scratch", "progress")
    assert not job.source.bounded
    assert job.metrics and job.metrics.topic == "counts"
    assert job.summary is None and job.progress is None  # they are of a run that ends
    assert [sink.progress for sink, _ in job.sinks] == [None]
    assert pickle.loads(pickle.dumps(job)).metrics == job.metrics


def test_where_a_bounded_job_and_its_sinks_say_how_far_they_are(log: str, tmp_path: Path) -> None:
    config = run_config(
        source=f"file:{log.removeprefix('file:')}",
        sinks=[f"jsonl:{tmp_path}/j", f"raw:{tmp_path}/r"],
    )
    job, _ = assemble(config, "scratch", "progress")
    assert [job.progress, *(sink.progress for sink, _ in job.sinks)] == ["progress"] * 3


def test_schemas_that_cannot_be_used(log: str) -> None:
    for name, content in (("A/1.json", "{"), ("B/1.json", '{"type": "nope", "properties": 5}')):
        path = Path("broken", name)
        path.parent.mkdir(parents=True)
        path.write_text(content)
    Path("empty").mkdir()
    call = {"source": log, "sinks": ["jsonl:out"]}
    assert "no schemas in this folder" in mistakes(**call, schemas="empty")[0]
    job, _ = assemble(run_config(**call, schemas="broken"), "scratch")
    assert len(job.registry.problems()) == 2


def test_yaml(log: str) -> None:
    Path("job.yaml").write_text(
        f"source: {log}\nsinks: [jsonl:out]\nexcept: Edit\nworkers: 2\nbeam: [--x=1]\n"
        "detach: true\n"
    )
    given = from_yaml("job.yaml", RunConfig)
    assert {name: each.value for name, each in given.items()} == {
        "source": log, "sinks": ["jsonl:out"], "except_": "Edit", "workers": 2, "beam": ["--x=1"],
        "detach": True,
    }  # fmt: skip
    assert given["except_"].label == "job.yaml: except"


@pytest.mark.usefixtures("log")
def test_all_mistakes_of_a_file_at_once() -> None:
    told = yaml_mistakes(
        "source: 5\nsinks: jsonl:x\nnope: 1\nworkers: '2'\n5: x\nonly: [a]\nbeam: [{a: b}]\n"
        "detach: 1\n"
    )
    assert [mistake.removeprefix("job.yaml: ").split(";")[0] for mistake in told] == [
        "source must be a text, not 5",
        "sinks must be a list of texts, not 'jsonl:x'",
        "unknown option 'nope'",
        "workers must be a number, not '2'",
        "unknown option 5",
        "only must be a text, not ['a']",
        "beam must be a list of texts, not [{'a': 'b'}]",
        "detach must be true or false, not 1",
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
def test_a_mistake_is_not_larger_than_its_file() -> None:
    names = "abcdefghi"
    bomb = "a: &a [x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise(names)
    )
    told = yaml_mistakes(f"{bomb}source: *i\n")
    assert len(told) == len(names) + 1 and max(map(len, told)) < 500
    assert "source must be a text, not [[[...], " in "".join(told)


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("workers", "shown"), [("true", "True"), ("1.5", "1.5"), ("null", "None"), ("[1]", "[1]")]
)
def test_workers_is_a_number(workers: str, shown: str) -> None:
    assert yaml_mistakes(f"workers: {workers}") == [
        f"job.yaml: workers must be a number, not {shown}"
    ]


def test_the_identity_of_a_job_is_what_it_does() -> None:
    config = run_config(source="stdin:", sinks=["jsonl:b"])
    assert config.job_id == dataclasses.replace(config, workers=4).job_id
    for no_matter in ({"savepoint": "file:/s"}, {"detach": True}, {"every": 60.0}, {"once": True}):
        assert config.job_id == dataclasses.replace(config, **no_matter).job_id
    assert config.job_id != run_config(source="stdin:", sinks=["jsonl:c"]).job_id


@pytest.mark.parametrize(
    ("values", "identity"),
    [
        ({"source": "file:a", "sinks": ["jsonl:b"]}, "33332c18eece14cd"),
        (
            {"source": "file:a", "sinks": ["jsonl:b", "raw:c"], "errors": "jsonl:e", "only": "E",
             "except_": "F", "format": "json", "schemas": "s", "runner": "flink",
             "beam": ["--x=1"], "workers": 3},
            "7223b8d5bbc6705e",
        ),
        (
            {"source": "kafka://h:1/?topics=a&group=g", "sinks": ["parquet:b"], "state": "s",
             "every": "60s", "on_expired": "skip"},
            "c4e076a24c2ccb7f",
        ),
    ],
)  # fmt: skip
def test_identities_are_those_of_earlier_versions(values: dict[str, Any], identity: str) -> None:
    """What an attempt of an earlier version left is found by it."""
    given = {name: Given("", value) for name, value in values.items()}
    parsed_values, mistaken = parsed(RunConfig, given)
    assert RunConfig(**parsed_values).job_id == identity and not mistaken


def test_a_new_option_changes_no_identity_while_it_has_its_default() -> None:
    @dataclass(frozen=True)
    class Newer(RunConfig):
        most: int = field(default=0, metadata=option(count, kind=int, identity=None))

    source = parse_uri("file:a", {"file": frozenset()}, "source")
    assert Newer(source=source).job_id == RunConfig(source=source).job_id
    assert Newer(source=source, most=3).job_id != RunConfig(source=source).job_id


def test_values_have_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA", "h:1")
    config = run_config(
        source="kafka://${KAFKA}/?topics=a&group=g", sinks=["parquet:a", "sqlite:b"], only="E$",
        state="hdfs://h:1/state/", every="10m", workers="3", on_expired="skip",
    )  # fmt: skip
    assert config.source == parse_uri(
        "kafka://${KAFKA}/?topics=a&group=g", parameters("source"), "source"
    )
    assert [uri.rest for uri in config.sinks] == ["a", "b"]
    assert config.only == re.compile("E$")
    assert (config.state, config.every, config.workers) == ("hdfs://h:1/state", 600.0, 3)


def test_passwords_are_not_shown() -> None:
    mysql = parse_uri("mysql://u:hush@h/db", parameters("sink"), "sink")
    config = RunConfig(sinks=(mysql,), schemas="https://u:hush@h/api.php")
    assert "hush" not in f"{config!r} {config} {config.sinks}"
    assert "mysql://u:***@h/db" in repr(config) and "https://u:***@h/api.php" in repr(config)
    sinks = ["mysql://u:hush@h", "mysql://u@h/other?password=hush"]
    with pytest.raises(ConfigError) as caught:
        run_config(source="mysql://u:hush@h/db", sinks=sinks, errors=sinks[1])
    assert "hush" not in str(caught.value) and len(caught.value.mistakes) == 3


@dataclass(frozen=True, repr=False)
class _More(RunConfig):
    colour: str = field(default="red", metadata=option(
        text, "what `colour` it has ([events](events.md))", metavar="COLOUR",
    ))  # fmt: skip


def test_a_new_option_is_a_new_field(log: str) -> None:
    """That alone puts it on the command line, into the YAML file and into the docs."""
    parser = argparse.ArgumentParser()
    add_options(parser, _More)
    assert (
        "--colour COLOUR" in parser.format_help() and "what colour it has\n" in parser.format_help()
    )
    args = parser.parse_args(["--colour", "blue"])
    call = {"source": Given("", log), "sinks": Given("", ["jsonl:out"])}
    assert config_of(_More, from_arguments(args, _More) | call).colour == "blue"
    Path("job.yaml").write_text("colour: green\n")
    assert config_of(_More, from_yaml("job.yaml", _More) | call).colour == "green"
    assert "| `--colour COLOUR` | what `colour` it has ([events](events.md)) |" in table(_More)
    with pytest.raises(ConfigError, match="there are beam, colour, detach"):
        Path("job.yaml").write_text("color: green\n")
        from_yaml("job.yaml", _More)
