"""An import by increments within this process, and what must come of it."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from confluent_kafka.admin import AdminClient
from run_configs import run_config

from el_beam.books.imports import ImportEntry, logs
from el_beam.books.state.state import Commit, State
from el_beam.config.assemble import assemble
from el_beam.config.run_config import RunConfig
from el_beam.running.bounded import run
from el_beam.running.hooks import Hook
from el_beam.running.increments.increments import Increments, Run
from el_beam.running.increments.planning import MOST_RECORDS, IncrementsOptions
from el_beam.running.increments.report import Report
from traffic.feed import lines, put
from traffic.truth import truth


class Reports(list[Report]):
    """The reports of a loop's rounds."""

    def working(self) -> AbstractContextManager[None]:
        return nullcontext()

    def waiting(self, left: Callable[[], float]) -> AbstractContextManager[None]:
        return nullcontext()

    def done(self, report: Report, seconds: float) -> None:
        self.append(report)


def problems(report: Report) -> dict[str, str]:
    """subject -> what kept the round from doing its work."""
    return {problem.subject: problem.text for problem in report.problems}


class ImportJob:
    """A job by increments, from topics of its own into a folder of its own."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.name = f"inc{uuid.uuid4().hex[:8]}"
        self.sent = 0
        self.state = State(f"{folder}/state")
        self.admin = AdminClient({"bootstrap.servers": kafka})

    def put(self, number: int, topic: str = "a", partitions: int = 2) -> None:
        source = lines(self.sent)
        put(self.kafka, f"{self.name}.{topic}", (next(source) for _ in range(number)), partitions)
        self.sent += number

    def uri(self, which: str, **more: str) -> str:
        parameters = "".join(f"&{key}={value}" for key, value in more.items())
        return f"kafka://{self.kafka}/?{which}&group={self.name}{parameters}"

    def config(self, which: str = "", **options: Any) -> RunConfig:
        return run_config(
            source=self.uri(which or f"topics={self.name}.a", **options.pop("source", {})),
            sinks=options.pop("sinks", (f"parquet:{self.folder}/p", f"raw:{self.folder}/r")),
            state=self.state.path,
            once=True,
            **options,
        )

    def run(
        self,
        which: str = "",
        reports: Reports | None = None,
        run: Run = run,
        most: int = MOST_RECORDS,
        after_commit: Sequence[Hook[Commit]] = (),
        **options: Any,
    ) -> tuple[bool, list[Report]]:
        """Whether it went well, and the report of each round; `run` runs a bounded job, of `most`
        records of a topic."""
        config = self.config(which, **options)
        reports = Reports() if reports is None else reports
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        job, execution = assemble(config, str(scratch))
        once = IncrementsOptions(
            self.state.path, None, config.on_expired == "skip", most,
            previous=config.write_format == "previous",
        )  # fmt: skip
        increments = Increments(job, execution, once, run=run, after_commit=after_commit)
        return increments.work(reports, threading.Event()), reports

    def entries(self, folder: str = "p") -> list[ImportEntry]:
        """What the folder knows of its imports."""
        found = (each for log in logs(f"{self.folder}/{folder}") for each in log.entries())
        return sorted(found, key=lambda each: each.committed)

    def uuids(self) -> Counter[str]:
        """Of all rows."""
        return Counter(
            found
            for path in (self.folder / "p").glob("[!_]*/**/*.parquet")
            for found in pq.read_table(path, partitioning=None).column("uuid").to_pylist()
        )

    def check(self, *topics: str, waiting: bool = False) -> None:
        """Each event of these topics is a row, once; no file is left over, or some are `waiting`
        for their names."""
        wanted: dict[str, str] = {}
        for topic in topics or ("a",):
            wanted |= truth(self.kafka, f"{self.name}.{topic}").destinations
        found = self.uuids()
        assert set(found) == set(wanted)
        assert set(found.values()) <= {1}
        assert bool([*(self.folder / "p").rglob("_temporary")]) == waiting
