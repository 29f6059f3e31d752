"""What a person asks for: the options of `el run`, from the command line or a YAML file.

All of it is checked before anything starts, and all mistakes are told at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from el_beam.connectors.registry import (
    metrics_of,
    metrics_uri,
    one_process,
    sink_of,
    sink_uri,
    source_of,
    source_uri,
    uses,
)
from el_beam.uris import UriError, checked_path, filled
from schemas.errors import WrongCall

if TYPE_CHECKING:
    from el_beam.job import Job
    from transforms.write.sink import Sink

RUNNERS = ("direct", "flink", "spark")


EXPIRED = ("fail", "skip")  # what --on-expired may be
_NO_MATTER = {
    "workers": 0, "savepoint": None, "detach": False, "every": None, "once": False,
}  # for what a job writes  # fmt: skip
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>s|m|h)?")
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigError(WrongCall, ValueError):
    """One or more mistakes in what was asked for, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes

    @property
    def sentences(self) -> list[str]:
        return self.mistakes


@dataclass(frozen=True)
class RunConfig:
    """The options of `el run`. Defaults that a module elsewhere knows best are None here."""

    source: str = ""
    sinks: tuple[str, ...] = ()
    errors: str | None = None
    metrics: str | None = None
    format: str | None = None
    schemas: str | None = None
    only: str | None = None
    except_: str | None = None
    runner: str = "direct"
    workers: int = 1
    savepoint: str | None = None
    detach: bool = False
    state: str | None = None  # of increments: a folder
    every: str | None = None  # between two of them
    once: bool = False
    on_expired: str = EXPIRED[0]
    beam: tuple[str, ...] = ()  # options of Beam's own

    @property
    def state_path(self) -> str:
        """Where increments are noted. Raises UriError."""
        return checked_path(filled(self.state or ""))

    @property
    def job_id(self) -> str:
        """The same for the same job: what a killed attempt left is found by it."""
        plain = json.dumps(dataclasses.asdict(self) | _NO_MATTER, sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()[:16]


_KEYS = {field.name.rstrip("_"): field.name for field in dataclasses.fields(RunConfig)}
_TYPES: dict[str, tuple[type, ...]] = {
    "sinks": (list,),
    "beam": (list,),
    "workers": (int,),
    "detach": (bool,),
    "once": (bool,),
}


def read_config(path: str) -> dict[str, Any]:
    """The options in a YAML file, by the names of RunConfig's fields. Raises ConfigError."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError([f"cannot read {path}: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path} must have options as `name: value`"])
    mistakes, options = [], {}
    for key, value in content.items():
        wanted = _TYPES.get(key, (str,))
        if key not in _KEYS:
            mistakes.append(f"{path}: unknown option {key!r}; there are {', '.join(sorted(_KEYS))}")
        elif not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            mistakes.append(f"{path}: {key} must be {wanted[0].__name__}, not {value!r}")
        elif isinstance(value, list) and not all(isinstance(each, str) for each in value):
            mistakes.append(f"{path}: {key} must be a list of texts, not {value!r}")
        else:
            options[_KEYS[key]] = tuple(value) if isinstance(value, list) else value
    if mistakes:
        raise ConfigError(mistakes)
    return options


def assemble(config: RunConfig, scratch: str, progress: str | None = None) -> Job:
    """The job that a config asks for; its books will be in the folder `scratch`.

    Raises ConfigError with all mistakes found: nothing has been written by then."""
    from el_beam.job import Job
    from schemas.line_format import DEFAULT_FORMAT, FormatError
    from schemas.registry import RegistryError, open_registry
    from transforms.errors import UnreadableInput
    from transforms.parse import line_parser
    from transforms.write.choice import Choice

    mistakes: list[str] = []

    @contextmanager
    def noting(*errors: type[Exception]) -> Iterator[None]:
        try:
            yield
        except errors as error:
            mistakes.append(str(error))

    registry = source = metrics = None
    sinks: list[tuple[Sink, Choice]] = []
    mistakes += [*_plain_mistakes(config), *_beam_mistakes(config.beam, config.runner)]
    with noting(RegistryError):
        registry = open_registry(config.schemas)
        if not registry.list() and registry.problems():
            mistakes.extend(registry.problems())
    with noting(UriError, UnreadableInput):
        source = source_of(source_uri(config.source))
    with noting(FormatError):
        line_parser(config.format or DEFAULT_FORMAT)
    for text in (*config.sinks, *filter(None, [config.errors])):
        with noting(UriError):
            sink_uri(text)
    if config.metrics:
        with noting(UriError):
            metrics = metrics_of(metrics_uri(config.metrics))
    if not mistakes and registry and source:
        choice = Choice(config.only, config.except_, errors=config.errors is None)
        sinks += [
            (sink_of(sink_uri(text), registry, config.job_id), choice) for text in config.sinks
        ]
        if config.errors:
            errors = sink_of(sink_uri(config.errors), registry, config.job_id)
            sinks.append((errors, Choice(events=False)))
        shown = [str(sink) for sink, _ in sinks]
        mistakes += [f"{name} is given twice" for name in sorted({*shown}) if shown.count(name) > 1]
    if mistakes or not registry or not source:
        raise ConfigError(mistakes)
    ends = source.bounded or config.state is not None
    return Job(
        source,
        tuple(sinks),
        config.format or DEFAULT_FORMAT,
        registry,
        summary=f"{scratch}/summary.json" if ends else None,
        progress=progress if ends else None,
        metrics=metrics,
    )


def _plain_mistakes(config: RunConfig) -> Iterator[str]:
    if not config.sinks:
        there_are = " ".join(f"{scheme}:" for scheme in sorted(uses("sink")))
        yield f"no sink: say where the events shall go; there are {there_are}"
    continuous = config.source.startswith("kafka:")
    if not continuous or config.state:
        for option in ("savepoint", "detach"):
            if getattr(config, option):
                yield f"--{option} is for continuous jobs: from kafka:, without --state"
    yield from _increment_mistakes(config, continuous)
    if config.runner not in RUNNERS:
        yield f"unknown runner {config.runner!r}; there are {', '.join(RUNNERS)}"
    if config.workers < 1:
        yield f"--workers must be 1 or more, not {config.workers}"
    for option in ("only", "except_"):
        if pattern := getattr(config, option):
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"--{option.rstrip('_')} {pattern!r} is no regular expression: {error}"
    for option in (
        "errors",
        "metrics",
        "format",
        "schemas",
        "only",
        "except_",
        "savepoint",
        "state",
    ):
        if getattr(config, option) == "":  # a variable that isn't set, most likely
            yield f"--{option.rstrip('_')} is empty: give it a value, or leave it out"
    for uri in (config.source, *config.sinks, config.errors or ""):
        if config.workers > 1 and one_process(uri):
            yield f"{uri} belongs to one process: use it with --workers 1"


def _increment_mistakes(config: RunConfig, continuous: bool) -> Iterator[str]:
    if config.state is None:
        for option in ("every", "once"):
            if getattr(config, option):
                yield f"--{option} is for increments: say with --state where they are noted"
        return
    if not continuous:
        yield "--state is for increments: those read from kafka:"
    if config.once == (config.every is not None):
        yield "increments need --every 60s, or --once"
    if config.every is not None:
        try:
            seconds(config.every)
        except ValueError as error:
            yield f"--every: {error}"
    if config.on_expired not in EXPIRED:
        yield f"--on-expired must be {' or '.join(EXPIRED)}, not {config.on_expired!r}"
    if config.metrics:
        yield "--metrics is for continuous jobs: the counts of increments are in their state"
    if config.state:
        try:
            path = config.state_path
            if "://" in path and not path.startswith("hdfs://"):
                yield f"--state {config.state}: must be a local path or hdfs://"
        except UriError as error:
            yield f"--state: {error}"


def seconds(text: str) -> float:
    """Seconds of `60s`, `10m`, `1h` or `60`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match or float(match["number"]) <= 0:
        raise ValueError(f"{text!r} is no time: write 60s, 10m or 1h")
    return float(match["number"]) * _SECONDS[match["unit"]]


def _beam_mistakes(options: tuple[str, ...], runner: str) -> Iterator[str]:
    """What of the options after `--` Beam doesn't know: it would pass over it in silence."""
    from apache_beam.options import pipeline_options

    from runners import flink, spark

    class Parser(pipeline_options._BeamArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise ValueError(message)

    parser = Parser(allow_abbrev=False, add_help=False)
    for known in pipeline_options.PipelineOptions.__subclasses__():
        if "_add_argparse_args" in vars(known):
            known._add_argparse_args(parser)
    for name in {"flink": flink.OPTIONS, "spark": spark.OPTIONS}.get(runner, []):
        with suppress(argparse.ArgumentError):  # one of Beam's own, too
            parser.add_argument(f"--{name}", nargs="?")
    try:
        unknown = parser.parse_known_args(list(options))[1]
    except ValueError as error:
        yield f"after `--`: {error}"
    else:
        if unknown:
            yield f"Beam has no option {' '.join(unknown)}: see its PipelineOptions"
