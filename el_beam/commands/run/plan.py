"""`el run --dry-run`: what a call would do."""

from collections.abc import Iterator

from el_beam.config import RunConfig
from el_beam.job import Job
from el_beam.terminal.console import printable
from transforms.write.choice import Choice


def show_plan(job: Job, config: RunConfig) -> None:
    """Print what the job would read, write and run on."""
    for line in _lines(job, config):
        print(printable(line))


def _lines(job: Job, config: RunConfig) -> Iterator[str]:
    yield f"read    {config.source}"
    if details := job.source.details():
        yield f"        {details}"
    yield f"format  {job.format}"
    yield f"schemas {len(job.registry.list())} revisions of {config.schemas or 'the catalog'}"
    for problem in job.registry.problems():
        yield f"        unusable: {problem}"
    for sink, choice in job.sinks:
        rules = ", ".join(_rules(choice))
        yield f"write   {sink}" + (f"  ({rules})" if rules else "")
    if job.metrics:
        yield f"count   {job.metrics}"
    if config.savepoint:
        yield f"from    {config.savepoint}"
    yield f"run     {config.runner}, {config.workers} worker(s)"
    yield "Nothing was read or written (--dry-run)."


def _rules(choice: Choice) -> list[str]:
    patterns = (("only", choice.only), ("except", choice.except_))
    return [
        *(f"{name} {pattern.pattern}" for name, pattern in patterns if pattern),
        *([] if choice.errors else ["no EventErrors"]),
        *([] if choice.events else ["EventErrors only"]),
    ]
