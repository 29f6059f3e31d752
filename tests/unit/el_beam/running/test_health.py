"""What `el check` finds, each finding on its own."""

from typing import Any

from el_beam.running.streaming.health import of_checkpoints, of_lag, of_topics, of_transactions
from transforms.io.kafka.broker import Position, matching
from transforms.read.offsets import UnreadPlace


def levels(topics: tuple[str, ...], partitions: dict[str, int], positions: Any) -> list[str]:
    return [f"{each.level}: {each.told}" for each in of_topics(topics, partitions, positions)]


def test_all_is_well() -> None:
    positions = {("raw", 0): Position(5, 0, 9), ("raw", 1): Position(0, 0, 0)}
    assert levels(("raw",), {"raw": 2}, positions) == ["ok: 1 topic(s), 2 partition(s)"]


def test_a_group_that_never_began_has_nothing_new() -> None:
    assert levels(("raw",), {"raw": 1}, {("raw", 0): Position(None, 0, 9)}) == [
        "ok: 1 topic(s), 1 partition(s)"
    ]


def test_a_new_topic() -> None:
    positions = {("a", 0): Position(5, 0, 9), ("b", 0): Position(None, 0, 3)}
    (told,) = levels(("a", "b"), {"a": 1, "b": 1}, positions)
    assert told.startswith("warning: b is new: the running job doesn't read it: stop it, and")


def test_new_partitions() -> None:
    positions = {("a", 0): Position(5, 0, 9), ("a", 1): Position(None, 0, 3)}
    (told,) = levels(("a",), {"a": 2}, positions)
    assert told.startswith("warning: partition(s) 1 of a are new")


def test_transactions() -> None:
    """One that doesn't end is told; short ones come and go."""
    hidden = [UnreadPlace("raw", 0, 10, 1_000.0), UnreadPlace("raw", 1, 4, 4_541.0)]
    (finding,) = of_transactions(hidden, 4_600.0)
    assert (finding.level, finding.what) == ("warning", "transactions")
    assert finding.told.startswith(
        "one that begins at raw/0@10 doesn't end: its first record is 60"
    )


def test_a_missing_topic() -> None:
    (told,) = levels(("x",), {"a": 1}, {})
    assert told == "problem: x is not there: make it, or correct its name"


def test_records_that_were_deleted_unread() -> None:
    problem, _ = levels(("a",), {"a": 1}, {("a", 0): Position(5, 8, 9)})
    assert problem.startswith("problem: 3 records of a/0 were deleted before they were read")


def test_lag() -> None:
    positions = {("a", 0): Position(5, 0, 9), ("b", 3): Position(None, 10, 110)}
    assert of_lag(positions, 104).level == "ok"
    finding = of_lag(positions, 103)
    assert finding.level == "problem"
    assert finding.told.startswith("104 records behind, most of them in b/3")


def test_a_position_behind_what_is_left() -> None:
    assert Position(5, 8, 9).lag == 1
    assert Position(9, 0, 9).lag == Position(9, 0, 9).expired == 0


def checkpoints(latest_ms: int | None, failed: int = 0) -> dict[str, Any]:
    latest = {"latest_ack_timestamp": latest_ms, "state_size": 24_486} if latest_ms else None
    return {"latest": {"completed": latest}, "counts": {"failed": failed}}


def test_checkpoints() -> None:
    good = of_checkpoints(checkpoints(990_000), 10, now=1000, started=0)
    assert (good.level, good.told) == ("ok", "the last one 10 s ago, 24 kB")
    old = of_checkpoints(checkpoints(800_000, failed=3), 10, now=1000, started=0)
    assert old.level == "problem"
    assert old.told.startswith("none for 200 s (3 failed)")
    assert of_checkpoints(checkpoints(800_000), 30, now=1000, started=0).level == "ok"
    assert of_checkpoints(checkpoints(None), 10, now=1000, started=990).level == "ok"
    assert of_checkpoints(checkpoints(None), 10, now=1000, started=0).level == "problem"


def test_a_pattern_matches_whole_names_and_none_of_kafka_s_own() -> None:
    topics = ["raw", "raw2", "my-raw", "__raw"]
    assert matching(topics, r"raw\d*") == ("raw", "raw2")
    assert matching(topics, ".*") == ("my-raw", "raw", "raw2")
