"""`el run --dry-run`: what a call would do."""

from __future__ import annotations

from el_beam.config import RunConfig
from el_beam.job import Job
from transforms.read.kafka import KafkaSource
from transforms.read.lines import FileSource
from transforms.write.choice import Choice


def show_plan(job: Job, config: RunConfig) -> None:
    """Print what the job would read, write and run on."""
    print(f"read    {config.source}")
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
        rules = ", ".join(_rules(choice))
        print(f"write   {sink}" + (f"  ({rules})" if rules else ""))
    if job.metrics:
        print(f"count   {job.metrics}")
    if config.savepoint:
        print(f"from    {config.savepoint}")
    print(f"run     {config.runner}, {config.workers} worker(s)")
    print("Nothing was read or written (--dry-run).")


def _rules(choice: Choice) -> list[str]:
    patterns = (("only", choice.only), ("except", choice.except_))
    return [
        *(f"{name} {pattern.pattern}" for name, pattern in patterns if pattern),
        *([] if choice.errors else ["no EventErrors"]),
        *([] if choice.events else ["EventErrors only"]),
    ]
