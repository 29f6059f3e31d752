"""What tests of all kinds share: registries and lines made on the spot, real servers."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from server_care import ails, dead, exposed, restore
from xdist.scheduler import LoadScopeScheduling

from runners import orphans
from runners.flink_rest import FlinkCluster
from runners.local_stack import Component, Stack
from schemas.event import Destination, Origin, RawLine
from schemas.registry import Registry, UnknownSchema, WithEventError
from traffic.database import Database

PASSWORD = "hunter2-and-more"
_MARK = "EL_TESTS"  # whose tests started a process
_QUICK_JAVA = Path(__file__).parent / "support" / "quick_java"
_FAILED = pytest.StashKey[list[bool]]()
_SERVERS = ("stack", "secure")  # what each fixture with a server has below it
_STACKS = {  # tests that share servers
    "files": r"tests/(graph/test_(hdfs|spark)|e2e/test_(changes|increments|replay)"
    r"|integration/test_(changes|completeness|increments|filesystem|gs|read_back|reconcile"
    r"|stack_hdfs))",
    "tables": r"tests/(e2e/test_mysql|integration/test_(backfill_tables|mysql|replay))",
    "streams": r"tests/(graph/test_flink|e2e/test_stream|integration/)",
}

settings.register_profile("el_beam", deadline=None)  # what else this machine does is no fault
settings.load_profile("el_beam")

Json = dict[str, Any]
Documents = Mapping[tuple[str, int], Json]


class _InMemory(Registry):
    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def get(self, schema: str, revision: int) -> Json:
        try:
            return self.documents[schema, revision]
        except KeyError:
            raise UnknownSchema(f"there is no schema {schema!r} revision {revision!r}") from None

    def list(self) -> list[Destination]:
        return sorted(Destination(*key) for key in self.documents)

    def digest(self) -> str:
        return "0" * 64


def _scope(nodeid: str) -> str:
    path = nodeid.partition("::")[0]
    return next((name for name, files in _STACKS.items() if re.match(files, path)), path)


class _Scheduling(LoadScopeScheduling):
    """A file of tests is one process's, and so are all that share a stack of servers."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-runner", action="store_true", help="run on each runner also what one has shown"
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which tests have ended, for scripts/test: see there."""
    if report.when == "teardown" and (noted := os.environ.get("EL_TESTS_ENDED")):
        with Path(noted).open("a") as file:
            print(report.nodeid, file=file)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first, from the last stack on: what is short fills the end.
    Tests that ended before an internal error of pytest are not run again."""
    if before := os.environ.get("EL_TESTS_BEFORE"):
        ended = {*Path(before).read_text().splitlines()}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in ended])
        items[:] = [item for item in items if item.nodeid not in ended]
    if not config.getoption("--every-runner"):
        shown = [item for item in items if item.get_closest_marker("every_runner")]
        config.hook.pytest_deselected(items=shown)
        items[:] = [item for item in items if item not in shown]
    ranks = {scope: rank for rank, scope in enumerate(reversed(_STACKS))}
    items.sort(
        key=lambda item: (ranks.get(_scope(item.nodeid), len(ranks)), "/e2e/" not in item.nodeid)
    )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def registry_of() -> Callable[[Documents], Registry]:
    """Makes a registry of these documents, and EventError."""
    return lambda documents: WithEventError(_InMemory(documents))


@pytest.fixture(scope="session")
def line_of() -> Callable[..., RawLine]:
    """Makes a line at some place of a file."""

    def line(data: bytes | str, offset: int = 0, split: str = "a.log-0") -> RawLine:
        raw = data.encode() if isinstance(data, str) else data
        return RawLine(raw, Origin("file", "a.log", offset, 1_552_200_000.0, split))

    return line


@pytest.fixture(scope="session", autouse=True)
def what_tests_start_listens_on_loopback_alone() -> Iterator[None]:
    """Servers, job servers, workers, on all runners, at any time."""
    os.environ[_MARK] = mark = f"{os.getpid()}"
    found: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(2):
            found.update(exposed(_MARK, mark))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    done.set()
    watcher.join()
    assert not found


