"""What people get wrong, or their machine does: one clear line each, and the right exit code."""

import gzip
import json
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.log.gz"
LINES = 3_000
El = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def inputs(home: Path) -> None:
    data = b"".join(gzip.decompress(SAMPLE.read_bytes()).splitlines(keepends=True)[:LINES])
    (home / "a.log").write_bytes(data)
    (home / "cut.log.gz").write_bytes(gzip.compress(data)[:20_000])
    (home / "no.log.gz").write_bytes(b"garbage")
    (home / "garbage.db").write_bytes(b"garbage, no database" * 100)
    (home / "dangling.log").symlink_to("nowhere")
    (home / "folder").mkdir()
    (home / "bad.yaml").write_text("source: 5\nsinks: jsonl:x\nnope: 1\nworkers: two\n")
    (home / "broken.yaml").write_text("{[")
    (home / "good.yaml").write_text("source: file:a.log\nsinks: [jsonl:yaml-out]\n")
    for name, text in {
        "schemas/Edit/13457736.json": "{",
        "schemas/Echo/7731316.json": '{"type": "object", "properties": {}}',
        "broken/Edit/13457736.json": "{",
        "empty/readme.txt": "no schema",
    }.items():
        path = home / name
        path.parent.mkdir(parents=True)
        path.write_text(text)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files with their bytes and times of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def shown(value: list[str] | str) -> str:
    return " ".join(value)[:40] if isinstance(value, list) else ""


TO = "jsonl:out"
WRONG: list[tuple[list[str], list[str]]] = [
    ([], ["no sink: say where the events go; there are jsonl:", "no source: say what to read"]),
    (["file:a.log"], ["no sink: say where the events go"]),
    (["a.log", TO], ["source 'a.log' has no scheme: write one of file: kafka: stdin:"]),
    (["nope:a", TO], ["unknown source nope: there are file: kafka: stdin:"]),
    (
        ["file:a.log", "nope:b"],
        ["unknown sink nope: there are jsonl: kafka: mysql: parquet: raw: sqlite: stdout:"],
    ),
    (["file:a.log?sprit=3", TO], ["file: has no parameter sprit; there are split"]),
    (["file:a.log", "jsonl:out?x=3"], ["jsonl: has no parameter x; it takes none"]),
    (["file:a.log", "jsonl:"], ["jsonl: has no path"]),
    (
        ["file:a.log", "jsonl:foo://x/y"],
        ["jsonl:foo://x/y: no file system foo://; there are local paths, hdfs://, gs://"],
    ),
    (["file:a.log", TO, "--runner", "spork"], ["--runner: must be direct or flink or spark"]),
    (["file:a.log", TO, "--detach"], ["--detach is for continuous jobs"]),
    (["file:a.log", TO, "--savepoint", "s"], ["--savepoint is for continuous jobs"]),
    (["kafka://h:1/?topics=a", TO], ["kafka://h:1/?topics=a must have group=NAME"]),
    (["file:a.log", "kafka://h/?topic=t"], ["kafka://h/?topic=t: 'h' is not a broker"]),
    (
        ["file:a.log", "kafka://h:1/?topic=t&security.protocol=SASL_SSL&sasl.password=x"],
        ["kafka://h:1/?topic=t&security.protocol=SASL_SSL&sasl.password=***: sasl.password must"],
    ),
    (["file:a.log", TO, "--workers", "0"], ["--workers: must be a number from 1"]),
    (["file:a.log", TO, "--only", "("], ["--only: '(' is not a valid regular expression"]),
    (
        ["file:a.log", TO, "--format", "%q %x"],
        ["--format: unknown specifier %x in '%q %x'; there are"],
    ),
    (["file:a.log", TO, "--", "--nope"], ["Beam has no option --nope"]),
    (["file:missing.log", TO], ["no file matches missing.log"]),
    (["file:*.nope", TO], ["no file matches *.nope"]),
    (["file:dangling.log", TO], ["no file matches dangling.log"]),
    (["file:folder", TO], ["folder is a folder: write folder/*"]),
    (["file:a.log", "jsonl:${NOPE_X}/out"], ["the environment variable NOPE_X is not set"]),
    (["file:a.log", TO, "--schemas", "nope"], ["nope: there is no such folder of schemas"]),
    (["file:a.log", TO, "--schemas", "empty"], ["empty: no schemas in this folder"]),
    (
        ["file:a.log", TO, "--schemas", "broken"],
        ["broken: no schemas in this folder (13457736.json: "],
    ),
    (["file:a.log", TO, "--schemas", "a.log"], ["a.log: there is no such folder of schemas"]),
    (["stdin:", TO, "--workers", "2"], ["stdin: belongs to one process: use it with --workers 1"]),
    (
        ["file:a.log", "stdout:", "--json"],
        ["--json and stdout: would both write to standard output"],
    ),
    (["--config", "missing.yaml"], ["cannot read missing.yaml: "]),
    (["--config", "broken.yaml"], ["cannot read broken.yaml: while parsing a flow node"]),
    (
        ["--config", "bad.yaml"],
        [
            "bad.yaml: source must be a text, not 5",
            "bad.yaml: sinks must be a list of texts, not 'jsonl:x'",
            "bad.yaml: unknown option 'nope'; there are beam, detach, errors",
            "bad.yaml: workers must be a number, not 'two'",
        ],
    ),
]


