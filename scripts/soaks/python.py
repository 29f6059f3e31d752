"""Runs the unit tests on each other Python 3.11 of this machine, in an environment of its own.

    scripts/soak python [PYTEST ARGUMENTS]

The environments stay in the user's cache; a second run installs only what has changed.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from runners.user_folders import cache_folder

ROOT = Path(__file__).resolve().parents[2]
_ORIGIN = "import sys; print(*sys.version_info[:3], sep='.'); print(sys.base_prefix)"


def pythons() -> Iterator[Path]:
    """Programs that may be a Python 3.11: on the path, and where pyenv keeps its own."""
    for folder in (*os.get_exec_path(), "/usr/bin", "/usr/local/bin"):
        yield Path(folder, "python3.11")
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from kept.glob("versions/3.11.*/bin/python3.11")


def origin(python: str | Path) -> tuple[str, str] | None:
    """The version and the home of a Python, None for what doesn't run."""
    try:
        done = subprocess.run([python, "-c", _ORIGIN], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    version, home = done.stdout.splitlines()
    return version, home


def main() -> int:
    ours = origin(sys.executable)
    others = {found: path for path in pythons() if (found := origin(path)) and found != ours}
    failed = [version for (version, _), path in sorted(others.items()) if not passes(version, path)]
    print(f"{len(others)} other Pythons 3.11, with a failure: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def passes(version: str, python: Path) -> bool:
    """Whether the unit tests pass on this Python."""
    print(f"Python {version} ({python})", flush=True)
    folder = cache_folder() / f"python-{version}"
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    calls = [
        [python, "-m", "venv", folder],
        [folder / "bin/python", *install, "-r", "requirements.txt"],
        [folder / "bin/python", "-m", "pytest", "-q", *(sys.argv[1:] or ["tests/unit"])],
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/scripts"}
    return all(not subprocess.run(call, cwd=ROOT, env=environment).returncode for call in calls)


if __name__ == "__main__":
    sys.exit(main())
