"""`el state reset`: what it says, and what it refuses."""

import pytest

from el_beam.books.state.state import Commit, State
from el_beam.cli import main


@pytest.fixture
def state(tmp_path: object) -> State:
    state = State(f"{tmp_path}/state")
    state.bind("a cluster")
    return state


def reset(state: State, *options: str) -> int:
    return main(["state", "reset", state.path, "--topic", "raw", "--to", "0:3", *options])


def test_nothing_is_done_before_yes(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    state.topic("raw").commit(Commit(1, {0: 5}, "id", 1.0))
    assert reset(state) == 0
    assert capsys.readouterr().out == "raw/0: 5 -> 3\n"
    assert [each.number for each in state.topic("raw").history()] == [1]
    assert reset(state, "--yes") == 0
    assert [each.ends for each in State(state.path).topic("raw").history()] == [{0: 5}, {0: 3}]


def test_records_come_again_once(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    """The same command a second time, for whatever reason, would double events."""
    state.topic("raw").commit(Commit(1, {0: 5}, "id", 1.0))
    assert reset(state, "--again", "--yes") == 2
    assert "--again needs --after N, so that it is done once" in capsys.readouterr().err
    assert reset(state, "--again", "--after", "1", "--yes") == 0
    assert reset(state, "--again", "--after", "1", "--yes") == 2
    assert "raw: the last increment is 2, not 1, so this was done" in capsys.readouterr().err
    assert [each.number for each in State(state.path).topic("raw").history()] == [1, 2]


def test_a_topic_that_the_state_does_not_know(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a mistake, unless people know that nothing came before: then the state was lost."""
    assert reset(state, "--yes") == 2
    assert "no topic 'raw' in" in capsys.readouterr().err
    assert reset(state, "--again", "--after", "0", "--yes") == 0
    assert [each.again for each in State(state.path).topic("raw").history()] == [True]