@pytest.mark.parametrize(("call", "says"), WRONG, ids=shown)
def test_a_wrong_call(el_here: El, home: Path, call: list[str], says: list[str]) -> None:
    before = contents(home)
    ran = el_here("run", *call)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.told) == len(says)
    for line, beginning in zip(ran.told, says, strict=True):
        assert line.startswith(f"el run: {beginning}")
    assert contents(home) == before


def test_a_dry_run_writes_nothing(el_here: El, home: Path) -> None:
    before = sorted(home.rglob("*"))
    for call in (["file:a.log", TO, "sqlite:e.db", "parquet:p"], ["--config", "good.yaml"]):
        ran = el_here("run", *call, "--dry-run")
        assert (ran.code, ran.told) == (0, [])
        assert "1 file(s) in 1 split(s)" in ran.out
        assert ran.out.endswith("Nothing was read or written (--dry-run).\n")
    assert sorted(home.rglob("*")) == before


def failed(ran: Any, *says: str) -> str:
    """The one line that a failed job tells, which says all this."""
    assert (ran.code, ran.out) == (1, ""), ran.err
    (line,) = ran.told
    assert line.startswith("el run: ")
    for each in says:
        assert each in line
    return str(line)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            ["file:a.log", "sqlite:garbage.db"],
            "cannot write sqlite:garbage.db: file is not a database",
        ),
        (
            ["file:a.log", "sqlite:folder"],
            "cannot write sqlite:folder: unable to open database file",
        ),
        (["file:a.log", "sqlite:a.log/e.db"], "cannot write sqlite:a.log/e.db: "),
        (["file:a.log", "jsonl:a.log"], "cannot write below a.log: "),
        (["file:a.log", "parquet:a.log/b/c"], "cannot write below a.log/b/c: "),
        (["file:a.log", "raw:/proc/nope"], "cannot write below /proc/nope: "),
    ],
    ids=shown,
)
def test_a_job_that_cannot_be_done(el_here: El, call: list[str], says: str) -> None:
    failed(el_here("run", *call), says)


@pytest.mark.parametrize(
    ("runner", "missing", "says"),
    [("flink", "EL_JARS", "EL_JARS must name a folder"), ("spark", "SPARK_HOME", "set SPARK_HOME")],
)
def test_increments_need_the_jars_of_their_runner(
    el_here: El, home: Path, monkeypatch: pytest.MonkeyPatch, runner: str, missing: str, says: str
) -> None:
    """They would fail again and again."""
    monkeypatch.setenv(missing, "/nowhere")
    ran = el_here("run", "kafka://127.0.0.1:9/?topics=a&group=g", "jsonl:j", "--state", "state",
             "--every", "1s", "--runner", runner)  # fmt: skip
    assert ran.code == 2
    assert says in " ".join(ran.told)
    assert not (home / "state").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("name", "says"), [("cut", "Compressed file ended before"), ("no", "Not a gzipped file")]
)
def test_a_damaged_file_fails_the_job(el_here: El, name: str, says: str, workers: str) -> None:
    ran = el_here("run", f"file:{name}.log.gz", TO, "--workers", workers)
    failed(ran, f"/{name}.log.gz: {says}")


