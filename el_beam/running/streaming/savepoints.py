"""Whether a job can go on from a savepoint, or from a checkpoint that was kept.

Flink stores the state of each step under a hash of the step's label. All state of a job of ours is
the offsets of its read: where that has another label, nothing can go on from them.
"""

from pathlib import Path
from typing import Final

import mmh3

OFFSETS: Final = (
    "Read/Source/Records/Records/KafkaIO.Read.ReadFromKafkaViaUnbounded/Read(KafkaUnboundedSource)"
)
"""The label of the step that has the offsets: ours, those of runners/java/kafka-batches, Beam's."""
NOT_MAPPED: Final = "Cannot map checkpoint/savepoint state"
"""What Flink says of one that isn't of these steps."""


def is_of_another_job(savepoint: str) -> bool:
    """Whether a savepoint has no offsets for the read of this version. False where this machine
    can't tell, because another one has the file: Flink refuses it then, see NOT_MAPPED."""
    try:
        told = Path(savepoint.removeprefix("file:"), "_metadata").read_bytes()
    except (OSError, ValueError):
        return False
    return mmh3.hash_bytes(OFFSETS) not in told


def refusal(savepoint: str, group: str) -> str:
    """Why a job doesn't begin at a savepoint of another job's steps, and what to do."""
    return (
        f"the savepoint {savepoint} is of a job with other steps, such as one of another version: "
        "stop the job that runs, and start this one without --savepoint; it goes on from the "
        f"offsets of the group {group}, and no line is lost"
    )
