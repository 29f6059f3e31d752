"""`el`, but the process is killed by itself before an operation on files of a folder:

    python tests/support/mortal.py ROOT "OPERATION PATH" NUMBER WORDS-OF-EL ...

the one of that number that the regular expression is found in. So nobody has to look at the right
moment, which a process on a busy machine passes before it is seen."""

import os
import re
import signal
import subprocess
import sys
from itertools import count
from tempfile import TemporaryDirectory

from faulty_files import FaultyFiles

from el_beam.cli import main


def killed(root: str, moment: str, *words: object, number: int = 1) -> None:
    """Run `el` until it is killed there.

    Raises AssertionError if it ends otherwise."""
    call = [sys.executable, __file__, root, moment, str(number), *map(str, words)]
    with TemporaryDirectory() as left:  # as it can't clean up
        ended = subprocess.run(call, env={**os.environ, "TMPDIR": left}, check=False, text=True,
                               stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stdout + ended.stderr


def _run(root: str, moment: str, number: int, words: list[str]) -> int:
    times = count(1)

    def look(name: str, path: str) -> None:
        if re.search(moment, f"{name} {path}") and next(times) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    with FaultyFiles(root, fault=look).mounted():
        return main(words)


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
