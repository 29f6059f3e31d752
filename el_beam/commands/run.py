"""`el run`: lines from a source go through the graph into sinks.

The source says how: one that ends makes one bounded run, Kafka's topics make increments with
--state, and a continuous job without it. Beam is imported by what runs them, once the call is
known to be right.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from el_beam.books.folder import folder_id
from el_beam.commands.common import DONE, FAILED
from el_beam.config.alike import alike
from el_beam.config.assemble import assemble, config_of
from el_beam.config.options import ConfigError, add_options, from_arguments, from_yaml, option, text
from el_beam.config.run_config import RunConfig
from el_beam.connectors.registry import help_table
from el_beam.job import Execution, Job
from el_beam.running.bounded import execute
from el_beam.running.increments.planning import IncrementsOptions
from el_beam.running.increments.report import Report
from el_beam.running.process import (
    for_job,
    interrupt,
    interruptible,
    interrupting,
    leave,
    stop_requested,
)
from el_beam.running.streaming.supervise import supervise
from el_beam.terminal.console import console, hint, live, printable, show, watching
from el_beam.uris import at_home
from transforms.io.files.filesystem import Modes, making

_NOTES = 20  # on schemas
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


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="Read lines from SOURCE, validate each as an event, store it in every SINK.",
        add_help=False,
    )
    add = parser.add_argument
    add("-h", "--help", action=_Help, nargs=0, help="show this help and exit")
    add("uris", nargs="*", metavar="SOURCE SINK",
        help="where lines come from, and where events go: see below")  # fmt: skip
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
    config = config_from(args)
    with making(config.mode or Modes()):
        return _run(config, args)


def _run(config: RunConfig, args: argparse.Namespace) -> int:
    args.report = at_home(args.report or "")
    if args.report and config.source.scheme == "kafka":
        raise ConfigError(["--report is for runs that end: from files or standard input"])
    progress = Path(args.scratch, "progress")
    progress.mkdir()
    job, execution = assemble(config, args.scratch, str(progress))
    notes = [*job.registry.limits(), *alike(job.registry)]
    more = [f"{len(notes) - _NOTES} more: `el schema list` has all"] if notes[_NOTES:] else []
    for note in (*notes[:_NOTES], *more):
        print(printable(f"el run: note: {note}"), file=sys.stderr)
    with for_job(args.scratch):
        if not config.state and not job.source.bounded:
            return _run_stream(job, execution, config, args)
        if args.dry_run:
            return _show_plan(job, config)
        if config.state:
            return _run_increments(job, execution, config, args)
        return _run_bounded(job, execution, args, previous=config.write_format == "previous")


def _show_plan(job: Job, config: RunConfig) -> int:
    """Print what the job would read, write and run on; returns the exit code."""
    for line in _plan(job, config):
        print(printable(line))
    return DONE


def _plan(job: Job, config: RunConfig) -> Iterator[str]:
    yield f"read    {config.source}"
    if details := job.source.details():
        yield f"        {details}"
    yield f"format  {job.format}"
    yield f"schemas {len(job.registry.list())} revisions of {config.schemas or 'the catalog'}"
    for problem in job.registry.problems():
        yield f"        unusable: {problem}"
    for sink, choice in job.sinks:
        yield f"write   {sink}" + (f"  ({choice})" if str(choice) else "")
    if job.metrics:
        yield f"count   {job.metrics}"
    if config.savepoint:
        yield f"from    {config.savepoint}"
    yield f"run     {config.runner}, {config.workers} worker(s)"
    yield "Nothing was read or written (--dry-run)."


def _run_bounded(
    job: Job, execution: Execution, args: argparse.Namespace, *, previous: bool
) -> int:
    """Run the job to its end, print its summary, and write its page; returns the exit code. With
    `previous` new folders are written as the release before reads them.

    Raises JobFailed, and OSError where the page can't be written."""
    if args.report:  # it fails now, not after the job
        Path(args.report).parent.mkdir(parents=True, exist_ok=True)
    if previous:
        for root in {sink.root for sink, _ in job.sinks if sink.root}:
            folder_id(root, previous=True)
    started, begun = time.time(), time.monotonic()
    with interruptible(args.scratch), watching(job.progress or ""):
        summary = execute(job, execution)
    seconds = round(time.monotonic() - begun, 3)
    if args.report:
        from el_beam.watching.report import RunFacts, contents, render

        facts = RunFacts(str(job.source), job.format, execution.runner, started, seconds)
        Path(args.report).write_text(render(contents(summary, facts)), encoding="utf-8")
    if args.json:
        print(json.dumps(summary.as_json() | {"seconds": seconds}))
    else:
        show(summary, seconds)
    return DONE


