"""`el state reset`: what it says, and what it refuses."""

from pathlib import Path

import pytest
from fake_broker import FakeBroker

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


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "", "a" * 250])
def test_names_that_no_topic_has(state: State, name: str, tmp_path: Path) -> None:
    """A folder of the state would be named so."""
    before = {*tmp_path.rglob("*")}
    assert reset(state, "--topic", name, "--after", "0", "--yes") == 2
    assert {*tmp_path.rglob("*")} == before


def test_there_is_nothing_to_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["state", "release", f"{tmp_path}/nowhere", "raw/0"]) == 2
    assert f"there is no state in {tmp_path}/nowhere" in capsys.readouterr().err


NONSENSE = {
    "0:-5": "write earliest, latest or 0:500,1:730",
    "0:1:2": "write earliest, latest or 0:500,1:730",
    "first": "write earliest, latest or 0:500,1:730",
    "0:1,": "write earliest, latest or 0:500,1:730",
    "0:1,0:2": "gives partition 0 twice",
    "0:6": "raw/0 goes to offset 5 {where}, and 6 is behind that",
    "7:3": "raw has no partition 7 {where}; there are 0, 1",
    "7:0": "raw has no partition 7 {where}; there are 0, 1",
}


@pytest.mark.parametrize("source", [(), ("--source", "kafka://broker:1/")])
@pytest.mark.parametrize(("to", "told"), NONSENSE.items())
def test_places_that_there_are_not(
    state: State, capsys: pytest.CaptureFixture[str], to: str, told: str, source: tuple[str, ...]
) -> None:
    """They are refused at once: by what the brokers have, or else by what the state knows."""
    known, there = ({0: 3, 1: 0}, [[b"x"] * 5, []]) if source else ({0: 5, 1: 0}, [])
    state.topic("raw").commit(Commit(1, known, "id", 1.0))
    with FakeBroker({"raw": there}).at("broker:1"):
        assert reset(state, "--to", to, *source, "--yes") == 2
    where = "at the brokers" if source else f"in {state.path}"
    err = " ".join(capsys.readouterr().err.split())
    assert told.format(where=where) in err
    assert ("give --source" in err) == (not source and "{where}" in told)
    assert [each.number for each in State(state.path).topic("raw").history()] == [1]


def test_partitions_that_only_the_state_knows(state: State) -> None:
    """What the import advises where a topic was made anew, with fewer of them."""
    state.topic("raw").commit(Commit(1, {0: 5, 1: 7}, "id", 1.0))
    with FakeBroker({"raw": [[b"x"] * 9]}).at("broker:1"):
        assert reset(state, "--to", "0:8,1:0", "--source", "kafka://broker:1/", "--yes") == 0
        assert reset(state, "--to", "1:4", "--source", "kafka://broker:1/", "--yes") == 2
