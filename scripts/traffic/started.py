"""`el` in a process of its own, as tests, benches and soaks start it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EL = [sys.executable, "-m", "el_beam.cli"]


class Started(subprocess.Popen[str]):
    """A process with text for streams. A `with` block waits for its end, unless the block fails:
    then the process is killed, so that the failure is reported at once."""

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind:
            self.kill()
        super().__exit__(kind, *rest)


def start(*arguments: str, env: dict[str, str], code: Path = ROOT, **options: Any) -> Started:
    """Start `el` with these variables, and the code of a checkout. It reads nothing; its output and
    errors come by pipes, unless `options` say otherwise."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    env = {**os.environ, **env, "PYTHONPATH": str(code)}
    return Started([*EL, *arguments], cwd=code, env=env, text=True,
                   stdin=subprocess.DEVNULL, **pipes)  # fmt: skip
