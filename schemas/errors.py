"""The one root of our errors: what the command line needs to know of each.

What a stage of the graph turns into a value never reaches a person, and has other roots: the
ValueErrors of a line, which become a BadEvent, and `transforms.write.sink.Rejected`.
"""

from __future__ import annotations

from collections.abc import Sequence


class ElBeamError(Exception):
    """Something went wrong that a person can understand. `str()` of it is a sentence for people:
    what, where, and what to do. Only the command line prints it."""

    exit_code = 1
    """What `el` ends with: 1 where the work failed, 2 where the call was wrong."""
    transient = False
    """Whether the same call may succeed later, without anything being changed."""
    details = ""
    """What a developer needs to find the fault; the command line keeps it in a file."""

    @property
    def sentences(self) -> Sequence[str]:
        """What went wrong, a sentence for each mistake; the command line prints a line of each."""
        return [str(self)]


class WrongCall(ElBeamError):
    """What was asked for makes no sense, or isn't there: it must be asked for in another way."""

    exit_code = 2
