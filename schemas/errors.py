"""The one root of our errors: what the command line needs to know of each, also of an error that a
worker raised and that comes back as text, in a runner's report.

Errors that a stage of the graph turns into values never reach a person, and have other roots: the
ValueErrors of a line, which become a BadEvent, and `transforms.write.sink.Rejected`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import NamedTuple

_MARK = "el_beam.error="
_STEP = re.compile(r" \[while running '(?:(?! \[while running ').)*'\]\Z", re.DOTALL)  # Beam's


class ElBeamError(Exception):
    """An error that a person can understand. Its `str()` is a sentence for people: what went
    wrong, where, and what to do. Only the command line prints it.

    Tracebacks end with a note for `errors_in`, which finds the error again in any report that
    quotes them."""

    exit_code = 1
    """The exit code of `el`: 1 if the work failed, 2 if the call was wrong."""
    transient = False
    """Whether the same call may succeed later, without any change."""
    details = ""
    """What a developer needs to find the fault; the command line writes it to a file."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*map(_harmless, arguments))
        about = ErrorNote(type(self).__name__, str(self), self.exit_code, self.transient)
        self.add_note(_MARK + json.dumps(about))

    @property
    def sentences(self) -> Sequence[str]:
        """Returns a sentence for each mistake; the command line prints a line of each."""
        return [str(self)]


class WrongCall(ElBeamError):
    """The call makes no sense, or names something that is missing: the caller must change it."""

    exit_code = 2


class ExtraMissing(WrongCall):
    """A library that isn't installed, because only a part of the project needs it; the message says
    which extra brings it."""


class ErrorNote(NamedTuple):
    """The description of an error that a note in a traceback carries."""

    kind: str  # its class
    message: str
    exit_code: int
    transient: bool


def errors_in(report: str) -> Iterator[ErrorNote]:
    """Finds our errors in a text that quotes tracebacks, in the order of the text.

    Text that one of our messages quotes, such as a client's line, is never taken for a note."""
    place = 0
    while (found := report.find(_MARK, place)) >= 0:
        place = found + len(_MARK)
        try:
            values, place = json.JSONDecoder().raw_decode(report, place)
            kind, message, exit_code, transient = values
            message = _STEP.sub("", str(message))
            yield ErrorNote(str(kind), message, int(exit_code), bool(transient))
        except (ValueError, TypeError):  # cut off
            continue


def _harmless(argument: object) -> object:
    """Returns an argument without what could be taken for a note."""
    return argument.replace(_MARK, "el_beam.error:") if isinstance(argument, str) else argument


def need_extra(extra: str, module: str, purpose: str) -> None:
    """Return if this module is installed. Raises ExtraMissing, which says how to install the extra.

    `purpose` is what needs it, the subject of the sentence. To be called where the module is
    imported, before that."""
    try:
        found = find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        found = False
    if not found:
        raise ExtraMissing(f"{purpose} needs the extra {extra}: pip install 'el_beam[{extra}]'")
