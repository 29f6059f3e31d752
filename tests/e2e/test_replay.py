"""Each valid event once: bad events of a mended schema are replayed, killed in the midst of it, and
replayed again, while the import goes on."""

import json
import shutil
import signal
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from in_process import call
from jobs_here import ImportingHere
from mortal import killed

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.connectors.contract import Selection
from el_beam.connectors.registry import store_of
from runners.local_stack import Stack
from traffic.feed import lines
from traffic.truth import delivered, truth

ROOT = Path(__file__).parents[2]
EDIT = "Edit_17541122"
ERRORS = "EventError_14035058"
EDITS = 130  # of the first lines


def done(*arguments: object) -> Any:
    """Run `el`; what it says, as JSON."""
    ended = call(*arguments)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A catalog in which Edit demands what no event has; `mended` by the one that comes along."""
    folder = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas" / "catalog", folder)
    path = folder / "Edit" / "17541122.json"
    document = json.loads(path.read_text())
    document["properties"]["nobodySendsIt"] = {"type": "string", "required": True}
    path.write_text(json.dumps(document))
    return folder


def there(uri: str) -> Counter[tuple[str, str]]:
    """(uuid, schema) of all that an end has."""
    return Counter((each.uuid, each.schema) for each in store_of(uri).events(Selection()))


@pytest.mark.usefixtures("kafka")
def test_while_the_import_goes_on(stack: Stack, tmp_path: Path, broken: Path) -> None:
    job = ImportingHere(stack, "replay", str(tmp_path / "out"))
    root = f"{job.root}/parquet"
    folder = Path(root)
    replay = ["bad", "replay", f"parquet:{root}", f"parquet:{root}", "--apply", "--json"]
    job.put(3_000)
    with job.traffic(300):
        run = job.start("--every", "1s", "--schemas", str(broken))
        job.wait_for(job.committed() + 2)
        run.send_signal(signal.SIGTERM)  # the schema is mended
        run.communicate(timeout=60)
        run = job.start("--every", "1s")
        try:
            killed(root, f"sync {root}/_temporary/replay", *replay)
            assert there(f"parquet:{root}")
            killed(root, f"move {root}/{EDIT}", *replay)
            assert any((folder / "_ledger").glob("change-*"))
            finished, again = done(*replay), done(*replay)
            assert finished["applied"] and again["valid"] == 0
            assert all(each["lacked"] == each["removed"] == 0 for each in again["sinks"])
            job.wait_for(job.committed() + 2)
            assert run.poll() is None
        finally:
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=60)
    job.once()
    wanted = truth(job.kafka, job.raw)
    assert wanted.records == job.lines
    assert Counter(wanted.destinations.values())[EDIT] > 300
    assert there(f"parquet:{root}") == Counter(wanted.destinations.items())
    ledger = read_ledger(root)
    compare(ledger, content=True)
    assert ledger.troubles == []
    totals = ledger.totals
    assert (totals["read"], totals["rows"]) == (job.lines, job.lines)
    assert (totals["valid"], totals["bad"]) == (wanted.valid, wanted.bad)
    changes = [json.loads(path.read_text()) for path in (folder / "_ledger").glob("change-*")]
    assert sum(bool(each) for each in changes) == 1


def test_from_topics_into_topics(kafka: str, tmp_path: Path, broken: Path) -> None:
    """At least once whatever dies, and once where nothing does: topics are asked too."""
    topics = f"kafka://{kafka}/?topic=replay_{{schema}}_{{revision}}&partitions=2"
    files = f"parquet:{tmp_path}/files"
    log = tmp_path / "a.log"
    log.write_bytes(b"\n".join(islice(lines(), 2_000)) + b"\n")
    bad = done("run", f"file:{log}", topics, "--schemas", broken, "--json")["totals"]
    before = delivered(kafka, "replay_")
    end = f"kafka://{kafka}/?topics=replay_{ERRORS}"
    replay = ["bad", "replay", end, topics, files, "--json", "--apply"]
    for lacked in (EDITS, 0):
        told = done(*replay)
        assert (told["read"], told["valid"]) == (bad["bad"], EDITS)
        assert [each["lacked"] for each in told["sinks"]] == [lacked, lacked]
    found = delivered(kafka, "replay_")
    new = found.destinations.keys() - before.destinations.keys()
    assert {found.destinations[uuid] for uuid in new} == {EDIT}
    assert len(new) == found.records - before.records == EDITS
    assert there(files) == Counter(dict.fromkeys(((uuid, EDIT) for uuid in new), 1))
