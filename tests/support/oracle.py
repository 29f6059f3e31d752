"""20,000 lines with the verdicts of EventLogging itself."""

import gzip
import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from schemas.bad_event import BadEvent
from schemas.event import Event

HERE = Path(__file__).parents[1] / "golden/oracle"
LINE_FIELDS = ("recvFrom", "seqId", "dt", "ip")


def rows(name: str) -> list[dict[str, Any]]:
    with gzip.open(HERE / name, "rt") as file:
        return [json.loads(line) for line in file]


class Line:
    """One line of the corpus: what the original made of it, and what we make of it."""

    def __init__(self, number: int, raw: bytes, kind: str) -> None:
        self.number, self.raw, self.kind = number, raw, kind
        self.valid: dict[str, Any] | None = None
        self.invalid: dict[str, Any] | None = None
        self.ours: Event | BadEvent | None = None

    @property
    def capsule(self) -> Any:
        """What the client sent, read by the standard library; None where that can't be."""
        try:
            query = self.raw.decode("utf-8", "replace").split()[0]
            return json.loads(unquote_plus(query.strip("?;"), errors="strict"))
        except (ValueError, IndexError, RecursionError):
            return None

    @property
    def sets_line_fields(self) -> bool:
        return isinstance(self.capsule, dict) and any(key in self.capsule for key in LINE_FIELDS)


def storable(value: Any) -> bool:
    """Whether every sink can hold a value: the rule of DESIGN, in the plainest way."""
    if isinstance(value, dict):
        return all(storable(key) and storable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(storable, value))
    if isinstance(value, str):
        return not any(0xD800 <= ord(char) < 0xE000 for char in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def corpus() -> list[Line]:
    """All lines, with what the original made of them."""
    raw = gzip.decompress((HERE / "corpus.log.gz").read_bytes()).splitlines()
    lines = [
        Line(number, data, label["kind"])
        for number, (data, label) in enumerate(zip(raw, rows("labels.jsonl.gz"), strict=True), 1)
    ]
    for row in rows("valid.jsonl.gz"):
        lines[row["line"] - 1].valid = row["event"]
    for row in rows("invalid.jsonl.gz"):
        lines[row["line"] - 1].invalid = row
    return lines
