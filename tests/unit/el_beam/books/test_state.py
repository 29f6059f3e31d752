"""The state of increments: nobody overwrites anything, and one instance works at a time."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import psutil
import pytest
from faulty_files import FaultyFiles, Killed

from el_beam.books.imports import ImportEntry
from el_beam.books.state.acts import reset, show
from el_beam.books.state.lease import BEAT, DEAD, HOLDER, Holder, Lease
from el_beam.books.state.state import (
    Attempt,
    Commit,
    Intent,
    LeaseLost,
    Manifest,
    State,
    StateError,
)
from el_beam.books.state.transactions import Transactions
from runners.orphans import Processes, ProcessId
from transforms.counts.summary import Summary
from transforms.io.files.base import FileAway
from transforms.io.kafka.broker import REQUEST_TIMEOUT
from transforms.io.kafka.cluster import KafkaCluster
from transforms.io.retry import LONGEST_REQUEST
from transforms.io.world import Clock
from transforms.read.kafka_ranges import splits_of
from transforms.read.offsets import OffsetRange, UnreadPlace

SEVEN, EIGHT = Attempt(7, 1), Attempt(8, 1)
SPLITS = tuple(splits_of("raw", 1, [OffsetRange(0, 5, 700), OffsetRange(1, 0, 3)], size=500))


def intent(number: int = 1) -> Intent:
    return Intent(
        "raw", number, SPLITS, {0: 700, 1: 3}, (OffsetRange(0, 0, 5),),
        {SPLITS[0].id: frozenset({"folder parquet", "folder raw"})}, "id", "r", "c", 9,
    )  # fmt: skip


def manifest(code: str) -> Manifest:
    entry = ImportEntry("increment 1", "parquet", "cluster", "raw", "id", Summary(7),
                        (OffsetRange(0, 5, 700),), (OffsetRange(0, 0, 5),))  # fmt: skip
    return Manifest(intent().ends, {"folder parquet": entry}, code=code)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(f"{tmp_path}/state")


def names(state: State, topic: str = "raw") -> list[str]:
    return sorted(path.name for path in Path(state.path, "topics", topic).iterdir())


def test_from_nothing_to_a_commit(state: State) -> None:
    topic = state.topic("raw")
    assert (topic.last(), topic.pending()) == (None, (None, None))
    topic.intend(intent(), SEVEN)
    assert state.topic("raw").pending() == (intent(), None)
    assert state.topic("raw").pending()[0] == replace(intent())
    topic.prepare(1, SEVEN, manifest("x"))
    assert state.topic("raw").pending() == (intent(), manifest("x"))
    commit = Commit(1, intent().ends, "id", 10.0)
    topic.commit(commit)
    again = state.topic("raw")
    assert again.last() == commit
    assert again.pending() == (None, None)
    assert names(state) == ["00000001.commit.json"]
    assert state.topics() == ["raw"]


def test_the_newest_instance_counts(state: State) -> None:
    """What an instance decides after another has taken over its intent is nobody's decision."""
    topic = state.topic("raw")
    topic.intend(intent(), SEVEN)
    topic.intend(replace(intent(), code="newer"), EIGHT)
    topic.prepare(1, SEVEN, manifest("7"))
    found, prepared = state.topic("raw").pending()
    assert found is not None
    assert (found.code, prepared) == ("newer", None)
    topic.prepare(1, EIGHT, manifest("8"))
    assert state.topic("raw").pending()[1] == manifest("8")


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (Attempt(1, 999_999), Attempt(1, 1_000_000)),
        (Attempt(99_999_999, 2), Attempt(100_000_000, 1)),
    ],
)
def test_the_newest_attempt_counts_whatever_its_digits(
    state: State, earlier: Attempt, later: Attempt
) -> None:
    """As numbers they are in order, as text they are not."""
    topic = state.topic("raw")
    for attempt in (earlier, later):
        topic.intend(replace(intent(), code=str(attempt)), attempt)
    topic.prepare(1, later, manifest(str(later)))
    for known in (topic, state.topic("raw")):
        found, prepared = known.pending()
        assert found and prepared and found.code == prepared.code == str(later)
    topic.commit(Commit(1, {0: 5}))
    assert names(state) == ["00000001.commit.json"]


