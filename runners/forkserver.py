"""Worker processes of a submitter's own, forked from one that has imported what they need.

A new interpreter takes a second of CPU for that, and each increment starts its workers. In what it
is given a Fork is like a process of `subprocess`: the environment, the folder and the standard
streams are ours, as they are when it begins. What it logs as `el_beam` goes to our `sys.stderr`.
"""

import atexit
import functools
import gc
import io
import logging
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from runners.memory import collect_seldom
from runners.orphans import environment

_SERVE = "import sys; from runners.forkserver import serve; serve(*sys.argv[1:])"
_OURS = {"schemas", "transforms", "runners", "el_beam"}
_GRACE = 5.0  # seconds


class Fork:
    """A process that runs a function of a module. It ends with us, however we end, and Ctrl-C at
    our terminal isn't for it."""

    def __init__(
        self, function: Callable[..., object], *arguments: Any, descriptors: tuple[int, ...] = ()
    ) -> None:
        """The function gets the arguments, which are pickled, and then copies of the descriptors.
        Raises OSError."""
        request = os.memfd_create("request")  # a message can't be as long as an environment
        reading, writing = os.pipe()
        self._told = io.FileIO(reading)
        with os.fdopen(request, "wb") as file, os.fdopen(writing, "wb"):
            pickle.dump((environment(), str(Path.cwd()), function, arguments), file)
            file.flush()
            _ask([request, writing, 1, 2, _people(), *descriptors])
        if not (pid := self._told.read(8)):
            self._told.close()
            raise OSError("the process that forks workers has died")
        self.pid = int.from_bytes(pid, "little")
        self._code: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, daemon=True).start()

    def _await_end(self) -> None:
        with self._told as told:
            code = told.read(8)
        if not code:
            with suppress(ProcessLookupError):  # the server that forked it has died
                os.kill(self.pid, signal.SIGKILL)
        self._code = int.from_bytes(code, "little", signed=True) if code else -signal.SIGKILL
        self._ended.set()

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that has ended it; None while it runs."""
        return self._code

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, waited for; None where it still runs after these seconds."""
        self._ended.wait(seconds)
        return self._code

    def terminate(self) -> None:
        """Ask it to end, if it runs."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, if it runs."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _people() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # a test's, or none at all
        return 2


_lock = threading.Lock()


def _ask(descriptors: list[int]) -> None:
    with _lock:
        try:
            socket.send_fds(_server(), [b"fork"], descriptors)
        except BrokenPipeError:  # it was killed: there will be another
            _server.cache_clear()
            socket.send_fds(_server(), [b"fork"], descriptors)


@functools.cache
def _server() -> socket.socket:
    """Where to ask for a fork. The process that makes it has imported what we have of ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, end = os.pipe()  # `end` stays open until we are gone
    modules = sorted(name for name in sys.modules if name.partition(".")[0] in _OURS)
    numbers = [theirs.fileno(), lifeline]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *map(str, numbers), *modules], pass_fds=numbers,
        stdin=subprocess.DEVNULL, env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    theirs.close()
    os.close(lifeline)
    atexit.register(_let_go, ours, end, process)
    return ours


def _let_go(ours: socket.socket, end: int, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    os.close(end)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def serve(control: str, lifeline: str, *modules: str) -> None:
    """Import these modules, then fork on request at the socket `control` until it closes. Forks end
    when the pipe `lifeline` does. Both are numbers of descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("apache_beam.runners.worker.sdk_worker_main", *modules):
        import_module(name)
    gc.collect()
    collect_seldom()  # what forks share stays shared
    asked = socket.socket(fileno=int(control))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told_at: dict[int, int] = {}  # where to tell of a process's end, by its pid
    while True:
        ready = select.select([int(control), woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _reap(told_at)
        if int(control) in ready:
            message, descriptors, *_ = socket.recv_fds(asked, 16, 16)
            if not message:
                return
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (int(control), woken, wake, *told_at.values()):
                    os.close(descriptor)
                _be(descriptors, int(lifeline))
            request, told_at[pid], *others = descriptors
            _tell(told_at[pid], pid)
            for descriptor in (request, *others):
                os.close(descriptor)


def _reap(told_at: dict[int, int]) -> None:
    while told_at:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _tell(told_at[pid], os.waitstatus_to_exitcode(status))
        os.close(told_at.pop(pid))


def _tell(descriptor: int, number: int) -> None:
    with suppress(BrokenPipeError):
        os.write(descriptor, number.to_bytes(8, "little", signed=True))


def _be(descriptors: list[int], lifeline: int) -> None:
    """Be the fork. Never returns."""
    code = 1
    try:
        request, told, out, error, people, *more = descriptors
        os.close(told)
        for given, standard in ((out, 1), (error, 2)):
            os.dup2(given, standard)
            os.close(given)
        log = logging.getLogger("el_beam")
        log.addHandler(_to_people(people))
        log.setLevel(logging.INFO)
        threading.Thread(target=_end_at, args=(lifeline,), daemon=True).start()
        with os.fdopen(request, "rb") as file:
            file.seek(0)
            variables, folder, function, arguments = pickle.load(file)
        os.environ.clear()
        os.environ.update(variables)
        os.chdir(folder)
        function(*arguments, *more)
        code = 0
    except BaseException:  # whatever it is, a second server must not come of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_at(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)


class _ToPeople(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nobody is there any more."""


def _to_people(descriptor: int) -> logging.Handler:
    """A handler that writes there. If a live line of the process that started us is there, it is
    wiped first: that process draws it again below."""
    begin = "\r\x1b[2K" if os.isatty(descriptor) else ""
    stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
    handler = _ToPeople(stream)
    handler.setFormatter(logging.Formatter(f"{begin}%(asctime)s  %(message)s", "%H:%M:%S"))
    return handler
