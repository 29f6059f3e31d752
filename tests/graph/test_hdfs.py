"""The graph with its files on HDFS."""

import uuid
from pathlib import Path
from typing import Any, ClassVar

import pytest

from el_beam.config.run_config import RunConfig
from graph_suite import FACTS_OF_THE_GRAPH, LINES, GraphSuite, by_uuid, events_in
from transforms.counts.summary import Summary
from transforms.io.files import filesystem


class TestHdfs(GraphSuite):
    """Whatever a job would write below a folder it writes below a folder of the same name there;
    what is then there is fetched, to be looked at."""

    workers = 2
    shown_elsewhere: ClassVar = FACTS_OF_THE_GRAPH | {
        "test_what_a_worker_raises_comes_home", "test_no_lines_are_no_trouble",
    }  # fmt: skip

    root = ""  # of all of the class's tests

    @pytest.fixture(autouse=True)
    def _hdfs(self, hdfs: str) -> None:
        type(self).root = self.root or f"{hdfs}/graph/{uuid.uuid4().hex}"

    def config(self, source: str, *sinks: str, **options: Any) -> RunConfig:
        there = [self._there(sink) for sink in sinks]
        errors = options.pop("errors", None)
        return super().config(
            source, *there, errors=self._there(errors) if errors else None, **options
        )

    def _there(self, sink: str) -> str:
        scheme, _, path = sink.partition(":")
        return sink if scheme == "sqlite" else f"{scheme}:{self.root}{path}"

    def run(self, config: RunConfig, scratch: Path) -> Summary:
        try:
            return super().run(config, scratch)
        finally:
            for file in filesystem.below(f"{self.root}{scratch.parent}"):
                here = Path(file.path.removeprefix(self.root))
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes(filesystem.read(file.path))

    def test_reading_there(self, log: Path, tmp_path: Path) -> None:
        """Logs, in splits, and the archive."""
        filesystem.write(f"{self.root}/in/beacon.log", log.read_bytes())
        source = f"file:{self.root}/in/*.log?split=200000"
        sinks = (f"jsonl:{tmp_path}/first", f"raw:{tmp_path}/raw")
        first = self.run(self.config(source, *sinks), tmp_path / "scratch")
        assert first.read == LINES
        archive = f"file:{self.root}{tmp_path}/raw/**.raw.parquet"
        again = self.run(self.config(archive, f"jsonl:{tmp_path}/again"), tmp_path / "scratch")
        assert again.read == LINES
        found = [by_uuid(events_in(tmp_path / name)) for name in ("first", "again")]
        assert found[0] == found[1]
