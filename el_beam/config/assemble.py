"""The job that the options ask for, with all mistakes in them at once."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from el_beam.config.apart import nested
from el_beam.config.options import ConfigError, Given, parsed
from el_beam.config.run_config import GraphConfig, RunConfig
from el_beam.connectors.registry import metrics_of, sink_of, source_of
from el_beam.job import Execution, Job, Rules
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import RegistryError, open_registry
from transforms.errors import UnreadableInput
from transforms.io.files import filesystem
from transforms.read.lines import Source
from transforms.route import Choice
from transforms.write.sink import Sink

Config = TypeVar("Config", bound=GraphConfig)


def config_of(config: type[Config], given: Mapping[str, Given]) -> Config:
    """Parse the options that a call gives.

    Raises ConfigError with all mistakes. Where there are any, what the other options name (schemas,
    files) is looked at too, so that people get them all at once."""
    values, mistakes = parsed(config, given)
    found = config(**values)  # an option that is wrong has its default
    mistakes += found.contradictions()
    if mistakes:
        raise ConfigError([*mistakes, *_opened(found)[2]])
    return found


def assemble(config: RunConfig, scratch: str, progress: str | None = None) -> tuple[Job, Execution]:
    """Make the job that a config asks for, and say who runs it. The job's summary will be in the
    folder `scratch`, what is known of it while it runs in `progress`.

    Raises ConfigError with all that is not there. Nothing has been written by then."""
    rules, source, mistakes = _opened(config)
    if not rules or not source:
        raise ConfigError(mistakes)
    choice = Choice(config.only, config.except_, errors=config.errors is None)
    sinks = [(sink_of(uri, rules.registry, config.job_id), choice) for uri in config.sinks]
    if config.errors:
        errors = sink_of(config.errors, rules.registry, config.job_id)
        sinks.append((errors, Choice(events=False)))
    if mistakes := [*nested({str(sink): sink.root for sink, _ in sinks}, config.state)]:
        raise ConfigError(mistakes)
    ends = source.bounded or config.state is not None
    if ends:
        for sink, _ in sinks:
            sink.progress = progress
    job = Job(
        source,
        tuple(sinks),
        *rules,
        summary=f"{scratch}/summary.json" if ends else None,
        progress=progress if ends else None,
        metrics=metrics_of(config.metrics) if config.metrics else None,
        options=tuple(_options(config)),
    )
    return job, config.execution


def _options(config: GraphConfig) -> Iterator[str]:
    if config.format:
        yield from ("--format", config.format)
    if config.schemas:
        is_url = config.schemas.startswith(("http://", "https://"))
        yield from ("--schemas", config.schemas if is_url else filesystem.absolute(config.schemas))


def rules_and_sinks(config: GraphConfig, archive: str = "") -> tuple[Rules, list[Sink]]:
    """Open the registry, and make the sinks in the order of their URIs: for a job whose source is
    not an option, but maybe the folder of an `archive`. Raises ConfigError."""
    rules, _, mistakes = _opened(config)
    if not rules:
        raise ConfigError(mistakes)
    sinks = [sink_of(uri, rules.registry, config.job_id) for uri in config.sinks]
    if mistakes := [*nested({archive: archive} | {str(sink): sink.root for sink in sinks})]:
        raise ConfigError(mistakes)
    return rules, sinks


def _opened(config: GraphConfig) -> tuple[Rules | None, Source | None, list[str]]:
    """The rules and the source of a config, or what is wrong with them."""
    rules = source = None
    mistakes: list[str] = []
    try:
        registry = open_registry(config.schemas)
        if registry.list() or not registry.problems():
            rules = Rules(config.format or DEFAULT_FORMAT, registry)
        mistakes += [] if rules else registry.problems()
    except RegistryError as error:
        mistakes.append(str(error))
    try:
        if isinstance(config, RunConfig) and config.source.scheme:
            source = source_of(config.source)
    except UnreadableInput as error:
        mistakes.append(str(error))
    return rules, source, mistakes
