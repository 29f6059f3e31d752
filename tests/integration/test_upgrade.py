"""To this release, back to the one before, and here again: docs/upgrade.md, with its real code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from import_job import ImportJob
from old_release import OldRelease

from el_beam.books.ledger.audit import compare
from el_beam.books.ledger.entries import read_ledger
from el_beam.cli import main
from el_beam.running.increments.folders import ImportFolders
from transforms.errors import SinkError


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> OldRelease:
    return OldRelease(tmp_path_factory.mktemp("d61c54f"))


class Upgraded(ImportJob):
    """An import that either release goes on with."""

    def before(self, old: OldRelease) -> str:
        """An increment of the release before. Returns what it has said if it has failed."""
        sinks = (f"parquet:{self.folder}/p", f"raw:{self.folder}/r")
        source = self.uri(f"topics={self.name}.a")
        done = old.el("run", source, *sinks, "--state", self.state.path, "--once")
        return done.stderr if done.returncode else ""

    def balanced(self, *, waiting: bool = False) -> None:
        """Each event is there once, and the books of both folders say so; as `check`."""
        self.check(waiting=waiting)
        for sink in ("p", "r"):
            ledger = read_ledger(f"{self.folder}/{sink}")
            compare(ledger, content=True)
            assert ledger.troubles == []
            assert ledger.totals["read"] == ledger.totals["rows"] == self.sent

    def files(self) -> dict[str, bytes]:
        """What there is of data and books, but for leases."""
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*"))
                if path.is_file() and "lease" not in path.parts}  # fmt: skip


@pytest.fixture
def job(kafka: str, tmp_path: Path) -> Iterator[Upgraded]:
    job = Upgraded(kafka, tmp_path)
    yield job
    for future in job.admin.delete_topics([f"{job.name}.a"]).values():
        assert future.exception() is None or isinstance(future.exception(), KafkaError)


def test_there_and_back_again(
    job: Upgraded, old: OldRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.put(100)
    assert job.before(old) == ""
    job.put(100)
    ok, (report,) = job.run()
    assert ok and [note for note in report.notes if f"el state upgrade {job.state.path}" in note]
    job.balanced()

    job.put(100)
    with monkeypatch.context() as patch:  # it dies before its files have their names
        patch.setattr(ImportFolders, "enter", _fails)
        assert not job.run()[0]
    assert job.before(old) == ""
    job.balanced(waiting=True)  # empty folders, which it doesn't know
    job.put(100)
    assert job.before(old) == ""
    for sink in ("p", "r"):
        assert old.el("ledger", f"{job.folder}/{sink}").returncode == 0
    job.put(100)
    assert job.run()[0]
    job.balanced()

    paths = [job.state.path, f"{job.folder}/p", f"{job.folder}/r"]
    assert main(["state", "upgrade", *paths]) == 0
    job.put(100)
    ok, (report,) = job.run()
    assert ok and report.notes == []
    job.balanced()


def test_the_release_before_does_not_go_on_with_what_is_upgraded(
    job: Upgraded, old: OldRelease
) -> None:
    job.put(100)
    assert job.before(old) == ""
    assert main(["state", "upgrade", job.state.path]) == 0
    assert job.run()[0]
    job.put(100)
    before = job.files()
    assert "see its docs/upgrade.md" in job.before(old)
    assert job.files() == before
    assert job.run()[0]
    job.balanced()


def test_a_new_state_for_the_release_before(job: Upgraded, old: OldRelease) -> None:
    job.put(100)
    assert job.run(write_format="previous")[0]
    job.put(100)
    assert job.before(old) == ""
    job.put(100)
    assert job.run()[0]
    job.balanced()


def _fails(*_: object) -> bool:
    raise SinkError("it is killed")
