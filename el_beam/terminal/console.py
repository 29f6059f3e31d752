"""What people see of a run: how far it is, what it did. All of it goes to standard error."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.bad_event import Reason, sentence_of
from transforms.counts.summary import Summary
from transforms.progress import begin, progress

_LOG_EVERY = 10.0  # seconds, where nobody watches
_SHOW_EVERY = 0.25  # seconds, on a terminal
_LOOKS = 12  # that a rate is a mean of


def console() -> Console:
    """Standard error, in colours where it is a terminal."""
    return Console(stderr=True, highlight=False)


def results(width: int = 0) -> Console:
    """Standard output, for tables; at least `width` characters wide."""
    out = Console(highlight=False)
    out.width = max(out.width, width)
    return out


class ResultTable(Table):
    """A table without lines: columns named in `left` are texts, the others numbers."""

    def __init__(self, *columns: str, left: Collection[str] = ()) -> None:
        super().__init__(box=None, pad_edge=False)
        for name in columns:
            self.add_column(name, justify="left" if name in left else "right", overflow="fold")

    def row(self, *cells: str | int) -> None:
        """Add a row: numbers with commas, texts from anywhere."""
        self.add_row(*(f"{each:,}" if isinstance(each, int) else Text(printable(each))
                       for each in cells))  # fmt: skip


def printable(text: str) -> str:
    """Text from anywhere, harmless on a terminal: control characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def watching(folder: str, remark: Callable[[], str] = str) -> Iterator[None]:
    """While the block runs, show how far its bounded job is, and a remark."""
    begin(folder)
    started = time.monotonic()
    looks = deque([(started, 0)], maxlen=_LOOKS)

    def line() -> str:
        (read, bad, written, named, to_name), now = progress(folder), time.monotonic()
        looks.append((now, read))
        (since, before), about = looks[0], ["under way"]  # set up, or worked at elsewhere
        if read:
            about = [f"read {read:,}", f"valid {read - bad:,}", f"bad {bad:,}"]
        if read > before or (read and not written):
            about.append(f"{(read - before) / (now - since):,.0f} lines/s")
        if to_name:
            about.append(f"files named {named:,} of {to_name:,}")
        elif written:
            about.append(f"files written {written:,}")
        return "   ".join(filter(None, [*about, f"{now - started:.0f} s", remark()]))

    with live(line):
        yield


@contextmanager
def live(line: Callable[[], str], *, logs: bool = True) -> Iterator[None]:
    """While the block runs, show a line: a live one on a terminal, else one each ten seconds, if
    it `logs`."""
    done = threading.Event()
    out = console()

    def shown() -> None:
        if done.wait(_SHOW_EVERY):
            return  # nobody could have read it
        with out.status(line()) as status:
            while not done.wait(_SHOW_EVERY):
                status.update(line())

    def logged() -> None:
        while not done.wait(_LOG_EVERY if logs else None):
            print(line(), file=sys.stderr, flush=True)

    thread = threading.Thread(target=shown if out.is_terminal else logged, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def hint(done: Summary, out: Console) -> None:
    """Where no line at all can be read it is mostly the wrong format."""
    if done.read and done.read == sum(
        done.reasons.get(each, 0) for each in (Reason.FORMAT_MISMATCH, Reason.BAD_JSON)
    ):
        out.print("el run: none of these lines can be read: is --format theirs? (`json` for events"
                  " that an earlier run has written)", soft_wrap=True)  # fmt: skip


def show(summary: Summary, seconds: float) -> None:
    """The books of a run as tables: by schema, by reason, by sink."""
    out = console()
    rate = summary.read / max(seconds, 0.001)
    out.print(
        f"{summary.read:,} lines in {seconds:.1f} s ({rate:,.0f} lines/s): "
        f"{summary.valid:,} valid, {summary.bad:,} bad"
    )
    hint(summary, out)
    schemas = ResultTable("schema", "valid", "bad", left=("schema",))
    for name, (valid, bad) in sorted(summary.schemas.items(), key=lambda item: -sum(item[1])):
        shown = "(no known schema)" if name.startswith("unknown_") else name
        schemas.row(shown, valid, bad or "")
    out.print(schemas)
    if summary.reasons:
        reasons = ResultTable("bad because", "lines", "", left=("bad because", ""))
        reasons.columns[2].style = "dim"
        for reason, count in sorted(summary.reasons.items(), key=lambda item: -item[1]):
            reasons.row(reason, count, sentence_of(reason))
        out.print(reasons)
    counts = ("given", "written", "rejected", "repeated", "filtered", "files")
    books = summary.sinks.values()
    columns = [what for what in counts
               if what in counts[:2] or any(getattr(book, what) for book in books)]  # fmt: skip
    sinks = ResultTable("sink", *columns, left=("sink",))
    for sink, book in summary.sinks.items():
        sinks.row(sink, *(getattr(book, what) or "" for what in columns))
    out.print(sinks)
