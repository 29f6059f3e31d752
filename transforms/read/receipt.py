"""What a reader says that it has read."""

from typing import NamedTuple


class ReadReceipt(NamedTuple):
    """What was read of a split, by its reader: one side of the books."""

    split: str
    lines: int
    size: int  # bytes of the lines, without line ends
    holes: int = 0  # offsets without a record, which were passed over
