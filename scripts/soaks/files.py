"""A kill -9 at one moment after another of what works on files and tables: runs, with one worker
and with two; compactions and purges; the writer of counts. The suite tries a few of these moments.

    scripts/soak files [PYTEST ARGUMENTS]
"""

import os
import subprocess
import sys

TESTS = (
    "tests/e2e/test_kill.py",
    "tests/e2e/test_changes_kill.py",
    "tests/integration/test_metrics_topic.py::test_totals_survive_kills",
    "tests/integration/test_mysql_purge_beside.py::test_killed_and_started_again",
)

if __name__ == "__main__":
    call = [sys.executable, "-m", "pytest", "-q", *TESTS, *sys.argv[1:]]
    environment = {**os.environ, "EL_THOROUGH": "1"}
    sys.exit(subprocess.run(call, env=environment, check=False).returncode)
