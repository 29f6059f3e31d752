"""ServerProcess: one process of a stack, found again by all who look into its folder."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from runners.orphans import STACK
from schemas.errors import ElBeamError

_TICK = 0.1  # seconds between looks
_GRACE = 15.0  # seconds that a server has to end by itself


class StackError(ElBeamError):
    """A server, or the folder of a stack, that isn't as it should be."""


class ServerProcess:
    """A server process: its command, its log, its pid file."""

    def __init__(
        self, name: str, folder: Path, command: Sequence[str], ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None, patience: float = 60.0,
    ) -> None:  # fmt: skip
        """`folder` is the stack's; `ready` is asked until it is true, for `patience` seconds."""
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self._pid_file = folder / "pids" / f"{name}.json"
        self._folder = folder
        self._command = list(command)
        self._ready = ready
        self._environment = {**os.environ, **(environment or {}), STACK: str(folder)}
        self._patience = patience
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process, or None."""
        if self._child:
            self._child.poll()  # or it stays a zombie
        try:
            noted = json.loads(self._pid_file.read_text())
            process = psutil.Process(noted["pid"])
            if process.create_time() == noted["started"] and process.status() != "zombie":
                return process.pid
        except (OSError, ValueError, psutil.Error):
            pass
        return None

    @property
    def is_ready(self) -> bool:
        """Whether it runs and answers. One that a signal has stopped doesn't, though the system
        still accepts connections for it."""
        pid = self.pid
        return pid is not None and not _is_stopped(pid) and self._ready()

    def start(self) -> None:
        """Start it, if it doesn't run. `wait` says when it is ready. Raises StackError."""
        if self.pid is not None:
            return
        for path in (self.log, self._pid_file):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("ab") as log:
                self._child = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env=self._environment, cwd=self._folder, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise StackError(f"{self.name} can't be started: {error}") from error
        started = psutil.Process(self._child.pid).create_time()
        self._pid_file.write_text(json.dumps({"pid": self._child.pid, "started": started}))

    @property
    def was_started(self) -> bool:
        """Whether somebody started it and nobody stopped it: it should run."""
        return self._pid_file.exists()

    def resume(self) -> None:
        """Let it go on, if a signal has stopped it."""
        if (pid := self.pid) is not None:
            _signal_group(pid, signal.SIGCONT)

    def wait(self) -> None:
        """Return when it is ready. Raises StackError if it ends, or takes too long."""
        end = time.monotonic() + self._patience
        while not self._ready():
            if self.pid is None:
                raise StackError(f"{self.name} has ended; its log is {self.log}")
            if time.monotonic() > end:
                raise StackError(f"{self.name} isn't ready after {self._patience:.0f} s; "
                                 f"its log is {self.log}")  # fmt: skip
            time.sleep(_TICK)

    def stop(self) -> None:
        """End it and what it started, by force where it doesn't end by itself."""
        pid = self.pid
        if pid is not None:
            _signal_group(pid, signal.SIGTERM)
            self._gone(_GRACE)
            _signal_group(pid, signal.SIGKILL)  # what is left of the group
            self._gone(_GRACE)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """kill -9, for this process alone: what it started lives on."""
        pid = self.pid
        if pid is None:
            raise StackError(f"{self.name} doesn't run")
        os.kill(pid, signal.SIGKILL)
        self._gone(_GRACE)

    def _gone(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.pid is not None and time.monotonic() < end:
            time.sleep(_TICK)


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
