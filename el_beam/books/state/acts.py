"""What people do with a state: look at it, and make a topic go on from elsewhere."""

from typing import Any

from el_beam.books.state.state import Commit, State, StateError, TopicState
from transforms.io.world import CLOCK


def show(state: State) -> dict[str, Any]:
    """All that people want to know of a state, as plain values."""
    return {"state": state.path, "topics": [_shown(state.topic(each)) for each in state.topics()]}


def _shown(topic: TopicState) -> dict[str, Any]:
    last = topic.last()
    intent, manifest = topic.pending()
    pending = None
    if intent:
        pending = {"number": intent.number, "records": intent.records, "since": intent.created,
                   "decided": manifest is not None}  # fmt: skip
    return {
        "topic": topic.topic,
        "number": last.number if last else 0,
        "committed": last.committed if last else None,
        "offsets": {str(key): value for key, value in (last.ends if last else {}).items()},
        "pending": pending,
    }


def reset(
    state: State, topic: str, ends: dict[int, int], *, again: bool = False, after: int | None = None
) -> Commit:
    """Make a topic go on from these offsets; whatever was pending is given up. What was before
    never enters a folder again. What folders hold of the rest enters them `again` only if the
    caller says so: then other records have these offsets by now. Its lease must be held.

    Raises StateError where files of the pending increment wait for their names, and where the last
    increment is another one than `after`: what the caller has seen is no longer so."""
    known = state.topic(topic)
    last = known.last()
    number = last.number if last else 0
    if after not in (None, number):
        raise StateError(
            f"{topic}: the last increment is {number}, not {after}, so this was done before, or "
            "something came since: run `el run` once; where a reset is still due, it says which"
        )
    if known.pending()[1] is not None:
        raise StateError(f"{topic}: an increment waits to be finished; run `el run` once first")
    before = last.ends if last else {}
    # Without a topic's id: it may be another topic of the same name from here on.
    commit = Commit(known.next, {**before, **ends}, "", CLOCK.time(), why="reset", reset=ends,
                    again=again)  # fmt: skip
    known.commit(commit)
    return commit
