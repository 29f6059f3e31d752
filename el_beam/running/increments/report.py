"""What a round of increments did, for those who show it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from el_beam.books.imports import offsets
from el_beam.running.increments.planning import TopicFacts, places
from transforms.counts.summary import Summary
from transforms.read.offsets import Ranges


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
    given_up: list[str] = field(default_factory=list)  # of which folders had got a part meanwhile
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


class Watcher(Protocol):
    """Who wants to know how increments go. Its methods are called in the loop's own thread."""

    def working(self) -> AbstractContextManager[object]:
        """Entered while a round runs."""

    def waiting(self, left: Callable[[], float]) -> AbstractContextManager[object]:
        """Entered between two rounds; `left` says how many seconds are left."""

    def done(self, report: Report, seconds: float) -> None:
        """Called after each round."""


def lacking_problems(
    there: TopicFacts, lacking: Mapping[str, Ranges], state: str, reset: str
) -> list[Problem]:
    """That folders, by their paths, don't have what a state takes for done; `reset` is how the
    command begins that lets the import bring it: one for all of them."""
    ranges = sorted((each for its in lacking.values() for each in its), reverse=True)
    to = {each.partition: max(each.start, there.bounds[each.partition][0])
          for each in ranges if each.partition in there.bounds}  # fmt: skip
    return [
        Problem(
            "topic", there.name,
            f"{root} lacks {offsets(its)} of {there.name}, which {state} takes for done: `{reset} "
            f"--to {places(to)} --yes` lets the import bring what the brokers still have of them",
        )
        for root, its in lacking.items()
    ]  # fmt: skip
