"""The whole behaviour suite on every runner, also what a runner adds nothing to; backfills and
imports on each, too.

scripts/soak graph [PYTEST ARGUMENTS]
"""

import subprocess
import sys

if __name__ == "__main__":
    tests = (
        "tests/graph",
        "tests/e2e/test_backfill.py::test_on_any_runner",
        "tests/e2e/test_increments_kill.py::test_ctrl_c_lets_the_increment_finish",
    )
    call = [sys.executable, "-m", "pytest", "-q", *tests, "--every-runner"]
    sys.exit(subprocess.run([*call, *sys.argv[1:]], check=False).returncode)
