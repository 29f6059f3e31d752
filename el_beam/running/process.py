"""What `el` changes in its own process, and sets back when it ends.

    for_command    for each command: what libraries say doesn't reach people, our log does
    for_job        for those that run jobs: temporary files, memory, servers
    interruptible  for jobs that a kill doesn't harm: Ctrl-C ends the process at once
    interrupting   for those that have something to undo: Ctrl-C is an exception
    stop_requested for those that end what they have begun: Ctrl-C asks them to

Only the entries of commands use these. All else of ours leaves its process alone, so that a server
or a notebook can call it, from any thread.
"""

import fcntl
import gc
import io
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from runners.memory import ANY_NUMBER, collect_seldom, share_arenas

OUTPUT = "standard output"
"""The file name of errors of sys.stdout."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _People(io.TextIOWrapper):
    """Standard error. What can't be written there, as to a full disk, is lost: a job goes on."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


class _Results(io.TextIOWrapper):
    """Standard output. What goes wrong with it says so: a system's errors don't. Characters that
    its encoding hasn't are escaped, as others are that can't be printed."""

    def write(self, text: str) -> int:
        with _named():
            return super().write(text)

    def flush(self) -> None:
        with _named():
            super().flush()


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = OUTPUT
        raise


class _ToPeople(logging.Handler):
    """To what standard error is at the time: a live line steps aside, see console.live."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


@contextmanager
def quiet() -> Iterator[None]:
    """While the block runs, the warnings of libraries don't reach people."""
    root, ours, show = logging.getLogger(), logging.getLogger("el_beam"), warnings.showwarning
    levels = root.level, ours.level
    handler = _ToPeople()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    warnings.showwarning = lambda *_, **__: None  # filters are undone by the libraries themselves
    root.addHandler(handler)
    root.setLevel(logging.CRITICAL)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        warnings.showwarning = show
        root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@contextmanager
def for_command(noise: str) -> Iterator[None]:
    """While the block runs, what libraries and worker processes say is in the file `noise`, and
    people see what we say ourselves."""
    with _results(), diverted(noise), quiet():
        yield


@contextmanager
def in_use(folder: str) -> Iterator[None]:
    """While the block runs, a folder is locked: systemd-tmpfiles leaves such ones alone, however
    old what is in them may be."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not all file systems can
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _results() -> Iterator[None]:
    """While the block runs, errors of standard output are named."""
    ours = sys.stdout
    try:
        number = ours.fileno()
    except (AttributeError, OSError):  # a test's, or none at all
        yield
        return
    ours.flush()
    file = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    sys.stdout = _Results(
        file,
        ours.encoding,
        "backslashreplace",
        line_buffering=bool(ours.line_buffering),
        write_through=True,
    )
    try:
        yield
    finally:
        with suppress(OSError):  # it was told
            sys.stdout.flush()
        sys.stdout = ours


@contextmanager
def for_job(scratch: str) -> Iterator[None]:
    """While the block runs, this process serves jobs alone: what is temporary is in the folder
    `scratch`. Servers of jobs end with the block."""
    import_module("el_beam.pipeline")  # what it imports stays: no garbage is looked for in it
    elsewhere, tempfile.tempdir = tempfile.tempdir, scratch
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    collect_seldom()
    share_arenas()
    try:
        yield
    finally:
        try:
            if servers := sys.modules.get("runners.job_server"):
                servers.end_all()  # here they may complain
        finally:
            share_arenas(ANY_NUMBER)
            gc.set_threshold(*thresholds)
            if not frozen:
                gc.unfreeze()
            tempfile.tempdir = elsewhere


@contextmanager
def diverted(path: str) -> Iterator[None]:
    """While the block runs, what libraries and worker processes write to standard error, by its
    descriptor, goes to the file `path`. What we say ourselves goes on to people."""
    ours, excepthook = sys.stderr, threading.excepthook
    with (
        _People(
            io.FileIO(os.dup(2), "w"), _encoding(), "backslashreplace", line_buffering=True
        ) as people,
        Path(path).open("a", buffering=1, errors="backslashreplace") as noise,
    ):
        if _descriptor() == 2:
            ours.flush()
            sys.stderr = people
        os.dup2(noise.fileno(), 2)
        threading.excepthook = lambda args: traceback.print_exception(args.exc_value, file=noise)
        try:
            yield
        finally:
            os.dup2(people.fileno(), 2)
            sys.stderr, threading.excepthook = ours, excepthook


@contextmanager
def interruptible(scratch: str) -> Iterator[None]:
    """While the block runs, Ctrl-C or a request to end ends this process at once, see `leave`: a
    runner would wait for its workers, and every sink is safe from kills. Workers end when they miss
    us."""
    people = _descriptor() or 2
    with _signals(lambda: leave(scratch, people)):
        yield


@contextmanager
def interrupting() -> Iterator[None]:
    """While the block runs, Ctrl-C or a request to end raises KeyboardInterrupt in it."""
    with _signals(interrupt):
        yield


def interrupt() -> NoReturn:
    """Raises KeyboardInterrupt."""
    raise KeyboardInterrupt


@contextmanager
def stop_requested(again: Callable[[], object]) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; any more call `again`."""
    stop = threading.Event()

    def note() -> None:
        if stop.is_set():
            again()
        stop.set()

    with _signals(note):
        yield stop


@contextmanager
def _signals(act: Callable[[], object]) -> Iterator[None]:
    """Outside the main thread, which signals never reach, nothing calls `act`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: act()) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(scratch: str, people: int | None = None) -> NoReturn:
    """End this process at once, as a kill would, but for the folder `scratch`, which is removed,
    and for a job on a Flink cluster, which would go on: it is cancelled. Called again meanwhile,
    this doesn't wait for that."""
    from el_beam.terminal.console import console, printable

    def tell(message: str) -> None:
        with suppress(OSError):  # nobody is there any more
            text = f"el: {printable(message)}\n".encode(_encoding(), "backslashreplace")
            os.write(people or _descriptor() or 2, text)

    try:
        console().show_cursor()  # the live line hides it
        flink = sys.modules.get("runners.flink")
        also = flink.abandon(tell) if flink else ""
        tell(f"interrupted{also}; start the same command again and it will be finished")
        shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os._exit(1)


def _encoding() -> str:
    """That of the terminal: Python has its own where it reads files in UTF-8 only."""
    return getattr(sys.stderr, "encoding", None) or "utf-8"


def _descriptor() -> int | None:
    """The descriptor of standard error."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # a test's, or none at all
        return None
