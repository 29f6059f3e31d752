"""stdout: events as JSON lines, for people and pipes."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from schemas import strict_json
from schemas.event import Destination, Event
from transforms.errors import SinkError
from transforms.write.sink import Bundle, Receipt, Sink, Writer


@contextmanager
def _for_people() -> Iterator[None]:
    """What goes wrong in this block becomes a SinkError, unless nobody reads any more."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write standard output: {error.strerror}") from error


class _StdoutBundle(Bundle):
    def __init__(self) -> None:
        self._counts: Counter[tuple[str, Destination]] = Counter()

    def add(self, destination: Destination, event: Event) -> None:
        with _for_people():
            sys.stdout.buffer.write(strict_json.dumps(event.data) + b"\n")
        self._counts[event.line.origin.split, destination] += 1

    def commit(self) -> Iterator[Receipt]:
        with _for_people():
            sys.stdout.buffer.flush()
        for (split, destination), count in self._counts.items():
            yield Receipt("stdout:", split, *destination, given=count, written=count)


class StdoutSink(Sink, Writer):
    """Standard output of the one worker that shares our process. It has no connection, so it is its
    own writer."""

    shown = "stdout:"

    def writer(self) -> Writer:
        return self

    def bundle(self) -> Bundle:
        return _StdoutBundle()
