"""`el run` without end: a continuous job on Flink."""

import json
import sys

from el_beam.commands.common import DONE, FAILED
from el_beam.job import Execution, Job
from el_beam.running.process import stop_requested
from el_beam.running.streaming.submit import Stream, prepare, submit
from el_beam.running.streaming.supervise import supervise
from el_beam.terminal.console import live, printable


def prepare_stream(job: Job, execution: Execution, detach: bool) -> Stream:
    """Check that the job can run, and print what people should know. Raises PreflightFailed."""
    stream = prepare(job, execution, detach=detach)
    for warning in stream.warnings:
        print(printable(f"el run: note: {warning}"), file=sys.stderr)
    return stream


def run_stream(
    stream: Stream, execution: Execution, savepoint: str | None, detach: bool, as_json: bool
) -> int:
    """Submit the job, and stay with it unless it is to be left; returns the exit code.

    Raises JobFailed."""
    job = submit(stream, execution, savepoint)
    assert stream.cluster is not None
    about = {"job": job.id, "name": job.name, "ui": stream.cluster.ui(job.id)}
    if as_json:
        print(json.dumps(about), flush=True)
    else:
        print(printable(f"job {job.id} ({job.name})  {about['ui']}"), file=sys.stderr)
    if detach:
        return DONE
    with stop_requested(_interrupt) as stop:
        ended, made = supervise(stream.cluster, job, stream.source, stop, live)
    if made:
        print(printable(f"el run: stopped; savepoint: {made}"), file=sys.stderr)
        return DONE
    print(f"el run: the job is {ended.state.lower()}", file=sys.stderr)
    return DONE if ended.state == "FINISHED" else FAILED


def _interrupt() -> None:
    raise KeyboardInterrupt
