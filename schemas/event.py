"""The values that flow through the graph: RawLine -> Event | BadEvent -> (Destination, outcome)."""

from hashlib import sha1
from typing import Any, Final, NamedTuple

from schemas.addresses import without_addresses

LONGEST_LINE: Final = 1024 * 1024  # bytes: what a Kafka record may hold by default
LONGEST_EVENT: Final = 4 * LONGEST_LINE + 64 * 1024
"""Bytes of an event as JSON, as `jsonl:` writes it and as it is read again: in it a number that was
written `1e15`, or a byte that is not UTF-8, takes up to four times as many as in its line."""
RAW_EVENT_LIMIT: Final = 64 * 1024  # bytes of the raw line that an EventError keeps


class Origin(NamedTuple):
    """The place where a line was read: its identity if it has none of its own."""

    kind: str  # file | stdin | kafka | spool | archive
    name: str  # file path, or topic and partition
    offset: int  # bytes for files, records for topics
    receipt: float  # unix seconds: when it reached us (for files their last modification), not now
    split: str  # the split it was read in: output files are named after it

    def __str__(self) -> str:
        """Returns `name@offset`, as people see it in messages and EventErrors."""
        return f"{self.name}@{self.offset}"


class RawLine(NamedTuple):
    """A line as it was read, without its line end."""

    data: bytes
    origin: Origin

    @property
    def identity(self) -> str:
        """Identifies this line by its place and its bytes. The line that another day's log has at
        the same place has another identity. IP addresses are left out: otherwise a person who knows
        the rest of the line could find the address by trying all of them against the uuid."""
        kind, name, offset, *_ = self.origin
        digest = sha1(without_addresses(self.data[:RAW_EVENT_LIMIT]), usedforsecurity=False)
        end = None if kind == "kafka" else LONGEST_LINE + 1  # of files no more was kept once
        digest.update(self.data[RAW_EVENT_LIMIT:end])
        return f"{kind}/{name}@{offset}#{digest.hexdigest()}"


class Event(NamedTuple):
    """A parsed event: the EventCapsule as a dict, and the line it came from."""

    data: dict[str, Any]
    line: RawLine

    @property
    def is_bot(self) -> bool:
        agent = self.data.get("userAgent")
        return isinstance(agent, dict) and agent.get("is_bot") is True


class Destination(NamedTuple):
    """The schema revision that a topic, table or folder is made for."""

    schema: str
    revision: int

    def __str__(self) -> str:
        return f"{self.schema}_{self.revision}"
