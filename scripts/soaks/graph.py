"""The whole behaviour suite on every runner, also what a runner adds nothing to.

scripts/soak graph [PYTEST ARGUMENTS]
"""

import subprocess
import sys

if __name__ == "__main__":
    call = [sys.executable, "-m", "pytest", "-q", "tests/graph", "--every-runner"]
    sys.exit(subprocess.run([*call, *sys.argv[1:]], check=False).returncode)
