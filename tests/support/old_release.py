"""The `el` of the commit d61c54f, as people had it before: see tests/golden/d61c54f."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from old_folders import HERE


class OldRelease:
    """Its code in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with tarfile.open(HERE / "code.tar.xz") as tar:
            tar.extractall(folder)

    def el(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What a command of it has said, and how it ended."""
        code = "import sys; from el_beam.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run(
            [sys.executable, "-c", code, *words], cwd=self._folder, timeout=300, text=True,
            capture_output=True, env=os.environ | {"PYTHONPATH": str(self._folder)},
        )  # fmt: skip
