"""The one root of our errors: what the command line needs to know of each."""

from __future__ import annotations


class ElBeamError(Exception):
    """Something went wrong that a person can understand. `str()` of it is a sentence for people:
    what, where, and what to do. Only the command line prints it."""

    exit_code = 1
    """What `el` ends with: 1 where the work failed, 2 where the call was wrong."""
    transient = False
    """Whether the same call may succeed later, without anything being changed."""


class WrongCall(ElBeamError):
    """What was asked for makes no sense, or isn't there: it must be asked for in another way."""

    exit_code = 2
