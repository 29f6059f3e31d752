"""`el run` from a source that ends by itself."""

import json
import time
from pathlib import Path

from el_beam.commands.common import DONE
from el_beam.job import Execution, Job
from el_beam.running.bounded import execute
from el_beam.running.process import interruptible
from el_beam.terminal.console import show, watching


def run_bounded(
    job: Job, execution: Execution, scratch: str, as_json: bool, report: str | None = None
) -> int:
    """Run the job to its end, print its summary, and write its page to the file `report`.

    Returns the exit code. Raises JobFailed, and OSError where the page can't be written."""
    if report:
        Path(report).parent.mkdir(parents=True, exist_ok=True)  # it fails now, not after the job
    started, begun = time.time(), time.monotonic()
    with interruptible(scratch), watching(job.progress or ""):
        summary = execute(job, execution)
    seconds = round(time.monotonic() - begun, 3)
    if report:
        from el_beam.watching.report import RunFacts, contents, render

        facts = RunFacts(str(job.source), job.format, execution.runner, started, seconds)
        Path(report).write_text(render(contents(summary, facts)), encoding="utf-8")
    if as_json:
        print(json.dumps(summary.as_json() | {"seconds": seconds}))
    else:
        show(summary, seconds)
    return DONE