def test_after_a_lost_lease_attempts_begin_anew(state: State) -> None:
    """The numbers of instances do, too: what a dead one intended counts no more."""
    state.topic("raw").intend(intent(), Attempt(7, 2))
    topic = state.topic("raw")
    topic.intend(replace(intent(), code="mine"), Attempt(1, 1))
    topic.prepare(1, Attempt(1, 1), manifest("mine"))
    for known in (topic, state.topic("raw")):
        found, prepared = known.pending()
        assert found and prepared and found.code == prepared.code == "mine"


@pytest.mark.parametrize("act", ["intend", "prepare", "commit"])
def test_nothing_is_overwritten(state: State, act: str) -> None:
    one, two = state.topic("raw"), state.topic("raw")
    for number, topic in enumerate((one, two)):
        try:
            if act == "intend":
                topic.intend(intent(), SEVEN)
            elif act == "prepare":
                topic.prepare(1, SEVEN, manifest(str(number)))
            else:
                topic.commit(Commit(1, {0: number}))
        except LeaseLost as error:
            assert number == 1
            assert "another instance works here" in str(error)
            break
    else:
        raise AssertionError("both were allowed")


def test_half_made_files_are_no_state(state: State) -> None:
    topic = state.topic("raw")
    topic.commit(Commit(1, {0: 5}))
    Path(state.path, "topics", "raw", "_00000002.commit.json.0123").write_text("{")
    assert state.topic("raw").last() == Commit(1, {0: 5})


def test_old_commits_share_a_file(tmp_path: Path) -> None:
    state = State(f"{tmp_path}/state", kept=10)
    topic = state.topic("raw")
    wanted = [Commit(number, {0: number * 5}, "id", float(number)) for number in range(1, 48)]
    for commit in wanted:
        topic.commit(commit)
    assert [*state.topic("raw").history()] == wanted
    assert state.topic("raw").last() == wanted[-1]
    assert len(names(state)) < 25


def test_a_death_while_commits_are_put_together(tmp_path: Path) -> None:
    state = State(f"{tmp_path}/state", kept=3)

    def killed(name: str, path: str) -> BaseException | None:
        return Killed() if name == "remove" and path.endswith("2.commit.json") else None

    with FaultyFiles(state.path, fault=killed).mounted(), pytest.raises(Killed):
        for number in range(1, 8):
            state.topic("raw").commit(Commit(number, {0: number}))
    assert len(names(state)) == 6  # 2 to 6, and the one that has 1 to 3
    for number in (7, 8):
        state.topic("raw").commit(Commit(number, {0: number}))
    assert [commit.number for commit in state.topic("raw").history()] == [*range(1, 9)]


def test_another_cluster(state: State) -> None:
    state.bind("one")
    state.bind("one")
    with pytest.raises(StateError, match="is about the Kafka cluster one, these brokers are two"):
        state.bind("two")


def test_a_second_instance_is_refused(state: State) -> None:
    with Lease(state) as one:
        with pytest.raises(StateError, match=rf"process {os.getpid()} on .* works on this state"):
            Lease(state).__enter__()
        one.check()
    with Lease(state) as two:
        assert two.number == one.number + 1


def test_a_second_instance_is_refused_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """A folder with brackets in its name was taken for a pattern, and the lease not seen."""
    (tmp_path / "a1").mkdir()
    state = State(str(tmp_path / "a[1]*"))
    state.bind("one")
    with Lease(state) as one, pytest.raises(StateError, match="works on this state"):
        Lease(state).__enter__()
    with Lease(state) as two:
        assert two.number == one.number + 1


class _Early(FaultyFiles):
    """Sees folders before anything was in them."""

    def names(self, folder: str) -> list[str]:
        return []


def test_two_instances_that_begin_at_once(state: State) -> None:
    """Both saw that nobody works here; one of them was first."""
    refused = pytest.raises(StateError, match="has just begun")
    with Lease(state), _Early(state.path).mounted(), refused:
        Lease(state).__enter__()


