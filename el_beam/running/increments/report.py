"""What a round of increments did, for those who show it."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from transforms.counts.summary import Summary


class Problem(NamedTuple):
    """What kept a round from doing its work."""

    kind: Literal["topic", "sink", "round"]  # a topic waits; hours of a sink stay open; all waits
    subject: str  # the topic or the sink; '' for the whole round
    text: str  # a sentence for people


@dataclass
class Report:
    """What a round did."""

    summary: Summary
    topics: list[str] = field(default_factory=list)  # that have moved on
    problems: list[Problem] = field(default_factory=list)
    lag: int = 0  # records that were there and not read
    closed: list[str] = field(default_factory=list)  # hours that are complete now
    reopened: list[str] = field(default_factory=list)  # hours that were, until late lines came
    notes: list[str] = field(default_factory=list)  # of what holds up nothing

    def as_json(self) -> dict[str, Any]:
        """Plain values, for --json."""
        problems = {problem.subject: problem.text for problem in self.problems}
        return self.summary.as_json() | {
            "topics": self.topics, "problems": problems, "lag": self.lag,
            "closed": self.closed, "reopened": self.reopened,
        }  # fmt: skip
