"""Who may read what is on HDFS: docs/access.md, as NameNode and DataNode obey it."""

import getpass
import gzip
import json
import uuid
from pathlib import Path

import pytest
from hdfs import InsecureClient
from in_process import call

from el_beam import cli
from transforms.io.files import filesystem

SAMPLE = Path(cli.__file__).parents[1] / "examples/sample.log.gz"
GROUP = "analysts"


def test_archives_and_event_errors_are_for_a_group(hdfs: str, kafka: str, tmp_path: Path) -> None:
    """An import's user writes; a stranger reads events, and no raw line; compaction keeps that."""
    name, place = uuid.uuid4().hex, hdfs.removeprefix("hdfs://")
    client = InsecureClient(f"http://{place}", user=getpass.getuser())
    client.makedirs(f"/{name}/before/year=2019", permission="755")  # of an earlier release
    client.set_owner(f"/{name}/before/year=2019", owner="loader")
    for folder in (f"/{name}", f"/{name}/before"):
        client.set_owner(folder, owner="loader", group=GROUP)
    root, seen = f"hdfs://loader@{place}/{name}", f"hdfs://stranger@{place}/{name}"
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(gzip.decompress(SAMPLE.read_bytes()).splitlines(True)[:200]))

    sinks = (f"parquet:{root}/events", f"raw:{root}/raw", f"raw:{root}/before")
    assert call("run", f"file:{log}", *sinks).code == 0
    assert call("compact", f"{root}/events").code == 0

    def bits(path: str) -> tuple[str, str]:
        status = client.status(path)
        return status["permission"], status["group"]

    assert bits(f"/{name}/raw") == ("750", GROUP) and bits(f"/{name}/events") == ("755", GROUP)
    for sink, table, mode in (
        ("raw", "/year", "640"), ("raw", "/_ledger/", "640"), ("before", "/year", "644"),
        ("events", "/Edit_", "644"), ("events", "/EventError_", "640"),
    ):  # fmt: skip
        paths = [each.path.removeprefix(root) for each in filesystem.below(f"{root}/{sink}")]
        files = [path for path in paths if path.startswith(f"/{sink}{table}")]
        assert {bits(f"/{name}{path}") for path in files} == {(mode, GROUP)}, (sink, table, files)
        if mode == "640":
            with pytest.raises(OSError, match="Permission denied"):
                filesystem.read(f"{seen}{files[0]}")
        else:
            assert filesystem.read(f"{seen}{files[0]}")

    config = tmp_path / "import.yaml"
    config.write_text(json.dumps({
        "source": f"kafka://{kafka}/?topics={name}&group=import", "state": f"{root}/state",
        "sinks": [*sinks], "once": True,
    }))  # fmt: skip
    done = call("check", "--config", config, "--json")
    found = {each["told"]: each["level"] for each in json.loads(done.out)
             if each["what"] == "access"}  # fmt: skip
    assert sorted(found.values()) == ["ok", "ok", "problem"] and done.code == 1
    (opened,) = (told for told, level in found.items() if level == "problem")
    assert opened.startswith(f"all users can enter {root}/before, which has raw lines")
    client.set_permission(f"/{name}/before", permission="750")
    filesystem._remote.cache_clear()  # a process remembers permissions for a minute
    shown = call("check", "--config", config).out
    assert f"only its group can enter {root}/before" in shown and "all users" not in shown
    client.delete(f"/{name}", recursive=True)
