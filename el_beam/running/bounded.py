"""Run a job to its end, on a runner, and bring home its books."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from el_beam.terminal.console import console
from schemas.errors import ElBeamError

if TYPE_CHECKING:
    from el_beam.job import Execution, Job
    from transforms.counts.summary import Summary
    from transforms.write.sink import Sink

_OURS = re.compile(
    r"^(?:[\w.]+\.)?(?:SinkError|UnreadableInput|OffsetsGone|RegistryUnavailable|RegistryError"
    r"|JarMissing|SparkAway): "
    r"(?P<message>.*?)(?: \[while running .*)?$",
    re.MULTILINE,
)
_ANY = re.compile(r"^(?P<message>[A-Za-z_][\w.]*(?:: .*?)?)(?: \[while running .*)?$", re.MULTILINE)


class JobFailed(ElBeamError):
    """A job that ended before its time. `str()` is one line for people, `details` are for us."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details if "unexpected: " in message else ""


class _ToPeople(logging.Handler):
    """To what standard error is at the time: a live line steps aside, see console.live."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


class NotReady(JobFailed):
    """A sink that can't be written at all: that is no fault of what is read."""


def hush() -> None:
    """Keep the warnings of libraries from people, in this process and in those it starts."""
    warnings.showwarning = lambda *_, **__: None  # filters are undone by the libraries themselves
    os.environ["PYTHONWARNINGS"] = "ignore"
    logging.basicConfig(
        format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", handlers=[_ToPeople()]
    )
    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("el_beam").setLevel(logging.INFO)


@contextmanager
def diverted(path: str) -> Iterator[None]:
    """While the block runs, what libraries and worker processes write to standard error, by its
    descriptor, goes to the file `path`. What we say ourselves goes on to people."""
    ours = sys.stderr
    people = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    if _descriptor(ours) == 2:
        ours.flush()
        sys.stderr = people
    excepthook = threading.excepthook
    with Path(path).open("a", buffering=1, errors="backslashreplace") as noise:
        os.dup2(noise.fileno(), 2)
        threading.excepthook = lambda args: traceback.print_exception(args.exc_value, file=noise)
        try:
            yield
        finally:
            os.dup2(people.fileno(), 2)
            sys.stderr, threading.excepthook = ours, excepthook


@contextmanager
def temporaries_in(folder: str) -> Iterator[None]:
    """While the block runs, libraries put what is temporary there."""
    elsewhere, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield
    finally:
        tempfile.tempdir = elsewhere


@contextmanager
def interruptible(scratch: str) -> Iterator[None]:
    """While the block runs, Ctrl-C or a request to end ends this process at once, as a kill would:
    a runner would wait for its workers, and every sink is safe from kills. Only the folder
    `scratch` is removed. Workers end when they miss us."""

    def stop(*_: object) -> None:
        leave(scratch, people)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    people = _descriptor(sys.stderr) or 2
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with temporaries_in(scratch):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(scratch: str, people: int | None = None) -> NoReturn:
    """End this process at once, as a kill would, but for the folder `scratch`, which is removed."""
    console().show_cursor()  # the live line hides it
    describe_error = b"el: interrupted; start the same command again and it will be finished\n"
    with suppress(OSError):  # nobody is there any more
        os.write(people or _descriptor(sys.stderr) or 2, describe_error)
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


def _descriptor(stream: IO[str] | None) -> int | None:
    try:
        return stream.fileno() if stream else None
    except (AttributeError, OSError):  # a test's, or none at all
        return None


def execute(job: Job, execution: Execution) -> Summary:
    """Run the job and return its balanced books. Doing it again after any failure, or a kill,
    finishes it: what is there already is found to be the same.

    Raises JobFailed."""
    from el_beam.books.ledger.hours import put
    from el_beam.books.ledger.model import LedgerError
    from el_beam.books.ledger.writer import enter_run, naming, not_replaced
    from transforms.counts.summary import total
    from transforms.errors import SinkError

    sinks = [sink for sink, _ in job.sinks]
    try:
        books = run(job, execution)
        summary = total(books.values(), [*map(str, sinks)])
        files = [*not_replaced(each.file for each in summary.files.values() if each.file)]
        with naming(files):
            put(files)
            enter_run(sinks, str(job.source), books)
        for sink in sinks:
            sink.finish()
    except (SinkError, LedgerError, OSError) as error:
        clean_up(sinks)
        raise JobFailed(describe_error(f"SinkError: {error}")) from error
    return summary


def run(job: Job, execution: Execution) -> dict[str, Summary]:
    """Run the job and return its books, of each split: balanced, but for those that are deferred.
    New files don't have their names yet: see `files.publish`.

    Raises JobFailed, NotReady; nothing of the attempt is left then, or only what nobody sees."""
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems

    from el_beam.pipeline import build
    from runners import orphans
    from runners.malloc import few_arenas
    from transforms.counts.summary import load_books, total
    from transforms.errors import SinkError

    sinks = [sink for sink, _ in job.sinks]
    try:
        orphans.mark_children()
        few_arenas()
        options = options_of(execution)
        FileSystems.set_options(options)  # gs:// has some
        for sink in sinks:
            _prepare(sink)
        runner = import_module(f"runners.{execution.runner}").RUNNER
        pipeline = beam.Pipeline(runner, options=options)
        build(pipeline, job)
        pipeline.run().wait_until_finish()
        books = load_books(job.summary or "")
    except (SinkError, NotReady) as error:
        clean_up(sinks)
        if isinstance(error, NotReady):
            raise
        raise JobFailed(describe_error(f"SinkError: {error}")) from error
    except Exception as error:  # a runner's may be any; people get the sentence, we the details
        clean_up(sinks)
        details = traceback.format_exc()
        raise JobFailed(describe_error(f"{error}\n{details}"), details) from error
    done = (each for each in books.values() if not each.deferred)
    if imbalances := total(done, [str(sink) for sink in sinks]).imbalances:
        clean_up(sinks)
        raise JobFailed("the books do not balance: " + "; ".join(imbalances))
    return books


def options_of(execution: Execution) -> Any:
    """The pipeline options of a job. Raises JarMissing."""
    runner = import_module(f"runners.{execution.runner}")
    return runner.options(execution.workers, execution.beam)


def _prepare(sink: Sink) -> None:
    """Raises NotReady."""
    from transforms.errors import SinkError

    try:
        sink.prepare()
    except SinkError as error:
        raise NotReady(describe_error(f"SinkError: {error}")) from error


def clean_up(sinks: list[Sink]) -> None:
    """Let go of what a failed attempt left half done, as far as can be."""
    for sink in sinks:
        with suppress(Exception):  # the first failure is the one to tell
            sink.finish()


def describe_error(text: str) -> str:
    """The sentence, in a runner's long report of a failure, that says what is wrong."""
    if ours := _OURS.findall(text):
        return str(ours[0])
    if "BrokenPipeError" in text:
        return "the reader of our output has gone"
    if "Channel closed prematurely" in text or "a worker process has died" in text:
        return "a worker process has died (killed, or out of memory); start the same command again"
    if "_MultiThreadedRendezvous" in text or "CANCELLED" in text:
        return "the job server or a worker has died; start the same command again"
    lines = _ANY.findall(text)
    return f"unexpected: {lines[-1] if lines else text.splitlines()[-1]}"
