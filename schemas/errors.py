"""The one root of our errors: what the command line needs to know of each, also of one that was
raised in a worker and comes home as text, in a runner's report.

What a stage of the graph turns into a value never reaches a person, and has other roots: the
ValueErrors of a line, which become a BadEvent, and `transforms.write.sink.Rejected`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_MARK = "el_beam.error="
_STEP = " [while running '"  # with it begins what Beam appends to a message


class ElBeamError(Exception):
    """Something went wrong that a person can understand. `str()` of it is a sentence for people:
    what, where, and what to do. Only the command line prints it.

    Tracebacks end with a note for `errors_in`, which finds the error again in any report that
    quotes them."""

    exit_code = 1
    """What `el` ends with: 1 where the work failed, 2 where the call was wrong."""
    transient = False
    """Whether the same call may succeed later, without anything being changed."""
    details = ""
    """What a developer needs to find the fault; the command line keeps it in a file."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*map(_harmless, arguments))
        about = ErrorNote(type(self).__name__, str(self), self.exit_code, self.transient)
        self.add_note(_MARK + json.dumps(about))

    @property
    def sentences(self) -> Sequence[str]:
        """What went wrong, a sentence for each mistake; the command line prints a line of each."""
        return [str(self)]


class WrongCall(ElBeamError):
    """What was asked for makes no sense, or isn't there: it must be asked for in another way."""

    exit_code = 2


class ErrorNote(NamedTuple):
    """What a note in a traceback says of an error."""

    kind: str  # its class
    message: str
    exit_code: int
    transient: bool


def errors_in(report: str) -> Iterator[ErrorNote]:
    """Find the errors of ours in a text that quotes tracebacks, in the order of the text.

    What a message of ours quotes, such as a client's line, is never taken for a note."""
    place = 0
    while (found := report.find(_MARK, place)) >= 0:
        place = found + len(_MARK)
        try:
            values, place = json.JSONDecoder().raw_decode(report, place)
            kind, message, exit_code, transient = values
            message = str(message).rpartition(_STEP)[0] or str(message)
            yield ErrorNote(str(kind), message, int(exit_code), bool(transient))
        except (ValueError, TypeError):  # cut off
            continue


def _harmless(argument: object) -> object:
    """An argument that can't pass for a note."""
    return argument.replace(_MARK, "el_beam.error:") if isinstance(argument, str) else argument
