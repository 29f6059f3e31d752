"""How lines that were read before go through the graph again."""

from __future__ import annotations

from typing import NamedTuple

from schemas.registry import Registry


class How(NamedTuple):
    """How the graph is run."""

    format: str
    registry: Registry
    runner: str = "direct"
    workers: int = 1
    beam: tuple[str, ...] = ()