NO_SPACE = ("No space left", "File too large", "disk is full", "disk I/O error")


@pytest.fixture(scope="module")
def tiny_disk(home: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """The folder `tiny` has room for 100 kB only: a disk of its own, or where mounting is not
    permitted a limit for each file, which is among the options to start with."""
    limit = 100_000
    (home / "tiny").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={limit}", "tmpfs", str(home / "tiny")]
    able = (
        bool(shutil.which("mount")) and subprocess.run(mount, capture_output=True).returncode == 0
    )

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    yield lambda: {} if able else {"preexec_fn": limited}
    if able:
        subprocess.run(["umount", str(home / "tiny")], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("sink", ["raw", "sqlite"])
def test_a_full_disk(el: El, tiny_disk: Callable[[], Any], sink: str, workers: str) -> None:
    where = f"tiny/{sink}{workers}"
    ran = el("run", "file:a.log", f"{sink}:{where}", "--workers", workers, **tiny_disk())
    line = failed(ran, where)
    assert any(reason in line for reason in NO_SPACE), line


def test_a_full_disk_is_finished_elsewhere(
    el: El, el_here: El, tiny_disk: Callable[[], Any], home: Path
) -> None:
    """What was written before the disk was full is whole, and is no hindrance."""
    failed(el("run", "file:a.log", "jsonl:fine", "raw:tiny/again", **tiny_disk()))
    shutil.rmtree(home / "tiny" / "again", ignore_errors=True)
    assert el_here("run", "file:a.log", "jsonl:fine", "raw:roomy").code == 0


def test_an_invalid_schema_makes_its_own_events_bad_only(el_here: El) -> None:
    ran = el_here("run", "file:a.log", "jsonl:inv", "--schemas", "schemas", "--json")
    books = json.loads(ran.out)
    assert (ran.code, ran.told) == (0, [])
    assert {each["reason"]: each["count"] for each in books["reasons"]}["invalid_schema"] > 50
    assert books["balanced"] and books["totals"]["read"] == LINES


def test_output_of_another_job_is_not_overwritten(el_here: El, home: Path) -> None:
    assert el_here("run", "file:a.log", "jsonl:mine").code == 0
    before = contents(home / "mine")
    for other in (["--schemas", "schemas"], ["--format", "%q %{recvFrom}s %{seqId}d %D %{x}i %u"]):
        told = failed(el_here("run", "file:a.log", "jsonl:mine", *other), "nothing was added")
        assert re.search("is there(, and would not be made any more| with other content):", told)
        kept = contents(home / "mine")
        assert {name: kept[name] for name in before} == before


def test_a_run_again_changes_nothing(el_here: El, home: Path) -> None:
    call = ["file:a.log", "jsonl:j", "parquet:p", "raw:r", "sqlite:again.db"]

    def rows() -> list[Any]:
        with sqlite3.connect(home / "again.db") as connection:
            return connection.execute("SELECT * FROM EventError_14035058 ORDER BY id").fetchall()

    assert el_here("run", *call).code == 0
    before = {name: contents(home / name) for name in "jpr"}, rows()
    for workers in ("1", "2"):
        assert el_here("run", *call, "--workers", workers).code == 0
        assert ({name: contents(home / name) for name in "jpr"}, rows()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_run(
    el_here: El, el_started: El, home: Path, number: int, workers: str
) -> None:
    """It ends at once, and the same call finishes what it began."""
    folder = home / f"stopped{number}{workers}"
    with (home / "endless.log").open("wb") as endless:
        endless.truncate(2**40)  # without a line's end, and no disk has to hold it
    source = "stdin:" if workers == "1" else "file:a.log,endless.log"
    process, wait = el_started("run", source, f"jsonl:{folder.name}", "--workers", workers)
    deadline = time.monotonic() + 30
    while not folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    stopped = time.monotonic()
    process.send_signal(number)
    ran = wait()
    assert time.monotonic() - stopped < 60  # its source has no end
    assert ran.code == 1
    assert ran.told == ["el: interrupted; start the same command again and it will be finished"]
    assert not list((home.parent / "tmp").iterdir())
    assert el_here("run", "file:a.log", f"jsonl:{folder.name}", "--workers", workers).code == 0
