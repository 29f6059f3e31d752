"""`el run` from a source that has an end."""

from __future__ import annotations

import json
import time

from el_beam.commands.common import DONE
from el_beam.job import Execution, Job
from el_beam.running.bounded import execute
from el_beam.running.process import interruptible
from el_beam.terminal.console import show, watching


def run_bounded(job: Job, execution: Execution, scratch: str, as_json: bool) -> int:
    """Run the job to its end and print its summary; returns the exit code. Raises JobFailed."""
    started = time.monotonic()
    with interruptible(scratch), watching(job.progress or ""):
        summary = execute(job, execution)
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(summary.as_json() | {"seconds": round(seconds, 3)}))
    else:
        show(summary, seconds)
    return DONE
