"""What can go wrong with a source or a sink as a whole."""

from schemas.errors import ElBeamError, WrongCall


class SinkError(ElBeamError):
    """A sink can't be written at all."""


class UnreadableInput(WrongCall):
    """Input that can't be read, or is damaged; the message is for people."""