UNSEEN: list[Callable[[Holder], Holder]] = [
    lambda it: replace(it, host="elsewhere", pid=2**22 + 1),
    lambda it: replace(it, boot="another", pid=2**22 + 1),
    lambda it: replace(it, namespaces="pid:[1],time:[2]", pid=2**22 + 1),
]


def test_the_lease_of_a_dead_process_is_free(state: State) -> None:
    code = (
        "import sys, time; from el_beam.books.state.lease import *\n"
        "Lease(State(sys.argv[1])).__enter__(); print('held', flush=True); time.sleep(60)"
    )
    call = [sys.executable, "-c", code, state.path]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StateError, match=f"process {process.pid} "):
            Lease(state).__enter__()
        process.kill()
    with Lease(state) as lease:
        assert lease.number == 2
        assert [each.pid for each in lease.dead] == [process.pid]


@pytest.mark.parametrize(("age", "free"), [(5, False), (29, False), (31, True)])
@pytest.mark.parametrize("far", UNSEEN)
def test_the_lease_of_a_process_that_nobody_can_see_ends(
    state: State, far: Callable[[Holder], Holder], age: float, free: bool
) -> None:
    """Of another machine, of this one before it started anew, of another container: though there
    is no such process here."""
    with Lease(state):
        pass
    folder = Path(state.path, "lease")
    here = Processes().here()
    _held(folder, HOLDER.dump(far(Holder(**vars(here)))), age)
    if free:
        with Lease(state) as lease:
            assert (lease.number, lease.dead) == (2, ())
    else:
        with pytest.raises(StateError, match=r"process \d+ on .* its lease ends 30 s"):
            Lease(state).__enter__()


@pytest.mark.parametrize(("age", "free"), [(5, False), (31, True)])
def test_a_lost_sign_of_life_is_no_proof_of_death(state: State, age: float, free: bool) -> None:
    """As a power cut loses it, of the machine that has the files, or somebody who tidies up."""
    with Lease(state):
        Path(state.path, "lease", "00000001.beat").unlink()
        with pytest.raises(
            StateError, match=r"works on this state \(last sign of life \d s ago\):"
        ):
            Lease(state).__enter__()
    folder = Path(state.path, "lease")
    _held(folder, HOLDER.dump(UNSEEN[0](Holder(**vars(Processes().here())))), age)
    (folder / "00000001.beat").unlink()
    if free:
        with Lease(state) as lease:
            assert lease.number == 2
    else:
        with pytest.raises(StateError, match="its lease ends 30 s"):
            Lease(state).__enter__()


def _held(folder: Path, holder: bytes, age: float) -> None:
    (folder / "00000001.json").write_bytes(holder)
    (folder / "00000001.beat").write_text("held")
    then = time.time() - age
    for path in folder.iterdir():
        os.utime(path, (then, then))


@pytest.mark.parametrize(("age", "free"), [(5, False), (31, True)])
def test_a_lease_of_the_release_before(state: State, age: float, free: bool) -> None:
    """It says nothing by which anybody can see that its holder is dead."""
    with Lease(state):
        pass
    here = Processes().here()
    old = {"host": here.host, "boot": here.boot, "pid": 2**22 + 1, "started": 1.5, "token": "a1"}
    _held(Path(state.path, "lease"), json.dumps(old).encode(), age)
    if free:
        with Lease(state) as lease:
            assert lease.number == 2
    else:
        with pytest.raises(StateError, match=r"process 4194305 on .* its lease ends 30 s"):
            Lease(state).__enter__()


def test_a_lease_for_the_release_before(tmp_path: Path) -> None:
    """It finds all that it looks for, as it is, and nothing that it doesn't know. We know more."""
    state = State(f"{tmp_path}/state", previous=True)
    path = Path(state.path, "lease", "00000001.json")
    with Lease(state) as lease:
        old = json.loads(path.read_bytes())
        assert sorted(old) == ["boot", "host", "pid", "started", "token"]
        assert old["started"] == psutil.Process().create_time()
        assert old["token"].startswith(lease.token)
        known = HOLDER.load(path.read_bytes(), "x")
        assert Processes().alive(known) is True
        assert (known.token, Processes().here()) == (lease.token, ProcessId(**{
            each.name: getattr(known, each.name) for each in fields(ProcessId)
        }))  # fmt: skip


