"""Importing: `el run` by increments from a raw topic into files, and what must be in them."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from el_beam.books.imports import in_root, logs
from el_beam.books.state.state import State
from traffic.job import RawJob, wait_for
from traffic.started import ROOT, Started, start
from traffic.truth import truth
from transforms.io.files import filesystem

_MUCH = 1 << 20  # bytes of reports that may wait to be read: some hundred


@dataclass
class Importing(RawJob):
    """An import from the raw topic to Parquet and the raw archive below `root`, a path of any file
    system."""

    root: str
    code: Path = ROOT  # whose el_beam it runs
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> State:
        return State(f"{self.root}/state")

    def arguments(
        self, *options: str, sinks: tuple[str, ...] = ("parquet", "raw")
    ) -> tuple[str, ...]:
        """The call of `el` for this import."""
        return (
            *("run", self.source, *(f"{sink}:{self.root}/{sink}" for sink in sinks)),
            *("--state", self.state.path, "--json", *options),
        )

    def start(self, *options: str, **more: Any) -> Started:
        """Start `el run`; its reports come as lines of JSON."""
        return start(
            *self.arguments(*options, **more),
            env=self.environment, code=self.code, start_new_session=True,  # a terminal of its own
            pipesize=_MUCH,
        )  # fmt: skip

    def stages(self) -> dict[str, Callable[[], bool]]:
        """What there is to see of an increment under way, of the number after the last commit."""
        folder = f"{self.state.path}/topics/{self.raw}"
        number = f"{self.committed() + 1:08d}."

        def there(ending: str) -> bool:
            return any(name.startswith(number) and name.endswith(ending)
                       for name in filesystem.names(folder))  # fmt: skip

        return {
            "intended": lambda: there(".intent.json"),
            "writing": lambda: any(filesystem.below(f"{self.root}/parquet/_temporary")),
            "decided": lambda: there(".manifest.json"),
            "committed": lambda: there(".commit.json"),
        }

    def kill_at(self, stage: str, *options: str, rng: random.Random) -> None:
        """Start an increment, and kill its driver soon after it has come to a stage. A stage may
        last for milliseconds: if it was over before it was seen, another increment is tried."""
        while True:
            self.put(rng.randrange(2_000, 6_000))
            reached = self.stages()[stage]
            with self.start("--once", *options) as run:
                while not (seen := reached()) and run.poll() is None:
                    time.sleep(0.002)
                if seen:
                    time.sleep(rng.uniform(0, 0.05))
                    run.kill()
                    run.wait()
                    return
                _, err = run.communicate()
            assert run.returncode == 0, err

    def once(self, *options: str) -> dict[str, object]:
        """Read all that is there now; the last report. Raises AssertionError."""
        with self.start("--once", *options) as run:
            out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
        reports = [json.loads(line) for line in out.splitlines()]
        return dict(reports[-1])

    def committed(self) -> int:
        """Increments that are done."""
        last = self.state.topic(self.raw).last()
        return last.number if last else 0

    def wait_for(self, number: int, seconds: float = 120) -> None:
        """Wait until so many increments are done. Raises AssertionError."""
        wait_for(lambda: self.committed() >= number, seconds, f"increment {number} isn't done")

    def check(self) -> int:
        """The files hold each event once and nothing else, and no untracked file is there; how many
        rows there are. Raises AssertionError."""
        wanted = truth(self.kafka, self.raw)
        assert wanted.records == self.lines
        rows: Counter[str] = Counter()
        files = _files(f"{self.root}/parquet")
        for path in files:
            with filesystem.open_file(path) as file:
                rows.update(pq.read_table(file, columns=["uuid"]).column("uuid").to_pylist())
        missing = wanted.destinations.keys() - rows.keys()
        assert not missing, f"{len(missing)} of {self.lines} are missing"
        assert not rows.keys() - wanted.destinations.keys()
        twice = [uuid for uuid, count in rows.items() if count > 1]
        assert not twice, f"{len(twice)} events are there more than once"
        archived = _files(f"{self.root}/raw")
        assert sum(map(_rows, archived)) == self.lines
        noted = {
            file.path
            for sink in ("parquet", "raw")
            for log in logs(f"{self.root}/{sink}")
            for entry in log.entries()
            for file in in_root(entry.summary, f"{self.root}/{sink}")
        }
        assert {*files, *archived} == noted
        return sum(rows.values())


def _files(root: str) -> list[str]:
    """All but what is noted there; untracked files too."""
    found = (each.path for each in filesystem.below(root))
    return [path for path in found if not path.startswith(f"{root}/_ledger/")
            and not path.endswith(("/_SUCCESS", "/_REOPENED"))]  # fmt: skip


def _rows(path: str) -> int:
    with filesystem.open_file(path) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)
