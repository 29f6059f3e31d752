"""`el run`: lines from a source go through the graph into sinks."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from el_beam.config import ConfigError, RunConfig, assemble, read_config

if TYPE_CHECKING:
    from el_beam.job import Job

_EXAMPLE = """sources:
  file:PATH                          a log, or several: globs, .gz .bz2 .zst
  stdin:
  kafka://BROKERS/?topics=A,B&group=G

sinks:
  parquet:PATH  jsonl:PATH           files by schema and hour
  raw:PATH                           the lines themselves, good and bad
  sqlite:PATH  mysql://USER@HOST/DB  a table for each schema and revision
  kafka://BROKERS/?topic=eventlogging_{schema}_{revision}
  stdout:

example:
  el run file:examples/sample.log.gz sqlite:events.db parquet:events
  sqlite3 events.db 'SELECT event_action, COUNT(*) FROM ReadingDepth_18201205 GROUP BY 1'

Bad lines are never dropped: they are events of the schema EventError, in the same sinks or in
--errors. What follows `--` are options of Beam's own.
"""


def register(commands: Any) -> None:
    """Add `el run` to the command line."""
    parser = commands.add_parser(
        "run",
        help="read, validate and store events",
        description="Read lines from SOURCE, validate each as an event, store it in every SINK.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "uris",
        nargs="*",
        metavar="SOURCE SINK",
        help="where lines come from, and where events go: see below",
    )
    add("--errors", metavar="SINK", help="where bad lines go, instead of to the sinks")
    add(
        "--format",
        metavar="FMT",
        help="the lines' format, as EventLogging writes it, or json for events "
        "(default: '%%q %%{recvFrom}s %%{seqId}d %%D %%{ip}i %%u')",
    )
    add(
        "--schemas",
        metavar="DIR|URL",
        help="folder with Name/revision.json, or a MediaWiki's api.php (default: the catalog)",
    )
    add("--only", metavar="REGEX", help="only schemas whose name starts like this")
    add("--except", dest="except_", metavar="REGEX", help="no schemas whose name starts like this")
    add("--metrics", metavar="URI", help="counts topic, as kafka://BROKERS/?topic=NAME")
    add("--runner", metavar="NAME", help="direct: this machine (default); flink: $FLINK, $WORKERS; "
        "spark: $SPARK, $WORKERS")  # fmt: skip
    add("--workers", type=int, metavar="N", help="processes, or slots of a cluster (default 1)")
    add("--savepoint", metavar="PATH", help="go on from this savepoint or retained checkpoint")
    add("--detach", action="store_true", default=None, help="submit the job and leave it running")
    add("--state", metavar="DIR", help="read topics by increments; which were done is noted here")
    add("--every", metavar="60s", help="an increment at this pace (60s, 10m, 1h), until stopped")
    add("--once", action="store_true", default=None, help="read what is there now, then stop")
    add("--on-expired", metavar="fail|skip", help="records that are gone before they were read "
        "(default: their topic waits)")  # fmt: skip
    add("--config", metavar="FILE", help="YAML file with these options; the command line wins")
    add(
        "--dry-run",
        action="store_true",
        help="check the call, say what would be done, stop; what it writes to is not asked",
    )
    add("--json", action="store_true", help="print the summary as JSON on standard output")
    parser.set_defaults(command=command)  # fmt: skip


def config_of(args: argparse.Namespace) -> RunConfig:
    """The options of a call, those of its --config file below them. Raises ConfigError."""
    options = read_config(args.config) if args.config else {}
    names = ("errors", "metrics", "format", "schemas", "only", "except_", "runner", "workers",
             "savepoint", "detach", "state", "every", "once", "on_expired")  # fmt: skip
    options |= {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.uris:
        options |= {"source": args.uris[0]}
        if args.uris[1:]:
            options |= {"sinks": tuple(args.uris[1:])}
    if args.beam:
        options |= {"beam": tuple(args.beam)}
    config = RunConfig(**options)
    if args.json and "stdout:" in (*config.sinks, config.errors):
        raise ConfigError(["--json and stdout: would both write to standard output"])
    return config


def command(args: argparse.Namespace) -> int:
    """Run a job; returns the exit code."""
    from el_beam.running.process import for_job

    progress = Path(args.scratch) / "progress"
    progress.mkdir()
    config = config_of(args)
    job = assemble(config, args.scratch, str(progress))
    with for_job(args.scratch):
        if config.state:
            return _increments(job, config, args)
        return (_bounded if job.source.bounded else _stream)(job, config, args)


def _bounded(job: Job, config: RunConfig, args: argparse.Namespace) -> int:
    from el_beam.job import Execution
    from el_beam.running.bounded import execute
    from el_beam.running.process import interruptible
    from el_beam.terminal.console import show, watching

    if args.dry_run:
        _show_plan(job, config)
        return 0
    started = time.monotonic()
    with interruptible(args.scratch), watching(job.progress or ""):
        summary = execute(job, Execution(config.runner, config.workers, config.beam))
    seconds = time.monotonic() - started
    if args.json:
        print(json.dumps(summary.as_json() | {"seconds": round(seconds, 3)}))
    else:
        show(summary, seconds)
    return 0


def _increments(job: Job, config: RunConfig, args: argparse.Namespace) -> int:
    from el_beam.commands.run.rounds import Rounds
    from el_beam.config import seconds as seconds_of
    from el_beam.job import Execution
    from el_beam.running.increments.loop import work
    from el_beam.running.increments.round import IncrementsOptions
    from el_beam.running.process import leave, stop_requested

    if args.dry_run:
        _show_plan(job, config)
        return 0

    execution = Execution(config.runner, config.workers, config.beam)
    every = seconds_of(config.every) if config.every else None
    options = IncrementsOptions(config.state_path, every, config.on_expired == "skip")
    with stop_requested(lambda: leave(args.scratch)) as stop:
        rounds = Rounds(job.progress or "", stop, as_json=args.json)
        return 0 if work(job, execution, options, rounds, stop) else 1


def _stream(job: Job, config: RunConfig, args: argparse.Namespace) -> int:
    from el_beam.job import Execution
    from el_beam.running.process import stop_requested
    from el_beam.running.streaming.submit import prepare, submit
    from el_beam.running.streaming.supervise import supervise
    from el_beam.terminal.console import live

    execution = Execution(config.runner, config.workers, config.beam)
    stream = prepare(job, execution, detach=config.detach)
    for warning in stream.warnings:
        print(f"el run: note: {warning}", file=sys.stderr)
    if args.dry_run:
        _show_plan(stream.job, config)
        return 0
    flink_job = submit(stream, execution, config.savepoint)
    assert stream.cluster is not None
    about = {"job": flink_job.id, "name": flink_job.name, "ui": stream.cluster.ui(flink_job.id)}
    if args.json:
        print(json.dumps(about), flush=True)
    else:
        print(f"job {about['job']} ({about['name']})  {about['ui']}", file=sys.stderr)
    if config.detach:
        return 0
    with stop_requested(_interrupt) as stop:
        ended, savepoint = supervise(stream.cluster, flink_job, stream.source, stop, live)
    if savepoint:
        print(f"el run: stopped; savepoint: {savepoint}", file=sys.stderr)
        return 0
    print(f"el run: the job is {ended.state.lower()}", file=sys.stderr)
    return 0 if ended.state == "FINISHED" else 1


def _interrupt() -> None:
    raise KeyboardInterrupt


def _show_plan(job: Job, config: RunConfig) -> None:
    from el_beam.uris import masked
    from transforms.read.kafka import KafkaSource
    from transforms.read.lines import FileSource

    print(f"read    {masked(config.source)}")
    if isinstance(job.source, FileSource):
        splits = job.source.splits()
        files = len({split.path for split in splits})
        print(f"        {files} file(s) in {len(splits)} split(s)")
    elif isinstance(job.source, KafkaSource):
        print(f"        topics {', '.join(job.source.topics)}, group {job.source.group}")
    print(f"format  {job.format}")
    print(f"schemas {len(job.registry.list())} revisions of {config.schemas or 'the catalog'}")
    for problem in job.registry.problems():
        print(f"        unusable: {problem}")
    for sink, choice in job.sinks:
        told = {**vars(choice)}
        rules = [f"{name.rstrip('_')} {told[name]}" for name in ("only", "except_") if told[name]]
        rules += [] if choice.errors else ["no EventErrors"]
        rules += [] if choice.events else ["EventErrors only"]
        print(f"write   {sink}" + (f"  ({', '.join(rules)})" if rules else ""))
    if job.metrics:
        print(f"count   {job.metrics}")
    if config.savepoint:
        print(f"from    {config.savepoint}")
    print(f"run     {config.runner}, {config.workers} worker(s)")
    print("Nothing was read or written (--dry-run).")