def _run_stream(job: Job, execution: Execution, config: RunConfig, args: argparse.Namespace) -> int:
    """Submit the job, and stay with it unless it is to be left; returns the exit code.

    Raises PreflightFailed, JobFailed."""
    from el_beam.running.streaming.submit import prepare, submit

    stream = prepare(job, execution, detach=config.detach, savepoint=config.savepoint)
    for warning in stream.warnings:
        print(printable(f"el run: note: {warning}"), file=sys.stderr)
    if args.dry_run:
        return _show_plan(stream.job, config)
    with interrupting():
        submitted = submit(stream, execution, config.savepoint)
    ui = stream.cluster.ui(submitted.id)
    if args.json:
        print(json.dumps({"job": submitted.id, "name": submitted.name, "ui": ui}), flush=True)
    else:
        print(printable(f"job {submitted.id} ({submitted.name})  {ui}"), file=sys.stderr)
    if config.detach:
        return DONE
    with stop_requested(interrupt) as stop:
        ended, made = supervise(stream.cluster, submitted, stream.source, stop, live)
    if made:
        print(printable(f"el run: stopped; savepoint: {made}"), file=sys.stderr)
        return DONE
    print(f"el run: the job is {ended.state.lower()}", file=sys.stderr)
    return DONE if ended.state == "FINISHED" else FAILED


def _run_increments(
    job: Job, execution: Execution, config: RunConfig, args: argparse.Namespace
) -> int:
    """Do increments and print each round; returns the exit code. Raises what `work` raises."""
    from el_beam.running.increments.increments import Increments

    assert config.state is not None
    options = IncrementsOptions(
        config.state, config.every, config.on_expired == "skip",
        previous=config.write_format == "previous", patience=config.transaction_patience,
    )  # fmt: skip
    with stop_requested(lambda: leave(args.scratch)) as stop:
        rounds = Rounds(job.progress or "", stop, as_json=args.json)
        return DONE if Increments(job, execution, options).work(rounds, stop) else FAILED


class Rounds:
    """Shows rounds on a terminal, and as JSON on standard output."""

    def __init__(self, progress: str, stop: threading.Event, *, as_json: bool) -> None:
        self._progress, self._stop, self._as_json = progress, stop, as_json

    def working(self) -> AbstractContextManager[None]:
        """A live line, of how far the round is."""
        return watching(self._progress, self._remark)

    def _remark(self) -> str:
        return "ending; Ctrl-C again: at once" if self._stop.is_set() else ""

    def waiting(self, left: Callable[[], float]) -> AbstractContextManager[None]:
        """A live line, of when the next one is."""
        return live(lambda: f"next increment in {left():.0f} s", logs=False)

    def done(self, report: Report, seconds: float) -> None:
        """Lines on what a round did."""
        if self._as_json:
            summary = report.as_json() | {"seconds": round(seconds, 3)}
            try:
                print(json.dumps(summary), flush=True)
            except BrokenPipeError:
                raise  # nobody reads it any more
            except OSError as error:  # as on a full disk: the import goes on
                report.notes.append(f"standard output: {error.strerror}: this round isn't in it")
        show_round(report, seconds)


def show_round(report: Report, seconds: float) -> None:
    """Print a round of increments on one line, and a line for each topic that is held up."""
    out, done = console(), report.summary
    if done.read or report.topics:
        behind = f", {report.lag:,} to come" if report.lag else ""
        message = (
            f"{time.strftime('%H:%M:%S')}  {done.read:,} lines of {len(report.topics)} topic(s) "
            f"in {seconds:.1f} s: {done.valid:,} valid, {done.bad:,} bad"
        )
        for what in ("rejected", "filtered", "repeated", "files"):
            if count := sum(getattr(book, what) for book in done.sinks.values()):
                message += f", {count:,} {what}"
        out.print(message + behind, soft_wrap=True)
        hint(done, out)
    for what, hours in (("complete", report.closed), ("late lines", report.reopened)):
        if hours:
            out.print(f"{time.strftime('%H:%M:%S')}  {what}: {', '.join(hours)}", soft_wrap=True)
    for note in report.notes:
        out.print(Text(printable(f"el run: note: {note}")), soft_wrap=True)
    for problem in report.problems:
        subject = problem.subject or "waiting"
        out.print(Text(printable(f"el run: {subject}: {problem.text}")), soft_wrap=True)
