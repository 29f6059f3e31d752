"""A savepoint of other steps is refused where it can be read; where not, Flink decides."""

from pathlib import Path

import mmh3
import pytest

from el_beam.running.streaming.savepoints import OFFSETS, is_of_another_job

OLD = "Read/Source/Records/KafkaIO.Read.ReadFromKafkaViaUnbounded/Read(KafkaUnboundedSource)"


@pytest.mark.parametrize(("label", "other"), [(OFFSETS, False), (OLD, True)])
def test_the_read_has_its_offsets_under_its_label(tmp_path: Path, label: str, other: bool) -> None:
    """The label is hashed as Flink does it; e2e/test_stream_kill has savepoints of Flink's own."""
    (tmp_path / "_metadata").write_bytes(b"\0" * 9 + mmh3.hash_bytes(label) + b"\0" * 9)
    for shown in (str(tmp_path), f"file:{tmp_path}", f"file://{tmp_path}"):
        assert is_of_another_job(shown) is other


def test_flinks_own_hash() -> None:
    """Flink showed this id of the step with the label."""
    assert mmh3.hash_bytes(OFFSETS).hex() == "7c9c55f2c83d160e4c1e51a032443762"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "hdfs://n:8020/s", "s3://b/s", "file:", "\0"])
def test_what_this_machine_cannot_read_is_left_to_flink(path: str) -> None:
    assert not is_of_another_job(path)
