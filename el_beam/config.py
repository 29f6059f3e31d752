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

from el_beam.ends import SINKS, metrics_of, sink_of, sink_uri, source_of
from el_beam.uris import UriError

if TYPE_CHECKING:
    from el_beam.job import Job
    from transforms.write import Sink

RUNNERS = ("direct", "flink")


_NO_MATTER = {"workers": 0, "savepoint": None, "detach": False}  # for what a job writes


class ConfigError(ValueError):
    """One or more mistakes in what was asked for, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


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
    beam: tuple[str, ...] = ()  # options of Beam's own

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
    from transforms.parse import line_parser
    from transforms.read.files import UnreadableInput
    from transforms.write import Choice

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
        source = source_of(config.source)
    with noting(FormatError):
        line_parser(config.format or DEFAULT_FORMAT)
    for text in (*config.sinks, *filter(None, [config.errors])):
        with noting(UriError):
            sink_uri(text)
    if config.metrics:
        with noting(UriError):
            metrics = metrics_of(config.metrics)
    if not mistakes and registry and source:
        choice = Choice(config.only, config.except_, errors=config.errors is None)
        sinks += [(sink_of(text, registry, config.job_id), choice) for text in config.sinks]
        if config.errors:
            sinks.append((sink_of(config.errors, registry, config.job_id), Choice(events=False)))
        shown = [str(sink) for sink, _ in sinks]
        mistakes += [f"{name} is given twice" for name in sorted({*shown}) if shown.count(name) > 1]
    if mistakes or not registry or not source:
        raise ConfigError(mistakes)
    return Job(
        source,
        tuple(sinks),
        config.format or DEFAULT_FORMAT,
        registry,
        summary=f"{scratch}/summary.json" if source.bounded else None,
        progress=progress if source.bounded else None,
        metrics=metrics,
    )


def _plain_mistakes(config: RunConfig) -> Iterator[str]:
    if not config.sinks:
        there_are = " ".join(f"{scheme}:" for scheme in sorted(SINKS))
        yield f"no sink: say where the events shall go; there are {there_are}"
    continuous = config.source.startswith("kafka:")
    if not continuous:
        for option in ("savepoint", "detach"):
            if getattr(config, option):
                yield f"--{option} is for continuous jobs: those that read from kafka:"
    if config.runner not in RUNNERS and not (continuous and config.runner == "spark"):
        yield f"unknown runner {config.runner!r}; there are {', '.join(RUNNERS)}"
    if config.workers < 1:
        yield f"--workers must be 1 or more, not {config.workers}"
    for option in ("only", "except_"):
        if pattern := getattr(config, option):
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"--{option.rstrip('_')} {pattern!r} is no regular expression: {error}"
    for option in ("errors", "metrics", "format", "schemas", "only", "except_", "savepoint"):
        if getattr(config, option) == "":  # a variable that isn't set, most likely
            yield f"--{option.rstrip('_')} is empty: give it a value, or leave it out"
    for uri in (config.source, *config.sinks, config.errors or ""):
        if uri.startswith(("stdin:", "stdout:")) and not uri.endswith(":"):
            yield f"{uri.partition(':')[0]}: takes no path"
        elif uri in ("stdin:", "stdout:") and config.workers > 1:
            yield f"{uri} belongs to one process: use it with --workers 1"


def _beam_mistakes(options: tuple[str, ...], runner: str) -> Iterator[str]:
    """What of the options after `--` Beam doesn't know: it would pass over it in silence."""
    from apache_beam.options import pipeline_options

    class Parser(pipeline_options._BeamArgumentParser):  # type: ignore[misc]
        def error(self, message: str) -> NoReturn:
            raise ValueError(message)

    parser = Parser(allow_abbrev=False, add_help=False)
    for known in pipeline_options.PipelineOptions.__subclasses__():
        if "_add_argparse_args" in vars(known):
            known._add_argparse_args(parser)
    if runner == "flink":
        from runners.flink import OPTIONS

        for name in OPTIONS:
            with suppress(argparse.ArgumentError):  # one of Beam's own, too
                parser.add_argument(f"--{name}", nargs="?")
    try:
        unknown = parser.parse_known_args(list(options))[1]
    except ValueError as error:
        yield f"after `--`: {error}"
    else:
        if unknown:
            yield f"Beam has no option {' '.join(unknown)}: see its PipelineOptions"
