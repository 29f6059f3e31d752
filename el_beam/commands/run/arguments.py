"""The arguments of `el run`, and which action they ask for."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from el_beam.commands.common import DONE
from el_beam.config import (
    ConfigError,
    RunConfig,
    add_options,
    assemble,
    config_of,
    from_arguments,
    from_yaml,
    option,
    text,
)
from el_beam.connectors.registry import help_table

_EXAMPLE = """

example:
  el run file:examples/sample.log.gz sqlite:events.db parquet:events
  sqlite3 events.db \\
      'SELECT event_action, COUNT(*) FROM ReadingDepth_18201205 GROUP BY 1'

Bad lines are never dropped: they become events of the schema EventError, in the
same sinks or in --errors. What follows `--` is passed to Beam.
"""


@dataclass(frozen=True)
class RunCall:
    """The options of a call that do not belong to its job."""

    config: str | None = field(default=None, metadata=option(
        text, "options from a YAML file; the command line wins", metavar="FILE",
    ))  # fmt: skip
    dry_run: bool = field(default=False, metadata=option(
        text, "check the call and print what would be done; read and write nothing, and connect "
        "to no server of a sink", kind=bool,
    ))  # fmt: skip
    json: bool = field(default=False, metadata=option(
        text, "the summary as JSON on standard output; of a continuous job its `job`, `name` and "
        "`ui`; of increments a line for each round", kind=bool,
    ))  # fmt: skip
    report: str | None = field(default=None, metadata=option(
        text, "of a run that ends: write a page with its figures and charts; a SQLite sink that "
        "holds this run alone adds minutes, browsers and examples", metavar="FILE",
    ))  # fmt: skip


class _Help(argparse.Action):
    """Shows the help: which sources and sinks there are is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.epilog = help_table() + _EXAMPLE
        parser.print_help()
        parser.exit()


def register(commands: Any) -> None:
    """Add `el run` to the command line."""
    parser = commands.add_parser(
        "run",
        help="read, validate and store events",
        description="Read lines from SOURCE, validate each as an event, store it in every SINK.",
        add_help=False,
    )
    parser.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help and exit")
    parser.add_argument(
        "uris",
        nargs="*",
        metavar="SOURCE SINK",
        help="where lines come from, and where events go: see below",
    )
    for options in (RunConfig, RunCall):
        add_options(parser, options)
    parser.set_defaults(command=_command, needs_scratch=True)


def config_from(args: argparse.Namespace) -> RunConfig:
    """The options of a call, those of its --config file below them. Raises ConfigError."""
    args.source, args.sinks = next(iter(args.uris), None), args.uris[1:]
    given = from_yaml(args.config, RunConfig) if args.config else {}
    config = config_of(RunConfig, given | from_arguments(args, RunConfig))
    if args.json and any(uri.scheme == "stdout" for uri in config.all_sinks):
        raise ConfigError(["--json and stdout: would both write to standard output"])
    return config


def _command(args: argparse.Namespace) -> int:
    """Run a job; returns the exit code."""
    config = config_from(args)
    from el_beam.commands.run.bounded import run_bounded
    from el_beam.commands.run.increments import run_increments
    from el_beam.commands.run.plan import show_plan
    from el_beam.commands.run.streaming import prepare_stream, run_stream
    from el_beam.running.increments.planning import IncrementsOptions
    from el_beam.running.process import for_job

    if args.report and config.source.scheme == "kafka":
        raise ConfigError(["--report is for runs that end: from files or standard input"])
    progress = Path(args.scratch, "progress")
    progress.mkdir()
    job, execution = assemble(config, args.scratch, str(progress))
    as_json = bool(args.json)
    with for_job(args.scratch):
        if not config.state and not job.source.bounded:
            stream = prepare_stream(job, execution, config.detach)
            if not args.dry_run:
                return run_stream(stream, execution, config.savepoint, config.detach, as_json)
            job = stream.job
        if args.dry_run:
            show_plan(job, config)
            return DONE
        if config.state:
            options = IncrementsOptions(config.state, config.every, config.on_expired == "skip")
            return run_increments(job, execution, options, args.scratch, as_json)
        return run_bounded(job, execution, args.scratch, as_json, args.report)