@pytest.fixture(scope="session", autouse=True)
def java_that_begins_quickly() -> Iterator[None]:
    """JVMs compile as little as they can: no test lets one live for so long that compiling well, or
    a second thread that collects garbage, saves what it costs."""
    java = shutil.which("java")
    with pytest.MonkeyPatch.context() as patch:
        if java and not os.environ.get("EL_TESTS_JAVA"):
            patch.setenv("EL_TESTS_JAVA", java)
            patch.setenv("PATH", str(_QUICK_JAVA), prepend=os.pathsep)
        yield


_stacks: list[Stack] = []  # that this process has


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note for the fixtures of a test whether it has failed."""
    report = yield
    item.stash.setdefault(_FAILED, []).extend([True] if report.failed else [])
    return report


@pytest.fixture(autouse=True)
def servers_are_well(request: pytest.FixtureRequest) -> Iterator[None]:
    """One failure stays one failure: a test begins with servers that run, and what it has killed
    runs and answers again afterwards. A test that passes and leaves a server dead is at fault."""
    if not {*_SERVERS} & {*request.fixturenames}:
        yield
        return
    for component in _those(dead):
        restore(component)
    jobs = _flink_jobs() if "servers" in request.fixturenames else set()
    yield
    failed = bool(request.node.stash.get(_FAILED, None))
    left = _those(ails if failed else dead)
    for component in left:
        restore(component)
    if failed and "servers" in request.fixturenames:
        for cluster, job in _flink_jobs() - jobs:  # they would keep the slots
            FlinkCluster(cluster).cancel(job)
    assert failed or not left, f"it left dead: {', '.join(each.name for each in left)}"


def _those(are: Callable[[Component], bool]) -> list[Component]:
    return [each for stack in _stacks for each in stack.components() if are(each)]


def _flink_jobs() -> set[tuple[str, str]]:
    """(cluster, id) of the jobs that are under way."""
    clusters = [at for stack in _stacks if (at := stack.status().get("flink"))]
    return {(at, job.id) for at in clusters for job in FlinkCluster(at).jobs() if not job.ended}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this session's own, with nothing started yet. If the session is killed, the next
    stack that starts ends its servers."""
    os.environ.update(orphans.environment())
    os.environ["EL_PASSWORD"] = PASSWORD  # of `secure`: TaskManager and workers look for it here
    stack = Stack(tmp_path_factory.mktemp("stack"))
    _stacks.append(stack)
    yield stack
    stack.down()


@pytest.fixture(scope="session")
def kafka(stack: Stack) -> str:
    """host:port of a running broker."""
    for _ in stack.up(["kafka"]):
        pass
    return stack.kafka.endpoint()


@pytest.fixture(scope="session")
def servers(stack: Stack) -> Stack:
    """A stack in which all runs that streams need."""
    for _ in stack.up(["kafka", "flink", "workers"]):
        pass
    return stack


@pytest.fixture(scope="session")
def hdfs(stack: Stack) -> str:
    """hdfs://host:port of a running NameNode with a DataNode, by WebHDFS."""
    for _ in stack.up(["hdfs"]):
        pass
    return stack.hdfs.endpoint()


@pytest.fixture(scope="session")
def spark_cluster(stack: Stack) -> str:
    """spark://host:port of a running cluster, beside which a pool of workers runs."""
    for _ in stack.up(["spark"]):
        pass
    return stack.spark.endpoint()


@pytest.fixture(scope="session")
def mariadb(stack: Stack) -> str:
    """host:port of a running database server with the user `el`. It speaks TLS with those who want
    it; `ca.pem` in its folder is its authority."""
    if not stack.mariadb.folder.exists():
        _certify(stack.mariadb.folder, "server.pem")
    for _ in stack.up(["mariadb"]):
        pass
    return stack.mariadb.endpoint()


@pytest.fixture
def database(mariadb: str) -> Database:
    """An empty database."""
    return Database(mariadb, "test")


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose broker asks for a password, with a certificate of our own making."""
    stack = Stack(tmp_path_factory.mktemp("secure"))
    folder = stack.kafka.folder
    _certify(folder, "broker.pem")
    (folder / "secure.txt").write_text(PASSWORD)
    for _ in stack.up(["kafka"]):
        pass
    _stacks.append(stack)
    yield stack
    stack.down()


def _certify(folder: Path, name: str) -> None:
    """Key and certificate of a server on this machine, in one file; `ca.pem` is its authority."""
    folder.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out",
         "ca.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / name).write_text((folder / "key.pem").read_text() + (folder / "ca.pem").read_text())
