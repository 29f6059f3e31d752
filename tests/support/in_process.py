"""`el` in the tests' own process, which has imported Beam already: a process of its own takes two
seconds for that. Kills, signals, limits and standard input need one of their own."""

import io
import os
import re
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from el_beam.cli import main

_PROGRESS = re.compile(r"(read |under way).* \d+ s$")


class Called(NamedTuple):
    """What came of a call of `el`."""

    code: int
    out: str
    err: str
    peak: int = 0  # bytes of memory of the largest process, of one of its own

    @property
    def told(self) -> list[str]:
        """Lines of standard error, which must be sentences for people; but for those that tell each
        ten seconds how far a job is, of which a busy machine has more."""
        for word in ("Traceback", "Warning", "WARNING", "INFO:", "ERROR:", 'File "'):
            assert word not in self.err, self.err
        return [line for line in self.err.splitlines() if not _PROGRESS.match(line)]


def call(
    *arguments: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Called:
    """Run `el` in a folder, with these variables; one that is empty is not set."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        patch.dict(os.environ, environment or {}),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO())),
        patch.object(sys, "stdout", io.TextIOWrapper(out, write_through=True)),
        patch.object(sys, "stderr", io.TextIOWrapper(err, write_through=True)),
        chdir(folder or Path.cwd()),
    ):
        for name in environment or {}:
            if not os.environ[name]:
                del os.environ[name]
        try:
            code = main([*map(str, arguments)])
        except SystemExit as ended:  # argparse's
            code = int(ended.code or 0)
        return Called(code, out.getvalue().decode(), err.getvalue().decode())