def test_a_request_that_is_lost_does_not_cost_the_lease() -> None:
    """Another sign of life comes in time, and what was asked for before the lease was lost has
    been answered, or given up."""
    assert 2 * BEAT + LONGEST_REQUEST < DEAD
    assert REQUEST_TIMEOUT <= LONGEST_REQUEST
    settings = KafkaCluster("localhost:1").for_librdkafka()
    assert settings["socket.timeout.ms"] <= LONGEST_REQUEST * 1000


def test_who_was_taken_for_dead_is_told(state: State) -> None:
    with Lease(state) as one:
        (Path(state.path) / "lease" / "00000009.json").write_text("{}")
        with pytest.raises(LeaseLost, match="instance 9 works here now, this one was 1"):
            one.check()


class _Hurried(Clock):
    """Waits a hundredth of the time."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds / 100)


def test_signs_of_life(state: State) -> None:
    beat = Path(state.path, "lease", "00000001.beat")
    with Lease(state, _Hurried()):
        first = beat.stat().st_mtime_ns
        end = time.monotonic() + 10
        while beat.stat().st_mtime_ns == first and time.monotonic() < end:
            time.sleep(0.02)
        assert beat.stat().st_mtime_ns > first
    assert beat.read_text() == "released"


@pytest.mark.parametrize("error", [FileAway("no answer"), RuntimeError("a client's own")])
def test_a_sign_of_life_is_given_as_soon_as_there_is_a_file_system_again(
    state: State, error: Exception
) -> None:
    """Each is tried once: the next one comes in time, while repeats come later and later."""
    tried: list[float] = []

    def away(name: str, path: str) -> BaseException | None:
        if name == "write" and path.endswith(".beat") and threading.current_thread() is not main:
            tried.append(time.monotonic())
            return error
        return None

    main = threading.current_thread()
    with FaultyFiles(state.path, fault=away).mounted(), Lease(state, _Hurried()):
        end = time.monotonic() + 20
        while len(tried) < 15:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_show_and_reset(state: State) -> None:
    topic = state.topic("raw")
    topic.commit(Commit(1, {0: 5, 1: 6}, "id", 3.0))
    topic.intend(intent(2), Attempt(1, 1))
    (shown,) = show(state)["topics"]
    assert (shown["number"], shown["offsets"]) == (1, {"0": 5, "1": 6})
    assert shown["pending"] == {"number": 2, "records": 698, "since": 9, "decided": False}
    assert reset(state, "raw", {0: 0, 1: 0}).number == 2
    again = state.topic("raw")
    last = again.last()
    assert last is not None
    assert (last.ends, last.topic_id, again.pending()) == ({0: 0, 1: 0}, "", (None, None))


def test_transactions_of_the_longest_topic(tmp_path: Path) -> None:
    """Its name is as long as one of a file may be."""
    place, known = UnreadPlace("t" * 249, 3, 10**12, 5.0), Transactions(str(tmp_path))
    assert known.seen([place], 7.0) == known.seen([place], 9.0) == ({place: 7.0}, [])
    known.release(place.topic, place.partition)
    assert known.seen([place], 9.0) == ({place: 0.0}, [])
    for _ in range(2):
        assert known.seen([], 9.0) == ({}, [place])
    known.forget([place])
    assert known.seen([], 9.0) == Transactions(str(tmp_path)).seen([], 9.0) == ({}, [])
    assert [*tmp_path.rglob("*.json")] == []


def test_what_is_prepared_is_not_reset(state: State) -> None:
    topic = state.topic("raw")
    topic.intend(intent(), Attempt(1, 1))
    topic.prepare(1, Attempt(1, 1), manifest(""))
    with pytest.raises(StateError, match="waits to be finished"):
        reset(state, "raw", {0: 0})
