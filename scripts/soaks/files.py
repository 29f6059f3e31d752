"""A run into files and tables of this machine, and a kill -9 at one moment after another, with one
worker and with two: what tests/e2e/test_kill.py does, but oftener.

    scripts/soak files [PYTEST ARGUMENTS]
"""

import os
import subprocess
import sys

SEEDS = "60"

if __name__ == "__main__":
    call = [sys.executable, "-m", "pytest", "-q", "tests/e2e/test_kill.py", *sys.argv[1:]]
    environment = {"EL_SEEDS": SEEDS, **os.environ}
    sys.exit(subprocess.run(call, env=environment, check=False).returncode)
