"""Runs programs of others to their end."""

import subprocess
from collections.abc import Sequence
from typing import Any

from schemas.errors import ElBeamError


class ProgramFailed(ElBeamError):
    """A program that isn't there or has failed; `details` is its output."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.details = output


def run_program(purpose: str, command: Sequence[str], **options: Any) -> str:
    """Run a command and return what it printed. Its standard input is empty.

    `purpose` says what it is good for, as in "cannot …"; `options` are those of `subprocess.run`.
    Raises ProgramFailed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, **options,
        )  # fmt: skip
    except OSError as error:
        raise ProgramFailed(f"cannot {purpose}: {error}") from error
    if done.returncode:
        last = (done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ProgramFailed(f"cannot {purpose}: {last}", done.stdout)
    return str(done.stdout)
