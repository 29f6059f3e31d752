"""Replay in a database: events come, then their EventErrors go; killed in between, and again."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_configs import run_config

from el_beam.config.assemble import assemble
from el_beam.connectors.contract import Selection
from el_beam.connectors.registry import checked_uri, sink_of
from el_beam.job import Execution, Rules
from el_beam.running.bounded import execute
from el_beam.upkeep.replay.replay import Replayed, replay
from schemas.line_format import DEFAULT_FORMAT
from schemas.registry import open_registry
from traffic.database import Database
from transforms.write.mysql import MysqlSink

ROOT = Path(__file__).parents[2]
EDIT, ERRORS = "Edit_17541122", "EventError_14035058"
REFUSED = 128  # valid events of the sample that MySQL can't hold


def dies(*_: Any) -> None:
    raise KeyboardInterrupt


def run(database: Database, folder: Path, schemas: Path) -> None:
    source = f"file:{ROOT}/examples/sample.log.gz"
    config = run_config(source=source, sinks=[database.uri], schemas=str(schemas))
    execute(*assemble(config, str(folder)))


def replayed(end: str, sink: str) -> Replayed:
    registry = open_registry(None)
    sinks = {sink: sink_of(checked_uri("sink", sink), registry, "")}
    rules = Rules(DEFAULT_FORMAT, registry)
    return replay(end, sinks, Selection(), None, rules, Execution(), apply=True)


def test_in_a_database(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas" / "catalog", schemas)
    path = schemas / "Edit" / "17541122.json"
    document = json.loads(path.read_text())
    document["properties"]["nobodySendsIt"] = {"type": "string", "required": True}
    path.write_text(json.dumps(document))
    run(database, tmp_path, schemas)
    assert database.count(ERRORS) == 1_129 + REFUSED
    raws = [str(raw) for (raw,) in database.ask(f"SELECT event_rawEvent FROM {ERRORS}")]
    assert not [raw for raw in raws if re.search(r"\s(?!0\.0\.0\.0)\d+\.\d+\.\d+\.\d+\s", raw)]
    assert sum("\t0.0.0.0\t" in raw for raw in raws) > 1_000
    with monkeypatch.context() as dying:
        dying.setattr(MysqlSink, "delete_rows", dies)
        with pytest.raises(KeyboardInterrupt):
            replayed(database.uri, database.uri)
    for there in (629, 0):
        assert (database.count(ERRORS), database.count(EDIT)) == (500 + REFUSED + there, 629)
        found = replayed(database.uri, f"{database.uri}?bots=keep")
        assert (found.read, found.lines) == (500 + REFUSED + there, REFUSED + there)
        assert [vars(each) for each in found.sinks] == [{
            "sink": f"{database.uri}?bots=keep", "there": there, "lacked": REFUSED,
            "rejected": REFUSED, "removed": there,
        }]  # fmt: skip
    assert (database.count(ERRORS), database.count(EDIT)) == (500 + REFUSED, 629)
    assert database.ask(f"SELECT COUNT(DISTINCT uuid) FROM {EDIT}") == [(629,)]
    told = f"SELECT COUNT(*) FROM {ERRORS} WHERE event_message LIKE '%nobodySendsIt%'"
    edits_that_are_bad = database.ask(told)[0][0]
    assert 0 < edits_that_are_bad < 60  # for other reasons too
    files = replayed(database.uri, f"parquet:{tmp_path}/files")
    assert [(each.there, each.lacked, each.removed) for each in files.sinks] == [(0, REFUSED, 0)]
