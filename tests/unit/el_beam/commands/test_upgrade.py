"""States and folders that the release before reads, until they are upgraded; and copies of both."""

import json
import shutil
from pathlib import Path

import pytest

from el_beam.books.folder import folder_id, is_previous
from el_beam.books.state.lease import Lease
from el_beam.books.state.state import Commit, State, StateError
from el_beam.cli import main


@pytest.fixture
def state(tmp_path: Path) -> State:
    """As the release before has it."""
    state = State(f"{tmp_path}/state", previous=True)
    state.bind("a cluster")
    return state


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """As the release before has it."""
    (tmp_path / "out/_ledger").mkdir(parents=True)
    (tmp_path / "out/_ledger/run-0.json").write_text("{}")
    return f"{tmp_path}/out"


def test_both_are_upgraded(state: State, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert state.previous and is_previous(folder)
    before = folder_id(folder)
    said = "the release before can't go on with it any more"
    for more in ("", ", as it was before"):
        assert main(["state", "upgrade", state.path, folder]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines == [f"{state.path}: {said}{more}", f"{folder}: {said}{more}"]
    assert not State(state.path).previous and not is_previous(folder)
    assert folder_id(folder) == before
    State(state.path).bind("a cluster")
    with pytest.raises(StateError, match="is about the Kafka cluster a cluster"):
        State(state.path).bind("another")


def test_commits_are_written_as_before_until_then(state: State) -> None:
    state.topic("raw").commit(Commit(1, {0: 5}, "id", 1.0, why="latest"))
    assert main(["state", "upgrade", state.path]) == 0
    later = State(state.path).topic("raw")
    later.commit(Commit(2, {0: 7}, "id", 2.0, why="held"))
    files = (Path(state.path, "topics/raw", f"0000000{each}.commit.json") for each in (1, 2))
    first, second = (json.loads(file.read_text()) for file in files)
    assert first == {"number": 1, "ends": {"0": 5}, "topic_id": "id", "committed": 1.0,
                     "about": {"start": "latest"}}  # fmt: skip
    assert second["format"] == 2
    assert [(each.ends, each.why) for each in State(state.path).topic("raw").history()] == [
        ({0: 5}, "latest"), ({0: 7}, "held")
    ]  # fmt: skip


def test_an_upgrade_counts_at_once(state: State) -> None:
    assert state.previous
    state.upgrade()
    assert not state.previous


def test_a_killed_upgrade_is_gone_on_with(state: State) -> None:
    """Between the removal of the old file and the new one."""
    state.bind("a cluster")
    Path(state.path, "source.json").unlink()
    again = State(state.path)
    assert not again.previous
    again.bind("a cluster")
    assert not State(state.path).previous


def test_nobody_upgrades_a_state_that_somebody_works_on(state: State) -> None:
    with Lease(state):
        assert main(["state", "upgrade", state.path]) == 2
    assert State(state.path).previous


def test_copies_get_ids_of_their_own(state: State, folder: str, tmp_path: Path) -> None:
    ids = state.id(), folder_id(folder)
    copies = f"{tmp_path}/state2", f"{tmp_path}/out2"
    shutil.copytree(state.path, copies[0])
    shutil.copytree(folder, copies[1])
    assert (State(copies[0]).id(), folder_id(copies[1])) == ids
    assert main(["state", "new-id", *copies]) == 0
    new = State(copies[0]).id(), folder_id(copies[1])
    assert not {*ids} & {*new}
    assert State(copies[0]).previous and is_previous(copies[1])
    assert (state.id(), folder_id(folder)) == ids


def test_a_folder_whose_id_is_damaged_gets_another(folder: str) -> None:
    folder_id(folder)
    Path(folder, "_ledger/folder.json").write_text("")
    assert main(["state", "new-id", folder]) == 0
    assert folder_id(folder) and is_previous(folder)


@pytest.mark.parametrize("action", ["upgrade", "new-id"])
def test_what_is_neither_is_refused(
    action: str, state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is changed."""
    before = state.id()
    assert main(["state", action, state.path, f"{tmp_path}/nothing"]) == 2
    assert "nothing is neither a state nor a folder" in capsys.readouterr().err
    assert state.id() == before and State(state.path).previous
